import { describe, expect, test } from 'vitest';
import { escapedStart, escapeControls } from '../src/escape.js';

describe('control characters', () => {
  test.each([
    ['C0', 'a\u0000\u0007\u001b', 'a\\x00\\x07\\x1b'],
    ['those with a name', '\t\r\n', '\\t\\r\\n'],
    ['DEL and C1', '\u007f\u0080\u009b', '\\x7f\\x80\\x9b'],
    [
      'writing direction',
      '\u200e\u200f\u061c\u202a\u202e\u2066\u2069',
      '\\u200e\\u200f\\u061c\\u202a\\u202e\\u2066\\u2069',
    ],
    ['line separators', '\u2028\u2029', '\\u2028\\u2029'],
    ['halves of pairs', 'a\ud83d-\ude00', 'a\\ud83d-\\ude00'],
  ])('%s are written as text', (_, text, escaped) => {
    expect(escapeControls(text)).toBe(escaped);
  });

  test.each(['/plain path', 'größe', '日本語', '😀', 'back\\slash', 'e\u0301'])(
    '%s stays as it is',
    (text) => {
      expect(escapeControls(text)).toBe(text);
    },
  );
});

test('of a long text the beginning is left, and a control counts as one character', () => {
  expect(escapedStart('abc', 3)).toBe('abc');
  expect(escapedStart('a\nbc', 2)).toBe('a\\n...');
});
