import { dashboardStage } from '../../../src/explain/stages/dashboard.js';
import { answered, prometheus, REFUSED, sample, testStage, kubeletMetrics } from '../support/facts.js';

const WITHOUT_VALUE = { prometheus: prometheus({ dashboard: answered([]) }) };
const failing = (problem: string): object => ({
  prometheus: prometheus({ dashboard: { state: 'unanswered', problem, code: 'PROMETHEUS_QUERY' } }),
});

testStage('dashboard', dashboardStage, [
  {
    title: 'the value is the evidence',
    verdict: 'ok',
    evidence: /has the value 40 \(\{job="kubelet", metrics_path="\/metrics"\}\)/,
    data: { value: 40 },
  },
  {
    title: 'the value of another claim does not count',
    volume: { series: [] },
    facts: { prometheus: prometheus({ dashboard: answered([sample({ namespace: 'other' }, 40)]) }) },
    verdict: 'skipped',
    evidence: /no value for it, and Prometheus has no such series/,
  },
  {
    title: 'a value that the kubelet does not export any more is lost nearer',
    volume: { exported: undefined },
    facts: { metrics: answered(kubeletMetrics({ claims: new Map() })) },
    verdict: 'skipped',
    evidence: /still has the value 40, which the kubelet does not export any more/,
    data: { value: 40 },
  },
  {
    title: 'duplicate series make the query fail',
    facts: failing('execution: found duplicate series for the match group'),
    verdict: 'cause',
    evidence: /the query of the dashboard fails: execution: found duplicate series/,
    fix: /keep the one with job="kubelet"/,
  },
  {
    title: 'another error of the query is passed on',
    facts: failing('bad_data: parse error'),
    verdict: 'cause',
    evidence: /parse error/,
    fix: /what the error names/,
  },
  {
    title: 'the capacity is there and the available bytes are not',
    facts: WITHOUT_VALUE,
    verdict: 'cause',
    evidence: /the available bytes are missing/,
    fix: /treats all kubelet_volume_stats_\* alike/,
  },
  {
    title: 'what the kubelet does not export cannot be shown',
    volume: { series: [], exported: undefined },
    facts: { ...WITHOUT_VALUE, metrics: answered(kubeletMetrics({ claims: new Map() })) },
    verdict: 'skipped',
    evidence: /and the kubelet exports none/,
  },
  {
    title: 'a Prometheus that refuses is unknown, with what to do',
    facts: { prometheus: prometheus({ dashboard: REFUSED }) },
    verdict: 'unknown',
    evidence: /me may not get/,
    fix: /Give me the right/,
  },
  {
    title: 'a Prometheus that cannot be reached is unknown',
    facts: {
      prometheus: prometheus({ dashboard: { state: 'unanswered', problem: 'it cannot be reached' } }),
    },
    verdict: 'unknown',
    evidence: /cannot be reached/,
    fix: /URL and the credentials/,
  },
  {
    title: 'without Prometheus there is nothing to judge',
    facts: { prometheus: undefined },
    verdict: 'skipped',
    evidence: /no Prometheus was given/,
  },
  {
    title: 'a volume without a claim has no dashboard',
    volume: { claimName: undefined } as never,
    verdict: 'skipped',
    evidence: /only claims/,
  },
]);
