import type { Explanation, Finding, VolumeExplanation } from '../../explain/index.js';
import { withFlags } from '../door-flags.js';
import type { CommandForNode } from '../on-the-node.js';
import { styled, type Style } from './colour.js';
import { paragraph, terminalWidth, wrapped } from './table.js';

const STYLES: Readonly<Record<VolumeExplanation['result'], Style>> = {
  exported: 'green',
  missing: 'red',
  unknown: 'yellow',
};

/** What a person reads of each volume; with `isVerbose`, the finding of each stage too. */
export function explanationLines({ volumes }: Explanation, isVerbose: boolean): readonly string[] {
  const width = terminalWidth();
  const lines = volumes.flatMap((each) => [
    headOf(each),
    ...indented(each.cause, width),
    ...(each.remedy === '' ? [] : indented(each.remedy, width)),
    ...(isVerbose ? each.findings.flatMap((finding) => stageLines(finding, width)) : []),
  ]);
  return [...lines, ...ruleLines(volumes.filter(({ remedy }) => isVerbose || remedy.includes(BELOW)))];
}

/** A line for each volume. What to do follows, once for all volumes that it helps. */
export function explanationList({ volumes }: Explanation): readonly string[] {
  const width = terminalWidth();
  const helped = new Map<string, string[]>();
  for (const each of volumes) {
    if (each.remedy === '') continue;
    helped.set(each.remedy, [...(helped.get(each.remedy) ?? []), nameOf(each)]);
  }
  return [
    ...volumes.flatMap((each) => {
      const cause = withFlags(each.cause);
      return width === undefined
        ? `${headOf(each)}. ${cause}`
        : [headOf(each), ...wrapped(cause, width, '  ')];
    }),
    ...(helped.size === 0 ? [] : ['', 'What to do:']),
    ...[...helped].flatMap(([remedy, names]) => indented(`${namesText(names)}: ${remedy}`, width)),
    ...ruleLines(volumes.filter(({ remedy }) => remedy.includes(BELOW))),
  ];
}

const MOST_NAMES = 3;

function namesText(names: readonly string[]): string {
  const rest = names.length - MOST_NAMES;
  const first = names.slice(0, MOST_NAMES).join(', ');
  return rest > 0 ? `${first} and ${String(rest)} more` : first;
}

/** The words with which a remedy refers to a rule. */
const BELOW = 'shown below';

/** Plain text, wrapped. */
export function paragraphs(notes: readonly string[]): readonly string[] {
  const width = terminalWidth();
  return notes.flatMap((each) => paragraph(withFlags(each), width));
}

/** The commands that do the rest on other nodes; they are not wrapped, so that they can be copied. */
export function commandLines(commands: readonly CommandForNode[]): readonly string[] {
  return commands.flatMap(({ node, command, notes }) => [
    ...paragraphs([`The disk and the drivers can be asked on node ${node} alone:`]),
    ...paragraph(`  ${command}`, undefined),
    ...paragraphs(notes),
  ]);
}

function headOf(volume: VolumeExplanation): string {
  const { result } = volume;
  return `${styled('bold', nameOf(volume))}: ${styled(STYLES[result], result)}`;
}

function nameOf({ namespace, claim, pod, volume }: VolumeExplanation): string {
  if (claim !== undefined) return `${namespace}/${claim.name}`;
  const name = namespace === '' ? (pod ?? '?') : `${namespace}/${pod ?? '?'}`;
  return `${name} ${volume ?? ''}`;
}

function stageLines(finding: Finding, width: number | undefined): readonly string[] {
  const { stage, verdict, evidence, fix } = finding;
  const line = `${stage.padEnd(15)} ${verdict.padEnd(7)} ${evidence}`;
  return [
    ...indented(line, width),
    ...(fix === undefined || verdict === 'ok' ? [] : indented(`-> ${fix}`, width, '    ')),
  ];
}

/** The rules that the findings speak of, each once. YAML begins at the margin so that it can be copied. */
function ruleLines(volumes: readonly VolumeExplanation[]): readonly string[] {
  const rules = new Set(
    volumes.flatMap(({ findings }) =>
      findings.flatMap(({ fix, data: { rule } }) =>
        fix?.includes(BELOW) === true && typeof rule === 'string' ? [rule.trimEnd()] : [],
      ),
    ),
  );
  const lines = [...rules].join('\n---\n').split('\n');
  return rules.size === 0 ? [] : ['', ...lines.flatMap((line) => paragraph(line, undefined))];
}

function indented(line: string, width: number | undefined, by = '  '): readonly string[] {
  const text = withFlags(line);
  return width === undefined ? paragraph(by + text, undefined) : wrapped(text, width, by);
}
