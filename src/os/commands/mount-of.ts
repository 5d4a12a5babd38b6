import { mountPointsBelow, parseMountinfo, readMountinfo, type Mount } from '../mounts.js';
import { askOf } from './ask.js';
import { toBytes } from './bytes.js';
import type { Children } from './children.js';
import type { Tools } from './tools.js';

/**
 * The mounts that paths lead to. Names in it have one character for each byte, unlike those of `mounts()`.
 *
 * @throws MetricsError as {@link readMountinfo} does
 */
export async function visibleMounts(): Promise<readonly Mount[]> {
  return Promise.resolve(parseMountinfo(readMountinfo('latin1')).filter((mount) => !mount.hidden));
}

/** The mount that a path without symlinks is on. */
export function mountOf(realPath: string, visible: readonly Mount[]): Mount | undefined {
  const holders = visible.filter(
    ({ mountPoint }) => mountPoint === '/' || `${realPath}/`.startsWith(`${mountPoint}/`),
  );
  return holders.reduce<Mount | undefined>(
    (longest, each) => (each.mountPoint.length >= (longest?.mountPoint.length ?? 0) ? each : longest),
    undefined,
  );
}

/**
 * The paths below `realPath` at which something else is mounted, without those below others. They begin with
 * `/`.
 */
export function mountedBelow(realPath: string, visible: readonly Mount[]): string[] {
  // With a slash at its end, a mount point stands right before those below it.
  const points = mountPointsBelow(visible, realPath)
    .map((point) => `${point}/`)
    .sort();
  const outermost: string[] = [];
  for (const point of points) {
    const before = outermost.at(-1);
    if (before === undefined || !point.startsWith(before)) outermost.push(point);
  }
  return outermost.map((point) => point.slice(realPath === '/' ? 0 : realPath.length, -1));
}

/**
 * Where a path leads, symlinks followed; one character for each byte. A mount point needs no command for that:
 * the kernel names it without symlinks.
 */
export async function realPathOf(
  path: string,
  visible: readonly Mount[],
  tools: Tools,
  children: Children,
): Promise<string> {
  const bytes = toBytes(path);
  if (visible.some(({ mountPoint }) => mountPoint === bytes)) return bytes;
  const file = await tools.file('readlink');
  const parse = (text: string): string | undefined => (text.startsWith('/') ? text : undefined);
  return await askOf(children, file, ['-n', '-f', '-v', '--', path], parse, 'readlink', path);
}
