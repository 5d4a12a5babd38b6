import type { MetricsError } from '../../errors.js';
import { LONGEST_TIMER_MS } from '../../waiting/deadline.js';
import type { Lane, Place } from './lane.js';

/** How a call is made. */
export interface CallPlan {
  /** Makes the call. If it throws, that counts as a rejection. */
  readonly run: (signal: AbortSignal) => unknown;
  /** Where the call waits for its turn. */
  readonly lane: Lane;
  /** Whether the last such call did not come back in time. */
  readonly doubtful: boolean;
  /** Milliseconds after which the call gives its place back. */
  readonly placeMs: number;
  /** Milliseconds after which the call is overdue. */
  readonly limitMs: number;
  /** The error of an overdue call. */
  readonly overdue: (since: Date) => MetricsError;
  /**
   * Whether an overdue call is aborted with that error, and gives its place back, instead of going on. Then
   * that error is also its answer, unless it brings a result all the same.
   */
  readonly abortsOverdue?: boolean;
  /** Milliseconds of work in the call, if they are less than its duration. */
  readonly costMs?: (answer: PromiseSettledResult<unknown>, since: Date, durationMs: number) => number;
}

/** Waits for a call. */
export interface CallListener {
  /** The call is overdue. Its answer may still come. */
  overdue(error: MetricsError, since: Date): void;
  /**
   * The call has ended, in time or not, after `durationMs`. If this throws, it is told once more, of that.
   */
  settled(answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): void;
}

interface Call {
  plan: CallPlan;
  listener: CallListener | undefined;
  /** Takes the call out of its queue; undefined once it has begun. */
  dequeue: (() => void) | undefined;
  since: Date;
  sinceMs: number;
  readonly controller: AbortController;
  timer: NodeJS.Timeout | undefined;
  /** Its place in the lane, once it has begun. */
  place: Place | undefined;
  /** Why it was aborted, if that was because it was overdue. */
  abortedWith: MetricsError | undefined;
}

/**
 * Calls of code that may never come back. Each key has one call at a time. A call is remembered until it
 * settles, even when nobody listens any more: a volume that hangs, is removed and comes back never costs a
 * second call.
 */
export class Calls {
  readonly #byKey = new Map<string, Call>();

  /**
   * Makes the call. If the previous one with this key is still out, listens to that one instead.
   *
   * @returns leaves the call: the listener hears no more of it. A call that waits leaves its queue; one that
   * is out is aborted.
   */
  begin(key: string, plan: CallPlan, listener: CallListener): () => void {
    const leave = (): void => {
      this.#leave(key, listener);
    };
    const current = this.#byKey.get(key);
    if (current === undefined) {
      this.#enqueue(key, plan, listener);
    } else {
      clearTimeout(current.timer);
      current.plan = plan;
      current.listener = listener;
      if (current.dequeue === undefined) this.#watch(current);
    }
    return leave;
  }

