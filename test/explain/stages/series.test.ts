import { seriesStage } from '../../../src/explain/stages/series.js';
import { answered, prometheus, REFUSED, sample, testStage } from '../support/facts.js';

testStage('series', seriesStage, [
  {
    title: 'one series with the labels of dashboards',
    verdict: 'ok',
    evidence: /has it under job kubelet \(1 series\)/,
  },
  {
    title: 'a volume that two nodes mount has a series for each',
    volume: { series: [sample(), sample({ node: 'node2', instance: '10.0.0.2:10250' })] },
    verdict: 'ok',
    evidence: /\(2 series\)/,
  },
  {
    title: 'the namespace is under exported_namespace',
    volume: { series: [sample({ namespace: 'kube-system', exported_namespace: 'shop' })] },
    verdict: 'cause',
    evidence: /exported_namespace="shop", and namespace is "kube-system"/,
    fix: /honorLabels: true/,
  },
  {
    title: 'the job has another name',
    volume: { series: [sample({ job: 'k3s-server' })] },
    verdict: 'cause',
    evidence: /under job "k3s-server", and dashboards select job="kubelet"/,
    fix: /jobNameOverride/,
    data: { series: [sample({ job: 'k3s-server' }).labels] },
  },
  {
    title: 'metrics_path is missing',
    volume: { series: [sample({ metrics_path: undefined })] },
    verdict: 'cause',
    evidence: /without metrics_path="\/metrics"/,
    fix: /__metrics_path__ to metrics_path/,
  },
  {
    title: 'cluster is missing, and others have it',
    facts: { prometheus: prometheus({ counts: answered([sample({ cluster: 'east\u001b' })]) }) },
    verdict: 'cause',
    evidence: /no label cluster, and others have \(east\\x1b\)/,
    fix: /label cluster/,
  },
  {
    title: 'the same claim from two jobs, as on k3s and RKE2',
    volume: { series: [sample(), sample({ job: 'apiserver' })] },
    verdict: 'cause',
    evidence: /under the jobs kubelet, apiserver: .*found duplicate series.*k3s and RKE2/,
    fix: /drop kubelet_volume_stats_\* of the others/,
  },
  {
    title: 'the same claim twice from one job',
    volume: { series: [sample(), sample({ service: 'kubelet-2' })] },
    verdict: 'cause',
    evidence: /2 times under job kubelet/,
    fix: /metricRelabelings/,
  },
  {
    title: 'no series although the kubelet exports it: lost nearer',
    volume: { series: [] },
    verdict: 'skipped',
    evidence: /no kubelet_volume_stats_capacity_bytes of the claim, although the kubelet exports it/,
  },
  {
    title: 'a Prometheus that refuses is unknown',
    facts: { prometheus: prometheus({ series: REFUSED }) },
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
  {
    title: 'a volume without a claim has no series',
    volume: { claimName: undefined } as never,
    verdict: 'skipped',
    evidence: /only claims/,
  },
]);
