import { stringify } from '../../index.js';

/**
 * The form of the JSON answer. Fields may be added; none is removed or changes its meaning without a new
 * version.
 */
export const SCHEMA = 'kube-volume-metrics/cli/v1';

/** The answer for programs: numbers are exact, and what is not known is absent. */
export function jsonAnswer(answer: Readonly<Record<string, unknown>>): string {
  return `${escapeControlsInJson(stringify({ schema: SCHEMA, ...answer }, 2))}\n`;
}

/**
 * JSON that a terminal can only print, and that means the same. JSON itself escapes C0 and halves of pairs;
 * what else is a control can only stand in its strings.
 */
function escapeControlsInJson(json: string): string {
  return json.replace(
    /[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
