import { answerOf, notAsked, valueOf, type QuestionLimits } from '../answer.js';
import {
  anySeriesExpression,
  CAPACITY,
  COUNTS_EXPRESSION,
  usedSpaceExpression,
} from '../dashboard-queries.js';
import type { CheckedExplain } from '../explain-options.js';
import type { KubeletPlace, PrometheusFacts } from '../facts.js';
import { kubeletTargets } from '../kubelet-targets.js';
import type { PrometheusClient } from '../prometheus-api/prometheus-client.js';

/**
 * Asks Prometheus, once for each question.
 *
 * @param places - whose kubelets' targets count
 */
export async function askPrometheus(
  prometheus: PrometheusClient,
  { dashboardLabels, claim }: Pick<CheckedExplain, 'dashboardLabels' | 'claim'>,
  places: Promise<readonly KubeletPlace[]>,
  limits: QuestionLimits,
): Promise<PrometheusFacts> {
  const { name } = prometheus;
  const query = async (expression: string): Promise<PrometheusFacts['series']> =>
    await answerOf(name, limits, (signal) => prometheus.query(expression, { signal }));
  const [dashboard, series, counts, active, offering] = await Promise.all([
    query(usedSpaceExpression(dashboardLabels, claim)),
    query(anySeriesExpression(claim)),
    query(COUNTS_EXPRESSION),
    answerOf(name, limits, (signal) => prometheus.targets('active', { signal })),
    answerOf(name, limits, (signal) => prometheus.targetsOffering(CAPACITY, { signal })),
  ]);
  const kubelets = await places;
  const found = ofKubelets(active, kubelets);
  const isLost =
    found.state === 'answered' && kubelets.some((each) => kubeletTargets(found.value, each).length === 0);
  // There may be very many.
  const dropped = isLost
    ? await answerOf(name, limits, (signal) => prometheus.targets('dropped', { signal }))
    : notAsked('an active target was found');
  return {
    ...{ dashboardLabels, dashboard, series, counts, offering },
    active: found,
    targetCount: valueOf(active)?.length ?? 0,
    dropped: ofKubelets(dropped, kubelets),
  };
}

type Targets = PrometheusFacts['active'];

/** Of thousands of targets those that each volume's stages look at. */
function ofKubelets(answer: Targets, kubelets: readonly KubeletPlace[]): Targets {
  if (answer.state !== 'answered') return answer;
  const found = new Set(kubelets.flatMap((each) => kubeletTargets(answer.value, each)));
  return { state: 'answered', value: [...found] };
}
