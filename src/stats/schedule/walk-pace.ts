/**
 * Keeps all walks together within a share of wall time in the long run, by how often it lets each volume be
 * walked. It divides the share by max-min fairness: a volume that needs less than an equal part gets what it
 * needs, at the normal period. The others get what is left and are walked less often, each in proportion to
 * the length of its own walks.
 */
export class WalkPace {
  readonly #share: number;
  readonly #periodMs: number;
  /** Milliseconds of work in the last attempt, by volume. */
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
    // As a rule there is enough, which needs no sorting.
    let sum = 0;
    for (const durationMs of this.#durations.values()) sum += this.#need(durationMs);
    if (sum <= this.#share) return Infinity;
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
