import { describe, expect, test } from 'vitest';
import { measureSection, type Report } from '../bench/report.mjs';

/** Measures figures `a` and `b`, whose values come in turn, against a goal of 1 without slack. */
async function measured(...turns: (readonly [a: number, b: number])[]): Promise<{
  turns: number;
  failures: string[];
  printed: string[];
}> {
  let turn = 0;
  const printed: string[] = [];
  const run = (report: Report): Promise<void> => {
    const [a, b] = turns[turn++] ?? [NaN, NaN];
    report.figure({ what: 'a', value: a, unit: 'ms', goal: 1, slack: 1 });
    report.figure({ what: 'b', value: b, unit: 'ms', goal: 1, slack: 1 });
    return Promise.resolve();
  };
  const failures = await measureSection(run, 2, (text) => printed.push(text));
  return { turns: turn, failures, printed };
}

describe('a bench that is checked', () => {
  test('measures once when every goal is met', async () => {
    expect(await measured([1, 0.5])).toEqual({
      turns: 1,
      failures: [],
      printed: [expect.stringMatching(/^ {2}a +1 ms.*\n {2}b +0\.5 ms/) as string],
    });
  });

  test('measures again what missed its goal, and takes the better figure', async () => {
    const { turns, failures, printed } = await measured([2, 1], [1, 3]);
    expect({ turns, failures }).toEqual({ turns: 2, failures: [] });
    expect(printed[1]).toMatch(/measured again, because these missed their goal: a$/);
  });

  test('fails only what missed its goal three times', async () => {
    const { turns, failures } = await measured([2, 3], [4, 1], [5, 6]);
    expect({ turns, failures }).toEqual({ turns: 3, failures: ['a: 5 ms, allowed 1 (goal 1)'] });
  });

  test('counts a figure that is no number as missed', async () => {
    const { failures } = await measured([NaN, 1], [NaN, 1], [NaN, 1]);
    expect(failures).toEqual(['a: NaN ms, allowed 1 (goal 1)']);
  });
});
