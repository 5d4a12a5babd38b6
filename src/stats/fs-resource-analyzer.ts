import { MetricsError } from '../errors.js';
import { callError, errorText } from './checked-reading.js';
import { Collection } from './collection.js';
import type { CollectionDurations } from './collection-durations.js';
import { checkedOptions, type CollectionOptions } from './collection-options.js';
import { keepAlive } from './keep-alive.js';
import type { Lane } from './lane.js';
import { Periodic } from './periodic.js';
import { PodRounds } from './pod-rounds.js';
import { podProblem, type Pod, type StatsProvider } from './pod.js';
import { SoleCall } from './sole-call.js';
import { checkedStatsProvider } from './stats-provider-check.js';
import type { PodVolumeStats } from './volume-stats.js';

/** Pods that are met at once begin one after the other, so far apart (kubernetes#103728), */
const SPREAD_STEP_MS = 10;
/** but all of them within this part of the period. */
const SPREAD_PART = 0.1;

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
  readonly #statsProvider: StatsProvider;
  readonly #periodic: Periodic;
  readonly #pods = new Map<string, PodRounds>();
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
    this.#statsProvider = checkedStatsProvider(statsProvider);
    this.#collection = new Collection(checkedOptions(options));
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
    if (this.#periodic.isRunning) this.#startPods([...this.#pods.values()]);
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
    for (const pod of this.#pods.values()) pod.stop();
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
    return [...this.#pods.values()].map((pod) => pod.latest());
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
    if (stops === this.#stops) await Promise.all([...this.#pods.values()].map((pod) => pod.round('all')));
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
    this.#match(answer.value);
    return undefined;
  }

  #listingFailed(error: MetricsError): MetricsError {
    this.#listingError = error;
    this.#collection.complain('getPods', error);
    return error;
  }

  /** The pods are those that were given now. What is no pod, or is one again, costs the others nothing. */
  #match(given: readonly unknown[]): void {
    const problems: string[] = [];
    const uids = new Set<string>();
    const found: PodRounds[] = [];
    for (const each of given) {
      try {
        const problem = podProblem(each) ?? this.#meet(each as Pod, uids, found);
        if (problem !== undefined) problems.push(problem);
      } catch (error) {
        // A proxy, or a getter, may throw when it is read.
        problems.push(`a pod that cannot be read (${errorText(error)})`);
      }
    }
    for (const [uid, pod] of this.#pods) {
      if (uids.has(uid)) continue;
      pod.dispose();
      this.#pods.delete(uid);
    }
    this.#judge(problems);
    if (this.#periodic.isRunning) this.#startPods(found);
  }

  /** Takes a pod as it is now; what is wrong with it, if anything. */
  #meet(pod: Pod, uids: Set<string>, found: PodRounds[]): string | undefined {
    const { uid } = pod.metadata;
    if (uids.has(uid)) return `two pods with the uid ${uid}`;
    const known = this.#pods.get(uid);
    if (known === undefined) {
      const rounds = new PodRounds(this.#collection, this.#statsProvider, pod);
      this.#pods.set(uid, rounds);
      found.push(rounds);
    } else {
      known.update(pod);
    }
    uids.add(uid);
    return undefined;
  }

  #judge(problems: readonly string[]): void {
    if (problems.length === 0) {
      this.#collection.isWell('pods');
      return;
    }
    const more = problems.length > 3 ? ` and ${String(problems.length - 3)} more` : '';
    const text = `getPods gave ${problems.slice(0, 3).join(', ')}${more}; left out`;
    this.#collection.complain('pods', new MetricsError('METRICS_PROVIDER_FAILED', text));
  }

  #startPods(pods: readonly PodRounds[]): void {
    const stepMs = Math.min(SPREAD_STEP_MS, (this.#collection.options.periodMs * SPREAD_PART) / pods.length);
    for (const [index, pod] of pods.entries()) pod.start(index * stepMs);
  }
}
