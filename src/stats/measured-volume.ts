import { types } from 'node:util';
import { isMetricsError, MetricsError } from '../errors.js';
import type { MetricsProvider, VolumeCondition } from '../metrics.js';
import { callError, callProvider, checkedReading, providerName } from './checked-reading.js';
import type { Collection } from './collection.js';
import { conditionChange } from './condition-change.js';
import type { Lane } from './lane.js';
import { VolumeRecord } from './volume-record.js';
import type { PodVolumeStats } from './volume-stats.js';

/** An attempt to measure a volume that waits for its turn or is out. */
export interface Attempt {
  readonly isWalk: boolean;
  /** Resolves when it has ended, is overdue, or was given up; never rejects. */
  readonly isOver: Promise<void>;
}

/** Who is told what happens to a volume. */
export interface VolumeListener {
  /** Its stats are others than before. */
  readonly changed: () => void;
  /** An attempt has ended, after it was found overdue or not. */
  readonly attempted: () => void;
}

/** One volume of a pod: who measures it, and the attempt that is made at it. */
export class MeasuredVolume {
  readonly record: VolumeRecord;
  readonly #collection: Collection;
  readonly #podRef: PodVolumeStats['podRef'];
  readonly #name: string;
  readonly #listener: VolumeListener;
  #provider: MetricsProvider | undefined;
  /** What the storage said last of the volume's health; failing to hear more of it takes nothing back. */
  #verdict: VolumeCondition | undefined;
  /** When the next walk may be, on the clock of `performance.now()`. */
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

  /** Who measures it from now on. A call that is out is not made again for that. */
  measuredBy(provider: MetricsProvider): void {
    this.#provider = provider;
    this.record.measuredBy(providerName(provider));
  }

  /** Nobody measures it (now). A reading of before stays; what a call would still bring may be of something else at its path. */
  unlisted(): void {
    this.#provider = undefined;
    this.giveUp();
    this.record.unlisted();
  }

  /** Makes an attempt, or gives the one that is on its way; undefined when it is not due. */
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
        // The provider of the moment when its turn comes: it may have been replaced since.
        run: (signal) => {
          asked = providerName(this.#provider);
          return callProvider(this.#provider, signal);
        },
        lane: this.#lane(isWalk),
        doubtful: this.record.isStuck,
        placeMs: options.timeoutMs,
        limitMs: isWalk ? Math.max(options.walkTimeoutMs, options.timeoutMs) : options.timeoutMs,
        ...(isWalk && { costMs: walkedMs }),
      },
      {
        overdue: (since) => {
          this.#overdue(asked, since);
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

  /** Stores nothing more; an attempt that is out is aborted, and not waited for. */
  giveUp(): void {
    this.#attempt?.giveUp();
    this.#attempt = undefined;
  }

  /** The volume is not part of the pod any more. */
  dispose(): void {
    this.giveUp();
    this.#collection.walkPace.forget(this);
  }

  #isWalk(provider: MetricsProvider): boolean {
    const { isWalk } = this.#collection.options;
    if (isWalk === undefined) return providerName(provider) === 'du' || this.record.metrics?.source === 'du';
    try {
      return isWalk(provider);
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

  #overdue(provider: string, since: Date): void {
    const text = `provider "${provider}" has not answered since ${since.toISOString()}`;
    const error = new MetricsError('METRICS_TIMED_OUT', text, { stuckSince: since });
    this.record.failed(error, since, undefined);
    this.#collection.attempted(this.#podRef, this.record.stats);
  }

  #settled(provider: string, answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): void {
    this.#collection.durations.add(provider, durationMs);
    let condition: VolumeCondition | undefined;
    try {
      if (answer.status === 'rejected') throw answer.reason;
      const metrics = checkedReading(provider, answer.value);
      condition = metrics.condition;
      this.record.read(metrics, since, durationMs);
    } catch (error) {
      this.record.failed(callError(`provider "${provider}"`, error), since, durationMs);
    }
    this.#collection.attempted(this.#podRef, this.record.stats);
    if (condition !== undefined) this.#judged(condition);
    this.#listener.attempted();
  }

  #walked(durationMs: number): void {
    const { walkPace } = this.#collection;
    walkPace.walked(this, durationMs);
    this.#walkDueMs = performance.now() + walkPace.restMs(this);
  }

  #judged(condition: VolumeCondition): void {
    const previous = this.#verdict;
    this.#verdict = condition;
    const type = conditionChange(previous, condition);
    if (type === undefined) return;
    this.#collection.conditionChanged({
      type,
      podRef: this.#podRef,
      volume: this.record.stats,
      condition,
      ...(previous !== undefined && { previous }),
      message: `Volume ${this.#name}: ${condition.message}`,
    });
  }
}

/** Milliseconds of a call in which it walked: when its volume is stuck, it has only waited since. */
function walkedMs(answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): number {
  if (answer.status === 'fulfilled' || !isMetricsError(answer.reason)) return durationMs;
  const { stuckSince } = answer.reason;
  if (!types.isDate(stuckSince)) return durationMs;
  const beforeMs = stuckSince.getTime() - since.getTime();
  return beforeMs > 0 ? Math.min(beforeMs, durationMs) : 0;
}
