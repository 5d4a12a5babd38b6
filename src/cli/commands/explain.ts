import { Option } from 'commander';
import type { Explanation, VolumeExplanation } from '../../explain/index.js';
import { JSON_OUTPUT, textOption, timeoutOption, UsageError, type CliCommand } from '../command.js';
import { DOOR_OPTIONS, type DoorValues } from '../door-flags.js';
import { API_NEEDS, openDoors, type Doors } from '../doors.js';
import { PROMETHEUS_OPTIONS, prometheusOf, type PrometheusValues } from '../prometheus-door.js';
import { commandLines, explanationLines, explanationList, paragraphs } from '../output/explanations.js';
import { jsonAnswer } from '../output/json.js';

interface Options extends DoorValues, PrometheusValues {
  readonly json?: true;
  readonly verbose?: true;
  readonly all?: true;
  readonly pod?: string;
  readonly volume?: string;
  readonly timeout: number;
}

/** What exit codes say of the worst result. */
const EXIT_CODES = { exported: 0, missing: 1, unknown: 3 } as const satisfies Readonly<
  Record<VolumeExplanation['result'], number>
>;

export const EXPLAIN: CliCommand<Options> = {
  name: 'explain',
  summary: 'why a volume shows nothing in Grafana',
  description:
    'Follows the way of a number from the dashboard down to the CSI driver, and names the cause that is nearest to the volume. Without an argument it explains every claim of this node.',
  operand: { name: 'CLAIM', text: 'the claim, as NAMESPACE/NAME, or NAME in default', isOptional: true },
  options: [
    textOption('--pod <POD>', 'the volumes of a pod instead, as NAMESPACE/NAME, NAME in default, or its uid'),
    textOption('--volume <NAME>', 'only this volume of --pod, by its name there'),
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
      ...(options.pod !== undefined && { pod: podReference(options.pod) }),
      ...(options.volume !== undefined && { volume: options.volume }),
    };
    if (options.volume !== undefined && options.pod === undefined)
      throw new UsageError('--volume needs --pod: a volume has a name in its pod');
    const doors = await openDoors(options, options.timeout, true);
    const { rootDir, nodeName: name, kubelet, api } = doors;
    const prometheus = await prometheusOf(options, options.timeout);
    const { explain } = await import('../../explain/index.js');
    const { commandsForNodes, nodeWithFolder } = await import('../on-the-node.js');
    try {
      const all = options.all ?? false;
      const ask = async (nodeName: string | undefined): Promise<Explanation> =>
        await explain({
          ...(rootDir !== undefined && { node: { rootDir, name: nodeName } }),
          ...{ kubelet, api, prometheus, all, timeoutMs: options.timeout, signal, ...target },
        });
      let found = await ask(name);
      const itself = doors.isNodeNameGuessed ? nodeWithFolder(found, rootDir) : undefined;
      if (itself !== undefined) found = await ask(itself);
      const question = { ...options, ...(claim !== undefined && { claim }) };
      const commands =
        api === undefined
          ? []
          : await commandsForNodes(found, api, question, itself ?? (rootDir && name), signal);
      const exitCode = exitCodeOf(found);
      const notes = notesOf(found, { ...doors, ...(itself !== undefined && { isNodeNameGuessed: false }) });
      const shown = options.json
        ? jsonAnswer({ command: 'explain', ...found, notes, commands })
        : [
            ...(options.verbose === true || Object.keys(target).length > 0
              ? explanationLines(found, options.verbose === true)
              : explanationList(found)),
            ...paragraphs(notes),
            ...commandLines(commands),
            '',
          ].join('\n');
      return { text: shown, isComplete: exitCode === 0, exitCode };
    } finally {
      doors.close();
      prometheus?.close();
    }
  },
};

/** @throws UsageError unless it is a name, or a namespace and a name */
function reference(given: string, what: string): { readonly namespace: string; readonly name: string } {
  const parts = given.split('/');
  const [namespace, name] = parts.length === 1 ? ['default', parts[0]] : parts;
  const isName = (each: string | undefined): boolean => /^[a-z0-9][a-z0-9.-]{0,252}$/.test(each ?? '');
  if (parts.length <= 2 && namespace !== undefined && name !== undefined && isName(namespace) && isName(name))
    return { namespace, name };
  throw new UsageError(`expected ${what} to be NAMESPACE/NAME, got '${given}'`);
}

/** @throws UsageError unless it is a uid, a name, or a namespace and a name */
function podReference(given: string): { readonly namespace: string; readonly name: string } {
  const isUid = /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/.test(given);
  return isUid ? { namespace: '', name: given } : reference(given, '--pod');
}

/** A missing number counts more than one of which nothing is known. */
function exitCodeOf({ volumes }: Explanation): number {
  if (volumes.length === 0) return EXIT_CODES.unknown;
  const codes = volumes.map(({ result }) => EXIT_CODES[result]);
  return codes.includes(EXIT_CODES.missing) ? EXIT_CODES.missing : Math.max(...codes);
}

/** What concerns all volumes: who could not be asked, and what to do. */
function notesOf(
  { volumes, problems }: Explanation,
  { rootDir, kubelet, api, nodeName, isNodeNameGuessed }: Doors,
): readonly string[] {
  const notes: string[] = [];
  if (volumes.length === 0) notes.push('No volume is known that this is about.', ...problems);
  if (volumes.length > 0 && volumes.every(({ result }) => result === 'exported')) return notes;
  if (isNodeNameGuessed && rootDir !== undefined && api !== undefined) {
    notes.push(
      `This node was taken for ${nodeName ?? '?'}, as the host is called; --node gives another name.`,
    );
  }
  if (rootDir === undefined && api === undefined) {
    notes.push(`This is not a node, and no cluster can be asked. That needs ${API_NEEDS}.`);
  } else if (rootDir === undefined && volumes.length === 0) {
    notes.push('This is not a node: name a claim, or a pod with --pod.');
  } else if (rootDir !== undefined && kubelet === undefined) {
    notes.push(
      'The kubelet was not asked: give --token-file or --client-cert of an account with the right to get nodes/pods, nodes/stats, nodes/metrics and nodes/configz.',
    );
  }
  return notes;
}
