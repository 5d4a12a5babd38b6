import type { Lane, Place } from './lane.js';
import { Queue } from './queue.js';

/** The longest that one walk keeps the others waiting after it; what it took beyond that, it pays by itself: see WalkPace. */
const LONGEST_PAUSE_MS = 10_000;

/** A walk that has been out for so long lets in another beside it: it may be long, or wait for a volume that does not answer. */
const LONG_MS = 1_000;

/** The process walks two trees at once at most: see `diskUsage`. */
const MOST_OUT = 2;

/**
 * Lets in one walk at a time, a second beside one that is long, with a pause after each in proportion to what it took, so that
 * walking has its share of the time and no more. At the start of a node, when everything is to be walked, this spreads the
 * walks (kubernetes#103728).
 */
export class WalkLane implements Lane {
  readonly #pauseFactor: number;
  readonly #queue = new Queue<() => void>();
  /** Ends the time in which the newest walk is alone. */
  #alone: NodeJS.Timeout | undefined;
  #out = 0;
  #opensAtMs = 0;
  #pause: NodeJS.Timeout | undefined;

  /** @param share - of wall time, above 0 and at most 1 */
  constructor(share: number) {
    this.#pauseFactor = 1 / share - 1;
  }

  enter(go: (place: Place) => void): () => void {
    const leave = this.#queue.push(() => {
      go(this.#take());
    });
    this.#next();
    return leave;
  }

  #take(): Place {
    this.#out += 1;
    const sinceMs = performance.now();
    const alone = setTimeout(() => {
      this.#endAlone(alone);
    }, LONG_MS).unref();
    this.#alone = alone;
    let isMine = true;
    return {
      giveBack: (costMs) => {
        if (!isMine) return;
        isMine = false;
        this.#out -= 1;
        const nowMs = performance.now();
        const pauseMs = Math.min((costMs ?? nowMs - sinceMs) * this.#pauseFactor, LONGEST_PAUSE_MS);
        this.#opensAtMs = Math.max(this.#opensAtMs, nowMs + pauseMs);
        this.#endAlone(alone);
      },
    };
  }

  #endAlone(alone: NodeJS.Timeout): void {
    clearTimeout(alone);
    if (this.#alone === alone) this.#alone = undefined;
    this.#next();
  }

  #next(): void {
    if (this.#queue.size === 0 || this.#pause !== undefined) return;
    if (this.#alone !== undefined || this.#out >= MOST_OUT) return;
    const waitMs = this.#opensAtMs - performance.now();
    if (waitMs > 0) {
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        this.#next();
      }, Math.ceil(waitMs)).unref();
      return;
    }
    this.#queue.shift()?.();
  }
}
