import { ask, notAsked, type Limits } from '../answer.js';
import {
  anySeriesExpression,
  COUNTS_EXPRESSION,
  usedSpaceExpression,
  type ClaimSelection,
} from '../dashboard-queries.js';
import { CAPACITY, type Facts, type PrometheusFacts } from '../facts.js';
import { kubeletTargets } from '../kubelet-targets.js';
import type { Labels, PrometheusClient } from '../prometheus-api/prometheus-client.js';

/**
 * Asks Prometheus, once for each question.
 *
 * @param claim - the only claim that is asked about
 * @param node - whose kubelet's targets count
 */
export async function askPrometheus(
  prometheus: PrometheusClient,
  dashboardLabels: Labels,
  claim: ClaimSelection | undefined,
  node: Promise<Pick<Facts, 'nodeName' | 'kubeletEndpoint'>>,
  limits: Limits,
): Promise<PrometheusFacts> {
  const { name } = prometheus;
  const query = (expression: string): ReturnType<typeof askQuery> => askQuery(prometheus, expression, limits);
  const [dashboard, series, counts, active, offering] = await Promise.all([
    query(usedSpaceExpression(dashboardLabels, claim)),
    query(anySeriesExpression(claim)),
    query(COUNTS_EXPRESSION),
    ask(name, limits, (signal) => prometheus.targets('active', { signal })),
    ask(name, limits, (signal) => prometheus.targetsOffering(CAPACITY, { signal })),
  ]);
  const isFound =
    active.state !== 'answered' ||
    kubeletTargets(active.value, await node).some((each) => each.health !== undefined);
  // There may be very many.
  const dropped = isFound
    ? notAsked('an active target was found')
    : await ask(name, limits, (signal) => prometheus.targets('dropped', { signal }));
  return { name, dashboardLabels, dashboard, series, counts, active, dropped, offering };
}

async function askQuery(
  prometheus: PrometheusClient,
  expression: string,
  limits: Limits,
): Promise<PrometheusFacts['series']> {
  return await ask(prometheus.name, limits, (signal) => prometheus.query(expression, { signal }));
}
