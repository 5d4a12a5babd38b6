import { kubeletMetricsStage } from '../../../src/explain/stages/kubelet-metrics.js';
import { answered, kubeletMetrics, NOT_ASKED, REFUSED, testStage } from '../support/facts.js';

const LOST = { exported: undefined };
const OTHERS = answered(kubeletMetrics({ claims: new Map([['shop/other', { capacity_bytes: 1 }]]) }));
const UNREACHABLE = {
  state: 'unanswered',
  problem: 'kubelet cannot be reached: connection refused at port 10255',
  code: 'KUBELET_UNREACHABLE',
} as const;

testStage('kubelet-metrics', kubeletMetricsStage, [
  {
    title: 'the capacity that is exported is the evidence',
    verdict: 'ok',
    evidence: /kubelet_volume_stats_capacity_bytes 100$/,
    data: { capacity_bytes: 100, used_bytes: 40 },
  },
  {
    title: 'a volume without a claim is not exported',
    volume: { claimName: undefined } as never,
    verdict: 'cause',
    evidence: /of claims alone/,
    fix: /podVolumes/,
  },
  {
    title: '1.34.0 measures volumes and exports none',
    volume: LOST,
    facts: { metrics: answered(kubeletMetrics({ claims: new Map(), version: 'v1.34.0' })) },
    verdict: 'cause',
    evidence: /\(v1\.34\.0\) measures volumes \(12 readings so far\) .*kubernetes#133847/,
    fix: /later patch release/,
    data: { claims: 0, measured: { 'csi.example': 12 } },
  },
  {
    title: 'a kubelet that has measured nothing yet has lost no collector',
    volume: { ...LOST, summary: undefined },
    facts: { metrics: answered(kubeletMetrics({ claims: new Map(), measured: new Map() })) },
    verdict: 'skipped',
    evidence: /exports 0 claims, and not this one/,
  },
  {
    title: 'its summary has the claim and its /metrics does not',
    volume: LOST,
    facts: { metrics: OTHERS },
    verdict: 'cause',
    evidence: /summary has numbers of claim shop\/data, and its \/metrics does not/,
    fix: /Ask again in a minute/,
  },
  {
    title: 'its summary lacks the claim too: lost nearer',
    volume: { ...LOST, summary: undefined },
    facts: { metrics: OTHERS },
    verdict: 'skipped',
    evidence: /exports 1 claims, and not this one$/,
  },
  {
    title: 'without the summary it is not known why',
    volume: { ...LOST, summary: undefined },
    facts: { metrics: OTHERS, summary: REFUSED },
    verdict: 'unknown',
    evidence: /why is not known here/,
    fix: /Give me the right/,
  },
  {
    title: 'a volume on another node is not exported here',
    volume: { ...LOST, isHere: false },
    facts: { metrics: OTHERS },
    verdict: 'skipped',
    evidence: /not on this node/,
  },
  {
    title: 'a kubelet that refuses is unknown, with the rule to add',
    facts: { metrics: REFUSED },
    verdict: 'unknown',
    evidence: /me may not get nodes\/metrics/,
    fix: /Give me the right/,
    data: { rule: 'rules: []', code: 'KUBELET_FORBIDDEN' },
  },
  {
    title: 'a read-only port that is closed is unknown',
    facts: { metrics: UNREACHABLE },
    verdict: 'unknown',
    evidence: /10255/,
    fix: /Give a kubelet to ask/,
    data: { code: 'KUBELET_UNREACHABLE' },
  },
  {
    title: 'a kubelet that was not asked is unknown',
    facts: { metrics: NOT_ASKED },
    verdict: 'unknown',
    evidence: /nobody was asked/,
    fix: /Give a kubelet/,
  },
]);
