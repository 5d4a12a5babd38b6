import { isMetricsError, propertyOf } from '../../errors.js';
import type { VolumeCondition } from '../../metrics.js';
import { MetricsError } from '../../errors.js';
import { majorMinor } from '../../os/devices.js';
import { mounts } from '../../os/mounts.js';
import { pathInfo } from '../../os/path-info.js';
import { errnoOfCause } from '../../os/system-error.js';
import type { VolumeProblem } from '../messages/health.js';

/**
 * Reasons for errnos of a mount that is broken or whose server is gone, as in Kubernetes' mount-utils,
 * without EWOULDBLOCK: here that means that the process has no threads left.
 */
const REASONS: Readonly<Record<string, string>> = {
  ENOTCONN: 'NotConnected',
  ESTALE: 'StaleFileHandle',
  EIO: 'InputOutputError',
  EACCES: 'PermissionDenied',
  EHOSTDOWN: 'HostDown',
  ENODEV: 'NoSuchDevice',
};

/**
 * Options in the mount table of a filesystem that stopped by itself, with what happened. statfs(2) does not
 * show it; newer kernels list it for ext4.
 */
const STOPPED: readonly (readonly [option: string, reason: string, message: string])[] = [
  ['shutdown', 'FilesystemShutDown', 'the filesystem was shut down: reads and writes fail'],
  ['emergency_ro', 'ReadOnlyAfterError', 'the filesystem went read-only after an error'],
];

/**
 * What is wrong with a volume that was measured: the filesystem at its path was shut down or went read-only
 * by itself. A filesystem may still answer statfs(2) then, and XFS fails stat(2) with EIO.
 */
export async function problemsAt(path: string, timeoutMs: number): Promise<readonly VolumeProblem[]> {
  try {
    const { device, mountId } = await pathInfo(path, { timeoutMs });
    const mount = (await mounts()).find((each) =>
      mountId === undefined ? each.device === majorMinor(device) : each.id === mountId,
    );
    const found = STOPPED.find(([option]) => mount?.options.includes(option));
    if (found === undefined) return [];
    const [, reason, message] = found;
    return [{ status: 'INACCESSIBLE', reason, message: `${path}: ${message}` }];
  } catch (error) {
    // Something was measured. The path may be unknown here, which says nothing about the volume.
    const problem = problemOn(error);
    return problem === undefined ? [] : [problem];
  }
}

/** What is wrong if the volume's mount is broken or does not answer; undefined for any other failure. */
export function problemOn(error: unknown): VolumeProblem | undefined {
  if (!isMetricsError(error)) return undefined;
  const errno = errnoOfCause(error);
  const reason =
    propertyOf(error, 'code') === 'METRICS_TIMED_OUT'
      ? 'NotResponding'
      : typeof errno === 'string' && Object.hasOwn(REASONS, errno)
        ? REASONS[errno]
        : undefined;
  if (reason === undefined) return undefined;
  const message = propertyOf(error, 'message');
  return {
    status: 'INACCESSIBLE',
    reason,
    message: typeof message === 'string' ? message : 'it cannot be read',
  };
}

/**
 * A verdict that came with a reading, in a form that can be sent.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED for an invalid one, which would be sent as a healthy volume
 */
export function checkedVerdict(verdict: VolumeCondition): VolumeCondition {
  const { abnormal, message }: Record<'abnormal' | 'message', unknown> = verdict;
  if (typeof abnormal !== 'boolean' || typeof message !== 'string') {
    throw new MetricsError(
      'METRICS_PROVIDER_FAILED',
      `Expected a condition of a boolean abnormal and a string message, got ${typeof abnormal} and ${typeof message}`,
    );
  }
  // One codec would send half of a surrogate pair, and the other replace it.
  return { abnormal, message: Buffer.from(message).toString() };
}
