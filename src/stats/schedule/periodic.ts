import { LONGEST_TIMER_MS } from '../../waiting/deadline.js';

/**
 * A run may come before it is due, by up to this part of the period, to begin together with another one. A
 * process that wakes up for each run alone has to fill the processor's caches each time, which costs more
 * than the run.
 */
const EARLY_PART = 1 / 30;

/**
 * Repeats some work, one run at a time. The first run comes at once or after a delay, each later one a period
 * after the end of the previous one. The period is stretched at random, so that what started together does
 * not stay together; the stretch ends early when a companion begins. The timers do not keep the process
 * alive.
 */
export class Periodic {
  readonly #periodMs: number;
  readonly #jitter: number;
  readonly #work: () => Promise<void>;
  /** Those that wait for their next run. */
  readonly #companions: Set<Periodic>;
  /** Stands for one start; work that outlives it schedules nothing. */
  #run: object | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** From when on the next run may begin, on the clock of `performance.now()`. */
  #earliestMs = 0;

  /**
   * @param periodMs - 0 or less: never
   * @param jitter - the most that is added to a period, as a fraction of it
   * @param work - must not reject
   * @param companions - shared by those whose runs begin together
   */
  constructor(periodMs: number, jitter: number, work: () => Promise<void>, companions = new Set<Periodic>()) {
    this.#periodMs = periodMs;
    this.#jitter = jitter;
    this.#work = work;
    this.#companions = companions;
  }

  /** Does nothing while it is running. */
  start(delayMs = 0): void {
    if (this.#periodMs <= 0 || this.#run !== undefined) return;
    const run = {};
    this.#run = run;
    if (delayMs > 0) this.#schedule(delayMs, delayMs);
    else void this.#tick(run);
  }

  stop(): void {
    this.#run = undefined;
    this.#companions.delete(this);
    clearTimeout(this.#timer);
  }

  /** Its time has come: begins, and with it those that may begin now. */
  due(): void {
    this.#begin();
    const nowMs = performance.now();
    for (const each of this.#companions) if (each.#earliestMs <= nowMs) each.#begin();
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#companions.delete(this);
    if (this.#run !== undefined) void this.#tick(this.#run);
  }

  async #tick(run: object): Promise<void> {
    await this.#work();
    if (this.#run !== run) return;
    this.#schedule(this.#periodMs * (1 + Math.random() * this.#jitter), this.#periodMs);
  }

  #schedule(delayMs: number, leastMs: number): void {
    const earlyMs = this.#periodMs * EARLY_PART;
    this.#earliestMs = performance.now() + Math.max(leastMs, delayMs - earlyMs);
    this.#companions.add(this);
    this.#timer = setTimeout(isDue, Math.min(delayMs, LONGEST_TIMER_MS), this).unref();
  }
}

function isDue(periodic: Periodic): void {
  periodic.due();
}
