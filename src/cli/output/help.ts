import type { Help } from 'commander';
import { styled } from './colour.js';
import { terminalWidth, wrapped } from './table.js';

/** Texts are not wrapped into fewer columns. */
export const NARROWEST_TEXT = 20;

/** A term and its text: side by side, or on a narrow terminal the text below its term. */
export function formatItem(term: string, termWidth: number, text: string, help: Help): string {
  const width = help.helpWidth ?? 80;
  if (text === '') return `  ${term}`;
  const start = termWidth + 4;
  if (width - start >= NARROWEST_TEXT) {
    return `  ${term.padEnd(termWidth + 2)}${hanging(text, width, start)}`;
  }
  return `  ${term}\n      ${hanging(text, width, 6)}`;
}

/** A text whose first line begins after `start` columns, and whose other lines are indented by as many. */
function hanging(text: string, width: number, start: number): string {
  return wrapped(text, width, ' '.repeat(start)).join('\n').trimStart();
}

/** A paragraph of a help text. */
export function helpText(text: string): string {
  return hanging(text, helpWidth(), 0);
}

/** How wide help texts are: longer lines of prose are hard to read. */
export function helpWidth(): number {
  return Math.min(terminalWidth() ?? 80, 100);
}

/** What the exit codes of a command mean; `incomplete` is what 1 means. */
export function exitCodes(incomplete: string): string {
  const meanings = ['everything answered', incomplete, 'the command line is wrong'];
  const lines = meanings.map((text, code) => `  ${String(code)}  ${hanging(text, helpWidth(), 5)}`);
  return ['', styled('bold', 'Exit codes:'), ...lines].join('\n');
}
