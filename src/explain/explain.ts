import { valueOf, type Answer } from './answer.js';
import { conclusionOf } from './conclusion.js';
import { checkedExplain, type ExplainOptions } from './explain-options.js';
import type { Facts } from './facts.js';
import type { Finding, Stage, VolumeExplanation } from './finding.js';
import { gather } from './gather/gather.js';
import { whyNoSubject } from './gather/subjects.js';
import { analyzerStage } from './stages/analyzer.js';
import { csiStage } from './stages/csi.js';
import { dashboardStage } from './stages/dashboard.js';
import { diskStage } from './stages/disk.js';
import { kubeletMetricsStage } from './stages/kubelet-metrics.js';
import { kubeletSummaryStage } from './stages/kubelet-summary.js';
import { numberStage } from './stages/number.js';
import { podStage } from './stages/pod.js';
import { prometheusHasAnyStage } from './stages/prometheus-has-any.js';
import { providerStage } from './stages/provider.js';
import { seriesStage } from './stages/series.js';
import { serviceStage } from './stages/service.js';
import { targetStage } from './stages/target.js';
import { factsOf, shown, type Subject, type VolumeFacts } from './volume-facts.js';
import { throwIfAborted } from '../waiting/abort.js';

/** Why volumes have numbers, or none. */
export interface Explanation {
  /** One for each volume that was asked about; none if it is not known which volumes there are. */
  readonly volumes: readonly VolumeExplanation[];
  /** Which questions were not answered, and why: a text for people each, with control characters escaped. */
  readonly problems: readonly string[];
}

/** In the order of the chain: {@link STAGES}. Each judges what was gathered, and asks nobody. */
const JUDGES: Readonly<Record<Stage, (volume: VolumeFacts, facts: Facts) => Finding>> = {
  dashboard: dashboardStage,
  series: seriesStage,
  prometheus: prometheusHasAnyStage,
  target: targetStage,
  service: serviceStage,
  'kubelet-metrics': kubeletMetricsStage,
  'kubelet-summary': kubeletSummaryStage,
  analyzer: analyzerStage,
  pod: podStage,
  provider: providerStage,
  disk: diskStage,
  csi: csiStage,
  number: numberStage,
};

/**
 * Finds out why volumes show nothing: follows the chain from a dashboard's query over Prometheus and the
 * kubelet to the pod, the disk and the CSI driver, and names the cause that is nearest to the volume.
 *
 * Each door is asked once, whatever the number of volumes, and each question has a limit. A question without
 * an answer makes only its own stages `unknown`; the others are judged.
 *
 * @param options - the doors, and what to explain: a claim, a pod, or by default every claim of the node
 * @throws TypeError for an option that is invalid or unknown; `signal.reason` once the signal is aborted
 */
export async function explain(options: ExplainOptions): Promise<Explanation> {
  const checked = checkedExplain(options);
  throwIfAborted(checked.signal);
  const { facts, subjects } = await gather(checked);
  const nothing = subjects.length > 0 ? undefined : whyNoSubject(checked, facts);
  return {
    volumes: subjects.map((each) => explainVolume(each, facts)),
    problems: [...(nothing === undefined ? [] : [nothing]), ...problemsOf(facts)],
  };
}

function explainVolume(subject: Subject, facts: Facts): VolumeExplanation {
  const volume = factsOf(subject, facts);
  const findings = Object.values(JUDGES).map((judge) => judge(volume, facts));
  const { namespace, claimName, pod, volumeName } = subject;
  return {
    namespace: shown(namespace),
    ...(pod !== undefined && { pod: shown(pod.name) }),
    ...(volumeName !== undefined && { volume: shown(volumeName) }),
    ...(claimName !== undefined && { claim: { namespace: shown(namespace), name: shown(claimName) } }),
    ...conclusionOf(volume, facts, findings),
    findings,
  };
}

/** Each distinct one once. */
function problemsOf(facts: Facts): readonly string[] {
  const { pods, summary, metrics, config, disk, elsewhere, csiNode, events, claims, prometheus } = facts;
  // Few may list events, and without them all else is known.
  const isDispensable = events.state === 'unanswered' && events.code === 'API_FORBIDDEN';
  const answers: readonly Answer<unknown>[] = [
    ...[pods, summary, metrics, config, disk, elsewhere, csiNode, ...(isDispensable ? [] : [events])],
    ...claims.values(),
    ...(prometheus === undefined
      ? []
      : [prometheus.dashboard, prometheus.series, prometheus.counts, prometheus.active, prometheus.dropped]),
  ];
  const problems = answers.flatMap((each) => (each.state === 'unanswered' ? [each.problem] : []));
  const ofListing = valueOf(pods)?.problems ?? [];
  const ofDisk = valueOf(disk)?.warnings ?? [];
  return [...new Set([...problems, ...ofListing, ...ofDisk])];
}
