import { Option } from 'commander';
import type { Explanation, Finding, VolumeExplanation } from '../../explain/index.js';
import { JSON_OUTPUT, notEmpty, timeoutOption, UsageError, type CliCommand } from '../command.js';
import { DOOR_OPTIONS, openDoors, type DoorValues } from '../doors.js';
import { PROMETHEUS_OPTIONS, prometheusOf, type PrometheusValues } from '../prometheus-door.js';
import { styled, type Style } from '../output/colour.js';
import { jsonAnswer } from '../output/json.js';
import { paragraph, terminalWidth, wrapped } from '../output/table.js';

/** Values of the options. */
interface ExplainCommandOptions extends DoorValues, PrometheusValues {
  readonly json?: true;
  readonly verbose?: true;
  readonly all?: true;
  readonly pod?: string;
  readonly volume?: string;
  readonly timeout: number;
}

/** What exit codes say of the worst result. */
const EXIT_CODES: Readonly<Record<VolumeExplanation['result'], number>> = {
  exported: 0,
  missing: 1,
  unknown: 3,
};
const UNKNOWN_EXIT = 3;

const STYLES: Readonly<Record<VolumeExplanation['result'], Style>> = {
  exported: 'green',
  missing: 'red',
  unknown: 'yellow',
};

export const EXPLAIN: CliCommand<ExplainCommandOptions> = {
  name: 'explain',
  summary: 'why a volume shows nothing in Grafana',
  description:
    'Follows the way of a number from the dashboard down to the CSI driver, and names the cause that is nearest to the volume. Without an argument it explains every claim of this node.',
  operand: { name: 'CLAIM', text: 'the claim, as NAMESPACE/NAME, or NAME in default', isOptional: true },
  options: [
    text('--pod <POD>', 'the volumes of a pod instead, as NAMESPACE/NAME'),
    text('--volume <NAME>', 'only this volume of --pod, by its name there'),
    new Option('--all', 'volumes without a claim too'),
    new Option('--verbose', 'show what every stage found'),
    ...PROMETHEUS_OPTIONS,
    ...DOOR_OPTIONS,
    timeoutOption('how long to wait for each answer', '10s'),
    JSON_OUTPUT,
  ],
  incomplete: 'some volume has no number; 3: it could not be found out',
  examples: ['shop/data-web-0', '--prometheus http://localhost:9090', '--pod shop/web-0 --verbose'],
  run: async ([claim], options, signal) => {
    if (claim !== undefined && options.pod !== undefined)
      throw new UsageError('expected a claim or --pod, got both');
    const target = {
      ...(claim !== undefined && { claim: reference(claim, 'CLAIM') }),
      ...(options.pod !== undefined && { pod: reference(options.pod, '--pod') }),
      ...(options.volume !== undefined && { volume: options.volume }),
    };
    if (options.volume !== undefined && options.pod === undefined)
      throw new UsageError('--volume needs --pod: a volume has a name in its pod');
    const doors = await openDoors(options, options.timeout);
    const { rootDir, nodeName: name, kubelet, api } = doors;
    const node = rootDir === undefined ? undefined : { rootDir, name };
    const prometheus = await prometheusOf(options, options.timeout);
    const { explain } = await import('../../explain/index.js');
    try {
      const found = await explain({
        ...{ node, kubelet, api, prometheus },
        ...target,
        all: options.all ?? false,
        timeoutMs: options.timeout,
        signal,
      });
      const exitCode = exitCodeOf(found);
      const elsewhere = node === undefined ? onTheNode(found, claim) : [];
      const shown = options.json
        ? jsonAnswer({ command: 'explain', ...found })
        : `${[...textOf(found, options), ...elsewhere].join('\n')}\n`;
      return { text: shown, isComplete: exitCode === 0, exitCode };
    } finally {
      doors.close();
      prometheus?.close();
    }
  },
};

function text(flags: string, help: string): Option {
  return new Option(flags, help).argParser(notEmpty);
}

