import { escapedStart } from '../escape.js';

const LONGEST_TEXT = 300;

/** The beginning of a server's text, for a message. */
export function excerpt(text: string): string {
  return escapedStart(text.trim(), LONGEST_TEXT);
}
