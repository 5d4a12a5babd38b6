import { MetricsError } from '../errors.js';
import { osBinding } from './choose-binding.js';
import { majorMinor } from './devices.js';
import { mounts, visibleMounts, type Mount } from './mounts.js';
import { fsInfoFrom, fsInfoOf, statFsError, type FsInfo } from './fs-info.js';
import { pathInfoOf, statError } from './path-info.js';
import type { MountStatFs, PathCall } from './os-binding.js';
import { isSystemError, toMetricsError } from './system-error.js';
import {
  answerTo,
  checkedLimits,
  LIMITS,
  volumeCall,
  withoutSlash,
  type Limits,
  type VolumeCall,
} from './volume-call.js';

/**
 * Which mount has its root right at the path, symlinks followed. A provider of a volume that is a mount uses
 * it to make sure that it measures the volume: while nothing is mounted, the path is an empty directory and
 * its numbers are those of the host's filesystem. A mount may come or go at any moment, so ask before and
 * after measuring, and use the numbers only if both answers are the same mount:
 *
 * ```ts
 * const before = await mountAt(path, { signal });
 * const reading = await measure(path);
 * if (before === undefined || (await mountAt(path, { signal })) !== before) {
 *   throw new MetricsError('METRICS_NOT_MOUNTED', `nothing is mounted on ${path}`, { path });
 * }
 * ```
 *
 * For the native binding the kernel answers (Linux 5.8). For the commands the list of mounts does, with the
 * path that `readlink` resolves. The native binding on an older kernel compares device numbers of the path
 * and of the directory above it. They do not show a mount of btrfs, or a bind mount of the filesystem around
 * it, behind a symlink: such a path counts as not mounted, because no number is better than the host's.
 *
 * @param path - absolute, or relative to the current directory
 * @param options - limits of this call
 * @returns the `Mount.id` of the mount as `mounts()` lists it, or undefined if nothing is mounted right at
 * the path. The kernel reuses an id after its mount is gone: see `uniqueMountId` of `pathInfo`.
 * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND if the path does not exist,
 * METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED (not Linux), METRICS_FS_INFO_FAILED with the errno in `cause`;
 * TypeError for an option that is unknown or wrong
 */
export async function mountAt(path: string, options: Limits = {}): Promise<number | undefined> {
  const limits = checkedLimits(options, LIMITS);
  return await mountAtOf(volumeCall(path, limits));
}

/** Like {@link mountAt}, for a call that was checked. */
export async function mountAtOf(call: VolumeCall): Promise<number | undefined> {
  return (await lookAt(call))?.id;
}

/** What is mounted right at a path. */
interface Look {
  readonly id: number;
  /** `PathInfo.uniqueMountId`, if it is known. */
  readonly uniqueId?: bigint | undefined;
  /** `PathInfo.inode`, unless the list of mounts had to be read. */
  readonly inode?: bigint;
  /** `Mount.fsType` and `Mount.root`, if the list of mounts had to be read. */
  readonly fsType?: string;
  readonly root?: string;
}

async function lookAt(call: VolumeCall): Promise<Look | undefined> {
  // Through the commands each question about the path is a process, so the list of mounts is looked at first.
  const binding = osBinding(call.binding);
  let here = binding.name === 'native' ? await pathInfoOf(call) : undefined;
  if (here?.mountRoot === false) return undefined;
  if (here?.mountId !== undefined) {
    return { id: here.mountId, uniqueId: here.uniqueMountId, inode: here.inode };
  }
  const visible = visibleMounts(await mountsFromNow());
  const plain = withoutSlash(call.path);
  const named = visible.find((mount) => mount.mountPoint === plain);
  if (named !== undefined) return named;
  here ??= await pathInfoOf(call);
  if (binding.realPath !== undefined) {
    const real = await realPathOf(call, binding.realPath);
    return visible.find((mount) => mount.mountPoint === real);
  }
  if (here.kind !== 'directory') return undefined;
  const { device, inode } = here;
  const above = await pathInfoOf({ ...call, path: `${plain === '/' ? '' : plain}/..` });
  if (above.device !== device) return visible.find((mount) => mount.device === majorMinor(device));
  return above.inode === inode ? visible.find((mount) => mount.mountPoint === '/') : undefined;
}

async function realPathOf(call: VolumeCall, start: (path: string) => PathCall<string>): Promise<string> {
  try {
    return await answerTo(call, start);
  } catch (error) {
    throw toMetricsError(error, 'METRICS_FS_INFO_FAILED', (text) => `failed to resolve: ${text}`);
  }
}

/**
 * Measures what is mounted right at a path. Its numbers count only between two looks that find the same mount
 * there: it may come or go at any moment, and the host's numbers must never be taken for the volume's. The
 * second look also finds a mount that the kernel makes on access (autofs).
 *
 * @param newCall - makes the call of each look, and so decides whether they share a deadline
 * @param measure - `type` of what it gives is that of {@link FsInfo}
 * @throws MetricsError METRICS_NOT_MOUNTED if nothing is mounted there, or something else each time; what
 * `measure` throws, and as {@link mountAt}
 */
