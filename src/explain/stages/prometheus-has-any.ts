import { valueOf } from '../answer.js';
import { CAPACITY } from '../dashboard-queries.js';
import type { Facts } from '../facts.js';
import { CHECK_PROMETHEUS, Judge, NO_PROMETHEUS, type Finding } from '../finding.js';
import { kubeletTargets } from '../kubelet-targets.js';
import { isExported, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('prometheus');

/** Whether Prometheus has the metric at all, and of this node. */
export function prometheusHasAnyStage(volume: VolumeFacts, facts: Facts): Finding {
  const { prometheus } = facts;
  const { nodeName } = volume.place;
  if (prometheus === undefined) return judge.skipped(NO_PROMETHEUS);
  const { counts, active } = prometheus;
  if (counts.state !== 'answered') return judge.unanswered(counts, CHECK_PROMETHEUS);
  const total = counts.value.reduce((sum, { value }) => sum + value, 0);
  const jobs = [...new Set(counts.value.map(({ labels }) => labels['job'] ?? ''))];
  const data = { total, jobs };
  if (volume.series.length > 0)
    return judge.ok(`Prometheus has ${String(total)} series of ${CAPACITY}`, data);
  const targets = kubeletTargets(valueOf(active) ?? [], volume.place);
  const instances = new Set(targets.flatMap(({ labels }) => labels['instance'] ?? []));
  const ofNode = counts.value.filter(
    ({ labels }) =>
      (nodeName !== undefined && labels['node'] === nodeName) || instances.has(labels['instance'] ?? ''),
  );
  const exported = isExported(volume, facts);
  if (ofNode.length > 0) {
    const count = ofNode.reduce((sum, { value }) => sum + value, 0);
    const text = `Prometheus has ${String(count)} claims of this node, and not this one`;
    if (exported !== true) return judge.skipped(text, data);
    return judge.cause(
      `${text}, which the kubelet exports: relabelling drops it, or the next scrape brings it`,
      'Look at the metricRelabelings of the scrape; the claim may also be newer than the last scrape.',
      data,
    );
  }
  const text =
    total === 0
      ? `Prometheus has no ${CAPACITY} at all`
      : `Prometheus has ${String(total)} series of ${CAPACITY} (job ${jobs.map((each) => shown(each)).join(', ')}), and none of this node`;
  if (active.state === 'answered' || exported !== true) return judge.skipped(`${text}: see the target`, data);
  return judge.cause(
    text,
    'Check the targets where the scraping is done: this server does not list them.',
    data,
  );
}
