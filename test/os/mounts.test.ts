import { mkdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { mountedBelow, mountOf, mounts, parseMountinfo } from '../../src/os/mounts.js';
import { join } from 'node:path';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

const LINE = '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue';

describe('parseMountinfo', () => {
  test('reads every field', () => {
    expect(parseMountinfo(`${LINE}\n`)).toEqual([
      {
        id: 36,
        device: '98:0',
        root: '/mnt1',
        mountPoint: '/mnt2',
        options: ['rw', 'noatime', 'errors=continue'],
        fsType: 'ext3',
        source: '/dev/root',
        readOnly: false,
        hidden: false,
      },
    ]);
  });

  test.each(['', 'shared:5 ', 'shared:5 master:1 propagate_from:2 unbindable '])(
    'passes over the optional fields "%s" up to the lone dash',
    (optional) => {
      const [mount] = parseMountinfo(`36 35 98:0 / /m rw ${optional}- fuse.sshfs - rw`);
      expect(mount).toMatchObject({ mountPoint: '/m', fsType: 'fuse.sshfs', source: '-' });
    },
  );

  test('takes the octal escapes back, of a mount point named like a dash too', () => {
    const [mount] = parseMountinfo(
      String.raw`36 35 0:99 / /a\040b\011c\012d\134e\043f/- rw - tmpfs my\040source rw`,
    );
    expect(mount).toMatchObject({ mountPoint: '/a b\tc\nd\\e#f/-', source: 'my source' });
  });

  test.each([
    ['rw', 'rw', false],
    ['ro', 'rw', true],
    ['rw', 'ro', true],
    ['rw,nosuid', 'rw,errors=remount-ro', false],
    ['rw', 'rw,errors=remount-ro,emergency_ro', true],
    ['rw', 'rw,shutdown', true],
  ])('mount options %s over filesystem options %s: read-only is %s', (mount, filesystem, readOnly) => {
    const [found] = parseMountinfo(`36 35 98:0 / /m ${mount} - ext4 /dev/x ${filesystem}`);
    expect(found?.readOnly).toBe(readOnly);
    expect(found?.options.includes('rw')).toBe(!readOnly);
  });

  test('leaves out lines of another form', () => {
    expect(parseMountinfo(`\nnonsense\n1 2 3\n36 35 98:0 / /m rw no dash here\n${LINE}\n`)).toHaveLength(1);
    expect(parseMountinfo('')).toEqual([]);
  });
});

test('mountedBelow knows the outermost points strictly below a directory, each once', () => {
  const all = parseMountinfo(
    ['/', '/a', '/a/b', '/a/b/c', '/a/d', '/ab', '/a/b']
      .map((point) => `1 1 0:1 / ${point} rw - tmpfs tmpfs rw`)
      .join('\n'),
  );
  expect(mountedBelow('/a', all)).toEqual(['/b', '/d']);
  expect(mountedBelow('/a/', all)).toEqual(['/b', '/d']);
  expect(mountedBelow('/', all)).toEqual(['/a', '/ab']);
  expect(mountedBelow('/x', all)).toEqual([]);
});

test.runIf(process.platform === 'linux')('mounts() lists what the kernel lists', async () => {
  const found = await mounts();
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  expect(found.map((mount) => mount.id)).toEqual(lines.map((line) => Number(line.split(' ')[0])));
  expect(found.some((mount) => mount.mountPoint === '/')).toBe(true);
});

/** The ids of those that are hidden, of mounts given as "id parent mountPoint". */
function hidden(...lines: string[]): number[] {
  const text = lines.map((line) => {
    const [id, parent, point] = line.split(' ');
    return `${String(id)} ${String(parent)} 0:1 / ${String(point)} rw - tmpfs tmpfs rw`;
  });
  return parseMountinfo(text.join('\n'))
    .filter((mount) => mount.hidden)
    .map((mount) => mount.id);
}

describe('hidden mounts', () => {
  test('are none in an ordinary tree, in whatever order it is listed', () => {
    const tree = ['27 1 /', '22 27 /proc', '23 22 /proc/x', '24 27 /a', '25 24 /a/b', '26 27 /ab'];
    expect(hidden(...tree)).toEqual([]);
    expect(hidden(...tree.reverse())).toEqual([]);
  });

  test('are those below another on the same point', () => {
    expect(hidden('1 0 /', '2 1 /a', '3 2 /a', '4 3 /a')).toEqual([2, 3]);
    expect(hidden('4 3 /a', '3 2 /a', '2 1 /a', '1 0 /')).toEqual([3, 2]);
  });

  test('are those below a point that was mounted over later', () => {
    // Mounted on /a itself, 4 would have 5 for its parent.
    expect(hidden('1 0 /', '4 1 /a/b', '5 1 /a', '6 4 /a/b/c', '7 5 /a/b')).toEqual([4, 6]);
  });

  test('are those on a root that was mounted over', () => {
    expect(hidden('1 0 /', '2 1 /a', '3 1 /')).toEqual([1, 2]);
  });

  test('are told of a list that makes no sense, too', () => {
    expect(hidden('1 1 /', '2 3 /a', '3 2 /a/b')).toEqual([]);
    expect(hidden('1 1 relative', '2 1 ')).toEqual([]);
  });
});

test.skipIf(needs({ root: true }))('mounts() knows what is hidden here', async () => {
  using place = new TestMounts();
  const [stacked, above] = [place.tmpfs(), place.newDirectory()];
  place.mount(stacked, '-t', 'tmpfs', 'upper');
  const below = join(above, 'below');
  mkdirSync(below);
  place.mount(below, '-t', 'tmpfs', 'below');
  place.mount(above, '-t', 'tmpfs', 'above');
  const found = (await mounts()).filter(({ mountPoint }) => mountPoint.startsWith(`${place.directory}/`));
  expect(found.map(({ source, hidden }) => [source, hidden])).toEqual([
    ['kvm-test', true],
    ['upper', false],
    ['below', true],
    ['above', false],
  ]);
});

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
