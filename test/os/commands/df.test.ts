import { describe, expect, test } from 'vitest';
import { parseDf, unitOf } from '../../../src/os/commands/df.js';
import { recorded } from './recorded.js';

describe("BusyBox's df", () => {
  test('a tmpfs', () => {
    expect(parseDf(recorded('busybox-df-tmpfs'))).toEqual({ size: 67108864n, mountPoint: '/volume' });
  });

  test('names with spaces, newlines, numbers and a percent sign', () => {
    expect(parseDf(recorded('busybox-df-odd'))).toEqual({
      size: 1048576n,
      mountPoint: '/volume/a mount\n100% here',
    });
  });

  test('a filesystem without blocks', () => {
    expect(parseDf(recorded('busybox-df-proc'))).toEqual({ size: 0n, mountPoint: '/proc' });
  });

  test('a device node that is not mounted: no line', () => {
    expect(parseDf(recorded('busybox-df-device'))).toBeUndefined();
  });

  test('counts that have wrapped', () => {
    expect(parseDf(recorded('busybox-df-wrapped'))?.size).toBe(4096000n);
  });
});

describe('the unit', () => {
  test('of 120699413 blocks with bsize 1 MiB is what df computed with', () => {
    const size = parseDf(recorded('busybox-df-large'))!.size;
    expect(unitOf(120699413n, 1048576n, size)).toBe(4096n);
  });

  test('is f_bsize where that explains the size', () => {
    expect(unitOf(16384n, 4096n, 67108864n)).toBe(4096n);
  });

  test('need not be a power of two', () => {
    expect(unitOf(1001n, 4096n, 1001n * 1000n)).toBe(1000n);
  });

  test('is found when the size in bytes has wrapped', () => {
    expect(unitOf(2n ** 64n - 1n, 4096n, 2n ** 64n - 512n)).toBe(512n);
    expect(unitOf(2n ** 64n - 1n, 4096n, 2n ** 64n - 4096n)).toBe(4096n);
  });

  test('is the nearest power of two when the filesystem has grown or shrunk between the commands', () => {
    expect(unitOf(1_000_000n, 131072n, 1_000_100n * 512n)).toBe(512n);
    expect(unitOf(1_000_000n, 131072n, 999_999n * 512n)).toBe(512n);
  });

  test('is not known when nothing explains the size', () => {
    expect(unitOf(1_000_003n, 4096n, 1_400_001n * 4096n + 1n)).toBeUndefined();
    expect(unitOf(1_000_003n, 4096n, 0n)).toBeUndefined();
  });
});
