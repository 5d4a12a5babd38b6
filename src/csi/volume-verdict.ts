import { isMetricsError, MetricsError } from '../errors.js';
import type { Metrics, VolumeCondition } from '../metrics.js';
import type { CsiVolume } from './csi-volume.js';
import { TimeLimit } from './time-limit.js';

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

/** Gives the verdict on a volume that can be read; undefined means nothing is wrong. */
type VerdictHook = (
  volume: CsiVolume,
  metrics: Metrics,
  options: { signal: AbortSignal },
) => VolumeCondition | undefined | Promise<VolumeCondition | undefined>;

/** The verdict on a volume that could be measured, when nobody says otherwise. */
export const NORMAL: VolumeCondition = { abnormal: false, message: 'the volume answers' };

/** The verdict that a failure amounts to: abnormal where the volume's mount is broken or does not answer, otherwise none. */
export function verdictOn(error: unknown): VolumeCondition | undefined {
  if (!isMetricsError(error)) return undefined;
  const { cause } = error;
  const errno = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const isBroken = error.code === 'METRICS_TIMED_OUT' || CORRUPTED_MOUNT.has(errno);
  return isBroken ? checkedVerdict({ abnormal: true, message: error.message }) : undefined;
}

/**
 * What a hook says of a volume.
 *
 * @throws MetricsError METRICS_TIMED_OUT; whatever the hook throws
 */
export async function verdictOf(
  hook: VerdictHook,
  volume: CsiVolume,
  metrics: Metrics,
  timeoutMs: number,
): Promise<VolumeCondition | undefined> {
  const controller = new AbortController();
  const limit = new TimeLimit(timeoutMs);
  const late = (): never => {
    throw new MetricsError('METRICS_TIMED_OUT', `no verdict on ${volume.volumeId} in time`);
  };
  try {
    const verdict = (async () => await hook(volume, metrics, { signal: controller.signal }))();
    return await limit.wait(verdict, late);
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    limit.end();
  }
}

/**
 * A verdict of somebody else's in a form that can be sent.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED for one that is none: it would be sent as a healthy volume
 */
export function checkedVerdict(verdict: VolumeCondition): VolumeCondition {
  const { abnormal, message }: Record<'abnormal' | 'message', unknown> = verdict;
  if (typeof abnormal !== 'boolean' || typeof message !== 'string') {
    throw new MetricsError(
      'METRICS_PROVIDER_FAILED',
      `Expected a condition of a boolean abnormal and a string message, got ${typeof abnormal} and ${typeof message}`,
    );
  }
  // Half of a surrogate pair would be sent by one codec and replaced by the other.
  return { abnormal, message: Buffer.from(message).toString() };
}
