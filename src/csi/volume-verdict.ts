import { isMetricsError } from '../errors.js';
import type { VolumeCondition } from '../metrics.js';

/**
 * Errnos of a mount whose other side is gone, as Kubernetes' mount-utils has them, but EWOULDBLOCK: here that is a process out of threads.
 */
const CORRUPTED_MOUNT: ReadonlySet<unknown> = new Set([
  'ENOTCONN',
  'ESTALE',
  'EIO',
  'EACCES',
  'EHOSTDOWN',
  'ENODEV',
]);

/** The verdict on a volume that could be measured, when nobody says otherwise. */
export const NORMAL: VolumeCondition = { abnormal: false, message: 'the volume answers' };

/** The verdict that a failure amounts to: abnormal where the volume's mount is broken or does not answer, otherwise none. */
export function verdictOn(error: unknown): VolumeCondition | undefined {
  if (!isMetricsError(error)) return undefined;
  const { cause } = error;
  const errno = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const isBroken = error.code === 'METRICS_TIMED_OUT' || CORRUPTED_MOUNT.has(errno);
  return isBroken ? { abnormal: true, message: error.message } : undefined;
}
