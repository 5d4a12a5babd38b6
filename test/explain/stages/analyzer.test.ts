import { analyzerStage } from '../../../src/explain/stages/analyzer.js';
import {
  answered,
  idle,
  NO_NUMBERS,
  NOT_ASKED,
  pod,
  REFUSED,
  testStage,
  unmeasured,
} from '../support/facts.js';

const NO_SUMMARY = { summary: NOT_ASKED };

testStage('analyzer', analyzerStage, [
  {
    title: 'it measures',
    verdict: 'ok',
    evidence: /every 60 s and up to twice that/,
    data: { periodMs: 60_000 },
  },
  {
    title: 'a period below 0 turns measuring off',
    volume: NO_NUMBERS,
    facts: { config: answered({ periodMs: -1_000 }) },
    verdict: 'cause',
    evidence: /its volumeStatsAggPeriod is -1 s/,
    fix: /such as 1m/,
    data: { periodMs: -1_000 },
  },
  {
    title: 'a period of 0 turns measuring off',
    facts: { config: answered({ periodMs: 0 }) },
    verdict: 'cause',
    evidence: /is 0 s/,
    fix: /above 0/,
  },
  {
    title: 'another volume of the pod is stuck, and the kubelet waits for it',
    volume: { ...NO_NUMBERS, stuckSiblings: ['logs\u001b', 'cache'] },
    verdict: 'cause',
    evidence: /does not answer \(logs\\x1b, cache\), .* one after the other/,
    fix: /Repair that volume/,
    data: { stuck: ['logs\u001b', 'cache'] },
  },
  {
    title: 'a volume that is stuck itself is not waiting for another one',
    volume: { ...NO_NUMBERS, stuckSiblings: ['logs'], stats: unmeasured('METRICS_TIMED_OUT', 'no answer') },
    verdict: 'ok',
    evidence: /the kubelet measures volumes/,
  },
  {
    title: 'the pod is younger than a round',
    volume: { ...NO_NUMBERS, pod: pod({ startTime: '2026-11-27T11:59:50Z' }) },
    verdict: 'cause',
    evidence: /started 10 s ago, and the kubelet's first reading comes within 120 s/,
    fix: /Wait/,
    data: { ageMs: 10_000 },
  },
  {
    title: 'a pod of the future, whose node has another clock, is young',
    volume: { ...NO_NUMBERS, pod: pod({ startTime: '2026-11-27T12:00:50Z' }) },
    verdict: 'cause',
    evidence: /started 0 s ago/,
    fix: /Wait/,
  },
  {
    title: 'a young pod whose numbers are not known is not blamed',
    volume: { ...NO_NUMBERS, pod: pod({ startTime: '2026-11-27T11:59:50Z' }) },
    facts: NO_SUMMARY,
    verdict: 'ok',
    evidence: /measures volumes/,
  },
  {
    title: 'a pod without a running container is not measured',
    volume: { ...NO_NUMBERS, pod: idle('Succeeded', undefined) },
    verdict: 'skipped',
    evidence: /no container of the pod runs/,
  },
  {
    title: 'a pod on another node is not measured here',
    volume: { ...NO_NUMBERS, isHere: false },
    verdict: 'skipped',
    evidence: /no pod of this node/,
  },
  {
    title: 'a kubelet that refuses /configz is unknown, with the rule to add',
    volume: NO_NUMBERS,
    facts: { config: REFUSED },
    verdict: 'unknown',
    evidence: /me may not get/,
    fix: /Give me the right/,
    data: { rule: 'rules: []' },
  },
]);
