import type { Lane, Place } from './lane.js';

/** How a call is made. */
export interface CallPlan {
  /** Makes the call; what it throws counts as its rejection. */
  readonly run: (signal: AbortSignal) => unknown;
  /** Where it waits for its turn. */
  readonly lane: Lane;
  /** Whether the last such call did not come back in time. */
  readonly doubtful: boolean;
  /** Milliseconds after which it gives its place back. */
  readonly placeMs: number;
  /** Milliseconds after which nobody waits for it any more. At least `placeMs`. */
  readonly limitMs: number;
  /** Milliseconds of work in it, where that is not all of its duration. */
  readonly costMs?: (answer: PromiseSettledResult<unknown>, since: Date, durationMs: number) => number;
}

/** Who waits for a call. */
export interface CallListener {
  /** The call has been out for too long. Its answer may still come. */
  overdue(since: Date): void;
  /** The answer, in time or not, and how long the call was out. */
  settled(answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): void;
}

interface Call {
  plan: CallPlan;
  listener: CallListener | undefined;
  /** Takes it out of its queue; undefined once it is out. */
  dequeue: (() => void) | undefined;
  since: Date;
  sinceMs: number;
  readonly controller: AbortController;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Calls of code that may never come back. There is one at a time for each key, and it is remembered until it settles, even when
 * nobody listens any more: a volume that hangs, and is left and met again, never costs a second call.
 */
export class Calls {
  readonly #byKey = new Map<string, Call>();

  /**
   * Makes the call, unless the one of before is still out; then it listens to that.
   *
   * @returns leaves the call: the listener hears no more of it; its signal is aborted, or it is taken out of its queue
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
    };
    this.#byKey.set(key, call);
    const dequeue = plan.lane.enter((place) => {
      call.dequeue = undefined;
      void this.#run(key, call, place);
    }, plan.doubtful);
    // The lane may have let it through already.
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
      // What is called may leave this call, and can only when begin() has returned.
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
    // The call had been left, and its failure is that of leaving it: whoever came back since gets one of their own.
    if (signal.aborted && answer.status === 'rejected') this.#enqueue(key, plan, listener);
    else listener.settled(answer, since, durationMs);
  }

  /** Tells the listener when the call has been out for too long, at once if it has been already. */
  #watch(call: Call): void {
    const restMs = call.sinceMs + call.plan.limitMs - performance.now();
    if (restMs <= 0) {
      call.listener?.overdue(call.since);
      return;
    }
    call.timer = setTimeout(() => {
      call.listener?.overdue(call.since);
    }, Math.ceil(restMs)).unref();
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
