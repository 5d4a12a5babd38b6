import { errorText, MetricsError } from '../errors.js';
import type { Collection } from './collection.js';
import { PodRounds } from './pod-rounds.js';
import { podProblem, type Pod, type StatsProvider } from './pod.js';

/**
 * Pods that start together start so far apart (kubernetes#103728), and all within this fraction of the
 * period.
 */
const SPREAD_STEP_MS = 1;
const SPREAD_PART = 0.01;

/** The pods that the stats provider listed last, each with its rounds. */
export class KnownPods {
  readonly #collection: Collection;
  readonly #statsProvider: StatsProvider;
  readonly #byUid = new Map<string, PodRounds>();
  #isStarted = false;

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

  /** Starts the rounds of all pods, also of those that are listed later. */
  start(): void {
    this.#isStarted = true;
    this.#startSpread(this.all());
  }

  /** Stops the rounds of all pods. */
  stop(): void {
    this.#isStarted = false;
    for (const pod of this.all()) pod.stop();
  }

  /** Takes over a new list of pods. Invalid and duplicate pods are skipped; the others are unaffected. */
  match(given: readonly unknown[]): void {
    const problems: string[] = [];
    const uids = new Set<string>();
    const found: PodRounds[] = [];
    for (const each of given) {
      try {
        const problem = podProblem(each) ?? this.#meet(each as Pod, uids, found);
        if (problem !== undefined) problems.push(problem);
      } catch (error) {
        // Reading a proxy or a getter may throw.
        problems.push(`a pod that cannot be read (${errorText(error)})`);
      }
    }
    for (const [uid, pod] of this.#byUid) {
      if (uids.has(uid)) continue;
      pod.dispose();
      this.#byUid.delete(uid);
    }
    this.#report(problems);
    if (this.#isStarted) this.#startSpread(found);
  }

  #startSpread(pods: readonly PodRounds[]): void {
    const stepMs = Math.min(SPREAD_STEP_MS, (this.#collection.options.periodMs * SPREAD_PART) / pods.length);
    for (const [index, pod] of pods.entries()) pod.start(index * stepMs);
  }

  /**
   * Takes over one pod.
   *
   * @param found - gets the pod's rounds if the pod is new
   * @returns what is wrong with the pod, if anything
   */
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

  #report(problems: readonly string[]): void {
    if (problems.length === 0) {
      this.#collection.recovered('pods');
      return;
    }
    const more = problems.length > 3 ? ` and ${String(problems.length - 3)} more` : '';
    const text = `getPods gave ${problems.slice(0, 3).join(', ')}${more}; left out`;
    this.#collection.complain('pods', new MetricsError('METRICS_PROVIDER_FAILED', text));
  }
}
