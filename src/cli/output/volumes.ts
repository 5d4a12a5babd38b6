import { activeBinding, escapeControls, type ActiveBinding, type Metrics } from '../../index.js';
import type { Answer, MeasureOptions } from '../command.js';
import { measure, type Row, type RowError, type Volume } from '../measure.js';
import type { Style } from './colour.js';
import { jsonAnswer } from './json.js';
import {
  byteCount,
  count,
  left,
  paragraph,
  percent,
  right,
  tableLines,
  terminalWidth,
  UNKNOWN,
  type Column,
} from './table.js';

/**
 * Enough for the end of a CSI volume's path, `pvc-` with a UUID and `/mount`, and as much of its beginning.
 */
const SHORTEST_PATH = 80;
const SHORTEST_SOURCE = 24;

/**
 * Measures the volumes and makes the answer of a command.
 *
 * @param nothing - the sentence that people read instead of a table without rows
 */
export async function volumesAnswer(
  command: string,
  volumes: readonly Volume[],
  { json, bytes, binding }: MeasureOptions,
  signal: AbortSignal,
  nothing = 'There is nothing to measure.',
): Promise<Answer> {
  const rows = await measure(volumes, signal);
  const used: ActiveBinding = binding === 'auto' ? activeBinding() : { binding };
  return {
    text: json
      ? jsonAnswer({ command, binding: used.binding, bindingReason: used.reason, volumes: rows })
      : volumesTable(used, rows, bytes === true, nothing),
    isComplete: rows.every(({ state }) => state === 'ok'),
  };
}

function volumesTable(binding: ActiveBinding, rows: readonly Row[], exact: boolean, nothing: string): string {
  const why = binding.reason === undefined ? '' : ` (${escapeControls(binding.reason.trim())})`;
  const width = terminalWidth();
  const lines =
    rows.length > 0 ? tableLines(columnsFor(rows, exact), rows, notesOf, width) : paragraph(nothing, width);
  return `${lines.join('\n')}\n\nbinding: ${binding.binding}${why}\n`;
}

function columnsFor(rows: readonly Row[], exact: boolean): Column<Row>[] {
  const path: Column<Row> = {
    ...left('PATH', (row) => (row.path === '' ? "''" : row.path)),
    ...{ shortest: SHORTEST_PATH, narrow: 'above' },
  };
  const what: Column<Row>[] = rows.some(({ mount }) => mount !== undefined)
    ? [
        { ...left('TYPE', typeOf), narrow: 'above' },
        { ...left('SOURCE', sourceOf), shortest: SHORTEST_SOURCE, narrow: 'above' },
      ]
    : // The command's name says it.
      [{ ...left('SOURCE', ({ metrics, provider }) => metrics?.source ?? provider), narrow: 'drop' }];
  return [
    path,
    ...what,
    { ...left('STATE', stateOf), style: styleOfState },
    right('CAPACITY', (row) => byteCount(ofFilesystem(row)?.capacity, exact)),
    right('USED', ({ metrics }) => byteCount(metrics?.used, exact)),
    right('AVAILABLE', (row) => byteCount(ofFilesystem(row)?.available, exact)),
    right('USE%', useOf),
    right('INODES', (row) => count(ofFilesystem(row)?.inodes)),
    right('IUSED', ({ metrics }) => count(metrics?.inodesUsed)),
  ];
}

/** The reading, or after a failed walk what is known of the filesystem. */
function ofFilesystem({ metrics, filesystem }: Row): Metrics | undefined {
  return metrics ?? filesystem;
}

function typeOf({ mount, provider }: Row): string {
  return provider === 'block' ? 'block' : (mount?.fsType ?? '');
}

/** What is mounted. A device file comes from the filesystem that holds it, usually at /dev. */
function sourceOf({ mount, provider }: Row): string {
  if (mount === undefined || provider !== 'block') return mount?.source ?? '';
  return mount.fsType === 'devtmpfs' ? `/dev${mount.root}` : mount.root;
}

function stateOf({ state, metrics, mount }: Row): string {
  return (metrics?.readOnly ?? mount?.readOnly) ? `${state}, read-only` : state;
}

/** The style of a state, with or without what is said beside it. */
export function styleOfState(state: string): Style {
  if (state === 'ok') return 'green';
  return /^(ok|unsupported)\b/.test(state) ? 'yellow' : 'red';
}

/**
 * Of a filesystem as df(1) reckons: without what is reserved for root. A tree is compared with the whole
 * filesystem.
 */
function useOf({ metrics, provider }: Row): string {
  const { used, available, capacity } = metrics ?? {};
  if (used === undefined) return UNKNOWN;
  if (provider === 'du') return capacity === undefined ? UNKNOWN : percent(used, capacity);
  return available === undefined ? UNKNOWN : percent(used, used + available);
}

/** Why there are no numbers and what to do, or what is odd about those that there are. */
function notesOf({ metrics, error }: Row): string[] {
  if (error !== undefined) return [reasonOf(error), ...adviceOf(error)];
  const { incomplete, warnings = [] } = metrics ?? {};
  if (incomplete === undefined) return [...warnings];
  const { errors, first } = incomplete;
  const entries = errors === 1 ? '1 entry' : `${String(errors)} entries`;
  return [`incomplete: ${entries} left out, first ${first.path} (${first.code})`, ...warnings];
}

/** What went wrong. */
export function reasonOf({ code, message }: Pick<RowError, 'code' | 'message'>): string {
  return `${code}: ${message}`;
}

/** What may help, and where the error is explained; nothing if neither is known. */
export function adviceOf({ hint, docs }: Pick<RowError, 'hint' | 'docs'>): string[] {
  if (hint === undefined) return docs === undefined ? [] : [`See ${docs}`];
  if (docs === undefined) return [hint];
  // A hint may end with a command to copy, which a full stop would spoil.
  return [hint.endsWith('.') ? `${hint} See ${docs}` : `${hint} (see ${docs})`];
}
