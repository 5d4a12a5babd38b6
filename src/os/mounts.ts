import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { MetricsError } from '../errors.js';

/** One mount of this process's mount namespace, as the kernel lists it. */
export interface Mount {
  /** Where it is mounted: an absolute path, unescaped. */
  readonly mountPoint: string;
  /** Which part of the filesystem is mounted there; not `/` for a bind mount. */
  readonly root: string;
  /** The filesystem's name with its subtype: `ext4`, `nfs4`, `fuse.sshfs`. */
  readonly fsType: string;
  /** What is mounted, in the filesystem's own terms: a device, `server:/export`, `tmpfs`. */
  readonly source: string;
  /** Options of this mount, then the other options of the filesystem beneath. */
  readonly options: readonly string[];
  /**
   * Whether the mount or the filesystem beneath is read-only, also if the filesystem stopped writing after an
   * error.
   */
  readonly readOnly: boolean;
  /** The kernel's number for this mount; reused after it is gone. */
  readonly id: number;
  /** `major:minor` of files on it, as `stat` gives (but btrfs, where each subvolume has its own). */
  readonly device: string;
  /** Whether a later mount covers it, so that no path leads to it. */
  readonly hidden: boolean;
}

/** Reading it touches no mount: the kernel answers from memory. */
const MOUNTINFO = '/proc/self/mountinfo';

/**
 * Every mount of this process's mount namespace, hidden ones included, in the kernel's order. Touches no
 * mount.
 *
 * @returns the mounts
 * @throws MetricsError METRICS_NOT_SUPPORTED if there is no `/proc/self/mountinfo`, METRICS_FS_INFO_FAILED if
 * it cannot be read now
 */
export async function mounts(): Promise<readonly Mount[]> {
  return Promise.resolve(parseMountinfo(readMountinfo('utf8')));
}

/**
 * The kernel's list of mounts, read synchronously. An asynchronous read would wait for a thread of Node's
 * pool, and other code may have all of them stuck in calls on a dead volume.
 *
 * @throws as {@link mounts}
 */
export function readMountinfo(encoding: 'utf8' | 'latin1'): string {
  try {
    return readFileSync(MOUNTINFO, encoding);
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const code = isMissing ? 'METRICS_NOT_SUPPORTED' : 'METRICS_FS_INFO_FAILED';
    throw new MetricsError(code, `the mounts of this machine are not known: ${String(error)}`, {
      cause: error,
    });
  }
}

/**
 * The mounts in the text of a /proc/[pid]/mountinfo, proc_pid_mountinfo(5). Lines of another form are
 * skipped.
 */
export function parseMountinfo(text: string): readonly Mount[] {
  const known = new Map<string, Options>();
  const all = text.split('\n').flatMap((line) => parseLine(line, known) ?? []);
  const byId = new Map(all.map((each) => [each.mount.id, each]));
  const pointsOn = new Map<number, MountPoints>();
  for (const { parent, mount } of all) {
    const points = pointsOn.get(parent) ?? new MountPoints();
    points.add(mount.mountPoint);
    pointsOn.set(parent, points);
  }
  for (const each of all) each.mount.hidden = isHidden(each, byId, pointsOn);
  return all.map(({ mount }) => mount);
}

/**
 * How a filesystem says that it stopped writing, although neither it nor its mount is read-only to statfs(2):
 * after an error (ext4 since Linux 6.12), or because it was shut down.
 */
const STOPPED: ReadonlySet<string> = new Set(['emergency_ro', 'shutdown']);

/**
 * The devices, as {@link Mount.device}, of filesystems that stopped writing. Empty if the list of mounts
 * cannot be read.
 */
export function stoppedDevices(): ReadonlySet<string> {
  let text = '';
  try {
    text = readMountinfo('latin1');
  } catch {
    return new Set();
  }
  if (![...STOPPED].some((each) => text.includes(each))) return new Set();
  const stopped = parseMountinfo(text).filter(({ options }) => options.some((each) => STOPPED.has(each)));
  return new Set(stopped.map(({ device }) => device));
}

/** Milliseconds for which the list of stopped filesystems is kept, empty or not: each reading needs it. */
const STOPPED_AGE_MS = { empty: 10_000, other: 1_000 };

let lately: { readonly devices: ReadonlySet<string>; readonly sinceMs: number } | undefined;

/** {@link stoppedDevices}, at most ten seconds old. */
export function stoppedLately(): ReadonlySet<string> {
  const nowMs = performance.now();
  const mostMs = lately?.devices.size === 0 ? STOPPED_AGE_MS.empty : STOPPED_AGE_MS.other;
  if (lately === undefined || nowMs - lately.sinceMs >= mostMs) {
    lately = { devices: stoppedDevices(), sinceMs: nowMs };
  }
  return lately.devices;
}

/** A mount and the id of the one it is mounted on, which need not be in the list (a chroot). */
interface Listed {
  readonly mount: Mount & { hidden: boolean };
  readonly parent: number;
}

