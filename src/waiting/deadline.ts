import { keepOne } from './kept.js';

/** The longest time, in milliseconds, that a timer of Node can wait; a longer one would fire at once. */
export const LONGEST_TIMER_MS = 2_147_483_647;

/** How {@link Deadline.onEnd} waits. */
export interface EndTimerOptions {
  /**
   * Whether the timer keeps the process alive.
   *
   * @defaultValue `true`
   */
  readonly keepsAlive?: boolean;
  /**
   * Into how many parts the time is divided. An event loop that is busy for seconds sees no answer, and
   * misses all but one of the parts: the time it was busy counts as one part.
   *
   * @defaultValue `1`
   */
  readonly parts?: number;
}

/** A running timer of a {@link Deadline}. */
export interface EndTimer {
  stop(): void;
  /** Whether at most one part of the time is left. */
  readonly isNearlyOver: boolean;
}

/** The moment until which a caller waits, shared by every step of its call. */
export class Deadline {
  /** The whole limit, in milliseconds, for messages. */
  readonly limitMs: number;
  readonly #endMs: number;

  /** @param limitMs - milliseconds from now; `Infinity` for no limit */
  constructor(limitMs: number) {
    this.limitMs = limitMs;
    this.#endMs = performance.now() + limitMs;
  }

  /** Milliseconds that are left; never below 0. */
  get leftMs(): number {
    return Math.max(0, this.#endMs - performance.now());
  }

  get isOver(): boolean {
    return this.leftMs === 0;
  }

  /**
   * Calls `end` when the time is up. A busy event loop fires its timers before it looks at answers that came
   * in time, so it gets one turn to look before `end` is called.
   */
  onEnd(end: () => void, { keepsAlive = true, parts = 1 }: EndTimerOptions = {}): EndTimer {
    if (this.#endMs === Infinity) return NO_TIMER;
    return new RunningTimer(end, this.leftMs / parts, parts, keepsAlive);
  }

  /**
   * What `promise` gives, or what `late` gives or throws once the time is up. Does not keep the process
   * alive.
   */
  async wait<T>(promise: Promise<T>, late: () => T): Promise<T> {
    const waiters = waitersFor(promise);
    let stop: () => void = () => undefined;
    const isLate = new Promise<boolean>((resolve) => {
      const waiter = (): void => {
        resolve(false);
      };
      waiters.add(waiter);
      const timer = this.onEnd(
        () => {
          resolve(true);
        },
        { keepsAlive: false },
      );
      stop = () => {
        timer.stop();
        waiters.delete(waiter);
      };
    });
    try {
      return (await isLate) ? late() : await promise;
    } finally {
      stop();
    }
  }
}

/**
 * Who waits for a promise. A promise keeps every reaction until it settles, so that one that never does would
 * remember each caller that gave up. It gets one reaction for all.
 */
const WAITERS = new WeakMap<Promise<unknown>, Set<() => void>>();

function waitersFor(promise: Promise<unknown>): Set<() => void> {
  const there = WAITERS.get(promise);
  if (there !== undefined) return there;
  const waiters = new Set<() => void>();
  WAITERS.set(promise, waiters);
  const settled = (): void => {
    for (const waiter of waiters) waiter();
    // Who comes later finds the promise settled.
    WAITERS.delete(promise);
  };
  promise.then(settled, settled);
  return waiters;
}

const NO_TIMER: EndTimer = { stop: () => undefined, isNearlyOver: false };

/**
 * A class, because one is made for each call: an object literal with closures and a getter costs several
 * times as much.
 */
class RunningTimer implements EndTimer {
  readonly #end: () => void;
  readonly #timer: NodeJS.Timeout;
  #left: number;
  #lastTurn: NodeJS.Immediate | undefined;

  constructor(end: () => void, partMs: number, parts: number, keepsAlive: boolean) {
    this.#end = end;
    this.#left = parts;
    this.#timer = setInterval(partOver, Math.min(Math.ceil(partMs), LONGEST_TIMER_MS), this);
    if (!keepsAlive) this.#timer.unref();
  }

  get isNearlyOver(): boolean {
    return this.#left <= 1;
  }

  stop(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#lastTurn);
  }

  partOver(): void {
    this.#left -= 1;
    if (this.#left > 0) return;
    clearInterval(this.#timer);
    this.#lastTurn = setImmediate(this.#end);
  }
}

function partOver(timer: RunningTimer): void {
  timer.partOver();
}

keepOne(stoppedTimer());

function stoppedTimer(): RunningTimer {
  const timer = new RunningTimer(() => undefined, 1, 1, false);
  timer.stop();
  return timer;
}
