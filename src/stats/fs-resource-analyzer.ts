import { MetricsError } from '../errors.js';
import { callError, Collection, keepAlive, notAnswered, type CollectionDurations } from './collection.js';
import { checkedCollectionOptions, type CollectionOptions } from './collection-options.js';
import { KnownPods } from './known-pods.js';
import { checkStatsProvider, type StatsProvider } from './pod.js';
import { SoleCall } from './schedule/calls.js';
import { Periodic } from './schedule/periodic.js';
import type { PodVolumeStats } from './volume-stats.js';

/**
 * Measures the volumes of all pods of a node repeatedly in the background, and answers at once from memory.
 * Every volume that was asked about is in the answer, with its state and the time of its reading.
 */
export class FsResourceAnalyzer {
  readonly #collection: Collection;
  readonly #periodic: Periodic;
  readonly #pods: KnownPods;
  /** Lists the pods. Gives an error if that failed or is overdue. */
  readonly #listing: SoleCall<MetricsError | undefined>;
  #listingError: MetricsError | undefined;
  #stops = 0;

  /**
   * @param statsProvider - lists the pods and the providers of their volumes
   * @param options - period, time limits, concurrency, callbacks
   * @throws TypeError naming the argument or option that is invalid, or an unknown option
   */
  constructor(statsProvider: StatsProvider, options: CollectionOptions = {}) {
    checkStatsProvider(statsProvider);
    this.#collection = new Collection(checkedCollectionOptions(options));
    this.#pods = new KnownPods(this.#collection, statsProvider);
    const {
      calls,
      options: { periodMs, timeoutMs },
    } = this.#collection;
    this.#listing = new SoleCall<MetricsError | undefined>(
      calls,
      'getPods',
      {
        run: () => statsProvider.getPods(),
        // Listing the pods does not wait for the volumes.
        enter: (turn) => {
          turn.go({ giveBack: () => undefined });
          return () => undefined;
        },
        limitMs: timeoutMs,
        overdue: (since) => notAnswered('getPods', since),
      },
      {
        answered: (answer) => this.#listed(answer),
        overdue: (error) => this.#listingFailed(error),
        left: undefined,
      },
    );
    this.#periodic = new Periodic(periodMs, 0, async () => {
      await this.#listing.ask();
    });
  }

  /**
   * Lists the pods now and every period, and starts the rounds of each. Does nothing if already started, or
   * if the period is 0 or less.
   */
  start(): void {
    this.#periodic.start();
    this.#pods.start();
  }

  /**
   * Ends the rounds and aborts the calls that are out, without waiting for them. Once it resolves, nothing
   * more is stored. The analyzer can be started again.
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- the promise is the contract
  async stop(): Promise<void> {
    this.#stops += 1;
    this.#periodic.stop();
    this.#listing.leave();
    this.#pods.stop();
  }

  /**
   * Lists the pods and measures all volumes once, now, whether started or not. An analyzer that was not
   * started needs no stop.
   *
   * Volumes without a reading are walked at full speed, at the lowest priority. Later calls walk again all
   * volumes that are due, with the pauses of `walkShare`: with the default 20 times as long as the walks
   * take. To read what is known, without measuring, use {@link podVolumeStats}.
   *
   * @returns what is known once each volume has answered, failed, or exceeded its time limit
   * @throws MetricsError if the pods cannot be listed: what `getPods` rejects with, METRICS_PROVIDER_FAILED
   * or METRICS_TIMED_OUT
   */
  async calculate(): Promise<readonly PodVolumeStats[]> {
    return await keepAlive(this.#calculate());
  }

  /** What is known now of a pod's volumes; undefined for an unknown pod. */
  getPodVolumeStats(uid: string): PodVolumeStats | undefined {
    return this.#pods.get(uid)?.latest();
  }

  /** What is known now of the volumes of all pods. */
  podVolumeStats(): readonly PodVolumeStats[] {
    return this.#pods.all().map((pod) => pod.latest());
  }

  /**
   * Why the newest call of `getPods` failed, in which case the pods of the last successful one are shown;
   * undefined if it succeeded.
   */
  listingError(): MetricsError | undefined {
    return this.#listingError;
  }

  /** The durations of all calls since the analyzer was made, by the name of the provider. */
  collectionDurations(): ReadonlyMap<string, CollectionDurations> {
    return this.#collection.durations.read();
  }

  /** The same as `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #calculate(): Promise<readonly PodVolumeStats[]> {
    const stops = this.#stops;
    const error = await this.#listing.ask();
    if (error !== undefined) throw error;
    if (stops === this.#stops) await Promise.all(this.#pods.all().map((pod) => pod.round('all')));
    return this.podVolumeStats();
  }

  #listed(answer: PromiseSettledResult<unknown>): MetricsError | undefined {
    if (answer.status === 'rejected') return this.#listingFailed(callError('getPods', answer.reason));
    let pods: readonly unknown[];
    try {
      if (!Array.isArray(answer.value)) {
        const text = 'getPods did not give an array of pods';
        throw new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: answer.value });
      }
      pods = [...(answer.value as readonly unknown[])];
    } catch (error) {
      // A proxy may throw when it is read.
      return this.#listingFailed(callError('the array of getPods', error));
    }
    this.#listingError = undefined;
    this.#collection.recovered('getPods');
    this.#pods.match(pods);
    return undefined;
  }

  #listingFailed(error: MetricsError): MetricsError {
    this.#listingError = error;
    this.#collection.complain('getPods', error);
    return error;
  }
}
