import type { Metrics } from '../index.js';
import { summaryThroughApiServer, type ApiClient, type KubeletPodSummary } from '../kubelet/index.js';
import { messageOf, UsageError } from './command.js';
import type { KubectlValues } from './door-flags.js';
import { API_NEEDS, apiServerOf } from './doors.js';
import {
  isWantedClaim,
  isWantedPod,
  type VolumeFilter,
  type VolumeRow,
  type VolumeRows,
} from './volume-row.js';

/** How many kubelets are asked at once: a summary may have megabytes. */
const AT_ONCE = 8;

/**
 * What kubelets say about their volumes, asked through the API server's proxy, and with `all` also the claims
 * that none of them shows.
 *
 * @param nodes - their names; `all`: those that the API server lists
 * @throws UsageError if the API server cannot be asked from here; KubeletError if it does not list the nodes
 */
export async function proxiedVolumes(
  nodes: readonly string[] | 'all',
  values: KubectlValues,
  filter: VolumeFilter,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<VolumeRows> {
  const api = await apiServerOf(values, timeoutMs);
  if (api === undefined) throw new UsageError(`--through-api-server needs ${API_NEEDS}`);
  try {
    const names = nodes === 'all' ? await namesOfNodes(api, signal) : nodes;
    const asked = await askAll(api, names, signal);
    const notes = asked.flatMap(({ notes }) => notes);
    const silent = asked.filter(({ pods }) => pods === undefined).map(({ node }) => node);
    const shown = asked.flatMap(({ node, pods = [] }) => pods.flatMap((pod) => rowsOf(node, pod)));
    let isComplete = silent.length === 0;
    let unseen: VolumeRow[] = [];
    if (nodes === 'all' && filter.pod === undefined) {
      try {
        unseen = await claimsNotShown(api, shown, silent, signal);
      } catch (error) {
        signal.throwIfAborted();
        isComplete = false;
        notes.push(`claims that no kubelet shows are not known: ${messageOf(error)}`);
      }
    }
    const rows = [...shown, ...unseen].filter((row) => isWanted(row, filter));
    return { rows, source: `${api.name}, kubelets of ${names.join(', ')}`, notes, isComplete };
  } finally {
    api.close();
  }
}

function isWanted({ namespace, pod = '', uid = '', claim }: VolumeRow, filter: VolumeFilter): boolean {
  const where = namespace ?? claim?.namespace ?? '';
  return isWantedPod({ namespace: where, name: pod, uid }, filter) && isWantedClaim(claim, filter);
}

async function namesOfNodes(api: ApiClient, signal: AbortSignal): Promise<string[]> {
  const nodes = (await api.list('/api/v1/nodes', { signal })) as ApiObject[];
  return nodes.flatMap((each) => named(each)?.name ?? []);
}

/** What one kubelet has said. */
interface Asked {
  readonly node: string;
  /** Undefined if it did not answer. */
  readonly pods?: readonly KubeletPodSummary[];
  readonly notes: readonly string[];
}

async function askAll(api: ApiClient, nodes: readonly string[], signal: AbortSignal): Promise<Asked[]> {
  const asked = new Map<string, Asked>();
  const waiting = [...new Set(nodes)];
  const worker = async (): Promise<void> => {
    for (let node = waiting.shift(); node !== undefined; node = waiting.shift()) {
      asked.set(node, await ask(api, node, signal));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return [...new Set(nodes)].flatMap((node) => asked.get(node) ?? []);
}

async function ask(api: ApiClient, node: string, signal: AbortSignal): Promise<Asked> {
  try {
    const summary = await summaryThroughApiServer(api, node, { signal });
    if (summary === undefined) return { node, notes: [`node ${node}: the API server knows no such node`] };
    return { node, pods: summary.pods, notes: summary.problems.map((each) => `node ${node}: ${each}`) };
  } catch (error) {
    signal.throwIfAborted();
    return { node, notes: [`node ${node}: ${messageOf(error)}`] };
  }
}

function rowsOf(node: string, { podRef, volume = [] }: KubeletPodSummary): VolumeRow[] {
  const { namespace, name: pod, uid } = podRef;
  return volume.map(({ name, pvcRef, time, ...numbers }): VolumeRow => {
    const at = new Date(time ?? NaN);
    const metrics: Metrics = {
      time: Number.isNaN(at.getTime()) ? new Date() : at,
      source: 'kubelet',
      ...numberOf('capacity', numbers.capacityBytes),
      ...numberOf('available', numbers.availableBytes),
      ...numberOf('used', numbers.usedBytes),
      ...numberOf('inodes', numbers.inodes),
      ...numberOf('inodesFree', numbers.inodesFree),
      ...numberOf('inodesUsed', numbers.inodesUsed),
      ...(numbers.volumeHealthStats?.abnormal === true && { condition: ABNORMAL }),
    };
    const about = { node, namespace, pod, uid, name, ...(pvcRef !== undefined && { claim: pvcRef }) };
    return { ...about, provider: 'kubelet', state: 'ok', metrics, unknown: [] };
  });
}

const ABNORMAL = { abnormal: true, message: 'the kubelet does not say why' };

type Quantity = 'capacity' | 'available' | 'used' | 'inodes' | 'inodesFree' | 'inodesUsed';

function numberOf(name: Quantity, value: bigint | undefined): Partial<Pick<Metrics, Quantity>> {
  return value === undefined ? {} : { [name]: value };
}

/** The claims that no kubelet has numbers of, and why that may be so. */
async function claimsNotShown(
  api: ApiClient,
  shown: readonly VolumeRow[],
  silent: readonly string[],
  signal: AbortSignal,
): Promise<VolumeRow[]> {
  const known = new Set(
    shown.flatMap(({ claim }) => (claim === undefined ? [] : [`${claim.namespace}/${claim.name}`])),
  );
  const claims = (await api.list('/api/v1/persistentvolumeclaims', { signal })) as ApiObject[];
  return claims.flatMap((each): VolumeRow[] => {
    const claim = named(each);
    if (claim?.namespace === undefined || known.has(`${claim.namespace}/${claim.name}`)) return [];
    const phase = textIn(each?.status?.phase);
    const isBound = phase === undefined || phase === 'Bound';
    const reason = isBound ? whyNotShown(silent) : `it is ${phase}, not Bound`;
    const volumeName = textIn(each?.spec?.volumeName);
    return [
      {
        claim: { namespace: claim.namespace, name: claim.name },
        ...(volumeName !== undefined && { persistentVolume: volumeName }),
        state: 'not shown',
        unknown: [reason],
      },
    ];
  });
}

function whyNotShown(silent: readonly string[]): string {
  const causes = 'no running pod uses it, or its kubelet has no numbers of it';
  return silent.length === 0 ? causes : `${causes}, or its node did not answer (${silent.join(', ')})`;
}

/** What is looked at in an object of a list, of which nothing is certain. */
type ApiObject =
  | {
      readonly metadata?: { readonly name?: unknown; readonly namespace?: unknown } | null;
      readonly spec?: { readonly volumeName?: unknown } | null;
      readonly status?: { readonly phase?: unknown } | null;
    }
  | null
  | undefined;

function named(object: ApiObject): { readonly name: string; readonly namespace?: string } | undefined {
  const [name, namespace] = [textIn(object?.metadata?.name), textIn(object?.metadata?.namespace)];
  return name === undefined ? undefined : { name, ...(namespace !== undefined && { namespace }) };
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