export async function whileMounted<T extends Pick<FsInfo, 'type'>>(
  newCall: () => VolumeCall,
  measure: () => Promise<T>,
): Promise<T> {
  const { path } = newCall();
  let before = await lookAt(newCall());
  for (let changes = 0; changes < MOST_CHANGES; changes += 1) {
    if (before === undefined) throw notMounted(path);
    const measured = await measure();
    const after = await lookAt(newCall());
    if (after !== undefined && isSame(before, after) && isOf(after, measured.type)) return measured;
    before = after;
  }
  throw changesTooOften(path);
}

/**
 * Like {@link whileMounted} with {@link fsInfoOf}: the numbers of the filesystem that is mounted right at a
 * path, with one call into the system where the binding can make it.
 *
 * @throws METRICS_NOT_MOUNTED as {@link whileMounted}, and as {@link mountAt}
 */
export async function mountedFsInfoOf(call: VolumeCall): Promise<FsInfo> {
  for (let changes = 0; changes < MOST_CHANGES; changes += 1) {
    const seen = await mountStatFsOf(call);
    if (seen === undefined) {
      return await whileMounted(
        () => call,
        () => fsInfoOf(call),
      );
    }
    if (seen.statFs === undefined) throw notMounted(call.path);
    if (seen.mount === 'same') return fsInfoFrom(seen.statFs, seen.device);
  }
  throw changesTooOften(call.path);
}

/** Undefined if the binding has no such call, or the kernel does not tell the mount of a path. */
async function mountStatFsOf(call: VolumeCall): Promise<MountStatFs | undefined> {
  const { mountStatFs } = osBinding(call.binding);
  if (mountStatFs === undefined) return undefined;
  try {
    return await answerTo(call, mountStatFs);
  } catch (error) {
    throw isSystemError(error) && error.syscall === 'statfs' ? statFsError(error) : statError(error);
  }
}

function notMounted(path: string): MetricsError {
  return new MetricsError('METRICS_NOT_MOUNTED', `nothing is mounted on ${path}`, { path });
}

function changesTooOften(path: string): MetricsError {
  const text = `what is mounted on ${path} changed ${String(MOST_CHANGES)} times while it was measured`;
  return new MetricsError('METRICS_NOT_MOUNTED', text, { path, transient: true });
}

/** A walk has no time limit of its own, and must end although mounts come and go each time. */
const MOST_CHANGES = 10;

function isSame(before: Look, after: Look): boolean {
  return before.id === after.id && before.uniqueId === after.uniqueId;
}

/**
 * Whether numbers can be those of a mount. Its id does not tell: another mount may have got the id, and the
 * numbers be the host's of the time between. A tmpfs always shows in both (a Secret, an emptyDir in memory).
 */
function isOf({ fsType }: Look, type: string): boolean {
  return fsType !== 'tmpfs' || type === 'tmpfs';
}

/** The inode of a tmpfs's own root, since Linux 5.9. Before that it was any number. */
const TMPFS_ROOT = 1n;

/**
 * The numbers of the tmpfs whose own root is mounted right at a path; undefined if there is none, or if it
 * has no limit of its own and so counts nothing. Like {@link whileMounted}, it trusts numbers only between
 * two looks that find the same mount.
 *
 * The looks ask about the path alone and never read the list of mounts, which is long on a node, unless they
 * have to (see {@link mountAt}). A bind mount of a directory in a tmpfs shows by its inode number. Its owner
 * could only make up that number by creating 2^32 inodes, to get the numbers of the tmpfs around it.
 *
 * @param call - all that is asked shares its deadline
 * @throws as {@link mountAt}
 */
export async function ownTmpfsOf(call: VolumeCall): Promise<FsInfo | undefined> {
  const seen = await mountStatFsOf(call);
  if (seen !== undefined) {
    const { mount, inode, statFs, device } = seen;
    if (mount !== 'same' || inode !== TMPFS_ROOT || statFs === undefined) return undefined;
    const info = fsInfoFrom(statFs, device);
    return isLimitedTmpfs(info) ? info : undefined;
  }
  const before = await lookAt(call);
  if (before === undefined || !isWhole(before)) return undefined;
  const info = await fsInfoOf(call);
  if (!isLimitedTmpfs(info)) return undefined;
  const after = await lookAt(call);
  return after !== undefined && isSame(before, after) ? info : undefined;
}

function isLimitedTmpfs({ type, used, inodesUsed }: FsInfo): boolean {
  return type === 'tmpfs' && used !== undefined && inodesUsed !== undefined;
}

/** Whether the root of the mount is that of the filesystem, if this is a tmpfs. */
function isWhole({ inode, root }: Look): boolean {
  return root === undefined ? inode === TMPFS_ROOT : root === '/';
}

let next: Promise<readonly Mount[]> | undefined;

/**
 * The mounts, read after the moment of the call. Callers in the same turn of the event loop share one
 * reading.
 */
function mountsFromNow(): Promise<readonly Mount[]> {
  next ??= new Promise((resolve) => {
    setImmediate(() => {
      next = undefined;
      resolve(mounts());
    });
  });
  return next;
}