  #enqueue(key: string, plan: CallPlan, listener: CallListener): void {
    const call: Call = {
      plan,
      listener,
      dequeue: () => undefined,
      since: new Date(),
      sinceMs: 0,
      controller: new AbortController(),
      timer: undefined,
      place: undefined,
      abortedWith: undefined,
    };
    this.#byKey.set(key, call);
    const dequeue = plan.lane.enter((place) => {
      call.dequeue = undefined;
      call.place = place;
      void this.#run(key, call, place);
    }, plan.doubtful);
    // The lane may have started the call already.
    if (call.dequeue !== undefined) call.dequeue = dequeue;
  }

  async #run(key: string, call: Call, place: Place): Promise<void> {
    call.since = new Date();
    call.sinceMs = performance.now();
    this.#watch(call);
    const placeTimer = setTimeout(() => {
      place.giveBack();
    }, call.plan.placeMs).unref();
    const { signal } = call.controller;
    let answer: PromiseSettledResult<unknown>;
    try {
      // The code that is called may leave this call, which works only after begin() has returned.
      await Promise.resolve();
      signal.throwIfAborted();
      answer = { status: 'fulfilled', value: await call.plan.run(signal) };
    } catch (reason) {
      answer = { status: 'rejected', reason };
    }
    clearTimeout(placeTimer);
    clearTimeout(call.timer);
    this.#byKey.delete(key);
    const { listener, plan, since, sinceMs } = call;
    const durationMs = performance.now() - sinceMs;
    place.giveBack(plan.costMs?.(answer, since, durationMs));
    if (listener === undefined) return;
    if (signal.aborted && answer.status === 'rejected') {
      // The call failed because it was left. A listener that came afterwards gets a new call.
      if (call.abortedWith === undefined) {
        this.#enqueue(key, plan, listener);
        return;
      }
      // The call failed because it was aborted as overdue, whatever its provider made of that.
      answer.reason = call.abortedWith;
    }
    try {
      listener.settled(answer, since, durationMs);
    } catch (reason) {
      // An answer that cannot be read. A listener that did not hear the end would wait for ever.
      listener.settled({ status: 'rejected', reason }, since, durationMs);
    }
  }

  /** Tells the listener when the call is overdue, at once if it already is. */
  #watch(call: Call): void {
    const restMs = call.sinceMs + call.plan.limitMs - performance.now();
    if (restMs <= 0) {
      this.#overdue(call);
      return;
    }
    call.timer = setTimeout(() => {
      this.#overdue(call);
    }, Math.ceil(restMs)).unref();
  }

  #overdue(call: Call): void {
    const { plan, listener, since, controller, place } = call;
    const error = call.abortedWith ?? plan.overdue(since);
    if (plan.abortsOverdue === true) {
      call.abortedWith = error;
      controller.abort(error);
      place?.giveBack();
    }
    listener?.overdue(error, since);
  }

  #leave(key: string, listener: CallListener): void {
    const call = this.#byKey.get(key);
    if (call?.listener !== listener) return;
    call.listener = undefined;
    clearTimeout(call.timer);
    if (call.dequeue === undefined) {
      call.controller.abort();
    } else {
      call.dequeue();
      this.#byKey.delete(key);
    }
  }
}

/** What a {@link SoleCall} gives to those who wait for it. */
export interface Outcomes<T> {
  /** The answer came, in time or not. If it is late, nobody waits for it any more. */
  answered(answer: PromiseSettledResult<unknown>): T;
  /** The call is overdue. Its answer may still come. */
  overdue(error: MetricsError): T;
  /** The call was given up. */
  readonly left: T;
}

/**
 * A call that is made once at a time: who asks while it is out waits for the same answer, until the same
 * limit.
 */
export class SoleCall<T> {
  readonly #begin: () => { readonly outcome: Promise<T>; leave(): void };
  #current: { readonly outcome: Promise<T>; leave(): void } | undefined;

  constructor(calls: Calls, key: string, plan: CallPlan, outcomes: Outcomes<T>) {
    this.#begin = () => {
      let decide: (outcome: T) => void = () => undefined;
      const outcome = new Promise<T>((resolve) => {
        decide = resolve;
      });
      const leave = calls.begin(key, plan, {
        overdue: (error) => {
          decide(outcomes.overdue(error));
        },
        settled: (answer) => {
          this.#current = undefined;
          decide(outcomes.answered(answer));
        },
      });
      return {
        outcome,
        leave: () => {
          leave();
          decide(outcomes.left);
        },
      };
    };
  }

  /** The outcome of the call; that of an overdue one at once. */
  ask(): Promise<T> {
    this.#current ??= this.#begin();
    return this.#current.outcome;
  }

  /** Gives the call up. */
  leave(): void {
    this.#current?.leave();
    this.#current = undefined;
  }
}

/**
 * Keeps the process alive while someone waits for calls. Their own timers do not: a process with nothing else
 * to do would end before a call that never comes back is found overdue.
 */
export async function keepAlive<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, LONGEST_TIMER_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
