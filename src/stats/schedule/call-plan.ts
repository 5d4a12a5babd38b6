import type { MetricsError } from '../../errors.js';
import type { Turn } from './lane.js';

/** How a call is made. */
export interface CallPlan {
  /** Makes the call. If it throws, that counts as a rejection. */
  readonly run: (signal: AbortSignal) => unknown;
  /** Lets it wait for its turn. Gives what takes it out of the queue. */
  readonly enter: (turn: Turn) => () => void;
  /** Milliseconds after which the call is overdue and gives its place back. */
  readonly limitMs: number;
  /** The error of an overdue call. */
  readonly overdue: (since: Date) => MetricsError;
  /** What is different about a walk. */
  readonly walk?: WalkPlan;
}

/**
 * A walk keeps its place until it ends, and its time counts from when its lane says so. If it is overdue, it
 * is aborted with that error instead of going on, and gives its place back. Then that error is also its
 * answer, unless it brings a result all the same.
 */
export interface WalkPlan {
  /** Milliseconds of work in it so far; undefined if none was noted. */
  readonly workMs: (signal: AbortSignal) => number | undefined;
  /** The error of a walk that is stopped after so many milliseconds, so that others go first. */
  readonly stopped: (durationMs: number, workMs: number | undefined) => MetricsError;
  /** Milliseconds of work in it; without an answer up to now. */
  readonly costMs: (
    signal: AbortSignal,
    since: Date,
    durationMs: number,
    answer?: PromiseSettledResult<unknown>,
  ) => number;
}

/** Waits for a call. */
export interface CallListener {
  /** The call is overdue. Its answer may still come. */
  overdue(error: MetricsError, since: Date): void;
  /** The call was stopped after work of `costMs`, and is made again. */
  stopped?(error: MetricsError, costMs: number): void;
  /**
   * The call has ended, in time or not, after `durationMs`. If this throws, it is told once more, of that.
   *
   * @param costMs - milliseconds of work in it: of a walk, otherwise its duration
   */
  settled(answer: PromiseSettledResult<unknown>, since: Date, durationMs: number, costMs: number): void;
}

/** What a `SoleCall` gives to those who wait for it. */
export interface Outcomes<T> {
  /** The answer came, in time or not. If it is late, nobody waits for it any more. */
  answered(answer: PromiseSettledResult<unknown>): T;
  /** The call is overdue. Its answer may still come. */
  overdue(error: MetricsError): T;
  /** The call was given up. */
  readonly left: T;
}
