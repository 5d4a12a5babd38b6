import { MetricsError } from '../errors.js';
import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedText, openSignal } from '../options.js';

/**
 * The provider of a volume that has no metrics. With it, such a volume stays in the list, with the reason. It
 * touches nothing and works on every platform.
 */
export class MetricsNil implements MetricsProvider {
  readonly name = 'nil';
  readonly #message: string;

  /**
   * @param reason - why there are no metrics, for people
   * @throws TypeError unless it is a string
   */
  constructor(reason?: string) {
    // The kubelet's texts, kubernetes pkg/volume/metrics_errors.go.
    this.#message =
      reason === undefined
        ? 'metrics are not supported for MetricsNil Volumes'
        : `metrics support is not implemented: ${checkedText('reason', reason)}`;
  }

  /**
   * Always rejects.
   *
   * @throws MetricsError METRICS_NOT_SUPPORTED; `signal.reason` if the signal is aborted already; TypeError
   * for an unknown option
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- async, so that it rejects and never throws
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    openSignal(options);
    throw new MetricsError('METRICS_NOT_SUPPORTED', this.#message);
  }
}
