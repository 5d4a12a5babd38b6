import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';
import { CHECK_KUBELET, Judge, NO_POD_HERE, POD_NOT_RUNNING, type Finding } from '../finding.js';
import { whyNotRunning } from '../not-running.js';
import { isMeasured, measuredSince, roundMs, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('analyzer');

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
  if (!isHere || pod === undefined) return judge.skipped(NO_POD_HERE);
  if (whyNotRunning(pod) !== undefined) return judge.skipped(POD_NOT_RUNNING);
  if (stuckSiblings.length > 0 && isMeasured(volume) === true && facts.summary.state === 'answered') {
    const names = stuckSiblings.map((each) => shown(each)).join(', ');
    return judge.cause(
      `another volume of the same pod does not answer (${names}), and the kubelet measures the volumes of a pod one after the other`,
      'Repair that volume: until then the kubelet gets no further.',
      { ...data, stuck: stuckSiblings },
    );
  }
  const since = measuredSince(volume, facts);
  if (since?.isFirstRound === true && facts.summary.state === 'answered' && isMeasured(volume) !== false) {
    const what = since.restartedAtMs === undefined ? 'the pod started' : 'the kubelet was restarted';
    const ago = `${String(Math.round(since.ageMs / 1000))} s ago`;
    return judge.cause(
      `${what} ${ago}, and the kubelet's first reading comes within ${String(roundMs(facts) / 1000)} s`,
      'Wait for it.',
      { ...data, ageMs: since.ageMs },
    );
  }
  if (facts.config.state === 'answered') return judge.ok(`the kubelet measures volumes${every}`, data);
  const text = `whether the kubelet measures volumes is not known: ${facts.config.problem}`;
  return judge.unanswered(facts.config, CHECK_KUBELET, text);
}
