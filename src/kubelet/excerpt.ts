import { escapeControls } from '../escape.js';

const LONGEST_TEXT = 300;

/** The beginning of a server's text, for a message. */
export function excerpt(text: string): string {
  const trimmed = text.trim();
  return escapeControls(trimmed.length > LONGEST_TEXT ? `${trimmed.slice(0, LONGEST_TEXT)}...` : trimmed);
}
