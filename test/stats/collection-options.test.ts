import { expect, test } from 'vitest';
import { checkedCollectionOptions } from '../../src/stats/collection-options.js';

test('the defaults are those of the documentation', () => {
  expect(checkedCollectionOptions({})).toEqual({
    periodMs: 60_000,
    timeoutMs: 10_000,
    walkTimeoutMs: 1_800_000,
    concurrency: 32,
    walkShare: 0.05,
  });
});

test('a number that is an object without a text is refused by name', () => {
  for (const name of ['walkShare', 'concurrency', 'periodMs', 'timeoutMs']) {
    expect(() => checkedCollectionOptions({ [name]: Object.create(null) as number })).toThrow(
      new RegExp(`^Expected ${name} to be .*, got object$`),
    );
  }
});
