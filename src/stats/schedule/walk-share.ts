import { Queue, type Lane, type Place } from './lane.js';

/**
 * The longest that a walk keeps others waiting after it. What it took beyond that, its own volume pays: see
 * WalkPace.
 */
const LONGEST_PAUSE_MS = 10_000;

/**
 * A walk that has been out for so long lets another one in beside it: it may be long, or its volume may not
 * answer.
 */
const LONG_MS = 1_000;

/** The process walks at most two trees at once: see `diskUsage`. */
const MOST_OUT = 2;

/**
 * Keeps all walks together within a share of wall time from moment to moment. It lets in one walk at a time,
 * a second one beside a long one, and pauses after each in proportion to what it took. When a node starts and
 * everything is due, this spreads the walks (kubernetes#103728).
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
    let isTaken = true;
    return {
      giveBack: (costMs) => {
        if (!isTaken) return;
        isTaken = false;
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

/**
 * Keeps all walks together within a share of wall time in the long run, by how often it lets each volume be
 * walked. It divides the share by max-min fairness: a volume that needs less than an equal part gets what it
 * needs, at the normal period. The others get what is left and are walked less often, each in proportion to
 * the length of its own walks.
 */
export class WalkPace {
  readonly #share: number;
  readonly #periodMs: number;
  /** Milliseconds of the last walk, by volume. */
  readonly #durations = new Map<object, number>();
  /** The most that one volume may take. */
  #level = Infinity;
  /** How many walks have ended since the level was found. */
  #walksSince = Infinity;

  /**
   * @param share - of wall time, above 0 and at most 1
   * @param periodMs - the mean time between two walks of a volume when nothing stretches it; 0 when there are
   * no rounds
   */
  constructor(share: number, periodMs: number) {
    this.#share = share;
    this.#periodMs = periodMs;
  }

  /** A walk has ended. */
  walked(volume: object, durationMs: number): void {
    this.#durations.set(volume, durationMs);
    this.#walksSince += 1;
  }

  /** A volume is not measured any more. */
  forget(volume: object): void {
    if (this.#durations.delete(volume)) this.#walksSince += 1;
  }

  /**
   * Milliseconds between the end of a volume's last walk and the start of its next one; 0 when its period is
   * enough.
   */
  restMs(volume: object): number {
    const durationMs = this.#durations.get(volume);
    if (durationMs === undefined) return 0;
    // Among many volumes a few walks change little. So a walk costs the same, however many volumes there are.
    if (this.#walksSince > this.#durations.size / 16) {
      this.#level = this.#fairPart();
      this.#walksSince = 0;
    }
    return this.#need(durationMs) <= this.#level ? 0 : durationMs * (1 / this.#level - 1);
  }

  /** The share of wall time that walks of this length take at the normal period. */
  #need(durationMs: number): number {
    return this.#periodMs > 0 ? durationMs / (durationMs + this.#periodMs) : 0;
  }

  /** The most that one volume may take; Infinity when there is enough for all. */
  #fairPart(): number {
    let left = this.#share;
    let volumes = this.#durations.size;
    for (const durationMs of [...this.#durations.values()].sort((one, other) => one - other)) {
      const need = this.#need(durationMs);
      if (need > left / volumes) return left / volumes;
      left -= need;
      volumes -= 1;
    }
    return Infinity;
  }
}
