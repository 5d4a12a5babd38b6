import { Problems, quoted } from './checked-json.js';
import { MOST_BYTES_OF_OBJECT, readJsonList, UnexpectedJson } from './json-list.js';
import type { NodePod } from './node-pod.js';
import { podFromJson, podTitle, type PodOrigin } from './pod-from-json.js';
import type { PodListing } from './sources.js';

/**
 * Reads a PodList. A pod that is malformed, too large or named twice becomes a problem; the others are
 * unaffected.
 *
 * @param check - asked now and then: what it throws ends the reading
 * @throws UnexpectedJson or SyntaxError if it is no PodList
 */
export async function readPodList(body: Buffer, origin: PodOrigin, check: () => void): Promise<PodListing> {
  const problems = new Problems();
  const pods: NodePod[] = [];
  const others = await readJsonList(body, {
    list: 'items',
    mostBytes: MOST_BYTES_OF_OBJECT,
    onEntry: (text, index) => {
      const pod = podFromJson(parsed(text, index, problems), origin, problems);
      if (pod !== undefined) pods.push(pod);
    },
    onTooLarge: (index, bytes) => {
      problems.add(`pod ${String(index)} of the list has ${String(bytes)} bytes: it was left out`);
    },
    check,
  });
  checkListKind(others, 'PodList');
  return { pods: distinct(pods, problems), problems: problems.texts() };
}

/** @throws UnexpectedJson unless the members of the top object say that it is such a list */
function checkListKind(others: ReadonlyMap<string, unknown>, kind: string): void {
  const found = others.get('kind');
  if (found !== kind)
    throw new UnexpectedJson(
      `it is not a ${kind} but ${typeof found === 'string' ? quoted(found) : 'has no kind'}`,
    );
}

function parsed(text: string, index: number, problems: Problems): unknown {
  try {
    return JSON.parse(text);
  } catch {
    problems.add(`pod ${String(index)} of the list is not JSON`);
    return undefined;
  }
}

/**
 * Pods with a uid and a directory of their own. Of two with one uid, the first counts. A directory that two
 * pods claim belongs to the one that has it as its uid; otherwise nobody knows whose it is.
 */
function distinct(pods: readonly NodePod[], problems: Problems): NodePod[] {
  const byUid = new Map<string, NodePod>();
  for (const pod of pods) {
    if (!byUid.has(pod.apiUid)) byUid.set(pod.apiUid, pod);
    else
      problems.add(
        `${titleOf(pod)} has the uid of ${titleOf(byUid.get(pod.apiUid) ?? pod)}: it was left out`,
      );
  }
  const claimed = new Map<string, number>();
  for (const { folderUid } of byUid.values()) claimed.set(folderUid, (claimed.get(folderUid) ?? 0) + 1);
  return [...byUid.values()].filter((pod) => {
    if (pod.folderUid === pod.apiUid || (claimed.get(pod.folderUid) === 1 && !byUid.has(pod.folderUid)))
      return true;
    problems.add(
      `${titleOf(pod)} says that it mirrors ${quoted(pod.folderUid)}, and so does another pod: it was left out`,
    );
    return false;
  });
}

function titleOf({ namespace, name }: NodePod): string {
  return podTitle(namespace, name);
}
