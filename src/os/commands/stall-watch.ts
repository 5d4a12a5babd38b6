/** At least this often it is looked whether something moves. */
const LONGEST_LOOK_MS = 1_000;
const LOOKS_PER_LIMIT = 10;

/** Watches something that has no time limit as long as it moves. */
export class StallWatch {
  readonly #sign: () => string | undefined;
  readonly #timer: NodeJS.Timeout;
  #last: string | undefined;
  #movedAt = performance.now();

  /**
   * @param sign - a text that changes when it has moved; undefined when that cannot be told
   * @param limitMs - how long it may stand still
   */
  constructor(sign: () => string | undefined, limitMs: number, onStall: () => void) {
    this.#sign = sign;
    this.#timer = setInterval(
      () => {
        if (this.#stoodStill() >= limitMs) onStall();
      },
      Math.min(LONGEST_LOOK_MS, limitMs / LOOKS_PER_LIMIT),
    );
    this.#timer.unref();
  }

  /** It was seen to move. */
  moved(): void {
    this.#movedAt = performance.now();
  }

  /** When it was last seen to move. */
  get movedAt(): Date {
    return new Date(Date.now() - (performance.now() - this.#movedAt));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #stoodStill(): number {
    const sign = this.#sign();
    if (sign !== this.#last) this.moved();
    this.#last = sign;
    return performance.now() - this.#movedAt;
  }
}
