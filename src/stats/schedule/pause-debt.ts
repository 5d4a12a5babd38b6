/** Pauses are owed until they add up to so many milliseconds. */
const PAID_AT_ONCE_MS = 1_000;

/** The longest pause. What a walk took beyond that, its own volume pays: see WalkPace. */
const LONGEST_PAUSE_MS = 10_000;

/**
 * The pauses that walks owe for their work, so that together they keep to their share of wall time from
 * moment to moment. They are paid in sums of about a second; time in which nothing is walked pays too. When a
 * node starts and everything was read, this spreads the walks that follow (kubernetes#103728).
 */
export class PauseDebt {
  readonly #factor: number;
  readonly #paid: () => void;
  /** Until when a pause would last that began now and paid everything. */
  #untilMs = 0;
  #pause: NodeJS.Timeout | undefined;

  /**
   * @param share - of wall time, above 0 and at most 1
   * @param paid - called at the end of each pause
   */
  constructor(share: number, paid: () => void) {
    this.#factor = 1 / share - 1;
    this.#paid = paid;
  }

  /** Whether a pause is being made. */
  get isPaying(): boolean {
    return this.#pause !== undefined;
  }

  /** A walk has ended, after so many milliseconds of work. */
  owe(workMs: number): void {
    const nowMs = performance.now();
    const untilMs = Math.max(this.#untilMs, nowMs) + workMs * this.#factor;
    this.#untilMs = Math.min(untilMs, nowMs + LONGEST_PAUSE_MS);
    const owedMs = this.#untilMs - nowMs;
    if (this.isPaying || owedMs < PAID_AT_ONCE_MS) return;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#paid();
    }, Math.ceil(owedMs)).unref();
  }
}
