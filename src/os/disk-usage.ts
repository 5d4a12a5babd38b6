import { checkedFlag, checkedFunction, checkedMs, checkedOptions, checkedSignal } from '../options.js';
import { osBinding } from './choose-binding.js';
import type { DiskUsage, Walk } from './os-binding.js';
import { toMetricsError } from './system-error.js';
import {
  absolutePath,
  answerTo,
  checkedBinding,
  checkCharacters,
  volumeCall,
  type Binding,
} from './volume-call.js';

export type { DiskUsage };

/** Options of {@link diskUsage}. */
export interface DiskUsageOptions {
  /** Ends the walk: the call rejects with `signal.reason`, unwrapped. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Which code walks.
   *
   * @defaultValue `'auto'`
   */
  readonly binding?: Binding | undefined;
  /**
   * Threads that share one walk, 1 to 64. The commands always use one.
   *
   * @defaultValue `4`
   */
  readonly threads?: number | undefined;
  /**
   * Whether to leave out entries that cannot be read and count them in `incomplete`, rather than to fail the
   * walk.
   *
   * @defaultValue `false`
   */
  readonly allowPartial?: boolean | undefined;
  /**
   * Milliseconds without any progress after which the walk is given up. The walk as a whole has no limit.
   *
   * @defaultValue 30000
   */
  readonly stallTimeoutMs?: number | undefined;
  /** Called with what has been counted so far, at most ten times a second. What it throws is ignored. */
  readonly onProgress?: ((sofar: DiskUsage) => void) | undefined;
}

/** The names of the options in {@link DiskUsageOptions}. */
export const DISK_USAGE_OPTIONS = [
  'signal',
  'binding',
  'threads',
  'allowPartial',
  'stallTimeoutMs',
  'onProgress',
] as const;

/**
 * Filesystems that count the blocks of their files, so that a file without any is sparse, by f_type: ext4,
 * xfs, btrfs, tmpfs, overlay, f2fs, zfs and bcachefs.
 */
const COUNTS_BLOCKS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x1021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0xca451a4e,
]);

/** Some FUSE servers leave st_blocks at 0. Nothing but reading a file tells it from a sparse one. */
const WITHOUT_BLOCKS =
  'used is 0 although files have a size: the filesystem does not count blocks, or the files are sparse';

const DEFAULT_STALL_TIMEOUT_MS = 30_000;
const MOST_THREADS = 64;

/**
 * How to walk, from the options of a public function or constructor that knows no others.
 *
 * @throws TypeError naming the first option that is wrong
 */
export function checkedWalk(options: DiskUsageOptions): Walk {
  const { threads } = options;
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS)) {
    throw new TypeError(
      `Expected threads to be a whole number from 1 to ${String(MOST_THREADS)}, got ${String(threads)}`,
    );
  }
  return {
    signal: checkedSignal(options.signal),
    threads,
    allowPartial: checkedFlag('allowPartial', options.allowPartial),
    stallTimeoutMs: checkedMs('stallTimeoutMs', options.stallTimeoutMs, DEFAULT_STALL_TIMEOUT_MS),
    onProgress: checkedFunction('onProgress', options.onProgress),
  };
}

/**
 * What the tree at `path` uses: the root and everything below it on the same device, each inode once. A
 * symlink is followed if it is the root, otherwise counted. Mount points below the root are left out. Entries
 * that vanish during the walk are ignored. Files that have sizes but no blocks (of some FUSE servers) give 0
 * bytes and a warning.
 *
 * @param path - absolute, or relative to the current directory; a directory or a single file
 * @param options - limits and manner of the walk
 * @returns bytes and inodes
 * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_NOT_SUPPORTED (not Linux),
 * METRICS_TIMED_OUT if the walk stalls, METRICS_USAGE_FAILED with the entry in `path` and the errno in
 * `cause`; TypeError for an option that is unknown or wrong
 */
export async function diskUsage(path: string, options: DiskUsageOptions = {}): Promise<DiskUsage> {
  const walk = checkedWalk(checkedOptions(options, DISK_USAGE_OPTIONS));
  const binding = checkedBinding(options.binding);
  return await diskUsageOf(absolutePath(path), binding, walk);
}

/**
 * Like {@link diskUsage}, with everything checked.
 *
 * @param path - absolute
 */
export async function diskUsageOf(path: string, wanted: Binding, walk: Walk): Promise<DiskUsage> {
  const binding = osBinding(wanted);
  try {
    checkCharacters(path);
    if (walk.signal?.aborted) throw walk.signal.reason;
    const counted = await binding.diskUsage(path, walk);
    if (counted.lacksBlocks === undefined) return counted;
    const { used, inodesUsed, incomplete } = counted;
    const usage = { used, inodesUsed, ...(incomplete && { incomplete }) };
    const limits = { timeoutMs: walk.stallTimeoutMs, signal: walk.signal, binding: wanted };
    const { magic } = await answerTo(volumeCall(path, limits), (asked) => binding.statFs(asked));
    return COUNTS_BLOCKS.has(magic) ? usage : { ...usage, warnings: [WITHOUT_BLOCKS] };
  } catch (error) {
    const say = (text: string): string => `failed to measure disk usage: ${text}`;
    throw toMetricsError(error, 'METRICS_USAGE_FAILED', say, path);
  }
}
