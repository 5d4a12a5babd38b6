import { apiServerPods } from '../../kubelet/pod-sources.js';
import { podsOnDisk } from '../../kubelet/pods-on-disk.js';
import type { NodePod } from '../../kubelet/node-pod.js';
import type { PodListing } from '../../kubelet/sources.js';
import type { PersistentVolumeClaimRef } from '../../stats/pod.js';
import { answerOf, notAsked, valueOf, type Answer, type QuestionLimits } from '../answer.js';
import type { CheckedExplain } from '../explain-options.js';
import type { DiskFacts, Facts, KubeletPlace } from '../facts.js';
import { placeOf, type Subject } from '../volume-facts.js';
import { askForClaims, askForCsiNode, askForEvents, askForPodsElsewhere } from './ask-api-server.js';
import { askKubelet, type KubeletFacts } from './ask-kubelet.js';
import { askPrometheus } from './ask-prometheus.js';
import { lookAtDisk } from './look-at-disk.js';
import { chosenPods, chosenVolumes, claimsOfSummary, unnamedVolumes } from './subjects.js';

/** What is known, and which volumes are asked about. */
export interface Gathered {
  readonly facts: Facts;
  readonly subjects: readonly Subject[];
}

/**
 * Asks each door once, whatever the number of volumes. Those that don't need each other are asked side by
 * side.
 */
export async function gather(options: CheckedExplain): Promise<Gathered> {
  const { kubelet, prometheus, timeoutMs, signal } = options;
  const limits: QuestionLimits = { timeoutMs, signal };
  const found = askKubelet(kubelet, limits).then((asked) => gatherHere(options, asked, limits));
  const places = found.then(({ facts, subjects }) => distinctPlaces(subjects, facts));
  // Its failure is that of `found`.
  places.catch(() => undefined);
  const [{ facts, subjects }, fromPrometheus] = await Promise.all([
    found,
    prometheus === undefined ? undefined : askPrometheus(prometheus, options, places, limits),
  ]);
  return { subjects, facts: { ...facts, nowMs: Date.now(), prometheus: fromPrometheus } };
}

function distinctPlaces(subjects: readonly Subject[], here: KubeletPlace): readonly KubeletPlace[] {
  const places = subjects.map((each) => placeOf(each, here));
  return [...new Map(places.map((each) => [each.nodeName, each])).values()];
}

interface GatheredHere {
  readonly facts: Omit<Facts, 'nowMs' | 'prometheus'>;
  readonly subjects: readonly Subject[];
}

/** All but Prometheus. */
async function gatherHere(
  options: CheckedExplain,
  asked: KubeletFacts,
  limits: QuestionLimits,
): Promise<GatheredHere> {
  const { api, node, claim, kubelet } = options;
  const target = claim ?? options.pod;
  const nodeName =
    valueOf(asked.summary)?.node?.nodeName ??
    valueOf(asked.pods)?.pods.find((each) => each.nodeName !== undefined)?.nodeName ??
    node?.name;
  const { pods, podsFrom } = await askForPods(options, asked.pods, nodeName, limits);
  const listed = valueOf(pods)?.pods ?? [];
  const here = chosenPods(listed, options);
  const elsewhere =
    here.length === 0 && target !== undefined && target.namespace !== ''
      ? await askForPodsElsewhere(api, options, limits)
      : notAsked('a pod of this node uses it');
  const there = chosenPods(valueOf(elsewhere) ?? [], options);
  const isHere = (pod: NodePod): boolean => nodeName !== undefined && pod.nodeName === nodeName;
  const named = [
    ...chosenVolumes([...here, ...there.filter(isHere)], true, options),
    ...chosenVolumes(
      there.filter((each) => !isHere(each)),
      false,
      options,
    ),
  ];
  const subjects = named.length > 0 ? named : withoutPods(options, pods, asked.summary);
  const [claims, csiNode, events] = await Promise.all([
    askForClaims(api, claimNames(here, subjects), limits),
    askForCsiNode(api, there[0]?.nodeName ?? nodeName, limits),
    askForEvents(api, target?.namespace === '' ? undefined : target?.namespace, limits),
  ]);
  const withUnnamed = (described: DiskFacts['described']): readonly Subject[] =>
    podsFrom === 'disk' && claim === undefined
      ? [...subjects, ...unnamedVolumes(here, described, options.volume)]
      : subjects;
  const disk = await lookAtDisk(node, pods, claims, withUnnamed, limits);
  return {
    subjects: withUnnamed(valueOf(disk)?.described ?? new Map()),
    facts: {
      ...asked,
      ...{ nodeName, kubeletEndpoint: kubelet?.endpoint, pods, podsFrom },
      ...{ disk, claims, elsewhere, csiNode, events },
    },
  };
}

/** What is asked about if no pod is known that has it. */
function withoutPods(
  { claim, pod }: CheckedExplain,
  pods: Facts['pods'],
  summary: Facts['summary'],
): readonly Subject[] {
  if (claim !== undefined) return [{ namespace: claim.namespace, claimName: claim.name, isHere: false }];
  const known = pod === undefined && pods.state !== 'answered' ? valueOf(summary) : undefined;
  return known === undefined ? [] : claimsOfSummary(known);
}

/** The pods of the node from the first who knows them. */
async function askForPods(
  { api, node, claim, pod }: CheckedExplain,
  fromKubelet: Answer<PodListing>,
  nodeName: string | undefined,
  limits: QuestionLimits,
): Promise<Pick<Facts, 'pods' | 'podsFrom'>> {
  if (fromKubelet.state === 'answered') return { pods: fromKubelet, podsFrom: 'kubelet' };
  let first = fromKubelet;
  if (api !== undefined && nodeName !== undefined) {
    const pods = await answerOf(api.name, limits, (signal) => apiServerPods(api, nodeName).pods({ signal }));
    if (pods.state === 'answered') return { pods, podsFrom: 'API server' };
    if (first.state === 'not asked') first = pods;
  }
  if (node === undefined) return { pods: first, podsFrom: undefined };
  const pods = await answerOf('the disk', limits, () => podsOnDisk(node.rootDir).pods());
  // The disk has neither names nor claims.
  const isByName = claim !== undefined || (pod !== undefined && pod.namespace !== '');
  if (pods.state === 'answered' && !isByName) return { pods, podsFrom: 'disk' };
  const isDisks = first.state === 'not asked' && pods.state !== 'answered';
  return { pods: isDisks ? pods : first, podsFrom: undefined };
}

interface WithClaims {
  readonly namespace: string;
  readonly volumes: readonly { readonly claimName?: string }[];
}

/** All claims of the pods that are asked about: which folder is whose is found out from all of them. */
function claimNames(
  pods: readonly WithClaims[],
  subjects: readonly Subject[],
): readonly PersistentVolumeClaimRef[] {
  return [
    ...pods.flatMap(({ namespace, volumes }) => volumes.map(({ claimName }) => ({ namespace, claimName }))),
    ...subjects,
  ].flatMap(({ namespace, claimName }) => (claimName === undefined ? [] : [{ namespace, name: claimName }]));
}
