import type { VolumeCondition } from '../metrics.js';
import type { PodVolumeStats, VolumeStats } from './volume-stats.js';

/** The storage's verdict on a volume has changed. */
export interface ConditionChange {
  /** `onset`: became abnormal; `change`: still abnormal, for another reason; `recovery`: is healthy again. */
  readonly type: 'onset' | 'change' | 'recovery';
  readonly podRef: PodVolumeStats['podRef'];
  /** The volume with the reading that brought the verdict. */
  readonly volume: VolumeStats;
  readonly condition: VolumeCondition;
  /** The verdict before; absent if this is the first one. */
  readonly previous?: VolumeCondition;
  /** The kubelet's event text: `Volume <name>: <message>`. */
  readonly message: string;
}

/**
 * The kind of change that a new verdict brings; undefined for no change. A volume that is healthy when first
 * seen is no change. Only verdicts are compared: a reading without one, and a failed attempt, say nothing
 * about health.
 */
export function conditionChange(
  previous: VolumeCondition | undefined,
  next: VolumeCondition,
): ConditionChange['type'] | undefined {
  if (!next.abnormal) return previous?.abnormal === true ? 'recovery' : undefined;
  if (previous?.abnormal !== true) return 'onset';
  return reasons(previous) === reasons(next) ? undefined : 'change';
}

/** The storage's reasons as one text. The order of the problems has no meaning. */
function reasons({ message, problems = [] }: VolumeCondition): string {
  const each = problems.map((problem) => JSON.stringify([problem.status, problem.reason, problem.message]));
  return JSON.stringify([message, each.sort()]);
}
