// Why a volume shows nothing, from a dashboard's query down to the driver.
export { explain } from './explain.js';
export type { Explanation } from './explain.js';
export type { ExplainedNode, ExplainOptions } from './explain-options.js';
export { STAGES } from './finding.js';
export type { Finding, Stage, Verdict, VolumeExplanation } from './finding.js';

// Asking Prometheus.
export { PrometheusClient } from './prometheus-api/prometheus-client.js';
export type { Labels, PrometheusSample, PrometheusTarget } from './prometheus-api/prometheus-client.js';
export type { PrometheusAuth, PrometheusClientOptions } from './prometheus-api/prometheus-options.js';
export { PrometheusError } from './prometheus-api/prometheus-error.js';
export type { PrometheusErrorCode } from './prometheus-api/prometheus-error.js';
