import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedAge, checkedOptions, openSignal } from '../options.js';
import { checkedReading } from '../reading.js';
import { JoinedCall } from '../waiting/joined-call.js';
import { noteCaller, noteWork } from '../waiting/work.js';

/** Options of {@link CachedMetrics}. */
export interface CachedMetricsOptions {
  /**
   * Milliseconds for which a reading is kept, from when it came. 0 keeps none: callers only share the call in
   * flight.
   *
   * @defaultValue `Infinity`
   */
  readonly maxAgeMs?: number | undefined;
}

const OPTIONS = ['maxAgeMs'] as const;

/**
 * Keeps the reading of another provider. It keeps a success, never an error or an invalid reading. Callers
 * who arrive while a call is in flight share that call. The `time` of a kept reading is when it was measured,
 * not when it is asked for.
 *
 * The kubelet's wrapper keeps its reading for ever, but the kubelet makes a new wrapper at every sync of the
 * pod, about once a minute (kubernetes pkg/volume/metrics_cached.go). If you ask more often than that, at
 * each scrape for instance, `maxAgeMs: 90_000` does the same. `FsResourceAnalyzer` asks once in 60 to 120
 * seconds and keeps the reading itself: it needs no such wrapper.
 */
export class CachedMetrics implements MetricsProvider {
  /** The wrapped provider's name. */
  readonly name: string;
  readonly #provider: MetricsProvider;
  readonly #maxAgeMs: number;
  #kept: { readonly reading: Metrics; readonly sinceMs: number } | undefined;
  #call: JoinedCall<Metrics> | undefined;

  /**
   * @param provider - measures
   * @param options - for how long a reading is kept
   * @throws TypeError unless the provider has a name and a `getMetrics` method; for an option that is unknown
   * or wrong
   */
  constructor(provider: MetricsProvider, options: CachedMetricsOptions = {}) {
    const { maxAgeMs } = checkedOptions(options, OPTIONS);
    const given: Partial<MetricsProvider> | null | undefined = provider;
    if (typeof given?.name !== 'string' || typeof given.getMetrics !== 'function') {
      throw new TypeError('Expected provider to have a name and a getMetrics method');
    }
    this.name = given.name;
    this.#provider = provider;
    this.#maxAgeMs = checkedAge('maxAgeMs', maxAgeMs, Infinity);
  }

  /**
   * @param options - the signal releases this caller only; when the last caller leaves, the shared call is
   * aborted
   * @returns the kept reading, or that of the shared call
   * @throws what the wrapped provider rejects with; MetricsError METRICS_PROVIDER_FAILED if its reading is
   * invalid
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    if (this.#kept !== undefined && performance.now() - this.#kept.sinceMs < this.#maxAgeMs) {
      return this.#kept.reading;
    }
    // An abandoned call is being aborted, and its answer is not kept.
    if (this.#call === undefined || this.#call.isAbandoned) this.#call = this.#start(signal);
    // Its work is noted for the caller who started it.
    else noteWork(signal, 0);
    return await this.#call.join({ signal, late: () => undefined });
  }

  #start(caller: AbortSignal | undefined): JoinedCall<Metrics> {
    const call = new JoinedCall((signal) => {
      noteCaller(signal, caller);
      return measure(this.#provider, signal);
    });
    call.answer.then(
      (reading) => {
        if (this.#call !== call || call.isAbandoned) return;
        this.#call = undefined;
        this.#kept = { reading, sinceMs: performance.now() };
      },
      () => {
        if (this.#call === call) this.#call = undefined;
      },
    );
    return call;
  }
}

/**
 * Async, so that an error which the provider throws becomes a rejection.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED if the provider's reading is invalid
 */
async function measure(provider: MetricsProvider, signal: AbortSignal): Promise<Metrics> {
  return checkedReading(provider.name, await provider.getMetrics({ signal }));
}
