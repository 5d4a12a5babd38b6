import { errorText, MetricsError, msOfDate, propertyOf } from '../errors.js';
import type { MetricsProvider, VolumeCondition } from '../metrics.js';
import { callListener } from '../options.js';
import { checkedReading, show } from '../reading.js';
import { callError, notAnswered, type Collection } from './collection.js';
import { conditionChange } from './condition-change.js';
import type { Lane } from './schedule/lane.js';
import { VolumeRecord, type PodVolumeStats } from './volume-stats.js';

/** An attempt to measure a volume. It waits for its turn or is out. */
export interface Attempt {
  readonly isWalk: boolean;
  /** Resolves when it has ended, is overdue, or was given up; never rejects. */
  readonly isOver: Promise<void>;
}

/** Is told what happens to a volume. */
export interface VolumeListener {
  /** Its stats have changed. */
  readonly changed: () => void;
  /** An attempt has ended, perhaps after it was overdue. */
  readonly attempted: () => void;
}

/** One volume of a pod, its provider, and the attempt that is being made to measure it. */
export class MeasuredVolume {
  readonly record: VolumeRecord;
  readonly #collection: Collection;
  readonly #podRef: PodVolumeStats['podRef'];
  readonly #name: string;
  readonly #listener: VolumeListener;
  #provider: MetricsProvider | undefined;
  /** The storage's last verdict on the volume's health. A failed attempt does not take it back. */
  #verdict: VolumeCondition | undefined;
  /** When the next walk may begin, on the clock of `performance.now()`. */
  #walkDueMs = 0;
  #attempt: (Attempt & { giveUp(): void }) | undefined;

  constructor(
    collection: Collection,
    podRef: PodVolumeStats['podRef'],
    name: string,
    listener: VolumeListener,
  ) {
    this.record = new VolumeRecord(name, listener.changed);
    this.#collection = collection;
    this.#podRef = podRef;
    this.#name = name;
    this.#listener = listener;
  }

  /** This provider measures it from now on. A call that is out goes on. */
  measuredBy(provider: MetricsProvider): void {
    this.#provider = provider;
    this.record.measuredBy(providerName(provider));
  }

  /**
   * Nothing measures it now. The last reading stays; a late answer may describe something else at that path.
   */
  unlisted(): void {
    this.#provider = undefined;
    this.giveUp();
    this.record.unlisted();
  }

  /** Makes an attempt, or gives the current one; undefined when none is due. */
  attempt(): Attempt | undefined {
    if (this.#attempt !== undefined || this.#provider === undefined) return this.#attempt;
    const isWalk = this.#isWalk(this.#provider);
    if (isWalk && performance.now() < this.#walkDueMs) return undefined;
    const { calls, options } = this.#collection;
    let over = (): void => undefined;
    const isOver = new Promise<void>((resolve) => {
      over = resolve;
    });
    const attempt = { isWalk, isOver, giveUp: over };
    this.#attempt = attempt;
    let asked = providerName(this.#provider);
    const leave = calls.begin(
      JSON.stringify([this.#podRef.uid, this.#name]),
      {
        // The provider may have been replaced while the call waited for its turn.
        run: (signal) => {
          asked = providerName(this.#provider);
          return callProvider(this.#provider, signal);
        },
        lane: this.#lane(isWalk),
        doubtful: this.record.isStuck,
        placeMs: options.timeoutMs,
        limitMs: isWalk ? options.walkTimeoutMs : options.timeoutMs,
        overdue: (since) =>
          isWalk ? walkTooLong(asked, options.walkTimeoutMs) : notAnswered(`provider "${asked}"`, since),
        abortsOverdue: isWalk,
        ...(isWalk && { costMs: walkedMs }),
      },
      {
        overdue: (error, since) => {
          this.record.failed(error, since, undefined);
          this.#collection.attempted(this.#podRef, this.record.stats);
          over();
        },
        settled: (answer, since, durationMs) => {
          this.#attempt = undefined;
          if (isWalk) this.#walked(walkedMs(answer, since, durationMs));
          this.#settled(asked, answer, since, durationMs);
          over();
        },
      },
    );
    attempt.giveUp = () => {
      leave();
      over();
    };
    return attempt;
  }

  /** Aborts the current attempt, does not wait for it, and stores nothing more of it. */
  giveUp(): void {
    this.#attempt?.giveUp();
    this.#attempt = undefined;
  }

  /** The pod no longer has this volume. */
  dispose(): void {
    this.giveUp();
    this.#collection.walkPace.forget(this);
  }

  #isWalk(provider: MetricsProvider): boolean {
    const { isWalk } = this.#collection.options;
    try {
      const answer: unknown =
        isWalk === undefined
          ? mayWalk(providerName(provider), this.record.metrics?.source)
          : isWalk(provider);
      if (typeof answer === 'boolean') return answer;
      // An async function's promise, whose rejection must not end the process.
      void callListener(() => answer, []);
      throw new TypeError(`it gave ${show(answer)}, not a boolean`);
    } catch (error) {
      this.#collection.complain('isWalk', callError('isWalk', error));
      return false;
    }
  }

  #lane(isWalk: boolean): Lane {
    const { lane, walkLane, doubtfulWalkLane } = this.#collection;
    if (!isWalk) return lane;
    return this.record.isStuck ? doubtfulWalkLane : walkLane;
  }

  #settled(provider: string, answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): void {
    if (isCollection(provider, answer, since)) this.#collection.durations.add(provider, durationMs);
    let judged: (() => void) | undefined;
    try {
      if (answer.status === 'rejected') throw answer.reason;
      const metrics = checkedReading(provider, answer.value);
      judged = this.#judge(metrics.condition);
      this.record.read(metrics, since, durationMs);
    } catch (error) {
      this.record.failed(callError(`provider "${provider}"`, error), since, durationMs);
    }
    this.#collection.attempted(this.#podRef, this.record.stats);
    judged?.();
    this.#listener.attempted();
  }

  #walked(durationMs: number): void {
    const { walkPace } = this.#collection;
    walkPace.walked(this, durationMs);
    this.#walkDueMs = performance.now() + walkPace.restMs(this);
  }

  /** Takes over a verdict. Gives what tells of the change, if it is one, once the reading is stored. */
  #judge(condition: VolumeCondition | undefined): (() => void) | undefined {
    if (condition === undefined) return undefined;
    const previous = this.#verdict;
    const type = conditionChange(previous, condition);
    const message = `Volume ${this.#name}: ${condition.message}`;
    this.#verdict = condition;
    if (type === undefined) return undefined;
    return () => {
      this.#collection.conditionChanged({
        type,
        podRef: this.#podRef,
        volume: this.record.stats,
        condition,
        ...(previous !== undefined && { previous }),
        message,
      });
    };
  }
}

