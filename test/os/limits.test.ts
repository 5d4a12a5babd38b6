import { expect, test } from 'vitest';
import { checkedWalk } from '../../src/os/disk-usage.js';
import { checkedLimits, checkedMs } from '../../src/os/limits.js';

test('without a word of the caller: 5 s, no signal, whichever binding loads', () => {
  expect(checkedLimits({})).toEqual({ timeoutMs: 5_000, signal: undefined, binding: 'auto' });
  expect(checkedWalk({})).toEqual({ allowPartial: false, stallTimeoutMs: 30_000 });
});

test.each([Number.MIN_VALUE, 1, 2_147_483_647])('%s ms are a limit', (ms) => {
  expect(checkedMs('timeoutMs', ms)).toBe(ms);
});

test.each([0, -1, NaN, Infinity, 2_147_483_648])('%s ms are none', (ms) => {
  expect(() => checkedMs('stallTimeoutMs', ms)).toThrow(
    `Expected stallTimeoutMs to be a number of milliseconds above 0 and at most 2147483647, got ${String(ms)}`,
  );
});
