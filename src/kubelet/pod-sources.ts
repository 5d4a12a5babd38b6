import { setTimeout as wait } from 'node:timers/promises';
import { throwIfAborted } from '../waiting/abort.js';
import type { ApiClient } from './api-client.js';
import { badAnswer } from './bad-answer.js';
import { checkedNodeName } from './door-options.js';
import type { KubeletClient } from './kubelet-client.js';
import type { NodePod } from './node-pod.js';
import { readPodList } from './pod-listing.js';
import type { PodListing, PodSource, SourceOptions } from './sources.js';

/** A kubelet that has just started gets its pods within a second or two, and serves `/pods` before. */
const START_MS = 5_000;

/** How long to wait before the kubelet is asked again: if it knows no pod, and if it knows some. */
const PAUSE_MS = 250;
const PAUSE_KNOWN_MS = 1_000;

/**
 * The pods of a node, as its kubelet knows them. It needs `nodes/pods` (before Kubernetes 1.33:
 * `nodes/proxy`).
 *
 * A kubelet that was restarted answers before it knows its pods, and learns of them one by one. So if all of
 * the API server's pods are gone at once, it is asked again for up to 5 s; if some are gone that were not
 * about to go, until two listings a second apart are of the same pods.
 *
 * @param kubelet - asks the kubelet
 */
export function kubeletPods(kubelet: Pick<KubeletClient, 'pods' | 'endpoint'>): PodSource {
  let last: PodListing['pods'] = [];
  return {
    name: `kubelet ${kubelet.endpoint}`,
    async pods(options: SourceOptions = {}): Promise<PodListing> {
      const staying = last.filter((pod) => !isAboutToGo(pod)).map(({ apiUid }) => apiUid);
      const hadPods = last.some(({ isStatic }) => !isStatic);
      let before = '';
      for (let waited = 0; ;) {
        const listing = await kubelet.pods(options);
        const uids = new Set(listing.pods.map(({ apiUid }) => apiUid));
        const now = [...uids].sort().join();
        const hasPods = listing.pods.some(({ isStatic }) => !isStatic);
        const isWhole = staying.every((uid) => uids.has(uid)) || (now === before && (hasPods || !hadPods));
        if (isWhole || waited >= START_MS) {
          last = listing.pods;
          return listing;
        }
        before = now;
        const ms = hasPods || !hadPods ? PAUSE_KNOWN_MS : PAUSE_MS;
        await pause(ms, options.signal);
        waited += ms;
      }
    },
  };
}

/** Whether a pod may be gone soon: it is being deleted, or has ended. */
function isAboutToGo({ deletionTimestamp, phase }: NodePod): boolean {
  return deletionTimestamp !== undefined || phase === 'Succeeded' || phase === 'Failed';
}

/** @throws the signal's reason once it is aborted */
async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await wait(ms, undefined, { ...(signal !== undefined && { signal }) });
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  }
}

/**
 * The pods of a node, as the API server knows them: one list for each round, from its cache, so that it costs
 * etcd nothing. It needs the right to list pods in all namespaces; RBAC cannot limit it to a node. A node's
 * own credentials may list the node's pods.
 *
 * A static pod is there as its mirror.
 *
 * @param api - asks the API server
 * @param nodeName - the node, as `spec.nodeName` has it
 * @throws TypeError for a name that no node can have
 */
export function apiServerPods(api: ApiClient, nodeName: string): PodSource {
  const query = new URLSearchParams({
    fieldSelector: `spec.nodeName=${checkedNodeName(nodeName)}`,
    resourceVersion: '0',
  });
  const path = `/api/v1/pods?${query.toString()}`;
  return {
    name: `${api.name}, pods of ${nodeName}`,
    async pods(options: SourceOptions = {}): Promise<PodListing> {
      const body = (await api.request(path, options)) ?? Buffer.alloc(0);
      try {
        return await readPodList(body, 'API server', () => {
          throwIfAborted(options.signal);
        });
      } catch (error) {
        throw badAnswer(error, 'API', `${api.name} answered ${path}`, '', body);
      }
    },
  };
}
