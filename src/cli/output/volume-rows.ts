import { activeBinding, type ActiveBinding } from '../../index.js';
import type { Answer, OutputOptions } from '../command.js';
import { useOf, type VolumeRow, type VolumeRows } from '../volume-row.js';
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
import { reasonOf, styleOfState } from './volumes.js';

const SHORTEST_NAME = 20;

/**
 * The answer of `volumes`.
 *
 * @param nothing - the sentence that people read instead of a table without rows
 * @param isComplete - what the exit code says
 */
export function volumeRowsAnswer(
  { rows, source, notes }: VolumeRows,
  { json, bytes }: OutputOptions,
  nothing: string,
  isComplete: boolean,
): Answer {
  const used: ActiveBinding = activeBinding();
  if (json) {
    const about = { command: 'volumes', binding: used.binding, bindingReason: used.reason, source, notes };
    return { text: jsonAnswer({ ...about, volumes: rows }), isComplete };
  }
  const width = terminalWidth();
  // What is true of every volume is said once.
  const common =
    rows.length < 2
      ? []
      : (rows[0]?.unknown ?? []).filter((each) => rows.every(({ unknown }) => unknown.includes(each)));
  const notesOf = (row: VolumeRow): string[] => rowNotes(row).filter((each) => !common.includes(each));
  const table =
    rows.length > 0
      ? tableLines(columnsFor(rows, bytes === true), rows, notesOf, width)
      : paragraph(nothing, width);
  const why = used.reason === undefined ? '' : ` (${used.reason.trim()})`;
  const below = [...common, ...notes].flatMap((note) => noteLines(note, width));
  const footer = [`pods: ${source}`, `binding: ${used.binding}${why}`].flatMap((each) =>
    paragraph(each, width),
  );
  return { text: `${[...table, '', ...below, ...footer].join('\n')}\n`, isComplete };
}

/** A note may end with a rule to copy, on lines of its own. */
function noteLines(note: string, width: number | undefined): string[] {
  const [first = '', ...rule] = note.trimEnd().split('\n');
  return [...paragraph(`note: ${first}`, width), ...rule.flatMap((line) => paragraph(line, undefined))];
}

function columnsFor(rows: readonly VolumeRow[], exact: boolean): Column<VolumeRow>[] {
  const named = { shortest: SHORTEST_NAME, narrow: 'above' } as const;
  const isMeasuredHere = rows.some(({ kind }) => kind !== undefined);
  return [
    ...(rows.some(({ node }) => node !== undefined)
      ? [{ ...left<VolumeRow>('NODE', ({ node }) => node ?? UNKNOWN), narrow: 'above' } as const]
      : []),
    {
      ...left('NAMESPACE', ({ namespace, claim }) => namespace ?? claim?.namespace ?? UNKNOWN),
      narrow: 'above',
    },
    { ...left('POD', ({ pod }) => pod ?? UNKNOWN), ...named },
    { ...left('VOLUME', ({ name }) => name ?? UNKNOWN), ...named },
    { ...left('CLAIM', ({ claim }) => claim?.name ?? UNKNOWN), ...named },
    ...(isMeasuredHere
      ? [
          { ...left('KIND', kindOf), narrow: 'drop' } as const,
          { ...left('PROVIDER', providerOf), narrow: 'drop' } as const,
        ]
      : []),
    { ...left('STATE', stateOf), style: styleOfState },
    right('CAPACITY', ({ metrics }) => byteCount(metrics?.capacity, exact)),
    right('USED', ({ metrics }) => byteCount(metrics?.used, exact)),
    right('AVAILABLE', ({ metrics }) => byteCount(metrics?.available, exact)),
    right('USE%', percentOf),
    right('INODES', ({ metrics }) => count(metrics?.inodes)),
    right('IUSED', ({ metrics }) => count(metrics?.inodesUsed)),
  ];
}

/** What it is in the pod; behind a claim, the plugin that set it up. */
function kindOf({ kind = UNKNOWN, plugin }: VolumeRow): string {
  const isClaim = kind === 'persistentVolumeClaim' || kind === 'ephemeral' || kind === 'unknown';
  return isClaim && plugin !== undefined ? plugin.replace(/^kubernetes\.io\//, '') : kind;
}

/** Who measures it, and how, if that is not the usual way. */
function providerOf({ provider = UNKNOWN, metrics }: VolumeRow): string {
  return provider === 'du' && metrics?.source === 'statfs' ? 'du (statfs)' : provider;
}

function stateOf({ state, metrics }: VolumeRow): string {
  return metrics?.readOnly === true ? `${state}, read-only` : state;
}

function percentOf({ metrics }: VolumeRow): string {
  const use = metrics && useOf(metrics);
  return use === undefined ? UNKNOWN : percent(use.part, use.whole);
}

/** Why there are no numbers, what is odd about those that there are, and what is not known. */
function rowNotes({ metrics, error, unknown }: VolumeRow): string[] {
  const { condition, warnings = [] } = metrics ?? {};
  return [
    ...(error === undefined ? [] : [reasonOf(error)]),
    ...(error?.docs === undefined ? [] : [`See ${error.docs}`]),
    ...(condition?.abnormal === true ? [`abnormal: ${condition.message}`] : []),
    ...warnings,
    ...unknown.filter((each) => each !== error?.message),
  ];
}
