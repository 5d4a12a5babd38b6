import { valueOf } from '../answer.js';
import { CAPACITY } from '../dashboard-queries.js';
import type { Facts, KubeletPlace } from '../facts.js';
import { CHECK_PROMETHEUS, Judge, NO_PROMETHEUS, type Finding } from '../finding.js';
import { kubeletTargets, scrapePathOf } from '../kubelet-targets.js';
import type { PrometheusTarget } from '../prometheus-api/prometheus-client.js';
import { scrapeErrorMeaning } from '../scrape-errors.js';
import { isExported, shown, type VolumeFacts } from '../volume-facts.js';

const judge = new Judge('target');

/** Whether Prometheus scrapes /metrics of this node's kubelet, and keeps what it finds. */
export function targetStage(volume: VolumeFacts, facts: Facts): Finding {
  const { prometheus } = facts;
  const { place, series } = volume;
  if (prometheus === undefined) return judge.skipped(NO_PROMETHEUS);
  const { active, dropped } = prometheus;
  if (active.state !== 'answered') {
    const isOther = active.state === 'unanswered' && active.status === 404;
    if (!isOther) return judge.unanswered(active, CHECK_PROMETHEUS);
    return judge.unknown(
      `this server has no list of targets: ${active.problem}`,
      'Give the URL of the Prometheus that scrapes the kubelets.',
    );
  }
  const here = kubeletTargets(active.value, place);
  const onMetrics = here.filter((each) => scrapePathOf(each) === '/metrics');
  const data = { targets: here.map((each) => about(each)) };
  const down = onMetrics.find(({ health }) => health === 'down');
  const up = onMetrics.find(({ health }) => health === 'up');
  if (up === undefined && down !== undefined) {
    const error = down.lastError ?? '';
    const { meaning, fix } = scrapeErrorMeaning(error);
    return judge.cause(`the target ${nameOf(down)} is down: ${shown(error, 300)}: ${meaning}`, fix, {
      ...data,
      lastError: error,
    });
  }
  if (up !== undefined) return isKept(up, volume, facts, data);
  if (onMetrics.length > 0) {
    return judge.unknown(
      `the target ${nameOf(onMetrics[0])} was not scraped yet`,
      'Wait for the first scrape.',
      data,
    );
  }
  if (series.length > 0)
    return judge.ok('Prometheus has the series; which target it is from is not known', data);
  if (here.length > 0) {
    const paths = here.map((each) => shown(scrapePathOf(each))).join(', ');
    return judge.cause(
      `Prometheus scrapes ${paths} of this kubelet, and not /metrics, which alone has the numbers of volumes`,
      'Add a scrape of /metrics of the kubelet.',
      data,
    );
  }
  const gone = kubeletTargets(valueOf(dropped) ?? [], place).find(
    (each) => scrapePathOf(each) === '/metrics',
  );
  if (gone !== undefined) {
    return judge.cause(
      `relabelling drops the target ${nameOf(gone)} (scrape pool ${shown(gone.scrapePool ?? gone.discovered['job'] ?? 'not named')})`,
      'Correct the relabelings of the ServiceMonitor or scrape.',
      { ...data, dropped: about(gone) },
    );
  }
  const { nodeName, kubeletEndpoint } = place;
  if (nodeName === undefined && kubeletEndpoint === undefined)
    return judge.unknown(
      'which targets are this kubelet is not known: the node has no name',
      'Give the name of the node.',
      data,
    );
  return judge.cause(
    `none of the ${String(prometheus.targetCount)} targets of Prometheus is the kubelet of ${kubeletName(place, facts)}`,
    'Check the ServiceMonitor of the kubelet, its Service and the Endpoints or EndpointSlice, which must list the node; the operator makes them with --kubelet-service.',
    data,
  );
}

function kubeletName({ nodeName }: KubeletPlace, facts: Facts): string {
  if (nodeName === undefined) return 'this node';
  return nodeName === facts.nodeName ? `this node (${shown(nodeName)})` : `node ${shown(nodeName)}`;
}

/** A target that is up may still bring nothing: what it offers is dropped. */
function isKept(target: PrometheusTarget, volume: VolumeFacts, facts: Facts, data: Finding['data']): Finding {
  const name = nameOf(target);
  if (volume.series.length > 0) return judge.ok(`the target ${name} is up`, data);
  const offering = facts.prometheus === undefined ? undefined : valueOf(facts.prometheus.offering);
  const counts = facts.prometheus === undefined ? undefined : valueOf(facts.prometheus.counts);
  const instance = target.labels['instance'];
  const isOffered = offering?.some(
    (each) => each['instance'] === instance && each['job'] === target.labels['job'],
  );
  const hasAny = counts?.some(({ labels }) => labels['instance'] === instance);
  if (hasAny !== false || isExported(volume, facts) === false)
    return judge.ok(`the target ${name} is up`, { ...data, isOffered });
  if (isOffered === true) {
    return judge.cause(
      `the target ${name} is up and offers ${CAPACITY}, and Prometheus keeps none of it: metric relabelling drops it`,
      'Look for a drop or keep of the metric in metricRelabelings of the ServiceMonitor (metric_relabel_configs).',
      { ...data, isOffered },
    );
  }
  if (isOffered === false && isExported(volume, facts) === true) {
    return judge.cause(
      `the target ${name} is up and its last scrape had no ${CAPACITY}, which the kubelet exports now`,
      'Wait for the next scrape; if it stays so, check that the target is this kubelet.',
      { ...data, isOffered },
    );
  }
  return judge.ok(`the target ${name} is up; it offers no ${CAPACITY}`, { ...data, isOffered });
}

function nameOf(target: PrometheusTarget | undefined): string {
  return shown(target?.scrapeUrl ?? target?.discovered['__address__'] ?? '?');
}

function about({
  labels,
  scrapePool,
  scrapeUrl,
  health,
  lastError,
}: PrometheusTarget): Record<string, unknown> {
  return { labels, scrapePool, scrapeUrl, health, lastError };
}
