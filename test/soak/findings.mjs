// @ts-check

/** How many of a kind are shown. */
const SHOWN = 5;

/** What the soak found wrong, and how often. */
export class Findings {
  /** @type {Map<string, { count: number, first: string[] }>} */
  #kinds = new Map();

  /**
   * @param {string} kind
   * @param {string} text
   */
  add(kind, text) {
    const known = this.#kinds.get(kind) ?? { count: 0, first: [] };
    known.count += 1;
    if (known.first.length < SHOWN) known.first.push(text);
    this.#kinds.set(kind, known);
  }

  get isEmpty() {
    return this.#kinds.size === 0;
  }

  /** @returns {string[]} */
  lines() {
    return [...this.#kinds].flatMap(([kind, { count, first }]) => [
      `FOUND ${kind}: ${String(count)}`,
      ...first.map((text) => `  ${text}`),
    ]);
  }
}

/** How often each of several things happened. */
export class Tally {
  /** @type {Map<string, number>} */
  #counts = new Map();

  /** @param {string} what */
  add(what, count = 1) {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + count);
  }

  /** @param {string} what */
  of(what) {
    return this.#counts.get(what) ?? 0;
  }

  toString() {
    const sorted = [...this.#counts].sort(([, one], [, other]) => other - one);
    return sorted.map(([what, count]) => `${String(count)} ${what}`).join(', ') || 'none';
  }
}
