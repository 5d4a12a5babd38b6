import { styleText } from 'node:util';

/** How a text may look: names of `util.styleText`. */
export type Style = 'bold' | 'dim' | 'green' | 'red' | 'yellow';

/**
 * The text as standard output shows it: plain unless that is a terminal with colours, with NO_COLOR,
 * NODE_DISABLE_COLORS and FORCE_COLOR respected. (Node 20 respects them for one style at a time only, not for
 * a list of styles.)
 */
export function styled(style: Style, text: string): string {
  return text === '' ? text : styleText(style, text, { stream: process.stdout });
}
