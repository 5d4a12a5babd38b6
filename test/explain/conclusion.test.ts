import { describe, expect, test } from 'vitest';
import { STAGES, type Finding, type Stage, type Verdict } from '../../src/explain/finding.js';
import { conclusionOf } from '../../src/explain/conclusion.js';
import { answered, facts, prometheus, volume } from './support/facts.js';

/** All stages are ok, but for these. */
function findings(others: Partial<Record<Stage, Verdict>>): readonly Finding[] {
  return STAGES.map((stage) => {
    const verdict = others[stage] ?? 'ok';
    const fix = verdict === 'ok' || verdict === 'skipped' ? {} : { fix: `mend ${stage}` };
    return { stage, verdict, evidence: `${stage} is ${verdict}`, data: {}, ...fix };
  });
}

const NOT_SHOWN = { dashboard: 'skipped', series: 'skipped' } as const;
const WITHOUT_PROMETHEUS = facts({ prometheus: undefined });

describe('what the findings come to', () => {
  test.each<[string, Partial<Record<Stage, Verdict>>, string, string, string]>([
    ['all is ok', {}, 'exported', 'Number is ok.', ''],
    ['an odd number is there', { number: 'cause' }, 'exported', 'Number is cause.', 'Mend number.'],
    [
      'the nearest cause is named',
      { ...NOT_SHOWN, target: 'cause', analyzer: 'cause', csi: 'cause', number: 'cause' },
      'missing',
      'Csi is cause.',
      'Mend csi.',
    ],
    [
      'a cause counts more than what is unknown nearer',
      { ...NOT_SHOWN, target: 'cause', csi: 'unknown' },
      'missing',
      'Target is cause.',
      'Mend target.',
    ],
    [
      'a Prometheus that is unknown, while the kubelet exports the number',
      { dashboard: 'unknown', target: 'unknown', disk: 'unknown' },
      'unknown',
      'Target is unknown.',
      'Mend target.',
    ],
    [
      'everybody is unknown: the pods come first',
      { dashboard: 'unknown', 'kubelet-metrics': 'unknown', pod: 'unknown', csi: 'unknown' },
      'unknown',
      'Pod is unknown.',
      'Mend pod.',
    ],
    [
      'nobody is to blame: it takes time',
      NOT_SHOWN,
      'missing',
      'Claim shop/data has no number, and every stage that was asked is as it should be.',
      'Ask again in two minutes: a round of measuring and a scrape take their time.',
    ],
  ])('%s', (_, others, result, cause, remedy) => {
    expect(conclusionOf(volume(), facts(), findings(others))).toEqual({ result, cause, remedy });
  });

  test('without Prometheus the kubelet decides', () => {
    const shown = conclusionOf(volume(), WITHOUT_PROMETHEUS, findings(NOT_SHOWN));
    expect(shown.result).toBe('exported');
    const lost = { ...NOT_SHOWN, 'kubelet-metrics': 'skipped', csi: 'cause' } as const;
    expect(conclusionOf(volume({ exported: undefined }), WITHOUT_PROMETHEUS, findings(lost))).toEqual({
      result: 'missing',
      cause: 'Csi is cause.',
      remedy: 'Mend csi.',
    });
  });

  test('a number that Prometheus lacks is missing, also if it is not known why', () => {
    const asked = facts({ prometheus: prometheus({ dashboard: answered([]) }) });
    const open = { ...NOT_SHOWN, 'kubelet-metrics': 'unknown' } as const;
    expect(conclusionOf(volume(), asked, findings(open)).result).toBe('missing');
  });
});
