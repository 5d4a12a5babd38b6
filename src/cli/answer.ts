import { stringify, type ActiveBinding } from '../index.js';
import { humanBytes, percent, UNKNOWN } from './amounts.js';
import { escapeControls, escapeControlsInJson } from './escape.js';
import type { Row } from './measure.js';
import { table, type Column } from './table.js';

/** The form of the JSON answer. A field may be added without a new version, none is taken away or changes its meaning. */
export const SCHEMA = 'kube-volume-metrics/cli/v1';

/** The answer for programs: numbers are exact, and what is not known is absent. */
export function jsonAnswer(command: string, binding: ActiveBinding, rows: readonly Row[]): string {
  const { binding: used, reason: bindingReason } = binding;
  const answer = { schema: SCHEMA, command, binding: used, bindingReason, volumes: rows };
  return `${escapeControlsInJson(stringify(answer, 2))}\n`;
}

/** A column and what each row has in it. */
interface RowColumn extends Column {
  readonly cell: (row: Row) => string;
}

/** The answer for people: a line for each volume, and who measured. */
export function tableAnswer(binding: ActiveBinding, rows: readonly Row[], exact: boolean): string {
  const columns = [
    left('PATH', ({ path }) => (path === '' ? "''" : path)),
    ...(rows.some(({ mount }) => mount !== undefined)
      ? [left('TYPE', ({ mount }) => mount?.fsType ?? ''), left('SOURCE', ({ mount }) => mount?.source ?? '')]
      : [left('SOURCE', ({ metrics, provider }) => metrics?.source ?? provider)]),
    left('STATE', ({ state }) => state),
    right('CAPACITY', ({ metrics }) => bytes(metrics?.capacity)),
    right('USED', ({ metrics }) => bytes(metrics?.used)),
    right('AVAILABLE', ({ metrics }) => bytes(metrics?.available)),
    right('USE%', useOf),
    right('INODES', ({ metrics }) => count(metrics?.inodes)),
    right('IUSED', ({ metrics }) => count(metrics?.inodesUsed)),
    ...(rows.some((row) => reasonOf(row) !== '') ? [left('REASON', reasonOf)] : []),
  ];
  const lines = rows.map((row) => columns.map(({ cell }) => escapeControls(cell(row))));
  const why = binding.reason === undefined ? '' : ` (${escapeControls(binding.reason.trim())})`;
  return `${table(columns, lines)}\nbinding: ${binding.binding}${why}\n`;

  function bytes(value: bigint | undefined): string {
    return value === undefined || exact ? count(value) : humanBytes(value);
  }
}

function left(title: string, cell: RowColumn['cell']): RowColumn {
  return { title, align: 'left', cell };
}

function right(title: string, cell: RowColumn['cell']): RowColumn {
  return { title, align: 'right', cell };
}

function count(value: bigint | undefined): string {
  return value === undefined ? UNKNOWN : String(value);
}

/** Of a filesystem as df(1) reckons: without what is reserved for root. A tree is seen against the whole of it. */
function useOf({ metrics, provider }: Row): string {
  const { used, available, capacity } = metrics ?? {};
  if (used === undefined) return UNKNOWN;
  if (provider === 'du') return capacity === undefined ? UNKNOWN : percent(used, capacity);
  return available === undefined ? UNKNOWN : percent(used, used + available);
}

/** Why there are no numbers, or what is odd about those that there are. */
function reasonOf({ metrics, error }: Row): string {
  if (error !== undefined) return `${error.code}: ${error.message}`;
  const { incomplete, warnings = [] } = metrics ?? {};
  if (incomplete === undefined) return warnings.join('; ');
  const { errors, first } = incomplete;
  const entries = errors === 1 ? '1 entry' : `${String(errors)} entries`;
  return [`incomplete: ${entries} left out, first ${first.path} (${first.code})`, ...warnings].join('; ');
}
