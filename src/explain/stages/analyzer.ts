import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';
import { CHECK_KUBELET, Judge, type Finding } from '../finding.js';
import { isMeasured, shown, whyNotRunning, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('analyzer');

/** The kubelet's default of volumeStatsAggPeriod. Up to as much again is added at random. */
const DEFAULT_PERIOD_MS = 60_000;

/** Whether the kubelet's measuring is on, and has had time to get to the volume. */
export function analyzerStage(volume: VolumeFacts, facts: Facts): Finding {
  const { summary, pod, isHere, stuckSiblings } = volume;
  const periodMs = valueOf(facts.config)?.periodMs;
  const data = periodMs === undefined ? {} : { periodMs };
  if (periodMs !== undefined && periodMs <= 0) {
    return judge.cause(
      `the kubelet does not measure volumes at all: its volumeStatsAggPeriod is ${String(periodMs / 1000)} s`,
      'Set volumeStatsAggPeriod in the configuration of the kubelet to a time above 0, such as 1m.',
      data,
    );
  }
  const every = periodMs === undefined ? '' : `, every ${String(periodMs / 1000)} s and up to twice that`;
  if (summary !== undefined) return judge.ok(`the kubelet measures the volumes of the pod${every}`, data);
  if (!isHere || pod === undefined) return judge.skipped('no pod of this node is known to use the volume');
  if (whyNotRunning(pod) !== undefined) return judge.skipped('no container of the pod runs');
  if (stuckSiblings.length > 0 && isMeasured(volume) === true && facts.summary.state === 'answered') {
    const names = stuckSiblings.map((each) => shown(each)).join(', ');
    return judge.cause(
      `another volume of the same pod does not answer (${names}), and the kubelet measures the volumes of a pod one after the other`,
      'Repair that volume: until then the kubelet gets no further.',
      { ...data, stuck: stuckSiblings },
    );
  }
  const ageMs = facts.nowMs - Date.parse(pod.startTime ?? '');
  const roundMs = 2 * (periodMs ?? DEFAULT_PERIOD_MS);
  if (ageMs < roundMs && facts.summary.state === 'answered' && isMeasured(volume) !== false) {
    return judge.cause(
      `the pod started ${String(Math.max(0, Math.round(ageMs / 1000)))} s ago, and the kubelet's first reading comes within ${String(roundMs / 1000)} s`,
      'Wait for it.',
      { ...data, ageMs },
    );
  }
  if (facts.config.state === 'answered') return judge.ok(`the kubelet measures volumes${every}`, data);
  const text = `whether the kubelet measures volumes is not known: ${facts.config.problem}`;
  return judge.unanswered(facts.config, CHECK_KUBELET, text);
}
