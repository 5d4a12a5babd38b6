import { MetricsError } from '../errors.js';
import { callError } from './checked-reading.js';
import { Collection } from './collection.js';
import type { CollectionDurations } from './collection-durations.js';
import { checkedOptions, type CollectionOptions } from './collection-options.js';
import { keepAlive } from './keep-alive.js';
import { KnownPods } from './known-pods.js';
import type { Lane } from './lane.js';
import { Periodic } from './periodic.js';
import { checkStatsProvider, type StatsProvider } from './pod.js';
import { SoleCall } from './sole-call.js';
import type { PodVolumeStats } from './volume-stats.js';

/** Asking for the pods waits for no volume. */
const NO_LANE: Lane = {
  enter(go) {
    go({ giveBack: () => undefined });
    return () => undefined;
  },
};

/**
 * Knows the volumes of all pods of a node: measures them again and again in the background, so that whoever asks is answered at
 * once from memory. Each volume that was asked about is in the answer, with a state and the age of its reading.
 */
export class FsResourceAnalyzer {
  readonly #collection: Collection;
  readonly #periodic: Periodic;
  readonly #pods: KnownPods;
  /** Asks for the pods, and comes to an error when there are none to be had. */
  readonly #listing: SoleCall<MetricsError | undefined>;
  #listingError: MetricsError | undefined;
  #stops = 0;

  /**
   * @param statsProvider - knows the pods and who measures their volumes
   * @param options - how often, how long, how much at once, who is told
   * @throws TypeError for an argument that is none
   */
  constructor(statsProvider: StatsProvider, options: CollectionOptions = {}) {
    checkStatsProvider(statsProvider);
    this.#collection = new Collection(checkedOptions(options));
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
        lane: NO_LANE,
        doubtful: false,
        placeMs: timeoutMs,
        limitMs: timeoutMs,
      },
      {
        answered: (answer) => this.#listed(answer),
        overdue: (since) => {
          const text = `getPods has not answered since ${since.toISOString()}`;
          return this.#listingFailed(new MetricsError('METRICS_TIMED_OUT', text, { stuckSince: since }));
        },
        left: undefined,
      },
    );
    this.#periodic = new Periodic(periodMs, 0, async () => {
      await this.#listing.ask();
    });
  }

  /**
   * Looks for pods now and every period, and starts the rounds of each. Does nothing when it has been started, or when the period
   * is 0 or less.
   */
  start(): void {
    if (this.#periodic.isRunning) return;
    this.#periodic.start();
    // Those that are known from before a stop, or from a calculation.
    if (this.#periodic.isRunning) this.#pods.start(this.#pods.all());
  }

  /**
   * Ends the rounds and aborts what is out. Resolves when nothing is stored any more: it does not wait for calls that do not come
   * back. It can be started again.
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- the promise is the contract; today there is nothing to wait for
  async stop(): Promise<void> {
    this.#stops += 1;
    this.#periodic.stop();
    this.#listing.leave();
    for (const pod of this.#pods.all()) pod.stop();
  }

  /**
   * Looks for pods and measures all volumes, once, now; started or not. What is not started needs no stop.
   *
   * @returns what is known after each volume has answered, failed, or not answered within its limit
   * @throws MetricsError when the pods are not to be had: what `getPods` rejects with, METRICS_PROVIDER_FAILED, METRICS_TIMED_OUT
   */
  async calculate(): Promise<readonly PodVolumeStats[]> {
    return await keepAlive(this.#calculate());
  }

  /** What is known of the volumes of a pod, at once; undefined for a pod that is not known. */
  getPodVolumeStats(uid: string): PodVolumeStats | undefined {
    return this.#pods.get(uid)?.latest();
  }

  /** What is known of the volumes of all pods, at once. */
  podVolumeStats(): readonly PodVolumeStats[] {
    return this.#pods.all().map((pod) => pod.latest());
  }

  /** Why the newest call of `getPods` gave no pods, so that those of before are shown; undefined when it gave them. */
  listingError(): MetricsError | undefined {
    return this.#listingError;
  }

  /** How long the calls have taken since this was made, by the name of the provider. */
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
    if (!Array.isArray(answer.value)) {
      const text = 'getPods gave no array of pods';
      return this.#listingFailed(new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: answer.value }));
    }
    this.#listingError = undefined;
    this.#collection.isWell('getPods');
    const found = this.#pods.match(answer.value);
    if (this.#periodic.isRunning) this.#pods.start(found);
    return undefined;
  }

  #listingFailed(error: MetricsError): MetricsError {
    this.#listingError = error;
    this.#collection.complain('getPods', error);
    return error;
  }
}
