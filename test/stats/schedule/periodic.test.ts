import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Periodic } from '../../../src/stats/schedule/periodic.js';

const PERIOD_MS = 60_000;

describe('runs that wait beside each other', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  /** Starts one for each stretch, a part of the period; gives when each began, in milliseconds. */
  function begin(stretches: readonly number[], companions = new Set<Periodic>()): number[][] {
    return stretches.map((stretch) => {
      const times: number[] = [];
      const note = (): Promise<void> => {
        times.push(performance.now() - start);
        vi.spyOn(Math, 'random').mockReturnValueOnce(stretch);
        return Promise.resolve();
      };
      const start = performance.now();
      new Periodic(PERIOD_MS, 1, note, companions).start();
      return times;
    });
  }

  /** The second time of each. */
  const next = (all: readonly number[][]): (number | undefined)[] => all.map((times) => times[1]);

  test('begin together if they are due within a thirtieth of the period', async () => {
    const all = begin([0.5, 0.52, 0.54, 0.9]);
    await vi.advanceTimersByTimeAsync(2 * PERIOD_MS - 1);
    const first = 1.5 * PERIOD_MS;
    expect(next(all)).toEqual([first, first, 1.54 * PERIOD_MS, 1.9 * PERIOD_MS]);
  });

  test('never begin before a whole period is over', async () => {
    const companions = new Set<Periodic>();
    const all = begin([0, 0.02], companions);
    await vi.advanceTimersByTimeAsync(1);
    // Its period began later.
    const late = begin([0.01], companions);
    await vi.advanceTimersByTimeAsync(1.5 * PERIOD_MS);
    expect(next(all)).toEqual([PERIOD_MS, PERIOD_MS]);
    expect(next(late)).toEqual([1.01 * PERIOD_MS]);
  });

  test('begin each at their own time if they share nothing', async () => {
    const all = [...begin([0.5]), ...begin([0.51])];
    await vi.advanceTimersByTimeAsync(2 * PERIOD_MS - 1);
    expect(next(all)).toEqual([1.5 * PERIOD_MS, 1.51 * PERIOD_MS]);
  });

  test('one that was stopped does not begin with the others, until it is started again', async () => {
    const companions = new Set<Periodic>();
    let runs = 0;
    const stopped = new Periodic(PERIOD_MS, 0, () => Promise.resolve(void (runs += 1)), companions);
    stopped.start();
    const others = begin([0], companions);
    await vi.advanceTimersByTimeAsync(1);
    stopped.stop();
    await vi.advanceTimersByTimeAsync(3 * PERIOD_MS);
    expect(others[0]!.length).toBeGreaterThan(1);
    expect(runs).toBe(1);
    stopped.start();
    await vi.advanceTimersByTimeAsync(PERIOD_MS);
    expect(runs).toBe(3);
  });

  test('one at work is not begun a second time by another', async () => {
    const companions = new Set<Periodic>();
    let runs = 0;
    const busy = new Periodic(
      PERIOD_MS,
      0,
      () => {
        runs += 1;
        return new Promise(() => undefined);
      },
      companions,
    );
    busy.start();
    const others = begin([0], companions);
    await vi.advanceTimersByTimeAsync(3 * PERIOD_MS);
    expect(others[0]!.length).toBeGreaterThan(2);
    expect(runs).toBe(1);
  });
});
