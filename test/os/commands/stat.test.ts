import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseStat, parseStatFs } from '../../../src/os/commands/stat.js';
import { recorded } from './recorded.js';
import { LateCommands } from '../../../src/os/commands/stat.js';

describe.each(['gnu', 'busybox'])('%s', (dialect) => {
  test('stat of a directory, a file, what a symlink leads to, a fifo', () => {
    const file = { kind: 'file', size: 11n, device: 39n, inode: 5n, rdev: 0n, blocks: 8n };
    expect(parseStat(recorded(`${dialect}-stat-tree`))).toEqual({
      kind: 'directory',
      size: 100n,
      device: 39n,
      inode: 2n,
      rdev: 0n,
      blocks: 0n,
    });
    expect(parseStat(recorded(`${dialect}-stat-tree-file`))).toEqual(file);
    expect(parseStat(recorded(`${dialect}-stat-tree-symlink`))).toEqual(file);
    expect(parseStat(recorded(`${dialect}-stat-fifo`))).toMatchObject({ kind: 'other', rdev: 0n });
  });

  test('stat of a device with a large major and minor number', () => {
    // makedev(3000, 1000000) of glibc: 0xbb8 and 0xf4240, interleaved.
    expect(parseStat(recorded(`${dialect}-stat-device`))).toMatchObject({ kind: 'block', rdev: 0xf42bb840n });
  });

  test('stat -f of a tmpfs and of a filesystem without blocks', () => {
    expect(parseStatFs(recorded(`${dialect}-statfs-tmpfs`))).toEqual({
      magic: 0x1021994,
      blocks: 16384n,
      bfree: 16380n,
      bavail: 16380n,
      files: 1000n,
      ffree: 988n,
      unit: 4096n,
    });
    expect(parseStatFs(recorded(`${dialect}-statfs-proc`))).toMatchObject({
      magic: 0x9fa0,
      blocks: 0n,
      files: 0n,
    });
  });

  test('stat -f of counts with the highest bit', () => {
    expect(parseStatFs(recorded(`${dialect}-statfs-wrapped`))).toMatchObject({
      blocks: 1000n,
      bfree: 2n ** 63n,
      bavail: 2n ** 64n - 5n,
      files: 2n ** 63n - 1n,
      ffree: 2n ** 64n - 1n,
    });
  });
});

test("GNU's stat -f tells f_frsize, BusyBox's f_bsize", () => {
  const counts = { magic: 0x65735546, blocks: 120699413n, bfree: 100000000n, bavail: 90000000n };
  expect(parseStatFs(recorded('gnu-statfs-large'))).toMatchObject({ ...counts, unit: 4096n });
  expect(parseStatFs(recorded('busybox-statfs-large'))).toMatchObject({ ...counts, unit: 1048576n });
});

test('a magic number with the sign spread over a long is cut to its 32 bits', () => {
  expect(parseStatFs('ffffffff9123683e 1 1 1 1 1 4096\n')?.magic).toBe(0x9123683e);
});

test.each(['', 'ef53', '1 2 3 4 5 6\n', '1 2 3 4 5 6 7 8\n', 'x 2 3 4 5 6 7\n', '1 f 3 4 5 6 7\n'])(
  '%j is no answer',
  (text) => {
    expect(parseStatFs(text)).toBeUndefined();
    expect(parseStat(text.replace('f', 'g'))).toBeUndefined();
  },
);

describe('commands that are late', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Kills a command; returns what lets it go. */
  function killed(late: LateCommands, name: string): () => void {
    let go: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      go = resolve;
    });
    late.killed([name], gone);
    return go;
  }

  test('a killed command that is not gone in a second blocks its name until it is', async () => {
    const late = new LateCommands();
    const go = killed(late, 'df');
    await vi.advanceTimersByTimeAsync(999);
    expect(late.blocks('df')).toBe(false);
    // The last look at the event loop comes after the limit.
    await vi.advanceTimersByTimeAsync(2);
    expect(late.blocks('df')).toBe(true);
    expect(late.blocks('stat')).toBe(false);
    go();
    await vi.advanceTimersByTimeAsync(0);
    expect(late.blocks('df')).toBe(false);
  });

  test('512 of them block every name', async () => {
    const late = new LateCommands();
    const [go] = Array.from({ length: 512 }, (_, number) => killed(late, String(number)));
    await vi.advanceTimersByTimeAsync(1_001);
    expect(late.blocks('df')).toBe(true);
    go!();
    await vi.advanceTimersByTimeAsync(0);
    expect(late.blocks('df')).toBe(false);
  });
});
