/**
 * C0, C1 and DEL, line and paragraph separators, controls of writing direction, halves of surrogate pairs.
 */
const CONTROL = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * A text for a log or a terminal: control characters and those that change the direction of writing are
 * escaped. File names, mount points and a driver's messages may hold them, and so may a message of an error
 * that quotes one. Unescaped, they forge lines of a log, move the cursor or turn the rest of a line around.
 *
 * @param text - what is to be shown to a person
 * @returns the text with `\n`, `\x1b` or `\u202e` in place of such characters
 */
export function escapeControls(text: string): string {
  return text.replace(CONTROL, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return NAMED[character] ?? (hex.length > 2 ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`);
  });
}

/** The same of a text that may be long: its beginning, with `...` where it goes on. */
export function escapedStart(text: string, most: number): string {
  return escapeControls(text.length > most ? `${text.slice(0, most)}...` : text);
}
