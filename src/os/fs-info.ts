import { osBinding } from './binding.js';
import { checkedLimits, type Limits } from './limits.js';
import { withinLimits } from './share.js';
import { toFsInfo, type FsInfo } from './statfs.js';
import { toMetricsError } from './system-error.js';
import { volumePath } from './volume-path.js';

/**
 * Size and state of the filesystem that holds a path, with one system call.
 *
 * @param path - absolute, or relative to the current directory; anything on the filesystem, symlinks followed
 * @param options - limits of this call
 * @returns bytes, inodes where the filesystem counts them, read-only state, block size and kind
 * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED (not Linux),
 * METRICS_FS_INFO_FAILED with the errno in `cause`; TypeError for an option that is none
 */
export async function fsInfo(path: string, options: Limits = {}): Promise<FsInfo> {
  const { timeoutMs, signal, binding: wanted } = checkedLimits(options);
  const binding = osBinding(wanted);
  try {
    const target = volumePath(path);
    return toFsInfo(await withinLimits(() => binding.statFs(target), target, timeoutMs, signal));
  } catch (error) {
    // The kubelet's text, kubernetes pkg/volume/metrics_errors.go.
    throw toMetricsError(
      error,
      'METRICS_FS_INFO_FAILED',
      (text) => `failed to get FsInfo due to error ${text}`,
    );
  }
}
