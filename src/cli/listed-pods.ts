import { apiServerPods, kubeletPods, podsOnDisk, type PodListing, type PodSource } from '../kubelet/index.js';
import { messageOf, UsageError } from './command.js';
import { withFlags, type PodsFrom } from './door-flags.js';
import { API_NEEDS, type Doors } from './doors.js';

/** The pods of this node, who listed them, and what is not known because others could not be asked. */
export interface ListedPods {
  readonly source: string;
  readonly listing: PodListing;
  /** A text for people each; control characters are not escaped. */
  readonly notes: readonly string[];
}

const OPEN_A_DOOR =
  'The pods were found on disk: their names and claims are not known. They are known in a pod with a service ' +
  "account, to root on a node where the kubelet's kubeconfig can be read, and with --token-file, --client-cert " +
  'or --kubeconfig.';

/**
 * Lists the pods. With `auto`, the kubelet is asked first, then the API server; if neither answers, the disk
 * tells what it knows, and the notes say why.
 *
 * @throws UsageError if the options do not go together; what the one source that may be asked rejects with
 */
export async function listPods(doors: Doors, from: PodsFrom, signal: AbortSignal): Promise<ListedPods> {
  if (from === 'disk') return await listed(fromDisk(doors), signal, [OPEN_A_DOOR]);
  if (from === 'kubelet') return await listed(fromKubelet(doors), signal);
  if (from === 'api') return await listed(fromApiServer(doors), signal);
  const notes: string[] = [];
  if (doors.kubelet !== undefined) {
    const found = await attempt(() => listed(fromKubelet(doors), signal), signal, notes);
    if (found !== undefined) return { ...found, notes };
  }
  if (doors.api !== undefined) {
    const found = await attempt(() => listed(fromApiServer(doors), signal), signal, notes);
    const isKnown = found !== undefined && (found.listing.pods.length > 0 || !(await hasPodsOnDisk(doors)));
    if (isKnown) return { ...found, notes };
    if (found !== undefined) {
      notes.push(`${found.source}: there are none, but some are on disk. Is --node this node's name?`);
    }
  }
  return await listed(fromDisk(doors), signal, [...notes, OPEN_A_DOOR]);
}

async function listed(
  source: PodSource,
  signal: AbortSignal,
  notes: readonly string[] = [],
): Promise<ListedPods> {
  return { source: source.name, listing: await source.pods({ signal }), notes };
}

/** @returns undefined, with a note, if it fails for any reason but the signal */
async function attempt<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  notes: string[],
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    notes.push(withFlags(messageOf(error)));
    return undefined;
  }
}

async function hasPodsOnDisk({ rootDir }: Doors): Promise<boolean> {
  if (rootDir === undefined) return false;
  try {
    return (await podsOnDisk(rootDir).pods()).pods.length > 0;
  } catch {
    // Looking at the volumes says what is wrong.
    return false;
  }
}

function fromDisk({ rootDir, rootProblem }: Doors): PodSource {
  if (rootDir === undefined) throw rootProblem;
  return podsOnDisk(rootDir);
}

function fromKubelet({ kubelet }: Doors): PodSource {
  if (kubelet === undefined) throw new UsageError('there is nothing to ask the kubelet with');
  return kubeletPods(kubelet);
}

function fromApiServer({ api, nodeName }: Doors): PodSource {
  if (api === undefined) throw new UsageError(`asking the API server needs ${API_NEEDS}`);
  if (nodeName === undefined) {
    throw new UsageError("this node's name is not known: set --node, or NODE_NAME from spec.nodeName");
  }
  try {
    return apiServerPods(api, nodeName);
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message.replace('nodeName', '--node')) : error;
  }
}
