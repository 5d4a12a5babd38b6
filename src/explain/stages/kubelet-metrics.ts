import { CAPACITY } from '../dashboard-queries.js';
import type { Facts } from '../facts.js';
import { CHECK_KUBELET, Judge, type Finding } from '../finding.js';
import type { KubeletMetrics } from '../kubelet-exposition.js';
import { shown, titleOf, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('kubelet-metrics');

/** Whether the kubelet's /metrics exports the claim. */
export function kubeletMetricsStage(volume: VolumeFacts, facts: Facts): Finding {
  const { metrics: answer } = facts;
  const { claimName, exported, isHere, summary } = volume;
  if (claimName === undefined && volume.volume === undefined) {
    return judge.unknown(
      'which claim the volume belongs to is not known here',
      'Ask again where the kubelet or the API server can be asked for the pods.',
    );
  }
  if (claimName === undefined) {
    return judge.cause(
      'the volume has no claim, and the kubelet exports kubelet_volume_stats_* of claims alone',
      'Read /stats/summary of the kubelet, or let an exporter with podVolumes export it.',
    );
  }
  if (answer.state !== 'answered') return judge.unanswered(answer, CHECK_KUBELET);
  const metrics = answer.value;
  const capacity = exported?.['capacity_bytes'];
  if (capacity !== undefined) {
    const text = `the kubelet exports it: ${CAPACITY} ${String(capacity)}`;
    return judge.ok(text, { ...exported });
  }
  if (!isHere) return judge.skipped('the volume is not on this node');
  const data = { claims: metrics.claims.size, measured: Object.fromEntries(metrics.measured) };
  const lost = lostCollector(metrics, facts);
  if (lost !== undefined) return judge.cause(lost, UPGRADE, data);
  if (summary?.capacityBytes !== undefined && summary.pvcRef !== undefined) {
    return judge.cause(
      `the kubelet's summary has numbers of ${titleOf(volume)}, and its /metrics does not`,
      'Ask again in a minute; if it stays so, report it to Kubernetes with the version of the kubelet.',
      data,
    );
  }
  const others = `the kubelet exports ${String(metrics.claims.size)} claims, and not this one`;
  if (facts.summary.state === 'answered') return judge.skipped(others, data);
  return judge.unanswered(facts.summary, CHECK_KUBELET, `${others}; why is not known here`, data);
}

const UPGRADE =
  'Use a later patch release of the kubelet; until then, /stats/summary has the numbers, and so has an exporter of your own.';

/** Kubernetes 1.34.0 lost the collector of volume stats: kubernetes#133847. */
function lostCollector(
  { claims, measured, version }: KubeletMetrics,
  { summary }: Facts,
): string | undefined {
  const count = [...measured.values()].reduce((sum, each) => sum + each, 0);
  if (claims.size > 0 || count === 0) return undefined;
  // Without a claim among the measured volumes there is nothing to export.
  const hasClaims =
    summary.state !== 'answered' ||
    summary.value.pods.some(({ volume = [] }) =>
      volume.some(({ pvcRef, capacityBytes }) => pvcRef !== undefined && capacityBytes !== undefined),
    );
  if (!hasClaims) return undefined;
  const which = version === undefined ? 'this kubelet' : `this kubelet (${shown(version)})`;
  return `${which} measures volumes (${String(count)} readings so far) and exports no kubelet_volume_stats_* at all, as 1.34.0 does, which lost the collector (kubernetes#133847)`;
}
