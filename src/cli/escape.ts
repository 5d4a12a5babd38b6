/**
 * C0, C1 and DEL, line and paragraph separators, controls of writing direction, halves of surrogate pairs.
 */
const CONTROL = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * A text as one that a terminal can only print: a path may hold anything but NUL, and must neither move the
 * cursor nor turn the rest of its line around. For people; `--json` has the path itself.
 */
export function escapeControls(text: string): string {
  return text.replace(CONTROL, (character) => {
    const hex = character.charCodeAt(0).toString(16);
    return NAMED[character] ?? (hex.length > 2 ? `\\u${hex.padStart(4, '0')}` : `\\x${hex.padStart(2, '0')}`);
  });
}

/**
 * JSON that a terminal can only print, and that means the same. JSON itself escapes C0 and halves of pairs;
 * what else is a control can only stand in its strings.
 */
export function escapeControlsInJson(json: string): string {
  return json.replace(
    /[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