/** @throws UsageError unless it is a name, or a namespace and a name */
function reference(given: string, what: string): { readonly namespace: string; readonly name: string } {
  const parts = given.split('/');
  const [namespace, name] = parts.length === 1 ? ['default', parts[0]] : parts;
  const isName = (each: string | undefined): boolean => /^[a-z0-9][a-z0-9.-]{0,252}$/.test(each ?? '');
  if (parts.length <= 2 && namespace !== undefined && name !== undefined && isName(namespace) && isName(name))
    return { namespace, name };
  throw new UsageError(`expected ${what} to be NAMESPACE/NAME, got '${given}'`);
}

/** A missing number counts more than one of which nothing is known. */
function exitCodeOf({ volumes }: Explanation): number {
  if (volumes.length === 0) return UNKNOWN_EXIT;
  const codes = volumes.map(({ result }) => EXIT_CODES[result]);
  return codes.includes(1) ? 1 : Math.max(...codes);
}

function textOf(
  { volumes, problems }: Explanation,
  { verbose, pod }: ExplainCommandOptions,
): readonly string[] {
  const width = terminalWidth();
  if (volumes.length === 0) {
    const what = pod === undefined ? 'no claims of this node are known' : 'no such volume is known';
    return [...paragraph(what, width), ...problems.flatMap((each) => indented(each, width))];
  }
  return volumes.flatMap((each) => [
    `${titleOf(each)}: ${styled(STYLES[each.result], each.result)}`,
    ...indented(each.cause, width),
    ...(each.remedy === '' ? [] : indented(each.remedy, width)),
    ...(verbose === true ? each.findings.flatMap((finding) => stageLines(finding, width)) : ruleOf(each)),
  ]);
}

function titleOf({ namespace, claim, pod, volume }: VolumeExplanation): string {
  if (claim !== undefined) return styled('bold', `${namespace}/${claim.name}`);
  return styled('bold', `${namespace}/${pod ?? '?'} ${volume ?? ''}`);
}

function stageLines(finding: Finding, width: number | undefined): readonly string[] {
  const { stage, verdict, evidence, fix, data } = finding;
  const line = `${stage.padEnd(15)} ${verdict.padEnd(7)} ${evidence}`;
  const rule = data['rule'];
  return [
    ...indented(line, width),
    ...(fix === undefined || verdict === 'ok' ? [] : indented(`-> ${fix}`, width, '    ')),
    ...(typeof rule === 'string' ? ruleLines(rule) : []),
  ];
}

/** The rule that the remedy speaks of. */
function ruleOf({ findings, remedy }: VolumeExplanation): readonly string[] {
  if (!remedy.includes('shown below')) return [];
  const rule = findings.find(({ data, fix }) => fix === remedy && typeof data['rule'] === 'string')?.data[
    'rule'
  ];
  return typeof rule === 'string' ? ruleLines(rule) : [];
}

/** Lines of YAML, which begin at the margin so that they can be copied. */
function ruleLines(rule: string): readonly string[] {
  return rule
    .trimEnd()
    .split('\n')
    .flatMap((line) => paragraph(line, undefined));
}

function indented(line: string, width: number | undefined, by = '  '): readonly string[] {
  return width === undefined ? paragraph(by + line, undefined) : wrapped(line, width, by);
}

/** The command that does the rest, where this is not the node: the disk and the drivers are only there. */
function onTheNode({ volumes }: Explanation, claim: string | undefined): readonly string[] {
  if (volumes.every(({ result }) => result === 'exported') && volumes.length > 0) return [];
  const node = volumes
    .flatMap(({ findings }) => findings)
    .map(({ data }) => data['node'])
    .find((each) => typeof each === 'string');
  const name = typeof node === 'string' && /^[a-z0-9.-]+$/.test(node) ? node : 'NODE';
  const rest = claim === undefined ? '' : ` ${claim}`;
  return [
    'The disk and the drivers can only be asked on the node. In the pod of the exporter there:',
    `  kubectl exec -n NAMESPACE EXPORTER-POD-ON-${name} -- kube-volume-metrics explain${rest}`,
  ];
}
