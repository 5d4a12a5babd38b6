import { expect, test } from 'vitest';
import { toBytes } from '../../../src/os/commands/bytes.js';
import { patternFor } from '../../../src/os/commands/glob.js';

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
