import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parseMountinfo } from '../../src/os/mounts.js';
import { InvalidArgumentError } from 'commander';
import { parseDuration, wholeNumber } from '../../src/cli/command.js';
import { selectMounts } from '../../src/cli/commands/mounts.js';
import { humanBytes, percent, tableLines, wrapped, type Column } from '../../src/cli/output/table.js';

// What is no terminal has no colours, unless they are forced.
beforeAll(() => {
  vi.stubEnv('FORCE_COLOR', undefined);
});
afterAll(() => {
  vi.unstubAllEnvs();
});

test.each([
  [0n, '0 B'],
  [1023n, '1023 B'],
  [1024n, '1.0 KiB'],
  [1_048_575n, '1.0 MiB'],
  [494_384_795_648n, '460.4 GiB'],
  [2n ** 64n - 1n, '16.0 EiB'],
  [2n ** 90n, '1024.0 YiB'],
  [1_048_524n, '1023.9 KiB'],
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
    ['1h', 3_600_000],
    ['596h', 2_145_600_000],
    ['35791m', 2_147_460_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    '',
    's',
    '-1s',
    '5 s',
    '1e3',
    '0x10',
    'Infinity',
    '5d',
    '597h',
    '.5s',
    '5s5s',
    '0',
    '0s',
    '0.0m',
    '35792m',
  ])('"%s" is refused', (text) => {
    expect(() => parseDuration(text)).toThrow(InvalidArgumentError);
  });
});

test('a whole number has digits only and is within its limits', () => {
  const parse = wholeNumber(1, 64);
  expect(['1', '64', '007'].map(parse)).toEqual([1, 64, 7]);
  for (const text of ['0', '65', '', 'x', '1.5', '-1', '1e1', '0x1', ' 1']) {
    expect(() => parse(text)).toThrow(InvalidArgumentError);
  }
});

describe('a table', () => {
  type Line = readonly [name: string, count: string, why?: string];
  const columns: Column<Line>[] = [
    { title: 'NAME', align: 'left', cell: ([name]) => name, shortest: 9, narrow: 'above' },
    { title: 'N', align: 'right', cell: ([, count]) => count },
    { title: 'KIND', align: 'left', cell: () => 'kind', narrow: 'drop' },
  ];
  const notesOf = ([, , why]: Line): string[] => (why === undefined ? [] : [why]);
  const lines = (rows: readonly Line[], width?: number): string[] =>
    tableLines(columns, rows, notesOf, width);

  test('is as wide as its widest cells, and no line ends in spaces', () => {
    expect(
      lines([
        ['a', '1'],
        ['bbbbbb', '1000', 'because'],
      ]),
    ).toEqual(['NAME       N  KIND  REASON', 'a          1  kind', 'bbbbbb  1000  kind  because']);
  });

  test('without rows has its titles, without reasons no column for them', () => {
    expect(lines([])).toEqual(['NAME  N  KIND']);
    expect(lines([['a', '1']])).toEqual(['NAME  N  KIND', 'a     1  kind']);
  });

  test('takes wide and combined characters for what they are', () => {
    expect(
      lines([
        ['日本', '1'],
        ['e\u0301', '1'],
        ['😀', '1'],
        ['four', '1'],
      ]).slice(1),
    ).toEqual(['日本  1  kind', 'e\u0301     1  kind', '😀    1  kind', 'four  1  kind']);
  });

  test('writes control characters as text', () => {
    expect(lines([['a\u001b[2Jb\n\u202ec', '1', 'no\rpe']])[1]).toBe(
      'a\\x1b[2Jb\\n\\u202ec  1  kind  no\\rpe',
    );
  });

  const LONG = '/first/and/last';

  test('on a terminal has its reasons below the rows', () => {
    expect(
      lines(
        [
          ['a', '1', 'a reason of more than one line'],
          ['b', '2'],
        ],
        26,
      ),
    ).toEqual([
      'NAME  N  KIND',
      'a     1  kind',
      '    a reason of more than',
      '    one line',
      'b     2  kind',
    ]);
  });

  test('that is too wide does without what may be dropped', () => {
    expect(lines([[LONG, '1']], 24)).toEqual(['NAME             N  KIND', `${LONG}  1  kind`]);
    expect(lines([[LONG, '1']], 23)).toEqual(['NAME             N', `${LONG}  1`]);
  });

  test('that is still too wide shortens in the middle what may be shortened', () => {
    expect(lines([[LONG, '1']], 17)).toEqual(['NAME            N', '/first/…d/last  1']);
    expect(lines([[LONG, '1']], 12)).toEqual(['NAME       N', '/fir…last  1']);
  });

  test('that is still too wide has two lines for each row, and nothing is shortened', () => {
    expect(lines([[LONG, '1', 'why']], 11)).toEqual([`NAME\n  N`, `${LONG}\n  1`, '    why']);
  });

  test('shortens nothing if two rows would look the same', () => {
    const other = '/first/xxx/last';
    expect(
      lines(
        [
          [LONG, '1'],
          [other, '2'],
        ],
        12,
      ),
    ).toEqual([`NAME\n  N`, `${LONG}\n  1`, `${other}\n  2`]);
    expect(
      lines(
        [
          [LONG, '1'],
          [LONG, '2'],
        ],
        12,
      ),
    ).toEqual(['NAME       N', '/fir…last  1', '/fir…last  2']);
  });
});

