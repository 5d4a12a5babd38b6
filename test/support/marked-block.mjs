// @ts-check
// Blocks of a document that a program writes, between `<!-- NAME: begin ... -->` and `<!-- NAME: end -->`.
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * @param {string} text of the document
 * @param {string} name
 * @returns {{ start: number, end: number }} where the block's content is
 */
function placeIn(text, name) {
  const begin = new RegExp(`<!-- ${name}: begin[^\\n]*-->\\n`).exec(text);
  const start = begin === null ? -1 : begin.index + begin[0].length;
  const end = text.indexOf(`<!-- ${name}: end -->`, start);
  if (start < 0 || end < 0) throw new Error(`the document has no block ${name}`);
  return { start, end };
}

/**
 * @param {string} file
 * @param {string} name
 * @returns {string} what stands between the marks
 */
export function blockIn(file, name) {
  const text = readFileSync(file, 'utf8');
  const { start, end } = placeIn(text, name);
  return text.slice(start, end);
}

/**
 * Replaces what stands between the marks.
 *
 * @param {string} file
 * @param {string} name
 * @param {string} content
 */
export function writeBlock(file, name, content) {
  const text = readFileSync(file, 'utf8');
  const { start, end } = placeIn(text, name);
  writeFileSync(file, text.slice(0, start) + content + text.slice(end));
}

/**
 * A table as Prettier formats it.
 *
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 * @returns {string}
 */
export function markdownTable(head, rows) {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (/** @type {readonly string[]} */ cells) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |\n`;
  return `\n${line(head)}${rule}${rows.map(line).join('')}\n`;
}
