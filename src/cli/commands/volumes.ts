import { InvalidArgumentError, Option } from 'commander';
import {
  BYTES,
  JSON_OUTPUT,
  textOption,
  timeoutOption,
  UsageError,
  type CliCommand,
  type OutputOptions,
} from '../command.js';
import { DOOR_OPTIONS, KUBECTL_OPTIONS, type DoorValues } from '../door-flags.js';
import { volumeRowsAnswer } from '../output/volume-rows.js';
import { sorted, type SortKey, type VolumeFilter, type VolumeRows } from '../volume-row.js';

interface Options extends DoorValues, OutputOptions, VolumeFilter {
  readonly sort?: SortKey;
  readonly hostPath: 'unsupported' | 'statfs' | 'du';
  readonly throughApiServer?: readonly string[] | 'all';
  /** Milliseconds. */
  readonly timeout: number;
}

const HOST_PATH = new Option(
  '--host-path <WAY>',
  'how to measure hostPath volumes, which the kubelet does not measure',
)
  .choices(['unsupported', 'statfs', 'du'])
  .default('unsupported');

export const VOLUMES: CliCommand<Options> = {
  name: 'volumes',
  summary: 'every volume of the pods of this node, and its claim',
  description:
    'Finds the pods and volumes of this node as the kubelet does, and measures each volume once, all at the same time. Every ' +
    'volume is listed; if it has no numbers, its STATE and the reason say why.\n\n' +
    'It asks who can be asked: in a pod, the kubelet and the API server with the service account; as root on a worker ' +
    "node, the API server with the kubelet's own kubeconfig, by kubectl. If nobody answers, the disk alone tells which " +
    'volumes there are; then names and claims are not known.\n\n' +
    '--pod, --namespace and --claim select volumes; a volume must match all that are given.\n\n' +
    "--through-api-server runs anywhere. It asks the kubelets of other nodes through the API server's proxy and measures " +
    'nothing itself. With all, it also names the claims that no kubelet shows. It needs the right nodes/proxy, which also ' +
    'lets its holder run commands in every container; all needs to list nodes and claims too.',
  options: [
    textOption('--pod <NAME>', 'only volumes of this pod: NAME, NAMESPACE/NAME or its uid'),
    textOption('--namespace <NAME>', 'only volumes of pods in this namespace'),
    textOption('--claim <NAME>', 'only volumes with this claim: NAME or NAMESPACE/NAME'),
    new Option('--sort <KEY>', 'the fullest first: by what is used, available, or the share in use').choices([
      'used',
      'available',
      'use',
    ]),
    HOST_PATH,
    new Option(
      '--through-api-server <NODES>',
      'all, or the names of nodes: ask their kubelets through the API server',
    ).argParser(parseNodes),
    JSON_OUTPUT,
    BYTES,
    timeoutOption('how long to wait for each answer and each volume', '30s'),
    ...DOOR_OPTIONS,
  ],
  incomplete: 'some volume gave no numbers but should have, a server did not answer, or no volume matched',
  examples: ['--sort use', '--claim shop/data-web-0', '--through-api-server all --sort available'],
  run: async (_, options, signal) => {
    const { throughApiServer, timeout, sort } = options;
    const kubectl = throughApiServer && onlyKubectl(options);
    // Loaded now: most commands do without the kubelet's part of the package, and without gRPC.
    const { nodeVolumes } = await import('../node-volumes.js');
    const { proxiedVolumes } = await import('../proxied-volumes.js');
    const found =
      throughApiServer === undefined || kubectl === undefined
        ? await nodeVolumes(options, options, timeout, signal)
        : await proxiedVolumes(throughApiServer, kubectl, options, timeout, signal);
    const rows = sorted(found.rows, sort);
    const filters = filtersOf(options);
    const hasAnswered =
      found.isComplete && rows.every(({ state }) => ['ok', 'unsupported', 'not shown'].includes(state));
    const isComplete = hasAnswered && (rows.length > 0 || filters === '');
    return volumeRowsAnswer({ ...found, rows }, options, nothingFound(found, filters), isComplete);
  },
};

/** The names of one `--through-api-server` after those of the ones before it. */
function parseNodes(text: string, before: readonly string[] | 'all' = []): readonly string[] | 'all' {
  if (text === 'all' || before === 'all') return 'all';
  const names = text.split(',').map((each) => each.trim());
  if (!names.includes('')) return [...before, ...names];
  throw new InvalidArgumentError('Expected all, or names of nodes separated by commas.');
}

/**
 * What concerns this node is of no use for others.
 *
 * @throws UsageError naming the option
 */
function onlyKubectl(options: Options): Pick<Options, 'kubeconfig' | 'context'> {
  const ofNode = [HOST_PATH, ...DOOR_OPTIONS].filter((each) => !KUBECTL_OPTIONS.includes(each));
  const given = options as unknown as Readonly<Record<string, unknown>>;
  const useless = ofNode.find((each) => {
    const value = given[each.attributeName()];
    const isFromEnvironment = each.envVar !== undefined && value === process.env[each.envVar];
    return value !== undefined && value !== each.defaultValue && !isFromEnvironment;
  });
  if (useless === undefined) return options;
  throw new UsageError(`${useless.long ?? ''} is about this node, and --through-api-server asks others`);
}

function filtersOf({ pod, namespace, claim }: VolumeFilter): string {
  return Object.entries({ pod, namespace, claim })
    .flatMap(([name, value]) => (value === undefined ? [] : [`--${name} ${value}`]))
    .join(' ');
}

function nothingFound({ source }: VolumeRows, filters: string): string {
  return filters === '' ? 'There are no volumes.' : `No volume matches ${filters} (pods: ${source}).`;
}
