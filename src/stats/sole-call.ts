import type { CallPlan, Calls } from './calls.js';

/** What a question comes to, for those who wait for it. */
export interface Outcomes<T> {
  /** There is an answer, in time or not; in the latter case nobody waits any more. */
  answered(answer: PromiseSettledResult<unknown>): T;
  /** It has been out for too long; the answer may still come. */
  overdue(since: Date): T;
  /** It was given up. */
  readonly left: T;
}

/** A question that is out only once at a time: who asks meanwhile waits for the same answer, for as long as its limit. */
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
        overdue: (since) => {
          decide(outcomes.overdue(since));
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

  /** What it comes to; for one that is overdue, at once what that comes to. */
  ask(): Promise<T> {
    this.#current ??= this.#begin();
    return this.#current.outcome;
  }

  /** Gives it up. */
  leave(): void {
    this.#current?.leave();
    this.#current = undefined;
  }
}
