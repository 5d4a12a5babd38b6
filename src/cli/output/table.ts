import Table from 'cli-table3';
import cliTruncate from 'cli-truncate';
import { filesize } from 'filesize';
import stringWidth from 'string-width';
import wrapAnsi from 'wrap-ansi';
import { escapeControls } from '../../index.js';
import { styled, type Style } from './colour.js';

/** Stands for a number that is not known: never 0. */
export const UNKNOWN = '-';

const GAP = '  ';

/** Bytes in the largest 1024-based unit that leaves a whole number before the point. */
export function humanBytes(bytes: bigint): string {
  return filesize(bytes, { standard: 'iec', base: 2, round: bytes < 1024n ? 0 : 1, pad: true });
}

/** A number that may be unknown. */
export function count(value: bigint | undefined): string {
  return value === undefined ? UNKNOWN : String(value);
}

/** The same of bytes, in a unit for people unless it is to be exact. */
export function byteCount(value: bigint | undefined, exact: boolean): string {
  return value === undefined || exact ? count(value) : humanBytes(value);
}

/** The part in hundredths, rounded up as df(1) does; unknown if the whole is nothing. */
export function percent(part: bigint, whole: bigint): string {
  return whole <= 0n ? UNKNOWN : `${String((part * 100n + whole - 1n) / whole)}%`;
}

/** How wide standard output is: undefined if it is not a terminal, so that lines may have any length. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns || 80 : undefined;
}

/**
 * Text for people as lines of a terminal, controls escaped. No word is broken, so that a long path can be
 * copied.
 */
export function wrapped(text: string, width: number, indent: string): string[] {
  const lines = wrapAnsi(escapeControls(text), Math.max(20, width - indent.length)).split('\n');
  return lines.map((line) => indent + line);
}

/** Text for people as lines: one without a width, else as many as it takes. */
export function paragraph(text: string, width: number | undefined): string[] {
  return width === undefined ? [escapeControls(text)] : wrapped(text, width, '');
}

/** A column of a table whose rows are of any type. */
export interface Column<Row> {
  readonly title: string;
  readonly align: 'left' | 'right';
  /** As it is: the table escapes controls. */
  readonly cell: (row: Row) => string;
  readonly style?: (cell: string) => Style;
  /** To how few columns it may be shortened in the middle. */
  readonly shortest?: number;
  /**
   * If a terminal is too narrow: `drop` the column, or give it a place `above` the others, on a line of its
   * own.
   */
  readonly narrow?: 'drop' | 'above';
}

/** A column of texts. */
export function left<Row>(title: string, cell: (row: Row) => string): Column<Row> {
  return { title, align: 'left', cell };
}

/** A column of numbers. */
export function right<Row>(title: string, cell: (row: Row) => string): Column<Row> {
  return { title, align: 'right', cell };
}

/**
 * Rows under titles, and notes about each row.
 *
 * Without a width, each row is one line of any length, its notes in the last column. On a terminal the table
 * fits the width: it does without what may be dropped, shortens long columns in the middle, or gives each row
 * two lines. Notes stand below their row.
 *
 * @param width - columns of the terminal; undefined if the output is not a terminal
 */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  notesOf: (row: Row) => readonly string[],
  width: number | undefined,
): string[] {
  if (width === undefined) {
    const notes: Column<Row> = { title: 'REASON', align: 'left', cell: (row) => sentences(notesOf(row)) };
    return plainLines(rows.some((row) => notesOf(row).length > 0) ? [...columns, notes] : columns, rows);
  }
  const needed = columns.filter(({ narrow }) => narrow !== 'drop');
  const fitting = [columns, needed].find((each) => widthOf(each, rows) <= width);
  const chosen = fitting ?? shortened(needed, rows, width);
  const [head = '', ...lines] = chosen ? plainLines(chosen, rows) : twoLines(needed, rows);
  const below = rows.map((row) => notesOf(row).flatMap((note) => wrapped(note, width, '    ')));
  return [head, ...lines.flatMap((line, at) => [line, ...(below[at] ?? [])])];
}

/** Notes as one line: what is not a sentence yet ends with a full stop if another one follows. */
function sentences(notes: readonly string[]): string {
  return notes
    .map((note, at) => (at === notes.length - 1 || /[.!?]$/.test(note) ? note : `${note}.`))
    .join(' ');
}

/**
 * The columns with the long ones shortened so that the table fits; undefined if it cannot, or if two rows
 * would look the same.
 */
function shortened<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
): Column<Row>[] | undefined {
  let excess = widthOf(columns, rows) - width;
  // The first column says which row it is, so it is shortened last.
  const result = columns
    .toReversed()
    .map((column): Column<Row> => {
      const natural = columnWidth(column, rows);
      const taken = Math.min(excess, natural - (column.shortest ?? natural));
      if (taken <= 0) return column;
      excess -= taken;
      const cell = (row: Row): string =>
        cliTruncate(escapeControls(column.cell(row)), natural - taken, { position: 'middle' });
      return { ...column, cell };
    })
    .toReversed();
  const distinct = (each: readonly Column<Row>[]): number =>
    new Set(rows.map((row) => each[0]?.cell(row))).size;
  return excess > 0 || distinct(result) < distinct(columns) ? undefined : result;
}

/** Two lines for each row: what has its place above, then the other columns. */
function twoLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const above = columns.filter(({ narrow }) => narrow === 'above');
  const [head = '', ...lines] = plainLines(
    columns.filter((column) => !above.includes(column)),
    rows,
  );
  const titles = above.map(({ title }) => styled('bold', title)).join(GAP);
  return [
    `${titles}\n${GAP}${head}`,
    ...rows.map((row, at) => {
      const [name = '', ...others] = above.map(({ cell }) => escapeControls(cell(row)));
      const first = [styled('bold', name), ...others.map((each) => styled('dim', each))].join(GAP);
      return `${first}\n${GAP}${lines[at] ?? ''}`;
    }),
  ];
}

function columnWidth<Row>({ title, cell }: Column<Row>, rows: readonly Row[]): number {
  return rows.reduce((most, row) => Math.max(most, stringWidth(escapeControls(cell(row)))), title.length);
}

function widthOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): number {
  const cells = columns.reduce((sum, column) => sum + columnWidth(column, rows), 0);
  return cells + GAP.length * (columns.length - 1);
}

const NO_BORDERS = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((end) => [side + end, '']),
  ),
);

/** A line of titles and one for each row. No line ends in spaces. */
function plainLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const table = new Table({
    chars: { ...NO_BORDERS, middle: GAP },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
    colAligns: columns.map(({ align }) => align),
  });
  table.push(columns.map(({ title }) => styled('bold', title)));
  for (const row of rows) {
    table.push(
      columns.map(({ cell, style }) => {
        const text = escapeControls(cell(row));
        return style === undefined ? text : styled(style(text), text);
      }),
    );
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
