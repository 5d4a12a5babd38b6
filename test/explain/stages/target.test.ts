import { targetStage } from '../../../src/explain/stages/target.js';
import type { PrometheusFacts } from '../../../src/explain/facts.js';
import type { Facts } from '../../../src/explain/facts.js';
import { answered, kubeletMetrics, prometheus, target, testStage } from '../support/facts.js';

const asked = (over: Partial<PrometheusFacts>): Partial<Facts> => ({
  prometheus: prometheus({ counts: answered([]), ...over }),
});
const down = (lastError: string): Partial<Facts> =>
  asked({ active: answered([target({ health: 'down', lastError })]) });
const NO_SERIES = { series: [] };

testStage('target', targetStage, [
  { title: 'it is up', verdict: 'ok', evidence: /the target https:\/\/10\.0\.0\.1:10250\/metrics is up$/ },
  {
    title: 'it is down: the error, what it means, and what to do',
    volume: NO_SERIES,
    facts: down('server returned HTTP status 403 Forbidden'),
    verdict: 'cause',
    evidence: /is down: server returned HTTP status 403 Forbidden: Prometheus lacks the right/,
    fix: /nodes\/metrics/,
    data: { lastError: 'server returned HTTP status 403 Forbidden' },
  },
  {
    title: 'it is down because of the sample limit',
    volume: NO_SERIES,
    facts: down('sample limit exceeded\u001b'),
    verdict: 'cause',
    evidence: /sample limit exceeded\\x1b: the answer has more samples/,
    fix: /Raise sampleLimit/,
  },
  {
    title: 'one of two that are the same kubelet is up',
    volume: NO_SERIES,
    facts: asked({ active: answered([target({ health: 'down' }), target()]), offering: answered([]) }),
    verdict: 'cause',
    evidence:
      /is up and its last scrape had no kubelet_volume_stats_capacity_bytes, which the kubelet exports now/,
    fix: /Wait for the next scrape/,
  },
  {
    title: 'metric relabelling drops all that it offers',
    volume: NO_SERIES,
    facts: asked({}),
    verdict: 'cause',
    evidence: /is up and offers kubelet_volume_stats_capacity_bytes, and Prometheus keeps none of it/,
    fix: /metric_relabel_configs/,
  },
  {
    title: 'it offers nothing because the kubelet exports nothing',
    volume: { ...NO_SERIES, exported: undefined },
    facts: { ...asked({ offering: answered([]) }), metrics: answered(kubeletMetrics({ claims: new Map() })) },
    verdict: 'ok',
    evidence: /is up$/,
  },
  {
    title: 'it was not scraped yet',
    volume: NO_SERIES,
    facts: asked({ active: answered([target({ health: 'unknown' })]) }),
    verdict: 'unknown',
    evidence: /was not scraped yet/,
    fix: /Wait/,
  },
  {
    title: 'only /metrics/cadvisor is scraped',
    volume: NO_SERIES,
    facts: asked({
      active: answered([target({ scrapeUrl: 'https://10.0.0.1:10250/metrics/cadvisor' })]),
    }),
    verdict: 'cause',
    evidence: /scrapes \/metrics\/cadvisor of this kubelet, and not \/metrics/,
    fix: /Add a scrape of \/metrics/,
  },
  {
    title: 'relabelling drops it',
    volume: NO_SERIES,
    facts: asked({
      active: answered([]),
      dropped: answered([
        {
          labels: {},
          discovered: {
            __address__: '10.0.0.1:10250',
            __metrics_path__: '/metrics',
            job: 'monitoring/kubelet/0',
          },
        },
      ]),
    }),
    verdict: 'cause',
    evidence: /relabelling drops the target 10\.0\.0\.1:10250 \(scrape pool monitoring\/kubelet\/0\)/,
    fix: /relabelings of the ServiceMonitor/,
  },
  {
    title: 'there is none of this node',
    volume: NO_SERIES,
    facts: asked({ active: answered([]), dropped: answered([]) }),
    verdict: 'cause',
    evidence: /none of the 9 targets of Prometheus is the kubelet of this node \(node1\)/,
    fix: /Endpoints/,
  },
  {
    title: 'of a pod on another node, the kubelet there counts',
    volume: { ...NO_SERIES, isHere: false, place: { nodeName: 'node2', kubeletEndpoint: undefined } },
    facts: asked({ active: answered([target()]), dropped: answered([]) }),
    verdict: 'cause',
    evidence: /is the kubelet of node node2$/,
    fix: /Endpoints/,
  },
  {
    title: 'a series of a target that is not known is a series',
    facts: asked({ active: answered([]), dropped: answered([]) }),
    verdict: 'ok',
    evidence: /which target it is from is not known/,
  },
  {
    title: 'a node without a name has no target that is known',
    volume: { ...NO_SERIES, place: { nodeName: undefined, kubeletEndpoint: undefined } },
    facts: asked({}),
    verdict: 'unknown',
    evidence: /the node has no name/,
    fix: /name of the node/,
  },
  {
    title: 'a server without targets, such as Thanos, is unknown',
    facts: asked({ active: { state: 'unanswered', problem: 'it answered 404', status: 404 } }),
    verdict: 'unknown',
    evidence: /this server has no list of targets: it answered 404/,
    fix: /that scrapes the kubelets/,
  },
  {
    title: 'without Prometheus there is nothing to judge',
    facts: { prometheus: undefined },
    verdict: 'skipped',
    evidence: /no Prometheus/,
  },
]);
