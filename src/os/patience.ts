/** How many parts of the time must have passed while the event loop went on. */
const PARTS = 10;

/**
 * A timeout of the time in which this thread could have seen an answer. An event loop that is busy for seconds
 * sees none, and then fires its timers before it looks at what came meanwhile; a call by commands may need some
 * turns more, since one command follows another. So the time is counted in parts, of which a busy loop misses
 * all but one, and it is looked once more at the end.
 */
export class Patience {
  readonly #timer: NodeJS.Timeout;
  #lastLook: NodeJS.Immediate | undefined;
  #left = PARTS;

  /** Does not keep this process alive. */
  constructor(ms: number, onEnd: () => void) {
    this.#timer = setInterval(() => {
      this.#left -= 1;
      if (this.#left > 0) return;
      clearInterval(this.#timer);
      this.#lastLook = setImmediate(onEnd);
    }, ms / PARTS);
    this.#timer.unref();
  }

  /** Whether no more than one part of the time is left. */
  get isNearlyOver(): boolean {
    return this.#left <= 1;
  }

  stop(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#lastLook);
  }
}
