import { describe, expect, test } from 'vitest';
import { mountedBelow, mountOf } from '../../../src/os/commands/mount-of.js';
import { parseMountinfo } from '../../../src/os/mounts.js';

const MOUNTS = parseMountinfo(
  [
    '1 0 8:1 / / rw - ext4 /dev/root rw',
    '2 1 8:2 / /v rw - ext4 /dev/v rw',
    '3 1 8:3 / /v2 ro - ext4 /dev/v2 rw',
    '4 2 8:1 /b /v/b rw - ext4 /dev/root rw',
    '5 2 8:1 /b /v/b\\040c rw - ext4 /dev/root rw',
    '6 4 8:6 / /v/b/deep rw - ext4 /dev/six rw',
    '7 2 8:7 / /v/a\\012b rw - ext4 /dev/seven rw',
  ].join('\n'),
);

describe('the mount that a path is on', () => {
  test.each([
    ['/', 1],
    ['/x', 1],
    ['/v', 2],
    ['/vault', 1],
    ['/v/x/y', 2],
    ['/v2/x', 3],
    ['/v/b/deep/x', 6],
    ['/v/b c', 5],
    ['/v/a\nb/x', 7],
  ])('%j', (path, id) => {
    expect(mountOf(path, MOUNTS)?.id).toBe(id);
  });

  test('is not known in a chroot without a mount of its own', () => {
    expect(mountOf('/x', parseMountinfo('2 1 8:2 / /v rw - ext4 /dev/v rw'))).toBeUndefined();
  });
});

describe('what is mounted below a path', () => {
  test('is told from the path on, without what is below others', () => {
    expect(mountedBelow('/v', MOUNTS).sort()).toEqual(['/a\nb', '/b', '/b c']);
    expect(mountedBelow('/', MOUNTS).sort()).toEqual(['/v', '/v2']);
    expect(mountedBelow('/v/b', MOUNTS)).toEqual(['/deep']);
  });

  test('is nothing below a directory that only begins like it', () => {
    expect(mountedBelow('/v/b/de', MOUNTS)).toEqual([]);
    expect(mountedBelow('/v/', [])).toEqual([]);
  });
});
