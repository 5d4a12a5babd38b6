import { Collection, keepAlive } from './collection.js';
import { checkedCollectionOptions, type CollectionOptions } from './collection-options.js';
import { PodRounds } from './pod-rounds.js';
import { checkStatsProvider, podProblem, type Pod, type StatsProvider } from './pod.js';
import type { PodVolumeStats } from './volume-stats.js';

/**
 * Measures the volumes of one pod, repeatedly or when asked. The volumes are measured side by side, each with
 * its own time limit, and one that hangs does not hold up the others. For all pods of a node use
 * `FsResourceAnalyzer`, which also limits them together.
 */
export class VolumeStatCalculator {
  readonly #rounds: PodRounds;
  #isKnown = false;

  /**
   * @param statsProvider - gives the providers of the volumes; its `getPods` is not called
   * @param pod - the pod that has the volumes
   * @param options - period, time limits, callbacks
   * @throws TypeError naming the argument or option that is invalid, or an unknown option
   */
  constructor(statsProvider: StatsProvider, pod: Pod, options: CollectionOptions = {}) {
    checkStatsProvider(statsProvider);
    const problem = podProblem(pod);
    if (problem !== undefined) throw new TypeError(`Expected a valid pod, got ${problem}`);
    this.#rounds = new PodRounds(new Collection(checkedCollectionOptions(options)), statsProvider, pod);
  }

  /**
   * Measures now, and again a period and a random part of it after each round. Does nothing if already
   * started.
   */
  start(): void {
    this.#isKnown = true;
    this.#rounds.start(0);
  }

  /**
   * Ends the rounds and aborts the calls that are out, without waiting for them. Once it resolves, nothing
   * more is stored. The calculator can be started again.
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- the promise is the contract
  async stop(): Promise<void> {
    this.#rounds.stop();
  }

  /**
   * Measures all volumes once, now. Never rejects.
   *
   * @returns what is known once each volume has answered, failed, or exceeded its time limit
   */
  async calculate(): Promise<PodVolumeStats> {
    this.#isKnown = true;
    await keepAlive(this.#rounds.round('all'));
    return this.#rounds.latest();
  }

  /** What is known now; undefined before the first start or calculation. */
  getLatest(): PodVolumeStats | undefined {
    return this.#isKnown ? this.#rounds.latest() : undefined;
  }

  /** The same as `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
