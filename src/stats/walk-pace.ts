/**
 * How often each volume may be walked so that all walks together stay within a share of wall time in the long run. The share is
 * divided as max-min fairness has it: who needs less than an equal part gets what it needs, at the normal period, and
 * what is left over goes to the others; only those are walked less often, each as its own walks are long.
 */
export class WalkPace {
  readonly #share: number;
  readonly #periodMs: number;
  /** The volumes that are walked, with the milliseconds of the last walk of each. */
  readonly #durations = new Map<object, number>();
  /** The most that one volume may take, and how many walks have ended since that was found. */
  #level = Infinity;
  #walksSince = Infinity;

  /**
   * @param share - of wall time, above 0 and at most 1
   * @param periodMs - the mean time between two walks of a volume when nothing stretches it; 0 when there are no rounds
   */
  constructor(share: number, periodMs: number) {
    this.#share = share;
    this.#periodMs = periodMs;
  }

  /** Takes note of a walk that has ended. */
  walked(volume: object, durationMs: number): void {
    this.#durations.set(volume, durationMs);
    this.#walksSince += 1;
  }

  /** A volume is not measured any more. */
  forget(volume: object): void {
    if (this.#durations.delete(volume)) this.#walksSince += 1;
  }

  /** Milliseconds between the end of a volume's last walk and the start of its next one; 0 when its period is enough. */
  restMs(volume: object): number {
    const durationMs = this.#durations.get(volume);
    if (durationMs === undefined) return 0;
    // A few walks change little where there are many: the cost of finding it stays that of a few for each walk.
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
