import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';
import { CHECK_KUBELET, Judge, NO_POD_HERE, POD_NOT_RUNNING, type Finding } from '../finding.js';
import { restartsBehind, whyNotRunning } from '../not-running.js';
import { isMeasured, kindOf, measuredSince, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('kubelet-summary');

/** Whether the kubelet's /stats/summary has the pod, and the volume in it. */
export function kubeletSummaryStage(volume: VolumeFacts, facts: Facts): Finding {
  const { summary: answer } = facts;
  if (
    answer.state === 'unanswered' &&
    answer.status === 500 &&
    !answer.problem.includes('Authorization error')
  ) {
    return judge.cause(
      `the kubelet cannot list the pods' stats, so that no volume of the node has numbers: ${answer.problem}`,
      "Look at the log of the kubelet and of the container runtime: one container's stats fail.",
      { status: answer.status },
    );
  }
  if (answer.state !== 'answered') return judge.unanswered(answer, CHECK_KUBELET);
  const { pod, isHere, podSummary, summary, claimName, volumeName } = volume;
  if (summary !== undefined) {
    const data = { capacityBytes: summary.capacityBytes?.toString(), time: summary.time };
    if (claimName !== undefined && summary.pvcRef === undefined) {
      return judge.cause(
        `the kubelet has numbers of the volume ${shown(volumeName ?? '')}, without the claim`,
        'Restart the kubelet: it took the volume for one without a claim.',
        data,
      );
    }
    return judge.ok(`the kubelet has numbers of it, of ${shown(summary.time ?? 'an unknown time')}`, data);
  }
  if (!isHere || pod === undefined) return judge.skipped(NO_POD_HERE);
  if (whyNotRunning(pod) !== undefined) return judge.skipped(POD_NOT_RUNNING);
  if (restartsBehind(volume, facts) > 0)
    return judge.skipped('the containers of the pod end and are started again');
  if (podSummary === undefined) {
    return judge.cause(
      `the kubelet knows the running pod ${shown(`${pod.namespace}/${pod.name}`)}, and the container runtime gives no stats of it`,
      'Look at the log of the container runtime, and at crictl stats.',
    );
  }
  return absent(volume, facts);
}

/** The kubelet has the pod and not the volume. */
function absent(volume: VolumeFacts, facts: Facts): Finding {
  const { stats, stuckSiblings } = volume;
  const measured = isMeasured(volume);
  if (measured === false)
    return judge.skipped(
      `the kubelet has no numbers of it, and neither are there any here: ${stats?.state ?? ''}`,
    );
  const kind = kindOf(volume);
  if (kind === 'hostPath' || kind === 'image' || kind === 'gitRepo')
    return judge.skipped('the kubelet has no numbers of such volumes');
  if (measured === undefined) {
    return judge.unknown(
      'the kubelet has the pod and no numbers of the volume: it could not measure it, or treats its mount as uncertain since a restart',
      'Run this on the node, where the volume itself can be measured.',
    );
  }
  if (stuckSiblings.length > 0) return judge.skipped('the kubelet has not got to the volume');
  const periodMs = valueOf(facts.config)?.periodMs;
  if (periodMs !== undefined && periodMs <= 0) return judge.skipped('the kubelet does not measure volumes');
  const since = measuredSince(volume, facts);
  if (since?.isFirstRound === true) return judge.skipped('the first round is not over');
  if (since?.restartedAtMs !== undefined) {
    const restart = new Date(since.restartedAtMs).toISOString();
    return judge.cause(
      `the volume can be measured, and the kubelet, which was restarted at ${restart} after the pod had started, treats its mount as uncertain until it mounts it again`,
      'Restart the pod; or wait, if the kubelet mounts it again by itself.',
      { startedAtMs: since.restartedAtMs },
    );
  }
  return judge.cause(
    'the volume can be measured here, and the kubelet, which has the pod, has no numbers of it: its own attempt fails, or it treats the mount as uncertain since a restart',
    "Look for the volume in the kubelet's log (failed to get metrics); restarting the pod mounts it again.",
  );
}
