import { describe, expect, test } from 'vitest';
import { DuReader } from '../../../src/os/commands/du-and-find.js';
import { recorded } from './recorded.js';
import {
  InodeReader,
  StatReader,
  findInodesArgs,
  findStatArgs,
} from '../../../src/os/commands/du-and-find.js';
import { toBytes } from '../../../src/os/commands/children.js';
import { patternFor } from '../../../src/os/commands/du-and-find.js';

describe("the output of GNU's du", () => {
  const OUTPUT = recorded('gnu-du');

  test.each([1, 2, 7, OUTPUT.length])('reads the recorded output in pieces of %i', (size) => {
    const reader = new DuReader('/volume/tree');
    for (let at = 0; at < OUTPUT.length; at += size) reader.read(OUTPUT.slice(at, at + size));
    expect(reader.total).toBe(16384n);
    expect(reader.sofar).toBe(12288n);
  });

  test('knows no total before the line of the root', () => {
    const reader = new DuReader('/volume/tree');
    reader.read('12288\t/volume/tree/sub\x00163');
    expect(reader.total).toBeUndefined();
    expect(reader.sofar).toBe(12288n);
  });

  test('names may hold tabs and newlines', () => {
    const reader = new DuReader('/v\n\t1');
    reader.read('5\t/v\n\t1/9\t/v\n\t1\x008\t/v\n\t1\x00');
    expect(reader).toMatchObject({ sofar: 5n, total: 8n });
  });

  test('a sum of 2^64 bytes is an error, not a number', () => {
    const read = (text: string) => () => {
      new DuReader('/v').read(text);
    };
    expect(read('Infinity\t/v/caf\xc3\xa9\x00')).toThrow(
      expect.objectContaining({ code: 'EOVERFLOW', path: '/v/caf\u00e9', syscall: 'du' }),
    );
    expect(read('Infinity\t/v\x00')).toThrow(expect.objectContaining({ code: 'EOVERFLOW', path: '/v' }));
  });
});

describe('the output of find', () => {
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

  test.each([
    [false, '39 7\n40 sized\n', '39 81a4 1 0 5 0\n40 81a4 1 0 6 9\n39 41ed 2 0 7 40\n39 a1ff 1 0 8 11\n'],
    [true, '39 7\n39 sized\n', '39 81a4 1 0 5 0\n39 81a4 1 0 6 18446744073709551615\n'],
  ])('only a regular file of the same device has a size: %s', (hasSizes, found, stats) => {
    const inodes = new InodeReader(39n);
    inodes.read(found);
    expect(inodes).toMatchObject({ hasSizes, inodes: 1n });
    const reader = new StatReader(39n);
    reader.read(stats);
    expect(reader).toMatchObject({ hasSizes });
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
    expect(findInodesArgs('/v', ['/v/a'], true)).toEqual([
      ...['-H', '/v', '-mindepth', '1', '-xdev', '(', '-path', '/v/a', ')', '-prune', '-o'],
      ...['(', '-type', 'f', '-size', '+0c', '-printf', '%D sized\\n', ','],
      ...['(', '-type', 'd', '-o', '-links', '1', ')', '-printf', '%D\\n', '-o', '-printf', '%D %i\\n', ')'],
    ]);
    const long = `${'?'.repeat(1000)}*`;
    expect(findStatArgs('/v', ['/v/a', '/v/b'], '/bin/stat')).toEqual([
      ...['-H', '/v', '-mindepth', '1', '-xdev'],
      ...['(', '-path', '/v/a', '-o', '-path', '/v/b', ')', '-prune', '-o'],
      ...['!', '-path', long, '-exec', '/bin/stat', '-c', '%d %f %h %b %i %s', '--', '{}', '+'],
      ...['-o', '-path', long, '-exec', '/bin/stat', '-c', '%d %f %h %b %i %s', '--', '{}', ';'],
    ]);
  });
});

describe('the pattern for a path', () => {
  test.each([
    ['/plain/path', '/plain/path'],
    ['/a*b?c[d]e\\f', '/a\\*b\\?c\\[d\\]e\\\\f'],
    ['/new\nline and {braces}', '/new\nline and {braces}'],
    ['/caf\u00e9/\u4e2d/\u{1f600}/\ufffd', '/caf\u00e9/\u4e2d/\u{1f600}/\ufffd'],
  ])('%j', (path, pattern) => {
    expect(patternFor(toBytes(path))).toBe(pattern);
  });

  test('a byte that is part of no character is any one byte', () => {
    expect(patternFor('/bad\xff\xfe')).toBe('/bad??');
    expect(patternFor('/cut\xc3')).toBe('/cut?');
    expect(patternFor('/surrogate\xed\xa0\x80')).toBe('/surrogate???');
    expect(patternFor('/overlong\xc0\xaf')).toBe('/overlong??');
    expect(patternFor('/latin\xe9/\xc3\xa9')).toBe('/latin?/\u00e9');
  });
});
