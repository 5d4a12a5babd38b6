import { describe, expect, test } from 'vitest';
import { volumePath } from '../../src/os/volume-path.js';

describe('volumePath', () => {
  test.each([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['//a///b', '/a/b'],
    ['/a/./b', '/a/b'],
    ['/.', '/'],
    // These say that it must be a directory.
    ['/a/', '/a/'],
    ['/a//', '/a/'],
    ['/a/.', '/a/'],
    ['/a/./', '/a/'],
    // What `..` means depends on symlinks: it is the kernel's to say.
    ['/a/../b', '/a/../b'],
    ['/a/..', '/a/..'],
    ['/.hidden/...', '/.hidden/...'],
  ])('%j is %j', (given, expected) => {
    expect(volumePath(given)).toBe(expected);
  });

  test.each(['a', './a', 'a/', '.', '..'])('%j is resolved against the current directory', (given) => {
    const rest = given.replace(/^\.\//, '');
    expect(volumePath(given)).toBe(given === '.' ? process.cwd() : `${process.cwd()}/${rest}`);
  });

  test('an empty path is none', () => {
    expect(() => volumePath('')).toThrow(
      expect.objectContaining({
        code: 'METRICS_NO_PATH_DEFINED',
        message: 'no path defined for disk usage metrics.',
      }),
    );
  });

  test('a NUL cannot stand in a path', () => {
    expect(() => volumePath('/a\0b')).toThrow(expect.objectContaining({ code: 'EINVAL', path: '/a\\0b' }));
  });

  test.each([undefined, null, 7, {}, Buffer.from('/')])('%j is no string', (given) => {
    expect(() => volumePath(given as string)).toThrow(TypeError);
  });
});
