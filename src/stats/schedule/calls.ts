import { msOfDate, propertyOf, type MetricsError } from '../../errors.js';
import type { CallListener, CallPlan, Outcomes } from './call-plan.js';
import type { Place, Turn } from './lane.js';

/**
 * Calls of code that may never come back. Each key has one call at a time. A call is remembered until it
 * settles, even when nobody listens any more: a volume that hangs, is removed and comes back never costs a
 * second call.
 */
export class Calls {
  /** By key. */
  readonly unsettled = new Map<string, Call>();
  /** The last walk and the last other call, for the reason of `keepOne`. */
  readonly #kept: Call[] = [];

  /**
   * Makes the call. If the previous one with this key is still out, listens to that one instead.
   *
   * @returns leaves the call: the listener hears no more of it. A call that waits leaves its queue; one that
   * is out is aborted.
   */
  begin(key: string, plan: CallPlan, listener: CallListener): () => void {
    const current = this.unsettled.get(key);
    if (current === undefined) this.enqueue(key, plan, listener);
    else current.takeOver(plan, listener);
    return () => {
      const call = this.unsettled.get(key);
      if (call?.listener === listener && call.leave()) this.unsettled.delete(key);
    };
  }

  /** Makes a call whose key has none. */
  enqueue(key: string, plan: CallPlan, listener: CallListener): void {
    const call = new Call(this, key, plan, listener);
    this.unsettled.set(key, call);
    this.#kept[plan.walk === undefined ? 0 : 1] = call;
    call.enter();
  }
}

class Call implements Turn {
  plan: CallPlan;
  listener: CallListener | undefined;
  readonly #calls: Calls;
  readonly #key: string;
  /** Takes the call out of its queue; undefined once it has begun. */
  #dequeue: (() => void) | undefined = () => undefined;
  #since = new Date(0);
  #sinceMs = 0;
  /** Ends the call. Made when it begins: many may wait. */
  #controller: AbortController | undefined;
  /** Until it is overdue. Without a listener it only gives a place back. */
  #timer: NodeJS.Timeout | undefined;
  /** Its place in the lane, once it has begun. */
  #place: Place | undefined;
  /** Why it was aborted, if that was because it was overdue. */
  #overdueError: MetricsError | undefined;
  /** Why it was aborted, if that was so that others go first. */
  #stopError: MetricsError | undefined;
  /** Milliseconds of work that the listener knows of. */
  #toldMs = 0;

  constructor(calls: Calls, key: string, plan: CallPlan, listener: CallListener) {
    this.#calls = calls;
    this.#key = key;
    this.plan = plan;
    this.listener = listener;
  }

  enter(): void {
    const dequeue = this.plan.enter(this);
    // The lane may have started the call already.
    if (this.#dequeue !== undefined) this.#dequeue = dequeue;
  }

  takeOver(plan: CallPlan, listener: CallListener): void {
    clearTimeout(this.#timer);
    this.plan = plan;
    this.listener = listener;
    if (this.#dequeue === undefined) this.#watch();
  }

  /** @returns whether the call is over by this: it had not begun */
  leave(): boolean {
    this.listener = undefined;
    if (this.#dequeue !== undefined) {
      this.#dequeue();
      return true;
    }
    this.#controller?.abort();
    if (this.plan.walk !== undefined) {
      clearTimeout(this.#timer);
      this.#giveBack();
    }
    return false;
  }

  go(place: Place): void {
    this.#dequeue = undefined;
    this.#place = place;
    this.#since = new Date();
    this.#sinceMs = performance.now();
    this.#controller = new AbortController();
    if (this.plan.walk === undefined) this.#watch();
    void this.#run(this.#controller.signal);
  }

  begin(): void {
    this.#since = new Date();
    this.#sinceMs = performance.now();
    if (this.listener !== undefined) this.#watch();
  }

  workMs(): number | undefined {
    return this.#controller && this.plan.walk?.workMs(this.#controller.signal);
  }

  stop(): void {
    const { walk } = this.plan;
    if (walk === undefined) return;
    this.#stopError = walk.stopped(performance.now() - this.#sinceMs, this.workMs());
    this.#controller?.abort(this.#stopError);
    this.#toldMs = this.#giveBack();
    this.listener?.stopped?.(this.#stopError, this.#toldMs);
  }

  async #run(signal: AbortSignal): Promise<void> {
    let answer: PromiseSettledResult<unknown>;
    try {
      // The code that is called may leave this call, which works only after begin() has returned.
      await Promise.resolve();
      signal.throwIfAborted();
      answer = { status: 'fulfilled', value: await this.plan.run(signal) };
    } catch (reason) {
      answer = { status: 'rejected', reason };
    }
    clearTimeout(this.#timer);
    this.#calls.unsettled.delete(this.#key);
    const durationMs = performance.now() - this.#sinceMs;
    const costMs = this.#giveBack(answer) - this.#toldMs;
    if (this.listener === undefined) return;
    if (signal.aborted && answer.status === 'rejected') {
      // The call was aborted as overdue, whatever its provider made of that.
      if (this.#overdueError !== undefined) answer.reason = this.#overdueError;
      // It failed because it was left or stopped. A listener that came afterwards, or waits on, gets a new
      // call.
      else if (!this.#isStuck(answer.reason)) {
        this.#calls.enqueue(this.#key, this.plan, this.listener);
        return;
      }
    }
    try {
      this.listener.settled(answer, this.#since, durationMs, costMs);
    } catch (reason) {
      // An answer that cannot be read. A listener that did not hear the end would wait for ever.
      this.listener.settled({ status: 'rejected', reason }, this.#since, durationMs, costMs);
    }
  }

  /** Whether a walk that was stopped brought news all the same: it cannot be ended. */
  #isStuck(reason: unknown): boolean {
    return this.#stopError !== undefined && msOfDate(propertyOf(reason, 'stuckSince')) !== undefined;
  }

  /** @returns milliseconds of work */
  #giveBack(answer?: PromiseSettledResult<unknown>): number {
    const durationMs = performance.now() - this.#sinceMs;
    const { walk } = this.plan;
    if (walk === undefined || this.#controller === undefined) {
      this.#place?.giveBack();
      return durationMs;
    }
    const costMs = walk.costMs(this.#controller.signal, this.#since, durationMs, answer);
    this.#place?.giveBack(costMs);
    return costMs;
  }

  /** Tells the listener when the call is overdue, at once if it already is. */
  #watch(): void {
    clearTimeout(this.#timer);
    const restMs = this.#sinceMs + this.plan.limitMs - performance.now();
    if (restMs <= 0) {
      this.overdue();
      return;
    }
    this.#timer = setTimeout(overdue, Math.ceil(restMs), this).unref();
  }

  overdue(): void {
    const { walk } = this.plan;
    if (walk === undefined) this.#place?.giveBack();
    const error = this.#overdueError ?? this.plan.overdue(this.#since);
    if (walk !== undefined) {
      this.#overdueError = error;
      this.#controller?.abort(error);
      this.#giveBack();
    }
    this.listener?.overdue(error, this.#since);
  }
}

function overdue(call: Call): void {
  call.overdue();
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
