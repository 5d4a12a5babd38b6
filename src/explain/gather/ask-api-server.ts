import type { ApiClient } from '../../kubelet/api-client.js';
import { apiServerClaims } from '../../kubelet/api-server-claims.js';
import { listOf, objectOf, Problems, textOf } from '../../kubelet/checked-json.js';
import { claimFromJson, volumeFromJson } from '../../kubelet/claim-from-json.js';
import type { NodePod } from '../../kubelet/node-pod.js';
import { podFromJson } from '../../kubelet/pod-from-json.js';
import type { Claim } from '../../kubelet/sources.js';
import { answerOf, notAsked, type Answer, type QuestionLimits } from '../answer.js';
import type { PersistentVolumeClaimRef } from '../../stats/pod.js';
import type { CheckedExplain } from '../explain-options.js';
import type { CsiNode, Facts, StorageEvent } from '../facts.js';

const NOT_ASKED = 'the API server was not asked';

/** So many claims are got by name, which needs less rights than a list. */
const MOST_BY_NAME = 4;

/** Claims and their volumes: a few by name, many by two lists, or by name where lists are refused. */
export async function askForClaims(
  api: ApiClient | undefined,
  wanted: readonly PersistentVolumeClaimRef[],
  limits: QuestionLimits,
): Promise<Facts['claims']> {
  const keys = new Map(wanted.map((each) => [`${each.namespace}/${each.name}`, each]));
  if (api === undefined || keys.size === 0)
    return new Map([...keys.keys()].map((key) => [key, notAsked(NOT_ASKED)]));
  if (keys.size > MOST_BY_NAME) {
    const lists = await answerOf(api.name, limits, (signal) => listClaims(api, signal));
    if (lists.state === 'answered') {
      const { value } = lists;
      return new Map([...keys.keys()].map((key) => [key, { state: 'answered', value: value.get(key) }]));
    }
    if (lists.state === 'unanswered' && lists.code !== 'API_FORBIDDEN')
      return new Map([...keys.keys()].map((key) => [key, lists]));
  }
  const source = apiServerClaims(api);
  const answers = [...keys].map(async ([key, { namespace, name }]) => {
    const answer = await answerOf(api.name, limits, (signal) => source.claim(namespace, name, { signal }));
    return [key, answer] as const;
  });
  return new Map(await Promise.all(answers));
}

async function listClaims(api: ApiClient, signal: AbortSignal): Promise<ReadonlyMap<string, Claim>> {
  const [claims, volumes] = await Promise.all([
    api.list('/api/v1/persistentvolumeclaims', { signal }),
    api.list('/api/v1/persistentvolumes', { signal }),
  ]);
  const byName = new Map(
    volumes.flatMap((each) => {
      const object = objectOf(each);
      const name = textOf(objectOf(object?.['metadata'])?.['name']);
      return object === undefined || name === undefined ? [] : [[name, object] as const];
    }),
  );
  return new Map(
    claims.flatMap((each) => {
      const claim = claimFromJson(objectOf(each) ?? {});
      return claim === undefined
        ? []
        : [[`${claim.namespace}/${claim.name}`, withVolume(claim, byName)] as const];
    }),
  );
}

function withVolume(claim: Claim, volumes: ReadonlyMap<string, Readonly<Record<string, unknown>>>): Claim {
  if (claim.phase !== 'Bound' || claim.volumeName === undefined) return claim;
  const found = volumes.get(claim.volumeName);
  const volume = found === undefined ? 'there is no such PersistentVolume' : volumeFromJson(found, claim);
  return typeof volume === 'string' ? { ...claim, volumeProblem: volume } : { ...claim, volume };
}

/** The pods of all nodes that may use the claim, or the pod itself. */
export async function askForPodsElsewhere(
  api: ApiClient | undefined,
  { claim, pod }: Pick<CheckedExplain, 'claim' | 'pod'>,
  limits: QuestionLimits,
): Promise<Answer<readonly NodePod[]>> {
  const { namespace } = claim ?? pod ?? {};
  if (api === undefined || namespace === undefined) return notAsked(NOT_ASKED);
  const path = `/api/v1/namespaces/${namespace}/pods`;
  return await answerOf(api.name, limits, async (signal) => {
    const found =
      pod === undefined
        ? await api.list(path, { signal })
        : [await api.get(`${path}/${pod.name}`, { signal })];
    const problems = new Problems();
    return found.flatMap((each) =>
      each === undefined ? [] : (podFromJson(each, 'API server', problems) ?? []),
    );
  });
}

/** The drivers that are registered on a node, as the API server knows them. */
export async function askForCsiNode(
  api: ApiClient | undefined,
  nodeName: string | undefined,
  limits: QuestionLimits,
): Promise<Facts['csiNode']> {
  if (api === undefined) return notAsked(NOT_ASKED);
  if (nodeName === undefined) return notAsked('the name of the node is not known');
  return await answerOf(api.name, limits, async (signal) => {
    const path = `/apis/storage.k8s.io/v1/csinodes/${encodeURIComponent(nodeName)}`;
    return csiNodeFrom(await api.get(path, { signal }));
  });
}

function csiNodeFrom(value: object | undefined): CsiNode | undefined {
  if (value === undefined) return undefined;
  const object = objectOf(value);
  const drivers = listOf(objectOf(object?.['spec'])?.['drivers']).flatMap(
    (each) => textOf(objectOf(each)?.['name']) ?? [],
  );
  const health = listOf(objectOf(object?.['status'])?.['storageHealth']).flatMap((each) => {
    const given = objectOf(each);
    const driver = textOf(given?.['name']);
    if (driver === undefined) return [];
    return listOf(given?.['healthConditions']).flatMap((one) => {
      const { status, reason, message } = objectOf(one) ?? {};
      const text = [status, reason, message].flatMap((part) => textOf(part) ?? []).join(' ');
      return text === '' ? [] : [{ driver, text }];
    });
  });
  return { drivers, health };
}

/** The reason that kubelets before 1.37 and the sidecar external-health-monitor give. */
const REASON = 'VolumeConditionAbnormal';

/** The newest are not first; but the same event again only counts up. */
const MOST = '500';

/**
 * What was reported about storage by events, which Kubernetes keeps for an hour: one list, of one namespace
 * or of all.
 */
export async function askForEvents(
  api: ApiClient | undefined,
  namespace: string | undefined,
  limits: QuestionLimits,
): Promise<Answer<readonly StorageEvent[]>> {
  if (api === undefined) return notAsked(NOT_ASKED);
  const query = new URLSearchParams({ fieldSelector: `reason=${REASON}`, limit: MOST });
  const where = namespace === undefined ? '' : `namespaces/${namespace}/`;
  return await answerOf(api.name, limits, async (signal) => {
    const list = objectOf(await api.get(`/api/v1/${where}events?${query.toString()}`, { signal }));
    return listOf(list?.['items']).flatMap(eventFrom);
  });
}

function eventFrom(value: unknown): readonly StorageEvent[] {
  const event = objectOf(value);
  const about = objectOf(event?.['involvedObject']);
  const kind = about?.['kind'];
  const [namespace, name, message] = [about?.['namespace'], about?.['name'], event?.['message']].map(textOf);
  const isOurs = kind === 'Pod' || kind === 'PersistentVolumeClaim';
  if (!isOurs || namespace === undefined || name === undefined || message === undefined) return [];
  return event?.['reason'] === REASON ? [{ kind, namespace, name, message }] : [];
}
