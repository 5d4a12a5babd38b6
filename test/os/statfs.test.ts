import { describe, expect, test } from 'vitest';
import { toFsInfo, type StatFs } from '../../src/os/statfs.js';

/** Golden case E18 of a plain filesystem, to vary. */
const PLAIN: StatFs = {
  magic: 0xef53,
  frsize: 4096n,
  blocks: 1000n,
  bfree: 400n,
  bavail: 350n,
  files: 100n,
  ffree: 60n,
  readOnly: false,
};

describe('toFsInfo', () => {
  test('multiplies blocks by the fragment size, and tells free from available', () => {
    expect(toFsInfo(PLAIN)).toEqual({
      capacity: 4096000n,
      available: 1433600n,
      used: 2457600n,
      inodes: 100n,
      inodesFree: 60n,
      inodesUsed: 40n,
      readOnly: false,
      blockSize: 4096n,
      type: 'ext4',
    });
  });

  test('is exact past 2^53', () => {
    const info = toFsInfo({ ...PLAIN, blocks: 2n ** 60n + 1n, bfree: 1n, bavail: 1n });
    expect(info.capacity).toBe((2n ** 60n + 1n) * 4096n);
    expect(info.used).toBe(2n ** 60n * 4096n);
  });

  test.each([0n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n])(
    'leaves the inodes out where the filesystem says %s of them',
    (files) => {
      const info = toFsInfo({ ...PLAIN, files, ffree: files });
      expect(info).not.toHaveProperty('inodes');
      expect(info).not.toHaveProperty('inodesFree');
      expect(info).not.toHaveProperty('inodesUsed');
      expect(info).not.toHaveProperty('warnings');
    },
  );

  test('leaves the inodes out, with a warning, where more are free than there are', () => {
    const info = toFsInfo({ ...PLAIN, files: 100n, ffree: 2n ** 64n - 1n });
    expect(info).not.toHaveProperty('inodes');
    expect(info).not.toHaveProperty('inodesFree');
    expect(info.warnings).toEqual(['inodes left out: 18446744073709551615 free of 100 makes no sense']);
  });

  test('takes a wrapped negative as nothing available, with a warning', () => {
    const info = toFsInfo({ ...PLAIN, bavail: 2n ** 64n - 5n });
    expect(info.available).toBe(0n);
    expect(info.warnings).toEqual([
      'available taken as 0: 18446744073709551611 available blocks of 1000 is a wrapped negative',
    ]);
  });

  test('leaves used out, with a warning, where more blocks are free than there are', () => {
    const info = toFsInfo({ ...PLAIN, bfree: 1001n });
    expect(info).not.toHaveProperty('used');
    expect(info.warnings).toHaveLength(1);
  });

  test('an empty filesystem has a measured zero of used bytes and inodes, and nothing odd', () => {
    const info = toFsInfo({ ...PLAIN, bfree: 1000n, bavail: 1000n, ffree: 100n });
    expect(info).toMatchObject({ used: 0n, available: 4096000n, inodesUsed: 0n });
    expect(info).not.toHaveProperty('warnings');
  });

  test('names an unknown filesystem by its number, and leaves an unknown read-only state out', () => {
    const { readOnly, ...rest } = PLAIN;
    expect(readOnly).toBe(false);
    const info = toFsInfo({ ...rest, magic: 0xabcdef });
    expect(info.type).toBe('0xabcdef');
    expect(info).not.toHaveProperty('readOnly');
  });
});
