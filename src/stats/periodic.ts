import { LONGEST_TIMER_MS } from './collection-options.js';

/**
 * Does some work again and again, one at a time: first at once or after a delay, then each time a period after it has ended,
 * stretched at random so that what started together does not stay together. Its timers keep no process alive.
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
   * @param jitter - the most that is added to a period, as a part of it
   * @param work - must not reject
   */
  constructor(periodMs: number, jitter: number, work: () => Promise<void>) {
    this.#periodMs = periodMs;
    this.#jitter = jitter;
    this.#work = work;
  }

  get isRunning(): boolean {
    return this.#run !== undefined;
  }

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
