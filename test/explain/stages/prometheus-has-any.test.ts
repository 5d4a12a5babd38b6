import { prometheusHasAnyStage } from '../../../src/explain/stages/prometheus-has-any.js';
import { answered, kubeletMetrics, prometheus, REFUSED, sample, testStage } from '../support/facts.js';

const other = { job: 'kubelet', node: 'node2', instance: '10.0.0.2:10250' };
const NONE_EXPORTED = answered(kubeletMetrics({ claims: new Map() }));

testStage('prometheus', prometheusHasAnyStage, [
  { title: 'it has series', verdict: 'ok', evidence: /has 3 series/, data: { total: 3, jobs: ['kubelet'] } },
  {
    title: 'it has other claims of the node, and the kubelet exports this one',
    volume: { series: [] },
    verdict: 'cause',
    evidence: /has 3 claims of this node, and not this one, which the kubelet exports/,
    fix: /metricRelabelings/,
  },
  {
    title: 'it has other claims of the node, and the kubelet does not export this one',
    volume: { series: [], exported: undefined },
    facts: { metrics: NONE_EXPORTED },
    verdict: 'skipped',
    evidence: /3 claims of this node, and not this one$/,
  },
  {
    title: 'it has none at all: the target decides',
    volume: { series: [] },
    facts: { prometheus: prometheus({ counts: answered([]) }) },
    verdict: 'skipped',
    evidence: /no kubelet_volume_stats_capacity_bytes at all: see the target/,
  },
  {
    title: 'it has none of this node: the target decides',
    volume: { series: [] },
    facts: { prometheus: prometheus({ counts: answered([sample(other, 8)]) }) },
    verdict: 'skipped',
    evidence: /8 series of .* \(job kubelet\), and none of this node: see the target/,
  },
  {
    title: 'a server without targets, such as Thanos, has none of this node',
    volume: { series: [] },
    facts: { prometheus: prometheus({ counts: answered([sample(other, 8)]), active: REFUSED }) },
    verdict: 'cause',
    evidence: /none of this node/,
    fix: /where the scraping is done/,
  },
  {
    title: 'a Prometheus that refuses is unknown',
    facts: { prometheus: prometheus({ counts: REFUSED }) },
    verdict: 'unknown',
    evidence: /me may not get/,
    fix: /Give me the right/,
  },
  {
    title: 'without Prometheus there is nothing to judge',
    facts: { prometheus: undefined },
    verdict: 'skipped',
    evidence: /no Prometheus/,
  },
]);
