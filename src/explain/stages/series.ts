import { CAPACITY, isSelected, selectorText } from '../dashboard-queries.js';
import type { Facts } from '../facts.js';
import { CHECK_PROMETHEUS, Judge, NO_PROMETHEUS, type Finding } from '../finding.js';
import type { Labels } from '../prometheus-api/prometheus-client.js';
import { EXPORTED_NAMESPACE, isExported, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('series');

/** Whether Prometheus has the claim's series, with the labels that dashboards select by. */
export function seriesStage(volume: VolumeFacts, facts: Facts): Finding {
  const { prometheus } = facts;
  const { namespace, claimName, series } = volume;
  if (prometheus === undefined) return judge.skipped(NO_PROMETHEUS);
  if (claimName === undefined) return judge.skipped('only claims have series');
  const { series: answer, dashboardLabels } = prometheus;
  if (answer.state !== 'answered') return judge.unanswered(answer, CHECK_PROMETHEUS);
  const found = series.map(({ labels }) => labels);
  const data = { series: found };
  if (found.length === 0) {
    const exported = isExported(volume, facts);
    const why = exported === true ? 'although the kubelet exports it' : 'under any job';
    return judge.skipped(`Prometheus has no ${CAPACITY} of the claim, ${why}`, data);
  }
  const selected = found.filter((labels) => isSelected(labels, namespace, dashboardLabels));
  if (selected.length === 0) return wrongLabels(found, namespace, dashboardLabels, data);
  const cluster = clusterProblem(selected, facts);
  if (cluster !== undefined) {
    return judge.cause(cluster, 'Give all scrapes the label cluster, or none of them.', data);
  }
  return duplicates(found, data);
}

function wrongLabels(
  found: readonly Labels[],
  namespace: string,
  wanted: Labels,
  data: Finding['data'],
): Finding {
  const first = found[0] ?? {};
  if (found.every((labels) => labels[EXPORTED_NAMESPACE] === namespace)) {
    return judge.cause(
      `the claim's namespace is under ${EXPORTED_NAMESPACE}="${shown(namespace)}", and namespace is "${shown(first['namespace'] ?? '')}": the scrape took the label for its own`,
      'Set honorLabels: true in the ServiceMonitor or scrape of the kubelet.',
      data,
    );
  }
  const jobs = jobsOf(found)
    .map((job) => `"${job}"`)
    .join(', ');
  const wrong = Object.entries(wanted).filter(([name, value]) =>
    found.every((labels) => labels[name] !== value),
  );
  if (wrong.some(([name]) => name === 'job')) {
    return judge.cause(
      `Prometheus has the series under job ${jobs}, and dashboards select job="${shown(wanted['job'] ?? '')}"`,
      'Relabel job to kubelet (kube-prometheus-stack: jobNameOverride), or change the selector of the dashboards.',
      data,
    );
  }
  const names = (wrong.length > 0 ? wrong : Object.entries(wanted))
    .map(([name, value]) => `${name}="${shown(value)}"`)
    .join(', ');
  return judge.cause(
    `Prometheus has the series (job ${jobs}) without ${names}, which dashboards select by`,
    `Add the label by relabelling, such as __metrics_path__ to metrics_path; if your dashboards select by something else than ${shown(selectorText(wanted))}, say so.`,
    data,
  );
}

function jobsOf(found: readonly Labels[]): readonly string[] {
  return [...new Set(found.map(({ job }) => job ?? ''))].map((job) => shown(job));
}

/** A dashboard's variable `cluster` is empty if the series that it lists have none. */
function clusterProblem(selected: readonly Labels[], { prometheus }: Facts): string | undefined {
  const counts = prometheus?.counts;
  if (counts?.state !== 'answered' || selected.some(({ cluster }) => cluster !== undefined)) return undefined;
  const others = new Set(counts.value.flatMap(({ labels }) => labels['cluster'] ?? []));
  if (others.size === 0) return undefined;
  const list = [...others]
    .slice(0, 5)
    .map((each) => shown(each))
    .join(', ');
  return `the series has no label cluster, and others have (${list}): a dashboard of one of these clusters does not show it`;
}

/** The same claim from several jobs, as on k3s and RKE2, where one process serves all components' metrics. */
function duplicates(found: readonly Labels[], data: Finding['data']): Finding {
  const kinds = new Set(
    found.map((labels) => JSON.stringify(Object.entries(labels).filter(([name]) => !SAME_TARGET.has(name)))),
  );
  const jobs = jobsOf(found);
  if (kinds.size < 2) {
    return judge.ok(`Prometheus has it under job ${jobs.join(', ')} (${String(found.length)} series)`, data);
  }
  const which =
    jobs.length > 1
      ? `under the jobs ${jobs.join(', ')}`
      : `${String(found.length)} times under job ${jobs.join('')}`;
  return judge.cause(
    `Prometheus has the claim ${which}: panels that join by claim fail with "found duplicate series" (on k3s and RKE2 one process serves the kubelet's series to other jobs too)`,
    'Keep the series of the job kubelet, and drop kubelet_volume_stats_* of the others by metricRelabelings.',
    data,
  );
}

/** A volume that several nodes mount has one series for each. */
const SAME_TARGET = new Set(['instance', 'node', 'endpoint_node']);
