import { msOfDate, propertyOf } from '../../errors.js';
import { workOf } from '../../waiting/work.js';
import type { WalkedVolume } from './lane.js';
import { FIRST_LIMIT_MS } from './walk-lane.js';
import type { WalkPace } from './walk-pace.js';

/** The walks of one volume: how long the next one may take, when it is due, and what the last one took. */
export class VolumeWalks implements WalkedVolume {
  limitMs: number;
  expectedMs = 0;
  isNew = true;
  isLong = false;
  isUnread = true;
  notesWork: boolean | undefined;
  /** Whether the last walk was ended for its length: the volume answers, and takes long. */
  wasCutShort = false;
  readonly #mostMs: number;
  readonly #pace: WalkPace;
  /** When the next one may begin, on the clock of `performance.now()`. */
  #dueMs = 0;
  #wasOverdue = false;
  /** Milliseconds of work in the attempt that is being made. */
  #spentMs = 0;

  /**
   * @param mostMs - the limit of every walk
   * @param pace - of all volumes together
   */
  constructor(mostMs: number, pace: WalkPace) {
    this.limitMs = Math.min(FIRST_LIMIT_MS, mostMs);
    this.#mostMs = mostMs;
    this.#pace = pace;
  }

  get isDue(): boolean {
    return performance.now() >= this.#dueMs;
  }

  /**
   * Milliseconds of work in a walk: what was noted for its call, or else the time that it took. Since its
   * volume got stuck, it has only waited.
   */
  costMs(
    signal: AbortSignal,
    since: Date,
    durationMs: number,
    answer?: PromiseSettledResult<unknown>,
  ): number {
    const workMs = workOf(signal);
    if (workMs !== undefined) this.notesWork = true;
    else if (answer?.status === 'fulfilled') this.notesWork = false;
    const costMs = workMs ?? durationMs;
    const stuckMs =
      answer?.status === 'rejected' ? msOfDate(propertyOf(answer.reason, 'stuckSince')) : undefined;
    return stuckMs === undefined ? costMs : Math.min(Math.max(0, stuckMs - since.getTime()), costMs);
  }

  /** The limit of the next walk after one that was stopped after so many milliseconds of work. */
  raiseLimit(workMs: number): number {
    this.isLong = true;
    this.limitMs = Math.min(2 * Math.max(this.limitMs, workMs), this.#mostMs);
    return this.limitMs;
  }

  stopped(costMs: number): void {
    this.isNew = false;
    this.wasCutShort = true;
    this.#spentMs += costMs;
  }

  overdue(): void {
    this.isNew = false;
    this.isLong = true;
    this.isUnread = false;
    this.wasCutShort = true;
    this.#wasOverdue = true;
    this.limitMs = this.#mostMs;
  }

  settled(status: PromiseSettledResult<unknown>['status'], costMs: number): void {
    this.isNew = false;
    this.isUnread = false;
    if (status === 'fulfilled') {
      this.limitMs = Math.min(Math.max(FIRST_LIMIT_MS, 2 * costMs), this.#mostMs);
      this.expectedMs = costMs;
      this.isLong = costMs > FIRST_LIMIT_MS;
    }
    this.wasCutShort = this.#wasOverdue && status === 'rejected';
    this.#wasOverdue = false;
    this.#pace.walked(this, this.#spentMs + costMs);
    this.#spentMs = 0;
    this.#dueMs = performance.now() + this.#pace.restMs(this);
  }

  /** The volume is not measured any more. */
  forget(): void {
    this.#pace.forget(this);
  }
}
