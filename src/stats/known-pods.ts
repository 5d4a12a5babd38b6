import { MetricsError } from '../errors.js';
import { errorText } from './checked-reading.js';
import type { Collection } from './collection.js';
import { PodRounds } from './pod-rounds.js';
import { podProblem, type Pod, type StatsProvider } from './pod.js';

/** Pods that begin together begin so far apart (kubernetes#103728), but all of them within this part of the period. */
const SPREAD_STEP_MS = 10;
const SPREAD_PART = 0.1;

/** The pods that the stats provider gave last, each with its rounds. */
export class KnownPods {
  readonly #collection: Collection;
  readonly #statsProvider: StatsProvider;
  readonly #byUid = new Map<string, PodRounds>();

  constructor(collection: Collection, statsProvider: StatsProvider) {
    this.#collection = collection;
    this.#statsProvider = statsProvider;
  }

  get(uid: string): PodRounds | undefined {
    return this.#byUid.get(uid);
  }

  all(): readonly PodRounds[] {
    return [...this.#byUid.values()];
  }

  /** Starts the rounds of some of them, spread. */
  start(pods: readonly PodRounds[]): void {
    const stepMs = Math.min(SPREAD_STEP_MS, (this.#collection.options.periodMs * SPREAD_PART) / pods.length);
    for (const [index, pod] of pods.entries()) pod.start(index * stepMs);
  }

  /**
   * The pods are those that were given now. What is no pod, or is one again, costs the others nothing.
   *
   * @returns those that are new
   */
  match(given: readonly unknown[]): readonly PodRounds[] {
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
    for (const [uid, pod] of this.#byUid) {
      if (uids.has(uid)) continue;
      pod.dispose();
      this.#byUid.delete(uid);
    }
    this.#judge(problems);
    return found;
  }

  /** Takes a pod as it is now; what is wrong with it, if anything. */
  #meet(pod: Pod, uids: Set<string>, found: PodRounds[]): string | undefined {
    const { uid } = pod.metadata;
    if (uids.has(uid)) return `two pods with the uid ${uid}`;
    const known = this.#byUid.get(uid);
    if (known === undefined) {
      const rounds = new PodRounds(this.#collection, this.#statsProvider, pod);
      this.#byUid.set(uid, rounds);
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
}
