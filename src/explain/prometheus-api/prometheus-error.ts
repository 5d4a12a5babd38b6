import type { DoorProblem } from '../../kubelet/kubelet-error.js';

/**
 * Why Prometheus gave no answer. The first codes are those of `KubeletError`, without its prefix;
 * `PROMETHEUS_QUERY` is a query that Prometheus cannot evaluate, such as one with duplicate series.
 */
export type PrometheusErrorCode = `PROMETHEUS_${DoorProblem | 'QUERY'}`;

/**
 * What {@link PrometheusClient} fails with. The message says what to do; texts of the server are escaped in
 * it, and it holds no credentials.
 */
export class PrometheusError extends Error {
  readonly code: PrometheusErrorCode;
  /** The HTTP status, where there was an answer. */
  declare readonly status?: number;

  constructor(
    code: PrometheusErrorCode,
    message: string,
    details: { readonly status?: number | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'PrometheusError';
    this.code = code;
    if (details.status !== undefined) this.status = details.status;
  }
}
