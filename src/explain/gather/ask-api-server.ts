import type { ApiClient } from '../../kubelet/api-client.js';
import { apiServerClaims } from '../../kubelet/api-server-claims.js';
import { listOf, objectOf, Problems, textOf, type JsonObject } from '../../kubelet/checked-json.js';
import { claimFromJson, volumeFromJson } from '../../kubelet/claim-from-json.js';
import type { NodePod } from '../../kubelet/node-pod.js';
import { podFromJson } from '../../kubelet/pod-from-json.js';
import type { Claim } from '../../kubelet/sources.js';
import { Turns } from '../../kubelet/turns.js';
import type { PersistentVolumeClaimRef } from '../../stats/pod.js';
import { answerOf, notAsked, type Answer, type QuestionLimits } from '../answer.js';
import type { CheckedExplain } from '../explain-options.js';
import type { CsiNode, Facts, StorageEvent } from '../facts.js';
import { chosenPods } from './subjects.js';

const NOT_ASKED = 'the API server was not asked';

/** Up to how many claims are asked for by name, which needs fewer rights than a list. */
const MOST_BY_NAME = 4;

/** Claims and their volumes: a few by name, many by two lists, or by name where lists are refused. */
export async function askForClaims(
  api: ApiClient | undefined,
  wanted: readonly PersistentVolumeClaimRef[],
  limits: QuestionLimits,
): Promise<Facts['claims']> {
  const keys = new Map(wanted.map((each) => [`${each.namespace}/${each.name}`, each]));
  const forEach = (answer: (key: string) => Answer<Claim | undefined>): Facts['claims'] =>
    new Map([...keys.keys()].map((key) => [key, answer(key)]));
  if (api === undefined) return forEach(() => notAsked(NOT_ASKED));
  if (keys.size > MOST_BY_NAME) {
    const lists = await answerOf(api.name, limits, (signal) => listClaims(api, keys, signal));
    if (lists.state === 'answered') {
      const { value } = lists;
      return forEach((key) => ({ state: 'answered', value: value.get(key) }));
    }
    if (lists.state === 'unanswered' && lists.code !== 'API_FORBIDDEN') return forEach(() => lists);
  }
  return await claimsByName(api, keys, limits);
}

/** How many questions are out at once. The time limit of each begins when it is asked. */
const AT_ONCE = 4;

async function claimsByName(
  api: ApiClient,
  wanted: ReadonlyMap<string, PersistentVolumeClaimRef>,
  limits: QuestionLimits,
): Promise<Facts['claims']> {
  const source = apiServerClaims(api);
  const turns = new Turns(AT_ONCE);
  // A server that is away is away for all of them.
  let lost: Answer<never> | undefined;
  const ask = async ({ namespace, name }: PersistentVolumeClaimRef): Promise<Answer<Claim | undefined>> => {
    if (lost !== undefined) return lost;
    const answer = await answerOf(api.name, limits, (signal) => source.claim(namespace, name, { signal }));
    if (answer.state === 'unanswered' && /UNREACHABLE|TIMED_OUT/.test(answer.code ?? '')) lost ??= answer;
    return answer;
  };
  const answers = [...wanted].map(async ([key, each]) => [key, await turns.run(() => ask(each))] as const);
  return new Map(await Promise.all(answers));
}

/** Of lists of the whole cluster, only what is wanted is kept. */
async function listClaims(
  api: ApiClient,
  wanted: ReadonlyMap<string, unknown>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Claim>> {
  const claims = new Map<string, Claim>();
  await api.each(
    '/api/v1/persistentvolumeclaims',
    (item) => {
      const claim = claimFromJson(objectOf(item) ?? {});
      const key = `${claim?.namespace ?? ''}/${claim?.name ?? ''}`;
      if (claim !== undefined && wanted.has(key)) claims.set(key, claim);
    },
    { signal },
  );
  const names = new Set([...claims.values()].map(({ volumeName }) => volumeName));
  const volumes = new Map<string, JsonObject>();
  await api.each(
    '/api/v1/persistentvolumes',
    (item) => {
      const volume = objectOf(item);
      const name = textOf(objectOf(volume?.['metadata'])?.['name']);
      if (volume !== undefined && name !== undefined && names.has(name)) volumes.set(name, volume);
    },
    { signal },
  );
  return new Map([...claims].map(([key, claim]) => [key, withVolume(claim, volumes)]));
}

function withVolume(claim: Claim, volumes: ReadonlyMap<string, JsonObject>): Claim {
  if (claim.phase !== 'Bound' || claim.volumeName === undefined) return claim;
  const found = volumes.get(claim.volumeName);
  const volume = found === undefined ? 'there is no such PersistentVolume' : volumeFromJson(found, claim);
  return typeof volume === 'string' ? { ...claim, volumeProblem: volume } : { ...claim, volume };
}

/** The pods of all nodes that use the claim, or the pod itself. */
export async function askForPodsElsewhere(
  api: ApiClient | undefined,
  target: Pick<CheckedExplain, 'claim' | 'pod'>,
  limits: QuestionLimits,
): Promise<Answer<readonly NodePod[]>> {
  const { claim, pod } = target;
  const { namespace } = claim ?? pod ?? {};
  if (api === undefined || namespace === undefined) return notAsked(NOT_ASKED);
  const path = `/api/v1/namespaces/${namespace}/pods`;
  return await answerOf(api.name, limits, async (signal) => {
    const problems = new Problems();
    const found: NodePod[] = [];
    const take = (item: unknown): void => {
      const each = podFromJson(item, 'API server', problems);
      if (each !== undefined) found.push(...chosenPods([each], target));
    };
    if (pod === undefined) await api.each(path, take, { signal });
    else take(await api.get(`${path}/${pod.name}`, { signal }));
    return found;
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

/** The list is not sorted by time, but an event that happens again only raises its count. */
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