type Options = Pick<Mount, 'options' | 'readOnly'>;

/** @param known - the options of lines before: most mounts of a node have the same */
function parseLine(line: string, known: Map<string, Options>): Listed | undefined {
  // 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
  // There may be any number of optional fields before the lone "-".
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [id, parent, device, root, mountPoint, mountOptions] = fields;
  const [fsType, source, superOptions] = fields.slice(dash + 1);
  if (dash === -1 || mountPoint === undefined || superOptions === undefined) return undefined;
  const allOptions = `${mountOptions ?? ''} ${superOptions}`;
  const about = known.get(allOptions) ?? optionsFrom(mountOptions ?? '', superOptions);
  known.set(allOptions, about);
  return {
    mount: {
      mountPoint: unescape(mountPoint),
      root: unescape(root ?? ''),
      fsType: unescape(fsType ?? ''),
      source: unescape(source ?? ''),
      options: about.options,
      readOnly: about.readOnly,
      id: Number(id),
      device: device ?? '',
      hidden: false,
    },
    parent: Number(parent),
  };
}

function optionsFrom(ofMount: string, ofFilesystem: string): Options {
  const options = [...new Set([...ofMount.split(','), ...ofFilesystem.split(',')])];
  // The mount may say "rw" and the filesystem "ro", or the other way round: together that is read-only.
  const readOnly = options.includes('ro') || ofFilesystem.split(',').some((each) => STOPPED.has(each));
  return { options: options.filter((option) => !(readOnly && option === 'rw')), readOnly };
}

/**
 * Whether another mount covers the same mount point, or a directory on the way to it. The order of the list
 * does not tell (a mount may come before the one it is mounted on); the parents do.
 *
 * @param pointsOn - the mount points of what is mounted on each mount
 */
function isHidden(
  listed: Listed,
  byId: ReadonlyMap<number, Listed>,
  pointsOn: ReadonlyMap<number, MountPoints>,
): boolean {
  const { id, mountPoint } = listed.mount;
  if (listed.parent !== id && pointsOn.get(id)?.has(mountPoint)) return true;
  const seen = new Set<Listed>();
  let each: Listed | undefined = listed;
  while (each !== undefined && !seen.has(each)) {
    seen.add(each);
    // If the mount higher up had been there first, this one would be mounted on it and not beside it.
    if (pointsOn.get(each.parent)?.hasAbove(each.mount.mountPoint)) return true;
    each = byId.get(each.parent);
  }
  return false;
}

/** The points at which mounts are mounted on one and the same mount. */
class MountPoints {
  readonly #points = new Set<string>();
  /** Whether a directory is one, or is below one: the mounts of a node share most of their directories. */
  readonly #within = new Map<string, boolean>();

  add(point: string): void {
    this.#points.add(point);
  }

  has(point: string): boolean {
    return this.#points.has(point);
  }

  /** Whether there is one strictly above a path. All of them have to be added before. */
  hasAbove(path: string): boolean {
    if (path.length <= 1) return false;
    const directory = dirname(path);
    let isWithin = this.#within.get(directory);
    if (isWithin === undefined) {
      isWithin = this.#points.has(directory) || this.hasAbove(directory);
      this.#within.set(directory, isWithin);
    }
    return isWithin;
  }
}

/** The kernel writes space, tab, newline, backslash and `#` as three octal digits of each byte. */
function unescape(field: string): string {
  if (!field.includes('\\')) return field;
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** The mounts that paths lead to. */
export function visibleMounts(all: readonly Mount[]): readonly Mount[] {
  return all.filter((mount) => !mount.hidden);
}

/** The mount that a path without symlinks is on, among visible ones. */
export function mountOf(realPath: string, visible: readonly Mount[]): Mount | undefined {
  let longest: Mount | undefined;
  for (const each of visible) {
    const isHolder = each.mountPoint === '/' || `${realPath}/`.startsWith(`${each.mountPoint}/`);
    if (isHolder && each.mountPoint.length >= (longest?.mountPoint.length ?? 0)) longest = each;
  }
  return longest;
}

/** The outermost mount points below `realPath`, as what follows it: each begins with `/`. */
export function mountedBelow(realPath: string, visible: readonly Mount[]): string[] {
  const prefix = realPath.endsWith('/') ? realPath : `${realPath}/`;
  // With a slash at its end, a mount point sorts right before those below it.
  const points = visible
    .filter(({ mountPoint }) => mountPoint !== '/' && mountPoint.startsWith(prefix))
    .map(({ mountPoint }) => `${mountPoint}/`)
    .sort();
  const outermost: string[] = [];
  for (const point of points) {
    const before = outermost.at(-1);
    if (before === undefined || !point.startsWith(before)) outermost.push(point);
  }
  return outermost.map((point) => point.slice(prefix.length - 1, -1));
}
