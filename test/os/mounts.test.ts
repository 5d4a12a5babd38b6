import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { mountPointsBelow, mounts, parseMountinfo } from '../../src/os/mounts.js';

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

describe('mountPointsBelow', () => {
  const all = parseMountinfo(
    ['/', '/a', '/a/b', '/a/b/c', '/ab', '/a/b']
      .map((point) => `1 1 0:1 / ${point} rw - tmpfs tmpfs rw`)
      .join('\n'),
  );

  test('knows the points strictly below a directory, each once', () => {
    expect(mountPointsBelow(all, '/a')).toEqual(['/a/b', '/a/b/c']);
    expect(mountPointsBelow(all, '/a/')).toEqual(['/a/b', '/a/b/c']);
    expect(mountPointsBelow(all, '/')).toEqual(['/a', '/a/b', '/a/b/c', '/ab']);
    expect(mountPointsBelow(all, '/x')).toEqual([]);
  });
});

test.runIf(process.platform === 'linux')('mounts() lists what the kernel lists', async () => {
  const found = await mounts();
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  expect(found.map((mount) => mount.id)).toEqual(lines.map((line) => Number(line.split(' ')[0])));
  expect(found.some((mount) => mount.mountPoint === '/')).toBe(true);
});
