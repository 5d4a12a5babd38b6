import { readFileSync } from 'node:fs';

/** What a command really printed (recorded/record.mjs); one character for each byte. */
export function recorded(name: string): string {
  return readFileSync(new URL(`recorded/${name}.txt`, import.meta.url), 'latin1');
}

/**
 * Names of directories below /volume/odd that are hard to print, as they are in the recordings; one character
 * for each byte.
 */
export const ODD_NAMES = [
  'plain',
  "it's",
  'a space',
  'new\nline',
  'tab\there',
  'q"uote',
  `both'"`,
  'back\\slash',
  'caf\xc3\xa9',
  'ctl\x01\x7f',
  'colon: ends',
  '-dash',
  '$dollar',
  'return\r',
  "quote'\nline",
];

/** One more, which no argument of a command can name. */
export const NOT_UTF8 = 'bad\xff\xfename';
