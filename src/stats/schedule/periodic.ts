import { LONGEST_TIMER_MS } from '../../waiting/deadline.js';

/**
 * Repeats some work, one run at a time. The first run comes at once or after a delay, each later one a period
 * after the end of the previous one. The period is stretched at random, so that what started together does
 * not stay together. The timers do not keep the process alive.
 */
export class Periodic {
  readonly #periodMs: number;
  readonly #jitter: number;
  readonly #work: () => Promise<void>;
  /** Stands for one start; work that outlives it schedules nothing. */
  #run: object | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param periodMs - 0 or less: never
   * @param jitter - the most that is added to a period, as a fraction of it
   * @param work - must not reject
   */
  constructor(periodMs: number, jitter: number, work: () => Promise<void>) {
    this.#periodMs = periodMs;
    this.#jitter = jitter;
    this.#work = work;
  }

  /** Does nothing while it is running. */
  start(delayMs = 0): void {
    if (this.#periodMs <= 0 || this.#run !== undefined) return;
    const run = {};
    this.#run = run;
    if (delayMs > 0) this.#schedule(run, delayMs);
    else void this.#tick(run);
  }

  stop(): void {
    this.#run = undefined;
    clearTimeout(this.#timer);
  }

  async #tick(run: object): Promise<void> {
    await this.#work();
    if (this.#run === run) this.#schedule(run, this.#periodMs * (1 + Math.random() * this.#jitter));
  }

  #schedule(run: object, delayMs: number): void {
    this.#timer = setTimeout(
      () => {
        void this.#tick(run);
      },
      Math.min(delayMs, LONGEST_TIMER_MS),
    ).unref();
  }
}
