import { types } from 'node:util';
import { MetricsError } from '../errors.js';
import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedOptions, openSignal } from '../os/limits.js';

/** Options of {@link CachedMetrics}. */
export interface CachedMetricsOptions {
  /**
   * Milliseconds for which a reading is kept, from when it came. 0 keeps none: callers only share the call in flight.
   *
   * @defaultValue `Infinity`
   */
  readonly maxAgeMs?: number | undefined;
}

/** A call of the wrapped provider that has not settled, and how many callers wait for it. */
interface Flight {
  readonly reading: Promise<Metrics>;
  readonly controller: AbortController;
  callers: number;
}

/**
 * Keeps the reading of another provider. A success is kept, an error never is; callers who arrive while a call is in flight share
 * it. A kept reading has its own `time`, not that of the call. What has no time or no source is no reading, and neither kept nor
 * passed on.
 *
 * The kubelet's wrapper keeps its reading for ever, but the kubelet makes a new wrapper at every sync of the pod, about once a minute:
 * who wants its behaviour in a process of their own sets `maxAgeMs`.
 */
export class CachedMetrics implements MetricsProvider {
  /** The wrapped provider's name. */
  readonly name: string;
  readonly #provider: MetricsProvider;
  readonly #maxAgeMs: number;
  #kept: { readonly reading: Metrics; readonly sinceMs: number } | undefined;
  #flight: Flight | undefined;

  /**
   * @param provider - who measures
   * @param options - for how long a reading is kept
   * @throws TypeError when the provider is none, or the age is no number of milliseconds
   */
  constructor(provider: MetricsProvider, options: CachedMetricsOptions = {}) {
    const { maxAgeMs = Infinity } = checkedOptions(options);
    const given: Partial<MetricsProvider> | null | undefined = provider;
    if (typeof given?.name !== 'string' || typeof given.getMetrics !== 'function') {
      throw new TypeError('Expected provider to have a name and a getMetrics method');
    }
    if (typeof maxAgeMs !== 'number' || !(maxAgeMs >= 0)) {
      throw new TypeError(
        `Expected maxAgeMs to be a number of milliseconds of at least 0, got ${String(maxAgeMs)}`,
      );
    }
    this.name = given.name;
    this.#provider = provider;
    this.#maxAgeMs = maxAgeMs;
  }

  /**
   * @param options - the signal releases this caller only; when the last one leaves, the shared call is aborted
   * @returns the kept reading, or that of the shared call
   * @throws what the wrapped provider rejects with; MetricsError METRICS_PROVIDER_FAILED when what it gives is no reading
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    if (this.#kept !== undefined && performance.now() - this.#kept.sinceMs < this.#maxAgeMs) {
      return this.#kept.reading;
    }
    const flight = (this.#flight ??= this.#start());
    flight.callers += 1;
    return await (signal === undefined ? flight.reading : this.#untilAborted(flight, signal));
  }

  #start(): Flight {
    const controller = new AbortController();
    const flight: Flight = { reading: measure(this.#provider, controller.signal), controller, callers: 0 };
    flight.reading.then(
      (reading) => {
        if (this.#flight !== flight) return;
        this.#flight = undefined;
        this.#kept = { reading, sinceMs: performance.now() };
      },
      () => {
        if (this.#flight === flight) this.#flight = undefined;
      },
    );
    return flight;
  }

  #untilAborted(flight: Flight, signal: AbortSignal): Promise<Metrics> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        flight.callers -= 1;
        if (flight.callers === 0) {
          // Before the abort: nobody may join a call that is being aborted, and what it may still bring is not kept.
          if (this.#flight === flight) this.#flight = undefined;
          flight.controller.abort(signal.reason);
        }
        reject(signal.reason as Error);
      };
      // The wrapped provider runs its first part inside #start, and anything may happen there.
      if (signal.aborted) {
        leave();
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      const stay = (): void => {
        signal.removeEventListener('abort', leave);
      };
      flight.reading.then(
        (reading) => {
          stay();
          resolve(reading);
        },
        (error: unknown) => {
          stay();
          reject(error);
        },
      );
    });
  }
}

/**
 * Turns what the provider throws, instead of rejecting with it, into a rejection.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED when what it gives is no reading
 */
async function measure(provider: MetricsProvider, signal: AbortSignal): Promise<Metrics> {
  const reading: unknown = await provider.getMetrics({ signal });
  if (isReading(reading)) return reading;
  throw new MetricsError(
    'METRICS_PROVIDER_FAILED',
    `provider "${provider.name}" gave no reading: what it gave has no time or no source`,
    { cause: reading },
  );
}

/** Whether it has what every reading has. Not by instanceof: a date of another realm is one too. */
function isReading(value: unknown): value is Metrics {
  if (typeof value !== 'object' || value === null) return false;
  const { time, source } = value as Partial<Record<keyof Metrics, unknown>>;
  return types.isDate(time) && !Number.isNaN(time.getTime()) && typeof source === 'string' && source !== '';
}
