import { setTimeout as delay } from 'node:timers/promises';

/** What two sides disagree about, a line each, and a text that is another after each round of the kubelet. */
export interface Disagreement {
  readonly lines: readonly string[];
  readonly round: string;
}

/**
 * Both sides look at a node that lives, at different moments. A line counts once the kubelet has measured
 * this many times, and every comparison between had the same line.
 */
const ROUNDS = 20;

/** For a node on which something moves all the time. */
const MOST_TRIES = 600;

/**
 * Compares until nothing differs, or until a difference has lasted.
 *
 * @param compare - may reject while a side is not there
 * @returns the lines that have lasted
 */
export async function settled(compare: () => Promise<Disagreement>): Promise<readonly string[]> {
  let rounds = 0;
  let lastRound = '';
  /** Each line with the number of rounds when it was first seen. */
  let lasting = new Map<string, number>();
  for (let tries = 1; ; tries += 1) {
    const { lines, round } = await compare().catch((error: unknown) => ({
      lines: [`nothing can be compared: ${String(error)}`],
      round: `none in try ${String(tries)}`,
    }));
    if (lines.length === 0) return [];
    if (round !== lastRound) rounds += 1;
    lastRound = round;
    lasting = new Map(lines.map((line) => [line, lasting.get(line) ?? rounds]));
    const lasted = lines.filter((line) => rounds - lasting.get(line)! >= ROUNDS);
    if (lasted.length > 0) return lasted;
    if (tries === MOST_TRIES) return [`they do not come to rest:`, ...lines];
    await delay(500);
  }
}
