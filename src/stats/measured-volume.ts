import { MetricsError } from '../errors.js';
import type { MetricsProvider, VolumeCondition } from '../metrics.js';
import { callListener } from '../options.js';
import { checkedReading, show } from '../reading.js';
import { workOf } from '../waiting/work.js';
import { callError, callProvider, notAnswered, providerName, type Collection } from './collection.js';
import { conditionChange } from './condition-change.js';
import type { CallPlan } from './schedule/call-plan.js';
import { VolumeWalks } from './schedule/volume-walks.js';
import { VolumeRecord, type PodVolumeStats } from './volume-stats.js';

/** An attempt to measure a volume. It waits for its turn or is out. */
export interface Attempt {
  readonly isWalk: boolean;
  /** Resolves when it has ended, is overdue, or was given up; never rejects. */
  readonly isOver: Promise<void>;
}

/** Which provider an attempt asked. */
interface Asked {
  provider: string;
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
  /** Of its calls. */
  readonly #key: string;
  readonly #listener: VolumeListener;
  #provider: MetricsProvider | undefined;
  /** The storage's last verdict on the volume's health. A failed attempt does not take it back. */
  #verdict: VolumeCondition | undefined;
  /** Made by the first walk. */
  #walks: VolumeWalks | undefined;
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
    this.#key = JSON.stringify([podRef.uid, name]);
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
    const { calls, walkPace, options } = this.#collection;
    const walks = isWalk ? (this.#walks ??= new VolumeWalks(options.walkTimeoutMs, walkPace)) : undefined;
    if (walks?.isDue === false) return undefined;
    let over = (): void => undefined;
    const isOver = new Promise<void>((resolve) => {
      over = resolve;
    });
    const attempt = { isWalk, isOver, giveUp: over };
    this.#attempt = attempt;
    const asked = { provider: providerName(this.#provider) };
    const leave = calls.begin(
      this.#key,
      walks === undefined ? this.#plan(asked) : this.#walkPlan(asked, walks),
      {
        overdue: (error, since) => {
          walks?.overdue();
          this.record.failed(error, since, undefined);
          this.#collection.attempted(this.#podRef, this.record);
          over();
        },
        stopped: (error, costMs) => {
          walks?.stopped(costMs);
          this.record.stopped(error);
        },
        settled: (answer, since, durationMs, costMs) => {
          this.#attempt = undefined;
          walks?.settled(answer.status, costMs);
          this.#settled(asked.provider, answer, since, durationMs);
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
    this.#walks?.forget();
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

  #plan(asked: Asked): CallPlan {
    const { lane, options } = this.#collection;
    const { timeoutMs } = options;
    return {
      run: (signal) => this.#call(asked, signal),
      enter: (turn) =>
        lane.enter((place) => {
          turn.go(place);
        }, this.record.isStuck),
      limitMs: timeoutMs,
      overdue: (since) => notAnswered(`provider "${asked.provider}"`, since),
    };
  }

  #walkPlan(asked: Asked, walks: VolumeWalks): CallPlan {
    const { walkLane, doubtfulWalkLane, options } = this.#collection;
    const { walkTimeoutMs } = options;
    return {
      run: (signal) => this.#call(asked, signal),
      enter: (turn) => {
        const isDoubtful = this.record.isStuck && !walks.wasCutShort;
        return (isDoubtful ? doubtfulWalkLane : walkLane).enter(turn, walks);
      },
      limitMs: walkTimeoutMs,
      overdue: () => walkTooLong(asked.provider, walkTimeoutMs),
      walk: {
        workMs: workOf,
        stopped: (durationMs, workMs = durationMs) =>
          walkStopped(asked.provider, durationMs, walks.raiseLimit(workMs)),
        costMs: (signal, since, durationMs, answer) => walks.costMs(signal, since, durationMs, answer),
      },
    };
  }

  /** The provider may have been replaced while the call waited for its turn. */
  #call(asked: Asked, signal: AbortSignal): unknown {
    asked.provider = providerName(this.#provider);
    return callProvider(this.#provider, signal);
  }

  #settled(provider: string, answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): void {
    let judged: (() => void) | undefined;
    // The kubelet counts in each provider: no volume without metrics, and no answer of a cache.
    let isMeasured = provider !== 'nil';
    try {
      if (answer.status === 'rejected') throw answer.reason;
      const metrics = checkedReading(provider, answer.value);
      isMeasured &&= metrics.time >= since;
      judged = this.#judge(metrics.condition);
      this.record.read(metrics, since, durationMs);
    } catch (error) {
      this.record.failed(callError(`provider "${provider}"`, error), since, durationMs);
    }
    if (isMeasured) this.#collection.durations.add(provider, durationMs);
    this.#collection.attempted(this.#podRef, this.record);
    judged?.();
    this.#listener.attempted();
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

/** It is no error: the walk is made again. */
function walkStopped(provider: string, durationMs: number, nextMs: number): MetricsError {
  const text = `the walk of provider "${provider}" was stopped after ${seconds(durationMs)} so that other volumes are measured first; the next attempt may take ${seconds(nextMs)}`;
  return new MetricsError('METRICS_TIMED_OUT', text, { transient: true });
}

function seconds(ms: number): string {
  return `${String(Math.round(ms / 100) / 10)} s`;
}
