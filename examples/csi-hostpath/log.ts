/** Takes a line of the driver's log. */
export type Log = (line: string) => void;

/** Controls, line and paragraph separators, controls of writing direction, and halves of surrogate pairs. */
const CONTROLS = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/**
 * Escapes what would break or rearrange a line, move the cursor or colour a terminal: requests and file names
 * may contain it.
 */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The log with every line escaped, so that nothing in a request can look like a line of its own. */
export function escapedLines(log: Log): Log {
  return (line) => {
    log(escapeControls(line));
  };
}
