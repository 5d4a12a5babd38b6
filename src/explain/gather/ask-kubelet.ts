import type { KubeletClient } from '../../kubelet/kubelet-client.js';
import { answerOf, notAsked, type QuestionLimits } from '../answer.js';
import type { Facts, KubeletConfig } from '../facts.js';
import { readKubeletMetrics } from '../kubelet-exposition.js';

/** What the kubelet itself said. */
export type KubeletFacts = Pick<Facts, 'pods' | 'summary' | 'metrics' | 'config'>;

/** Asks the kubelet, once for each of its doors. */
export async function askKubelet(
  kubelet: KubeletClient | undefined,
  limits: QuestionLimits,
): Promise<KubeletFacts> {
  if (kubelet === undefined) {
    const none = notAsked('the kubelet was not asked');
    return { pods: none, summary: none, metrics: none, config: none };
  }
  const who = `the kubelet at ${kubelet.endpoint}`;
  const [pods, summary, metrics, config] = await Promise.all([
    answerOf(`${who} (/pods)`, limits, (signal) => kubelet.pods({ signal })),
    answerOf(`${who} (/stats/summary)`, limits, (signal) => kubelet.statsSummary({ signal })),
    answerOf(`${who} (/metrics)`, limits, async (signal) =>
      readKubeletMetrics(await kubelet.metrics({ signal })),
    ),
    answerOf(`${who} (/configz)`, limits, async (signal) => configFrom(await kubelet.configz({ signal }))),
  ]);
  return { pods, summary, metrics, config };
}

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** The period is a duration as Go writes it: `1m0s`, `-1s`, `1.5s`. */
function configFrom({ volumeStatsAggPeriod: text }: Readonly<Record<string, unknown>>): KubeletConfig {
  if (typeof text !== 'string' || !/^-?(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) return { periodMs: undefined };
  let periodMs = 0;
  for (const [, number, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)) {
    periodMs += Number(number) * (UNITS_MS[unit] ?? 0);
  }
  return { periodMs: text.startsWith('-') ? -periodMs : periodMs };
}
