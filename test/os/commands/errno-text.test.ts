import { expect, test } from 'vitest';
import { errnoOf } from '../../../src/os/commands/errno-text.js';
import { recorded } from './recorded.js';

test.each(['gnu', 'busybox'])('%s: the recorded messages have the errnos that were made', (dialect) => {
  for (const errno of ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES']) {
    expect(errnoOf(recorded(`${dialect}-stat-${errno}`))).toBe(errno);
    expect(errnoOf(recorded(`${dialect}-statfs-${errno}`))).toBe(errno);
  }
});

test('a path with colons does not mislead', () => {
  expect(errnoOf("stat: can't stat '/a: Permission denied': No such file or directory\n")).toBe('ENOENT');
});

test("musl's words are known where they differ from glibc's", () => {
  expect(errnoOf("stat: can't stat '/a': I/O error")).toBe('EIO');
  expect(errnoOf("stat: can't stat '/a': Symbolic link loop")).toBe('ELOOP');
  expect(errnoOf("stat: can't stat '/a': Filename too long")).toBe('ENAMETOOLONG');
  expect(errnoOf("stat: can't stat '/a': Socket not connected")).toBe('ENOTCONN');
});

test.each(['', 'usage: stat FILE', 'stat: No luck: today'])('%j has none', (text) => {
  expect(errnoOf(text)).toBeUndefined();
});
