import { osBinding } from './choose-binding.js';
import type { PathInfo } from './os-binding.js';
import { toMetricsError } from './system-error.js';
import { answerTo, checkedLimits, LIMITS, volumeCall, type Limits, type VolumeCall } from './volume-call.js';

export type { PathInfo };

/**
 * What the path is, symlinks followed.
 *
 * @param path - absolute, or relative to the current directory
 * @param options - limits of this call
 * @returns kind, size and device numbers
 * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED
 * (not Linux), METRICS_FS_INFO_FAILED with the errno in `cause`; TypeError for an option that is unknown or
 * wrong
 */
export async function pathInfo(path: string, options: Limits = {}): Promise<PathInfo> {
  const limits = checkedLimits(options, LIMITS);
  return await pathInfoOf(volumeCall(path, limits));
}

/** Like {@link pathInfo}, for a call that was checked. */
export async function pathInfoOf(call: VolumeCall): Promise<PathInfo> {
  const binding = osBinding(call.binding);
  try {
    return await answerTo(call, (path) => binding.pathInfo(path));
  } catch (error) {
    throw statError(error);
  }
}

/** What a caller sees of a failed stat(2). */
export function statError(error: unknown): unknown {
  return toMetricsError(error, 'METRICS_FS_INFO_FAILED', (text) => `failed to stat: ${text}`);
}
