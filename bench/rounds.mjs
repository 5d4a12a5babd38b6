/** The middle one; of an even number the lower of the two. */
export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}

/**
 * Times several candidates in turn, round after round, so that whatever else the machine does meets all of
 * them. Each round begins with another one: what a candidate leaves behind (garbage, pages shared with a
 * child) meets a different one each time.
 *
 * @param {Record<string, () => unknown>} candidates each does its work once and may return a promise
 * @param {number} rounds after one that is not counted
 * @returns {Promise<Record<string, number>>} the median of each in milliseconds
 */
export async function interleaved(candidates, rounds) {
  const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  const turns = Object.entries(candidates);
  for (let round = 0; round <= rounds; round++) {
    turns.push(turns.shift());
    for (const [name, work] of turns) {
      globalThis.gc?.();
      const start = performance.now();
      await work();
      if (round > 0) times[name].push(performance.now() - start);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}
