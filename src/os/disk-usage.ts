import type { Incomplete } from '../metrics.js';
import { osBinding } from './binding.js';
import {
  checkedBinding,
  checkedFlag,
  checkedMs,
  checkedOptions,
  checkedSignal,
  type Binding,
} from './limits.js';
import { toMetricsError } from './system-error.js';
import { volumePath } from './volume-path.js';

/** What a walk has counted. */
export interface DiskUsage {
  /** Bytes of allocated blocks (`st_blocks` x 512), each inode once. */
  readonly used: bigint;
  /** Inodes of any kind, the root included, each once. */
  readonly inodesUsed: bigint;
  /** Present when entries could not be read (only with `allowPartial`): the numbers are a lower bound. */
  readonly incomplete?: Incomplete;
}

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
   * Threads that share one walk, 1 to 64; the commands use one whatever is said here.
   *
   * @defaultValue `4`
   */
  readonly threads?: number | undefined;
  /**
   * Whether entries that cannot be read are left out, counted in `incomplete`, instead of failing the walk.
   *
   * @defaultValue `false`
   */
  readonly allowPartial?: boolean | undefined;
  /**
   * Milliseconds without any progress after which the walk is given up. There is no limit on the whole.
   *
   * @defaultValue 30000
   */
  readonly stallTimeoutMs?: number | undefined;
  /** Told what has been counted so far, at most ten times a second. What it throws is ignored. */
  readonly onProgress?: ((sofar: DiskUsage) => void) | undefined;
}

/** {@link DiskUsageOptions} after they were checked. */
export interface Walk {
  readonly signal: AbortSignal | undefined;
  /** undefined: as many as the binding finds right. */
  readonly threads: number | undefined;
  readonly allowPartial: boolean;
  readonly stallTimeoutMs: number;
  readonly onProgress: ((sofar: DiskUsage) => void) | undefined;
}

const DEFAULT_STALL_TIMEOUT_MS = 30_000;
const MOST_THREADS = 64;

/** @throws TypeError naming the option that is wrong */
export function checkedWalk(options: DiskUsageOptions): Walk {
  const { threads, onProgress } = checkedOptions(options);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS)) {
    throw new TypeError(
      `Expected threads to be a whole number from 1 to ${String(MOST_THREADS)}, got ${String(threads)}`,
    );
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new TypeError(`Expected onProgress to be a function, got ${typeof onProgress}`);
  }
  return {
    signal: checkedSignal(options.signal),
    threads,
    allowPartial: checkedFlag('allowPartial', options.allowPartial),
    stallTimeoutMs: checkedMs('stallTimeoutMs', options.stallTimeoutMs, DEFAULT_STALL_TIMEOUT_MS),
    onProgress,
  };
}

/**
 * What the tree at `path` uses: the root and everything below it on the same device, each inode once. A root that is a symlink is
 * followed, others are not. Mount points below the root are left out, and entries that vanish meanwhile are ignored.
 *
 * @param path - absolute, or relative to the current directory; a directory or a single file
 * @param options - limits and manner of the walk
 * @returns bytes and inodes
 * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_NOT_SUPPORTED (not Linux), METRICS_TIMED_OUT when the
 * walk stalls, METRICS_USAGE_FAILED with the entry in `path` and the errno in `cause`; TypeError for an option that is none
 */
export async function diskUsage(path: string, options: DiskUsageOptions = {}): Promise<DiskUsage> {
  const walk = checkedWalk(options);
  const binding = osBinding(checkedBinding(options.binding));
  let target: string | undefined;
  try {
    target = volumePath(path);
    if (walk.signal?.aborted) throw walk.signal.reason;
    return await binding.diskUsage(target, walk);
  } catch (error) {
    const say = (text: string): string => `failed to measure disk usage: ${text}`;
    throw toMetricsError(error, 'METRICS_USAGE_FAILED', say, target);
  }
}
