import { Collection } from './collection.js';
import { checkedOptions, type CollectionOptions } from './collection-options.js';
import { keepAlive } from './keep-alive.js';
import { PodRounds } from './pod-rounds.js';
import { checkStatsProvider, podProblem, type Pod, type StatsProvider } from './pod.js';
import type { PodVolumeStats } from './volume-stats.js';

/**
 * Measures the volumes of one pod, again and again or when asked. The volumes are measured side by side, each with its own limit;
 * one that hangs costs the others nothing. For all pods of a node take `FsResourceAnalyzer`, which also limits them together.
 */
export class VolumeStatCalculator {
  readonly #rounds: PodRounds;
  #isKnown = false;

  /**
   * @param statsProvider - says who measures the volumes; `getPods` is not asked
   * @param pod - whose volumes they are
   * @param options - how often, how long, who is told
   * @throws TypeError for an argument that is none
   */
  constructor(statsProvider: StatsProvider, pod: Pod, options: CollectionOptions = {}) {
    checkStatsProvider(statsProvider);
    const problem = podProblem(pod);
    if (problem !== undefined) throw new TypeError(`Expected pod to be one, got ${problem}`);
    this.#rounds = new PodRounds(new Collection(checkedOptions(options)), statsProvider, pod);
  }

  /** Measures now, and then a period and a random part of it after each round; does nothing when it has been started. */
  start(): void {
    this.#isKnown = true;
    this.#rounds.start(0);
  }

  /**
   * Ends the rounds and aborts what is out. Resolves when nothing is stored any more: it does not wait for calls that do not come
   * back. It can be started again.
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- the promise is the contract; today there is nothing to wait for
  async stop(): Promise<void> {
    this.#rounds.stop();
  }

  /**
   * One round, now.
   *
   * @returns what is known after each volume has answered, failed, or not answered within its limit. Never rejects.
   */
  async calculate(): Promise<PodVolumeStats> {
    this.#isKnown = true;
    await keepAlive(this.#rounds.round('all'));
    return this.#rounds.latest();
  }

  /** The newest of what is known, at once; undefined before the first start or calculation. */
  getLatest(): PodVolumeStats | undefined {
    return this.#isKnown ? this.#rounds.latest() : undefined;
  }

  /** The same as `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
