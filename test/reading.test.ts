import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { Metrics } from '../src/metrics.js';
import {
  availableOf,
  checkedReading,
  LARGEST_INT64,
  QUANTITIES,
  readingProblem,
  show,
} from '../src/reading.js';

const PLAIN: Metrics = { time: new Date(), source: 'mine', capacity: 10n, available: 4n, used: 6n };
const FULL: Metrics = {
  ...PLAIN,
  inodes: 10n,
  inodesFree: 4n,
  inodesUsed: 6n,
  readOnly: false,
  condition: { abnormal: false, message: '', problems: [{ status: 'a', reason: 'b', message: 'c' }] },
  incomplete: { errors: 1, first: { path: '/a', code: 'EACCES' } },
  warnings: ['odd'],
};

describe('a valid reading', () => {
  test.each([
    ['the least', { time: new Date(), source: 'x' }],
    ['zeros', { ...PLAIN, used: 0n }],
    ['everything', FULL],
    ['undefined fields', { ...PLAIN, readOnly: undefined, warnings: undefined }],
    ['a date of another realm', { ...PLAIN, time: runInNewContext('new Date()') as Date }],
    ['a clock that is a little ahead', { ...PLAIN, time: new Date(Date.now() + 30_000) }],
    ['the largest numbers', { ...PLAIN, capacity: 2n ** 80n }],
    ['unknown fields', { ...PLAIN, extra: 1 }],
  ])('%s', (_what, reading) => {
    expect(readingProblem(reading)).toBeUndefined();
    expect(checkedReading('mine', reading)).toBe(reading);
  });
});

describe('an invalid reading', () => {
  test.each<[unknown, string]>([
    [undefined, 'it is undefined'],
    [null, 'it is null'],
    ['text', 'it is a string'],
    [[], 'its time is undefined, not a date'],
    [{ source: 'x' }, 'its time is undefined, not a date'],
    [{ ...PLAIN, time: Date.now() }, `its time is the number `],
    [{ ...PLAIN, time: new Date(Number.NaN) }, 'its time is an invalid date'],
    [{ ...PLAIN, time: new Date('2999-01-01') }, 'its time is in the future (2999-01-01T00:00:00.000Z)'],
    [{ ...PLAIN, source: '' }, 'its source is an empty string, not a name'],
    [{ ...PLAIN, source: 7 }, 'its source is the number 7, not a name'],
    [{ ...PLAIN, readOnly: 'no' }, 'its readOnly is a string, not a boolean'],
    [{ ...PLAIN, condition: { abnormal: 1, message: '' } }, 'its condition lacks a boolean "abnormal"'],
    [{ ...PLAIN, condition: null }, 'its condition lacks a boolean "abnormal"'],
    [
      { ...PLAIN, condition: { abnormal: true, message: '', problems: [{}] } },
      'the problems of its condition',
    ],
    [{ ...PLAIN, incomplete: { errors: -5, first: { path: '/', code: 'E' } } }, 'its incomplete lacks'],
    [{ ...PLAIN, incomplete: { errors: 0, first: { path: '/', code: 'E' } } }, 'its incomplete lacks'],
    [{ ...PLAIN, incomplete: { errors: 1.5 } }, 'its incomplete lacks a whole number "errors"'],
    [{ ...PLAIN, incomplete: { errors: 1, first: { path: '/' } } }, 'the first of its incomplete lacks'],
    [{ ...PLAIN, warnings: 'odd' }, 'its warnings are a string, not texts'],
    [{ ...PLAIN, warnings: [1] }, 'its warnings are an array, not texts'],
  ])('%o: %s', (value, problem) => {
    expect(readingProblem(value)?.slice(0, problem.length)).toBe(problem);
  });

  test.each(QUANTITIES)('%s must be a bigint of at least 0', (name) => {
    expect(readingProblem({ ...PLAIN, [name]: 5 })).toBe(`its ${name} is the number 5, not a bigint`);
    expect(readingProblem({ ...PLAIN, [name]: -5n })).toBe(`its ${name} is negative (-5)`);
    expect(readingProblem({ ...PLAIN, [name]: null })).toBe(`its ${name} is null, not a bigint`);
  });

  test('is an error that names the provider and holds the value', () => {
    const value = { time: new Date() };
    expect(() => checkedReading('mine', value)).toThrow(
      expect.objectContaining({
        code: 'METRICS_PROVIDER_FAILED',
        message: 'provider "mine" gave no reading: its source is undefined, not a name',
        cause: value,
      }),
    );
  });
});

test('the quantities are in the kubelet’s order, and the largest int64 is 2^63 - 1', () => {
  expect(QUANTITIES).toEqual(['capacity', 'available', 'used', 'inodes', 'inodesFree', 'inodesUsed']);
  expect(LARGEST_INT64).toBe(9_223_372_036_854_775_807n);
});

test('show names a value in few words', () => {
  const revoked = Proxy.revocable([], {});
  revoked.revoke();
  expect([undefined, null, 1, 'a'.repeat(1000), [], {}, 5n, true, '', revoked.proxy].map(show)).toEqual([
    'undefined',
    'null',
    'the number 1',
    'a string',
    'an array',
    'an object',
    'a bigint',
    'a boolean',
    'an empty string',
    'an object',
  ]);
});

test.each<[bigint, bigint, string[]]>([
  [0n, 0n, []],
  [10n, 10n, []],
  [11n, 11n, ['available is more than the capacity: 11 available bytes of 10']],
  [
    2n ** 63n - 1n,
    2n ** 63n - 1n,
    ['available is more than the capacity: 9223372036854775807 available bytes of 10'],
  ],
  [2n ** 63n, 0n, ['available taken as 0: 9223372036854775808 available bytes of 10 is a wrapped negative']],
  [
    2n ** 64n - 1n,
    0n,
    ['available taken as 0: 18446744073709551615 available bytes of 10 is a wrapped negative'],
  ],
])('%s available of 10 counts as %s', (available, counted, expected) => {
  const warnings: string[] = [];
  expect(availableOf(available, 10n, 'bytes', warnings)).toBe(counted);
  expect(warnings).toEqual(expected);
});
