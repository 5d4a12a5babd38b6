/** One character of UTF-8, or else one byte that is part of none. */
const CHARACTER =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\s\S]/g;

/**
 * A pattern of fnmatch(3) for exactly this path. An argument of a command is UTF-8 here, so a byte that is not
 * becomes `?`, which stands for any one byte under LC_ALL=C.
 *
 * @param path - one character for each byte
 */
export function patternFor(path: string): string {
  return path.replace(CHARACTER, (character) => {
    if (character.length > 1) return Buffer.from(character, 'latin1').toString();
    if (character > '\x7f') return '?';
    return '[]*?\\'.includes(character) ? `\\${character}` : character;
  });
}
