import { describe, expect, test } from 'vitest';
import { findInodesArgs, findStatArgs, InodeReader, StatReader } from '../../../src/os/commands/find.js';
import { recorded } from './recorded.js';

function inPieces(reader: { read(chunk: string): void }, text: string, size: number): void {
  for (let at = 0; at < text.length; at += size) reader.read(text.slice(at, at + size));
}

describe.each([1, 3, 1000])('in pieces of %i', (size) => {
  test("counts the recorded entries of GNU's find, a hard link once", () => {
    const reader = new InodeReader(39n);
    inPieces(reader, recorded('gnu-find-inodes'), size);
    // sub, sub/deep, symlink, sub/more, and file with its link.
    expect(reader.inodes).toBe(5n);
  });

  test.each(['gnu', 'busybox'])('adds up what stat tells of the entries that find found: %s', (dialect) => {
    const reader = new StatReader(39n);
    inPieces(reader, recorded(`${dialect}-find-stat`), size);
    expect(reader.inodes).toBe(5n);
    expect(reader.bytes).toBe(16384n);
  });
});

test('entries of other devices are left out', () => {
  const inodes = new InodeReader(39n);
  inodes.read('39\n40\n39 5\n40 6\n139\n');
  expect(inodes.inodes).toBe(2n);
  const stats = new StatReader(39n);
  stats.read('39 81a4 1 8 5\n40 81a4 1 8 6\n');
  expect(stats).toMatchObject({ inodes: 1n, bytes: 4096n });
});

test('a directory counts each time, whatever its links; a file whose links are not all below the root counts once', () => {
  const stats = new StatReader(39n);
  stats.read('39 41ed 4 8 5\n39 41ed 2 8 6\n39 81a4 7 8 9\n');
  expect(stats).toMatchObject({ inodes: 3n, bytes: 12288n });
});

test('counts beyond 32 bits', () => {
  const stats = new StatReader(18446744073709551615n);
  stats.read('18446744073709551615 81a4 2 36028797018963968 18446744073709551615\n');
  expect(stats.bytes).toBe(36028797018963968n * 512n);
});

test('what is left out comes before all else, in either form', () => {
  expect(findInodesArgs('/v', [])).toEqual([
    ...['-H', '/v', '-mindepth', '1', '-xdev'],
    ...['(', '-type', 'd', '-o', '-links', '1', ')', '-printf', '%D\\n', '-o', '-printf', '%D %i\\n'],
  ]);
  const long = `${'?'.repeat(1000)}*`;
  expect(findStatArgs('/v', ['/v/a', '/v/b'], '/bin/stat')).toEqual([
    ...['-H', '/v', '-mindepth', '1', '-xdev'],
    ...['(', '-path', '/v/a', '-o', '-path', '/v/b', ')', '-prune', '-o'],
    ...['!', '-path', long, '-exec', '/bin/stat', '-c', '%d %f %h %b %i', '--', '{}', '+'],
    ...['-o', '-path', long, '-exec', '/bin/stat', '-c', '%d %f %h %b %i', '--', '{}', ';'],
  ]);
});
