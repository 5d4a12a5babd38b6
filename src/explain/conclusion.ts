import { STAGES, type Finding, type Stage, type Verdict, type VolumeExplanation } from './finding.js';
import type { Facts } from './facts.js';
import { isExported, titleOf, type VolumeFacts } from './volume-facts.js';

/** From the volume outwards. An odd number comes last: it is there. */
const NEAREST_FIRST: readonly Stage[] = [...STAGES.filter((each) => each !== 'number').reverse(), 'number'];

type Conclusion = Pick<VolumeExplanation, 'result' | 'cause' | 'remedy'>;

/** What the findings about one volume come to: the cause nearest to the volume is named. */
export function conclusionOf(volume: VolumeFacts, facts: Facts, findings: readonly Finding[]): Conclusion {
  const byStage = new Map(findings.map((each) => [each.stage, each]));
  const nearest = (verdict: Verdict): Finding | undefined =>
    NEAREST_FIRST.map((stage) => byStage.get(stage)).find((each) => each?.verdict === verdict);
  const end = byStage.get(facts.prometheus === undefined ? 'kubelet-metrics' : 'dashboard');
  const cause = nearest('cause');
  if (end?.verdict === 'ok') {
    if (cause !== undefined) return { result: 'exported', ...said(cause) };
    const number = byStage.get('number');
    const text = number?.verdict === 'ok' ? number.evidence : end.evidence;
    return { result: 'exported', cause: sentence(text), remedy: '' };
  }
  if (cause !== undefined) return { result: 'missing', ...said(cause) };
  const isMissing = isExported(volume, facts) === false || isGone(facts, byStage);
  const result = isMissing ? 'missing' : 'unknown';
  const open = nearestUnknown(byStage, facts) ?? nearest('unknown');
  if (open !== undefined) return { result, ...said(open) };
  return {
    result,
    cause: sentence(`${titleOf(volume)} has no number, and every stage that was asked is as it should be`),
    remedy: 'Ask again in two minutes: a round of measuring and a scrape take their time.',
  };
}

/** Whether Prometheus was asked and has nothing. */
function isGone({ prometheus }: Facts, byStage: ReadonlyMap<Stage, Finding>): boolean {
  const verdict = byStage.get('dashboard')?.verdict;
  return prometheus?.dashboard.state === 'answered' && verdict !== 'ok' && verdict !== 'unknown';
}

/**
 * What has to be found out first: who the pods are, then what the kubelet says; and where the kubelet
 * exports the number, what Prometheus says.
 */
function nearestUnknown(byStage: ReadonlyMap<Stage, Finding>, { prometheus }: Facts): Finding | undefined {
  const outer: readonly Stage[] =
    prometheus !== undefined && byStage.get('kubelet-metrics')?.verdict === 'ok'
      ? ['target', 'prometheus', 'series', 'dashboard']
      : [];
  const order: readonly Stage[] = [...outer, 'pod', 'kubelet-summary', 'kubelet-metrics', 'disk'];
  return order.map((stage) => byStage.get(stage)).find((each) => each?.verdict === 'unknown');
}

function said({ evidence, fix = '' }: Finding): Pick<Conclusion, 'cause' | 'remedy'> {
  return { cause: sentence(evidence), remedy: sentence(fix) };
}

/** With a capital at the beginning and a full stop at the end. */
function sentence(text: string): string {
  if (text === '') return '';
  const capital = text[0]?.toUpperCase() ?? '';
  return `${capital}${text.slice(1)}${/[.!?:]$/.test(text) ? '' : '.'}`;
}