test('wrapped text never breaks a word, so that a path can be copied', () => {
  expect(wrapped('see /a/path/that/is/longer/than/the/line here', 24, '  ')).toEqual([
    '  see',
    '  /a/path/that/is/longer/than/the/line',
    '  here',
  ]);
});

describe('the mounts that are listed', () => {
  const POD = 'pods/6f3a2b1c-0d4e-4f5a-9b8c-7d6e5f4a3b2c';
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
      `9 1 8:2 / /k/${POD}/volumes/kubernetes.io~csi/pvc-1/mount rw - xfs /dev/sdb rw`,
      `10 1 8:1 /sub /k/${POD}/volume-subpaths/pvc-1/web/0 rw - ext4 /dev/sda1 rw`,
      `11 1 0:9 /sdc /k/plugins/kubernetes.io/csi/volumeDevices/pvc-2/dev/uid rw - devtmpfs udev rw`,
      `12 1 0:10 / /other/${POD}/volumes/kubernetes.io~secret/s rw - tmpfs tmpfs rw`,
      `13 1 8:3 / /k/plugins/kubernetes.io/csi/some.driver/hash/globalmount rw - xfs /dev/sdb rw`,
      `14 1 8:4 / /k/${POD}/containers/web rw - xfs /dev/sdd rw`,
      `15 1 0:11 / /datadir rw - fuse server rw`,
    ].join('\n'),
  );
  const ids = (selection: Parameters<typeof selectMounts>[1]): number[] =>
    selectMounts(all, selection).map(({ id }) => id);

  test('are those that a path leads to, without those of the kernel', () => {
    expect(ids({})).toEqual([1, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    expect(ids({ all: true })).toEqual([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  });

  test('are of the types that are asked for, those of the kernel too', () => {
    expect(ids({ type: ['xfs', 'nfs4', 'proc'] })).toEqual([2, 9, 13, 14]);
    expect(ids({ type: ['fuse'] })).toEqual([7, 15]);
    expect(ids({ type: ['fuse.sshfs'] })).toEqual([7]);
    expect(ids({ type: ['block'] })).toEqual([11]);
    expect(ids({ type: ['ext'] })).toEqual([]);
  });

  test('are at a path and below it', () => {
    expect(ids({ path: '/data' })).toEqual([5]);
    expect(ids({ path: '/mnt/' })).toEqual([7]);
    expect(ids({ path: '/' })).toEqual(ids({}));
    expect(ids({ path: '/dat' })).toEqual([]);
  });

  test("are pods' volumes of a kubelet, or of any", () => {
    expect(ids({ kubelet: true })).toEqual([9, 10, 11, 12]);
    expect(ids({ kubelet: '/k' })).toEqual([9, 10, 11]);
    expect(ids({ kubelet: '/k/' })).toEqual([9, 10, 11]);
    expect(ids({ kubelet: '/other' })).toEqual([12]);
    expect(ids({ kubelet: '/' })).toEqual([]);
  });

  test('match all filters', () => {
    expect(ids({ kubelet: true, type: ['xfs', 'tmpfs'], path: '/k' })).toEqual([9]);
  });
});
