import { kubeletSummaryStage } from '../../../src/explain/stages/kubelet-summary.js';
import {
  answered,
  claim,
  idle,
  kubeletMetrics,
  NO_NUMBERS,
  NOT_ASKED,
  persistentVolume,
  container,
  pod,
  REFUSED,
  testStage,
  unmeasured,
} from '../support/facts.js';

const RESTARTED_MS = Date.parse('2026-11-27T11:00:00Z');
const failing = (problem: string): object => ({ summary: { state: 'unanswered', problem, status: 500 } });

testStage('kubelet-summary', kubeletSummaryStage, [
  {
    title: 'the time of its numbers is the evidence',
    verdict: 'ok',
    evidence: /of 2026-11-27T11:59:30Z$/,
    data: { capacityBytes: '100' },
  },
  {
    title: 'a list of stats that fails takes all numbers of the node',
    facts: failing('it answered 500: failed to list pod stats'),
    verdict: 'cause',
    evidence: /so that no volume of the node has numbers: .*failed to list pod stats/,
    fix: /container runtime/,
    data: { status: 500 },
  },
  {
    title: 'a kubelet that cannot ask who may is unknown',
    facts: failing('500: Authorization error (user=me)'),
    verdict: 'unknown',
    evidence: /Authorization error/,
    fix: /credentials/,
  },
  {
    title: 'numbers without the claim',
    volume: { summary: { name: 'data', capacityBytes: 100n } },
    verdict: 'cause',
    evidence: /numbers of the volume data, without the claim/,
    fix: /Restart the kubelet/,
  },
  {
    title: 'a running pod without stats',
    volume: { ...NO_NUMBERS, podSummary: undefined },
    verdict: 'cause',
    evidence: /knows the running pod shop\/web-0, and the container runtime gives no stats of it/,
    fix: /crictl stats/,
  },
  {
    title: 'a pod without stats whose containers end and are started again: the pod is blamed',
    volume: {
      ...NO_NUMBERS,
      podSummary: undefined,
      pod: pod({ containers: [container({ restartCount: 3 })] }),
    },
    verdict: 'skipped',
    evidence: /end and are started again/,
  },
  {
    title: 'a volume that is uncertain since the kubelet was restarted',
    volume: NO_NUMBERS,
    facts: { metrics: answered(kubeletMetrics({ startedAtMs: RESTARTED_MS })) },
    verdict: 'cause',
    evidence:
      /restarted at 2026-11-27T11:00:00\.000Z after the pod had started, treats its mount as uncertain/,
    fix: /Restart the pod/,
    data: { startedAtMs: RESTARTED_MS },
  },
  {
    title: 'a volume that can be measured, and is not',
    volume: NO_NUMBERS,
    verdict: 'cause',
    evidence: /its own attempt fails, or it treats the mount as uncertain/,
    fix: /kubelet's log/,
  },
  {
    title: 'a volume that cannot be measured here either: lost nearer',
    volume: { ...NO_NUMBERS, stats: unmeasured('METRICS_CSI_FAILED', 'no') },
    verdict: 'skipped',
    evidence: /neither are there any here: failed/,
  },
  {
    title: 'a volume of a kind that has no numbers',
    volume: {
      ...NO_NUMBERS,
      stats: undefined,
      claim: answered(claim({ volume: persistentVolume({ kind: 'hostPath' }) })),
    },
    verdict: 'skipped',
    evidence: /of such volumes/,
  },
  {
    title: 'a volume that was not measured here',
    volume: { ...NO_NUMBERS, stats: undefined },
    verdict: 'unknown',
    evidence: /could not measure it, or treats its mount as uncertain/,
    fix: /Run this on the node/,
  },
  {
    title: 'another volume of the pod is stuck: the analyzer says so',
    volume: { ...NO_NUMBERS, stuckSiblings: ['logs'] },
    verdict: 'skipped',
    evidence: /has not got to the volume/,
  },
  {
    title: 'the first round is not over: the analyzer says so',
    volume: { ...NO_NUMBERS, pod: pod({ startTime: '2026-11-27T11:59:50Z' }) },
    verdict: 'skipped',
    evidence: /first round is not over/,
  },
  {
    title: 'measuring is off: the analyzer says so',
    volume: NO_NUMBERS,
    facts: { config: answered({ periodMs: -1_000 }) },
    verdict: 'skipped',
    evidence: /does not measure volumes/,
  },
  {
    title: 'a pod without a running container is left out',
    volume: { ...NO_NUMBERS, pod: idle('Running', { name: 'waiting', reason: 'CrashLoopBackOff' }) },
    verdict: 'skipped',
    evidence: /no container of the pod runs/,
  },
  {
    title: 'a pod on another node is not in it',
    volume: { ...NO_NUMBERS, isHere: false },
    verdict: 'skipped',
    evidence: /no pod of this node/,
  },
  {
    title: 'a kubelet that refuses is unknown, with the rule to add',
    facts: { summary: REFUSED },
    verdict: 'unknown',
    evidence: /me may not get/,
    fix: /Give me the right/,
    data: { rule: 'rules: []' },
  },
  {
    title: 'a kubelet that was not asked is unknown',
    facts: { summary: NOT_ASKED },
    verdict: 'unknown',
    evidence: /nobody was asked/,
    fix: /Give a kubelet/,
  },
]);
