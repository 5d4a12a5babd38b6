import type { Explanation, VolumeExplanation } from '../explain/index.js';
import { KUBELET_ROOTS, type ApiClient } from '../kubelet/index.js';
import { messageOf, PROGRAM } from './command.js';
import type { KubectlValues } from './door-flags.js';
import { hasPodFolder } from './doors.js';

/** What is asked about, as options of the command. */
export interface Question extends KubectlValues {
  readonly claim?: string;
  readonly pod?: string;
  readonly volume?: string;
  /** The kubelet's root. */
  readonly root?: string;
}

/** The command that asks the disk and the drivers of another node. */
export interface CommandForNode {
  readonly node: string;
  /** For a shell. */
  readonly command: string;
  /** What has to be known about it. Names of strangers are quoted. */
  readonly notes: readonly string[];
}

const NAME_LABEL = 'app.kubernetes.io/name';

/**
 * For each node on which a volume without a number is: how to ask there. If the exporter runs on the node,
 * that is a command in its pod; else one in a debug pod.
 *
 * @param here - the name of this node, if this is one
 */
export async function commandsForNodes(
  { volumes }: Explanation,
  api: ApiClient,
  question: Question,
  here: string | undefined,
  signal: AbortSignal,
): Promise<readonly CommandForNode[]> {
  const uids = new Map<string, string | undefined>();
  for (const volume of volumes) {
    const { result } = volume;
    const { node, uid, fix } = podFindingOf(volume);
    const isOpen = result === 'unknown' || (result === 'missing' && fix.startsWith('Run this on node'));
    if (isOpen && node !== undefined && node !== here) uids.set(node, uid);
  }
  return await Promise.all([...uids].map(([node, uid]) => commandForNode(node, uid, api, question, signal)));
}

/** What the API server calls this node: the pod is said to be on another one, and has its folder here. */
export function nodeWithFolder({ volumes }: Explanation, rootDir: string | undefined): string | undefined {
  if (rootDir === undefined) return undefined;
  return volumes
    .map(podFindingOf)
    .find(({ node, uid }) => node !== undefined && uid !== undefined && hasPodFolder(rootDir, uid))?.node;
}

/** What the stage `pod` says of the pod, and what to do. */
interface PodFinding {
  readonly node: string | undefined;
  readonly uid: string | undefined;
  readonly fix: string;
}

function podFindingOf({ findings }: VolumeExplanation): PodFinding {
  const { fix = '', data = {} } = findings.find(({ stage }) => stage === 'pod') ?? {};
  const [node, uid] = ['node', 'uid'].map((key) => textIn(data, key) || undefined);
  return { node, uid, fix };
}

async function commandForNode(
  node: string,
  uid: string | undefined,
  api: ApiClient,
  question: Question,
  signal: AbortSignal,
): Promise<CommandForNode> {
  const notes: string[] = [];
  const list = async (query: Readonly<Record<string, string>>): Promise<readonly Exporter[]> => {
    try {
      const pods = await api.list(`/api/v1/pods?${new URLSearchParams(query).toString()}`, { signal });
      return pods.flatMap((each) => exporterOf(each) ?? []);
    } catch (error) {
      signal.throwIfAborted();
      notes.push(`Whether the exporter runs there is not known: ${messageOf(error)}`);
      return [];
    }
  };
  const [exporter] = await list({ fieldSelector: `spec.nodeName=${node}` });
  const kubectl = ['kubectl', ...flags({ kubeconfig: question.kubeconfig, context: question.context })];
  if (exporter !== undefined) {
    const { namespace, pod, container, program } = exporter;
    const explain = [...program, 'explain', ...argumentsOf(question)];
    const argv = [...kubectl, 'exec', '-n', namespace, pod, '-c', container, '--', ...explain];
    return { node, command: shellText(argv), notes };
  }
  const [other] = notes.length > 0 ? [] : await list({ labelSelector: `${NAME_LABEL}=${PROGRAM}` });
  const { root = '/var/lib/kubelet' } = question;
  // Drivers and mount tables name the paths of the node, not those below /host.
  const bind = `mkdir -p ${shellText([root])} && mount --rbind ${shellText([`/host${root}`, root])}`;
  const target = uid === undefined ? [] : ['--pod', uid];
  const program = shellText([...(other?.program ?? [PROGRAM]), 'explain', '--pods', 'disk', ...target]);
  const argv = [
    ...[...kubectl, 'debug', `node/${node}`, '-it', '--profile=sysadmin'],
    ...[`--image=${other?.image ?? 'IMAGE'}`, '--', 'sh', '-c', `${bind} && exec ${program} --verbose`],
  ];
  if (other === undefined) {
    notes.push(
      `No exporter was found in the cluster: put an image that has ${PROGRAM} for IMAGE (docs/explain.md#an-image says how to make one).`,
    );
  }
  return { node, command: shellText(argv), notes };
}

function argumentsOf({ claim, pod, volume }: Question): readonly string[] {
  return [...(claim === undefined ? [] : [claim]), ...flags({ pod, volume }), '--verbose'];
}

function flags(values: Readonly<Record<string, string | undefined>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
}

/** A container that has this program, and sees the kubelet's folder. */
interface Exporter {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly image: string;
  /** How the program is called there. */
  readonly program: readonly string[];
}

// What the API server's JSON has under a key, of which nothing is certain.
const valueIn = (json: unknown, key: string): unknown =>
  (json as Readonly<Record<string, unknown>> | null | undefined)?.[key];
const listIn = (json: unknown, key: string): readonly unknown[] => {
  const found = valueIn(json, key);
  return Array.isArray(found) ? found : [];
};
const wordsIn = (json: unknown, key: string): readonly string[] =>
  listIn(json, key).filter((word) => typeof word === 'string');
const textIn = (json: unknown, key: string): string => {
  const found = valueIn(json, key);
  return typeof found === 'string' ? found : '';
};

/** @returns undefined unless the pod runs, sees a kubelet's folder, and a container of it has the program */
function exporterOf(pod: unknown): Exporter | undefined {
  const [metadata, spec, status] = ['metadata', 'spec', 'status'].map((key) => valueIn(pod, key));
  const paths = listIn(spec, 'volumes').map((each) => textIn(valueIn(each, 'hostPath'), 'path'));
  const isOnDisk = paths.some((path) => path === '/' || KUBELET_ROOTS.includes(path.replace(/\/$/, '')));
  if (!isOnDisk || textIn(status, 'phase') !== 'Running') return undefined;
  const isNamed = textIn(valueIn(metadata, 'labels'), NAME_LABEL) === PROGRAM;
  for (const each of listIn(spec, 'containers')) {
    const command = wordsIn(each, 'command');
    const words = [...command, ...wordsIn(each, 'args')];
    const image = textIn(each, 'image');
    const end = command.findIndex((word) => /(^|\/)(kube-volume-metrics|cli\/main\.js)$/.test(word));
    const hasIt = isNamed || image.includes(PROGRAM) || words.some((word) => word.includes(PROGRAM));
    const [namespace, name, container] = [
      textIn(metadata, 'namespace'),
      textIn(metadata, 'name'),
      textIn(each, 'name'),
    ];
    if (!hasIt || namespace === '' || name === '' || container === '') continue;
    const program = end === -1 ? [PROGRAM] : command.slice(0, end + 1);
    return { namespace, pod: name, container, image, program };
  }
  return undefined;
}

/** Words for a shell: what is not plain is quoted. */
function shellText(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`))
    .join(' ');
}
