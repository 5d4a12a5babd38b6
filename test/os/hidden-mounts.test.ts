import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mounts, parseMountinfo } from '../../src/os/mounts.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

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
