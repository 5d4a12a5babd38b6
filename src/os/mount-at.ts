import { osBinding } from './binding.js';
import { majorMinor } from './device-number.js';
import type { Limits } from './limits.js';
import { mounts, type Mount } from './mounts.js';
import { pathInfo } from './path-info.js';
import { sharedLimits } from './share.js';
import { volumePath, withoutSlash } from './volume-path.js';

/**
 * Which mount has its root right at the path, symlinks followed: its {@link Mount.id}, or undefined when nothing is mounted
 * there. Other mounts are left alone, except that without the kernel's word (Linux 5.8, native binding) the directory
 * above may be asked for its device.
 *
 * Without the kernel's word, a path that leads through a symlink to a bind mount of the filesystem around it, or to a mount of
 * btrfs, is not recognised and counts as not mounted: rather no numbers than the host's.
 *
 * @throws MetricsError as {@link pathInfo} does
 */
export async function mountAt(path: string, limits: Limits): Promise<number | undefined> {
  const rest = sharedLimits(path, limits);
  // Through the commands each question about the path is a process, so the list of mounts is looked at first.
  let here = osBinding(limits.binding ?? 'auto').name === 'native' ? await pathInfo(path, rest()) : undefined;
  if (here?.mountRoot !== undefined) return here.mountRoot ? here.mountId : undefined;
  const visible = (await mountsFromNow()).filter((mount) => !mount.hidden);
  const plain = withoutSlash(volumePath(path));
  const named = visible.find((mount) => mount.mountPoint === plain);
  if (named !== undefined) return named.id;
  here ??= await pathInfo(path, rest());
  if (here.kind !== 'directory') return undefined;
  const { device, inode } = here;
  const above = await pathInfo(`${path}/..`, rest());
  if (above.device !== device) return visible.find((mount) => mount.device === majorMinor(device))?.id;
  return above.inode === inode ? visible.find((mount) => mount.mountPoint === '/')?.id : undefined;
}

let next: Promise<readonly Mount[]> | undefined;

/** The mounts, read after the moment of the call; whoever asks in the same turn of the event loop shares one reading. */
function mountsFromNow(): Promise<readonly Mount[]> {
  next ??= new Promise((resolve) => {
    setImmediate(() => {
      next = undefined;
      resolve(mounts());
    });
  });
  return next;
}
