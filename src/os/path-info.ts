import { osBinding } from './binding.js';
import { checkedLimits, type Limits } from './limits.js';
import { withinLimits } from './share.js';
import { toMetricsError } from './system-error.js';
import { volumePath } from './volume-path.js';

/** What a path is, symlinks followed. */
export interface PathInfo {
  /** `other` is a character device, a fifo or a socket. */
  readonly kind: 'directory' | 'file' | 'block' | 'other';
  /** Bytes as stat(2) says: a file's length; 0 for a block device, whose size is not here. */
  readonly size: bigint;
  /** The device of the filesystem that holds it, as a number of stat(2)'s st_dev. */
  readonly device: bigint;
  readonly inode: bigint;
  /** The device that it is, for a block or character device: stat(2)'s st_rdev; 0 for anything else. */
  readonly rdev: bigint;
  /** The mount it is on, `Mount.id` of `mounts()`; absent where that is not known (the commands, Linux before 5.8). */
  readonly mountId?: number;
  /** Whether it is the root of that mount: whether something is mounted right there. Absent as `mountId`. */
  readonly mountRoot?: boolean;
}

/**
 * What the path is, symlinks followed.
 *
 * @param path - absolute, or relative to the current directory
 * @param options - limits of this call
 * @returns kind, size and device numbers
 * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED (not Linux),
 * METRICS_FS_INFO_FAILED with the errno in `cause`; TypeError for an option that is none
 */
export async function pathInfo(path: string, options: Limits = {}): Promise<PathInfo> {
  const { timeoutMs, signal, binding: wanted } = checkedLimits(options);
  const binding = osBinding(wanted);
  try {
    const target = volumePath(path);
    return await withinLimits(() => binding.pathInfo(target), target, timeoutMs, signal);
  } catch (error) {
    throw toMetricsError(error, 'METRICS_FS_INFO_FAILED', (text) => `failed to stat: ${text}`);
  }
}
