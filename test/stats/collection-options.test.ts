import { expect, test } from 'vitest';
import { checkedOptions } from '../../src/stats/collection-options.js';

test('without a word of the caller: the times and shares of the documentation', () => {
  expect(checkedOptions({})).toEqual({
    periodMs: 60_000,
    timeoutMs: 10_000,
    walkTimeoutMs: 1_800_000,
    concurrency: 32,
    walkShare: 0.05,
  });
});
