import type { Lane, Place } from './lane.js';

/** The longest that one walk keeps the others waiting after it; what it took beyond that, it pays by itself: see WalkPace. */
const LONGEST_PAUSE_MS = 10_000;

/**
 * Lets in one walk at a time, with a pause after each in proportion to what it took, so that walking has its share of the
 * time and no more. At the start of a node, when everything is to be walked, this spreads the walks (kubernetes#103728).
 */
export class WalkLane implements Lane {
  readonly #pauseFactor: number;
  readonly #queue = new Set<() => void>();
  #isTaken = false;
  #opensAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param share - of wall time, above 0 and at most 1 */
  constructor(share: number) {
    this.#pauseFactor = 1 / share - 1;
  }

  enter(go: (place: Place) => void): () => void {
    const start = (): void => {
      go(this.#take());
    };
    this.#queue.add(start);
    this.#next();
    return () => {
      this.#queue.delete(start);
    };
  }

  #take(): Place {
    this.#isTaken = true;
    const sinceMs = performance.now();
    let isMine = true;
    return {
      giveBack: () => {
        if (!isMine) return;
        isMine = false;
        this.#isTaken = false;
        const nowMs = performance.now();
        this.#opensAtMs = nowMs + Math.min((nowMs - sinceMs) * this.#pauseFactor, LONGEST_PAUSE_MS);
        this.#next();
      },
    };
  }

  #next(): void {
    const [start] = this.#queue;
    if (this.#isTaken || this.#timer !== undefined || start === undefined) return;
    const waitMs = this.#opensAtMs - performance.now();
    if (waitMs > 0) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#next();
      }, Math.ceil(waitMs)).unref();
      return;
    }
    this.#queue.delete(start);
    start();
  }
}