/**
 * Whether a provider walks, by its name and the source of the volume's last reading. One named `du` may have
 * found that statfs(2) knows the numbers (`ownTmpfs` of `MetricsDu`).
 */
function mayWalk(name: string, source: string | undefined): boolean {
  return source === 'du' || (name === 'du' && source !== 'statfs');
}

function walkTooLong(provider: string, limitMs: number): MetricsError {
  const text = `the walk of provider "${provider}" took longer than walkTimeoutMs (${String(limitMs)} ms) and was aborted`;
  return new MetricsError('METRICS_TIMED_OUT', text);
}

/**
 * Whether a call measured something: not one that was answered by a reading from before it (a cache), nor
 * one of a volume that nothing measures. The kubelet counts in each provider, so that neither counts there.
 */
function isCollection(provider: string, answer: PromiseSettledResult<unknown>, since: Date): boolean {
  if (provider === 'nil') return false;
  const readAtMs = answer.status === 'fulfilled' ? msOfDate(propertyOf(answer.value, 'time')) : undefined;
  return readAtMs === undefined || readAtMs >= since.getTime();
}

/** Milliseconds that a call spent walking. Since its volume got stuck, it has only waited. */
function walkedMs(answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): number {
  if (answer.status === 'fulfilled') return durationMs;
  const stuckMs = msOfDate(propertyOf(answer.reason, 'stuckSince'));
  if (stuckMs === undefined) return durationMs;
  const beforeMs = stuckMs - since.getTime();
  return beforeMs > 0 ? Math.min(beforeMs, durationMs) : 0;
}

/**
 * Calls a provider.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED if it is not a provider, or throws instead of rejecting
 */
function callProvider(provider: MetricsProvider | undefined, signal: AbortSignal): unknown {
  const given: Partial<MetricsProvider> | null | undefined = provider;
  if (typeof given?.getMetrics !== 'function') {
    const text = `the volume's provider has no getMetrics: ${show(provider)}`;
    throw new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: provider });
  }
  try {
    return given.getMetrics({ signal });
  } catch (error) {
    const text = `provider "${providerName(provider)}" threw instead of rejecting: ${errorText(error)}`;
    throw new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: error });
  }
}

/** A provider's name; `unknown` if it has none or reading it throws. */
function providerName(provider: MetricsProvider | undefined): string {
  try {
    const name: unknown = (provider as Partial<MetricsProvider> | null | undefined)?.name;
    return typeof name === 'string' && name !== '' ? name : 'unknown';
  } catch {
    return 'unknown';
  }
}
