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
  /** The verdict before; absent when there was none yet. */
  readonly previous?: VolumeCondition;
  /** The kubelet's event text: `Volume <name>: <message>`. */
  readonly message: string;
}

/**
 * What kind of change a new verdict is; undefined when it is none. A volume that is healthy when first seen is no news.
 * Only verdicts are compared: a reading without one, or none at all, says nothing about health.
 */
export function conditionChange(
  previous: VolumeCondition | undefined,
  next: VolumeCondition,
): ConditionChange['type'] | undefined {
  if (!next.abnormal) return previous?.abnormal === true ? 'recovery' : undefined;
  if (previous?.abnormal !== true) return 'onset';
  return reasons(previous) === reasons(next) ? undefined : 'change';
}

/** What the storage gives as reasons; the order of the problems means nothing. */
function reasons({ message, problems = [] }: VolumeCondition): string {
  const each = problems.map((problem) => JSON.stringify([problem.status, problem.reason, problem.message]));
  return JSON.stringify([message, each.sort()]);
}
