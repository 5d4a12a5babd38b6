import { isMetricsError, MetricsError, propertyOf } from '../../errors.js';
import type { Metrics, VolumeCondition } from '../../metrics.js';
import { majorMinor } from '../../os/devices.js';
import { mounts } from '../../os/mounts.js';
import { pathInfo } from '../../os/path-info.js';
import { errnoOfCause } from '../../os/system-error.js';
import { Deadline } from '../../waiting/deadline.js';
import type { CsiVolume } from '../messages/csi-volume.js';

/**
 * Errnos of a mount that is broken or whose server is gone, as in Kubernetes' mount-utils, without
 * EWOULDBLOCK: here that means that the process has no threads left.
 */
const CORRUPTED_MOUNT: ReadonlySet<unknown> = new Set([
  'ENOTCONN',
  'ESTALE',
  'EIO',
  'EACCES',
  'EHOSTDOWN',
  'ENODEV',
]);

/** Gives the verdict on a volume that can be read; undefined means that nothing is wrong. */
type VerdictHook = (
  volume: CsiVolume,
  metrics: Metrics,
  options: { signal: AbortSignal },
) => VolumeCondition | undefined | Promise<VolumeCondition | undefined>;

/** The verdict on a volume that was measured, unless something else is known about it. */
export const NORMAL: VolumeCondition = { abnormal: false, message: 'the volume answers' };

/**
 * Options in the mount table of a filesystem that stopped by itself, with what happened. statfs(2) does not
 * show it; newer kernels list it for ext4.
 */
const STOPPED: readonly (readonly [option: string, message: string])[] = [
  ['shutdown', 'the filesystem was shut down: reads and writes fail'],
  ['emergency_ro', 'the filesystem went read-only after an error'],
];

/**
 * The default verdict on a volume that was measured: abnormal if the filesystem at its path was shut down or
 * went read-only by itself. A filesystem may still answer statfs(2) then, and XFS fails stat(2) with EIO.
 */
export async function verdictAt(path: string, timeoutMs: number): Promise<VolumeCondition> {
  try {
    const { device, mountId } = await pathInfo(path, { timeoutMs });
    const mount = (await mounts()).find((each) =>
      mountId === undefined ? each.device === majorMinor(device) : each.id === mountId,
    );
    const found = STOPPED.find(([option]) => mount?.options.includes(option));
    return found === undefined ? NORMAL : { abnormal: true, message: `${path}: ${found[1]}` };
  } catch (error) {
    // The provider measured something. The path may be unknown here, which says nothing about the volume.
    return verdictOn(error) ?? NORMAL;
  }
}

/** Abnormal if the volume's mount is broken or does not answer; undefined for any other failure. */
export function verdictOn(error: unknown): VolumeCondition | undefined {
  if (!isMetricsError(error)) return undefined;
  const [code, message] = [propertyOf(error, 'code'), propertyOf(error, 'message')];
  const isBroken = code === 'METRICS_TIMED_OUT' || CORRUPTED_MOUNT.has(errnoOfCause(error));
  if (!isBroken) return undefined;
  return checkedVerdict({
    abnormal: true,
    message: typeof message === 'string' ? message : 'it cannot be read',
  });
}

/**
 * What a hook says about a volume.
 *
 * @throws MetricsError METRICS_TIMED_OUT; what the hook throws
 */
export async function verdictOf(
  hook: VerdictHook,
  volume: CsiVolume,
  metrics: Metrics,
  timeoutMs: number,
): Promise<VolumeCondition | undefined> {
  const controller = new AbortController();
  const late = (): never => {
    throw new MetricsError('METRICS_TIMED_OUT', `no verdict on ${volume.volumeId} in time`);
  };
  try {
    const verdict = (async () => await hook(volume, metrics, { signal: controller.signal }))();
    return await new Deadline(timeoutMs).wait(verdict, late);
  } catch (error) {
    controller.abort(error);
    throw error;
  }
}

/**
 * A verdict of a hook or a reading, in a form that can be sent.
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
