import { describe, expect, test } from 'vitest';
import { parseMountinfo } from '../../src/os/mounts.js';
import { humanBytes, percent } from '../../src/cli/amounts.js';
import { parseDuration } from '../../src/cli/duration.js';
import { escapeControls } from '../../src/cli/escape.js';
import { realMounts } from '../../src/cli/real-mounts.js';
import { table } from '../../src/cli/table.js';
import { UsageError } from '../../src/cli/usage-error.js';

test.each([
  [0n, '0 B'],
  [1023n, '1023 B'],
  [1024n, '1.0 KiB'],
  [1_048_575n, '1.0 MiB'],
  [494_384_795_648n, '460.4 GiB'],
  [2n ** 64n - 1n, '16.0 EiB'],
  [2n ** 90n, '1048576.0 ZiB'],
])('%s bytes are %s', (bytes, text) => {
  expect(humanBytes(bytes)).toBe(text);
});

test.each([
  [0n, 10n, '0%'],
  [1n, 1000n, '1%'],
  [999n, 1000n, '100%'],
  [10n, 10n, '100%'],
  [15n, 10n, '150%'],
  [0n, 0n, '-'],
])('%s of %s is %s', (part, whole, text) => {
  expect(percent(part, whole)).toBe(text);
});

describe('a duration', () => {
  test.each([
    ['5s', 5000],
    ['1.5s', 1500],
    ['200ms', 200],
    ['200', 200],
    ['2m', 120_000],
    ['0', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration('--timeout', text)).toBe(ms);
  });

  test.each(['', 's', '-1s', '5 s', '1e3', '0x10', 'Infinity', '5h', '.5s', '5s5s'])(
    '"%s" is none',
    (text) => {
      expect(() => parseDuration('--timeout', text)).toThrow(UsageError);
    },
  );
});

describe('control characters', () => {
  test.each([
    ['C0', 'a\u0000\u0007\u001b', 'a\\x00\\x07\\x1b'],
    ['those with a name', '\t\r\n', '\\t\\r\\n'],
    ['DEL and C1', '\u007f\u0080\u009b', '\\x7f\\x80\\x9b'],
    [
      'writing direction',
      '\u200e\u200f\u061c\u202a\u202e\u2066\u2069',
      '\\u200e\\u200f\\u061c\\u202a\\u202e\\u2066\\u2069',
    ],
    ['line separators', '\u2028\u2029', '\\u2028\\u2029'],
    ['halves of pairs', 'a\ud83d-\ude00', 'a\\ud83d-\\ude00'],
  ])('%s are written as text', (_, text, escaped) => {
    expect(escapeControls(text)).toBe(escaped);
  });

  test.each(['/plain path', 'größe', '日本語', '😀', 'back\\slash', 'e\u0301'])(
    '%s stays as it is',
    (text) => {
      expect(escapeControls(text)).toBe(text);
    },
  );
});

describe('a table', () => {
  const columns = [
    { title: 'NAME', align: 'left' },
    { title: 'N', align: 'right' },
    { title: 'WHY', align: 'left' },
  ] as const;

  test('is as wide as its widest cells, and no line ends in spaces', () => {
    const text = table(columns, [
      ['a', '1', ''],
      ['bbbbbb', '1000', 'because'],
    ]);
    expect(text).toBe(['NAME       N  WHY', 'a          1', 'bbbbbb  1000  because', ''].join('\n'));
  });

  test('without lines has its titles', () => {
    expect(table(columns, [])).toBe('NAME  N  WHY\n');
  });

  test('takes most wide and combined characters for what they are', () => {
    const lines = table(columns, [
      ['日本', '1', '|'],
      ['e\u0301', '1', '|'],
      ['😀', '1', '|'],
      ['four', '1', '|'],
    ]).split('\n');
    expect(lines.slice(1, 5)).toEqual(['日本  1  |', 'e\u0301     1  |', '😀    1  |', 'four  1  |']);
  });

  test('takes a half of a pair without failing', () => {
    expect(table(columns, [['\ud83d', '1', '']])).toContain('\ud83d');
  });
});

test('real mounts are those that a path leads to, without those of the kernel', () => {
  const all = parseMountinfo(
    [
      '1 0 8:1 / / rw - ext4 /dev/sda1 rw',
      '2 1 0:2 / /proc rw - proc proc rw',
      '3 1 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
      '4 1 0:4 / /data rw - nfs4 server:/export rw',
      '5 4 0:5 / /data rw - tmpfs tmpfs rw',
      '6 1 0:6 / /net rw - autofs systemd-1 rw',
      '7 1 0:7 / /mnt/sshfs rw - fuse.sshfs host:/ rw',
      '8 1 0:8 / /dev/hugepages rw - hugetlbfs hugetlbfs rw',
    ].join('\n'),
  );
  expect(realMounts(all, false).map(({ id }) => id)).toEqual([1, 5, 7, 8]);
  expect(realMounts(all, true).map(({ id }) => id)).toEqual([1, 2, 3, 5, 6, 7, 8]);
});
