import type { VolumeCondition } from '../../metrics.js';
import { show } from '../../options.js';
import { VolumeHealthErrorType, type VolumeHealth } from '../gen/csi/v1/csi.js';

/**
 * CSI 1.13's list of problems as a verdict: abnormal if it has any, with the message of the first.
 *
 * @param health - what NodeGetVolumeHealth answered
 */
export function healthToCondition({ healthStatuses }: VolumeHealth): VolumeCondition {
  const problems = healthStatuses.map(({ status, reason, message }) => ({
    // A number without a name comes from a newer CSI.
    status: (VolumeHealthErrorType[status] as string | undefined) ?? String(status),
    reason,
    message,
  }));
  const [first] = problems;
  if (first === undefined) return { abnormal: false, message: '' };
  return { abnormal: true, message: first.message || first.reason || first.status, problems };
}

/**
 * A verdict as CSI 1.13's list of problems, for a driver's NodeGetVolumeHealth. An abnormal verdict that
 * lists no problems becomes one problem of unknown kind.
 *
 * @param volumeId - the volume that the verdict is about
 * @param condition - the verdict
 * @throws TypeError unless it is a verdict
 */
export function conditionToHealth(volumeId: string, condition: VolumeCondition): VolumeHealth {
  const given: Partial<VolumeCondition> | null | undefined = condition;
  if (typeof given?.abnormal !== 'boolean' || typeof given.message !== 'string') {
    const got = given && typeof given === 'object' ? 'one without them' : show(given);
    throw new TypeError(`Expected condition to have a boolean abnormal and a string message, got ${got}`);
  }
  const { abnormal, message, problems } = condition;
  if (!abnormal) return { volumeId, healthStatuses: [] };
  const listed = problems?.length
    ? problems
    : [{ status: 'UNKNOWN_VOLUME_HEALTH_TYPE', reason: 'Abnormal', message }];
  return {
    volumeId,
    healthStatuses: listed.map((each) => ({
      ...each,
      status: TYPES[each.status] ?? VolumeHealthErrorType.UNKNOWN_VOLUME_HEALTH_TYPE,
    })),
  };
}

const TYPES: Readonly<Record<string, VolumeHealthErrorType>> = {
  INACCESSIBLE: VolumeHealthErrorType.INACCESSIBLE,
  DATA_LOSS: VolumeHealthErrorType.DATA_LOSS,
  DEGRADED: VolumeHealthErrorType.DEGRADED,
};
