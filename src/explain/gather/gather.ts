import { apiServerPods } from '../../kubelet/pod-sources.js';
import { podsOnDisk } from '../../kubelet/pods-on-disk.js';
import type { PodListing } from '../../kubelet/sources.js';
import { ask, notAsked, valueOf, type Answer, type Limits } from '../answer.js';
import type { CheckedExplain } from '../explain-options.js';
import type { Facts } from '../facts.js';
import type { Subject } from '../volume-facts.js';
import { askForClaims, askForCsiNode, askForPodsElsewhere } from './ask-api-server.js';
import { askKubelet } from './ask-kubelet.js';
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
  const { kubelet, api, prometheus, node, claim, timeoutMs, signal, dashboardLabels } = options;
  const limits: Limits = { timeoutMs, signal };
  const kubeletFacts = askKubelet(kubelet, limits);
  const local = kubeletFacts.then((facts) => askLocally(options, facts, limits));
  const place = local.then(({ nodeName }) => ({ nodeName, kubeletEndpoint: kubelet?.endpoint }));
  // Its failure is that of `local`.
  place.catch(() => undefined);
  const [found, fromPrometheus] = await Promise.all([
    local,
    prometheus === undefined ? undefined : askPrometheus(prometheus, dashboardLabels, claim, place, limits),
  ]);
  const { subjects, ...facts } = found;
  return {
    subjects,
    facts: {
      ...facts,
      nowMs: Date.now(),
      kubeletEndpoint: kubelet?.endpoint,
      prometheus: fromPrometheus,
    },
  };

  async function askLocally(
    { pod, volume }: CheckedExplain,
    asked: Awaited<typeof kubeletFacts>,
    within: Limits,
  ): Promise<Omit<Facts, 'nowMs' | 'kubeletEndpoint' | 'prometheus'> & Pick<Gathered, 'subjects'>> {
    const summary = valueOf(asked.summary);
    const nodeName =
      summary?.node?.nodeName ??
      valueOf(asked.pods)?.pods.find((each) => each.nodeName !== undefined)?.nodeName ??
      node?.name;
    const { pods, podsFrom } = await askForPods(options, asked.pods, nodeName, within);
    const listed = valueOf(pods)?.pods ?? [];
    const here = chosenPods(listed, options);
    const isElsewhere = here.length === 0 && (claim ?? pod) !== undefined && pod?.namespace !== '';
    const [elsewhere, csiNode] = await Promise.all([
      isElsewhere ? askForPodsElsewhere(api, options, within) : notAsked('a pod of this node uses it'),
      askForCsiNode(api, nodeName, within),
    ]);
    const there = chosenPods(valueOf(elsewhere) ?? [], options);
    let subjects = [...chosenVolumes(here, true, options), ...chosenVolumes(there, false, options)];
    if (subjects.length === 0 && claim !== undefined) {
      subjects = [{ namespace: claim.namespace, claimName: claim.name, isHere: false }];
    } else if ((claim ?? pod) === undefined && pods.state !== 'answered' && summary !== undefined) {
      subjects = [...claimsOfSummary(summary)];
    }
    const claims = await askForClaims(api, claimNames(here, subjects), within);
    const disk = await lookAtDisk(
      node,
      pods,
      claims,
      (described) => {
        if (podsFrom === 'disk' && claim === undefined)
          subjects.push(...unnamedVolumes(here, described, volume));
        return subjects;
      },
      within,
    );
    const { metrics, config } = asked;
    return {
      ...{ nodeName, pods, podsFrom, summary: asked.summary, metrics, config },
      ...{ disk, claims, elsewhere, csiNode, subjects },
    };
  }
}

/** The pods of the node from the first who knows them. */
async function askForPods(
  { api, node }: CheckedExplain,
  fromKubelet: Answer<PodListing>,
  nodeName: string | undefined,
  limits: Limits,
): Promise<Pick<Facts, 'pods' | 'podsFrom'>> {
  if (fromKubelet.state === 'answered') return { pods: fromKubelet, podsFrom: 'kubelet' };
  let first = fromKubelet;
  if (api !== undefined && nodeName !== undefined) {
    const pods = await ask(api.name, limits, (signal) => apiServerPods(api, nodeName).pods({ signal }));
    if (pods.state === 'answered') return { pods, podsFrom: 'API server' };
    if (first.state === 'not asked') first = pods;
  }
  if (node === undefined) return { pods: first, podsFrom: undefined };
  const pods = await ask('the disk', limits, () => podsOnDisk(node.rootDir).pods());
  if (pods.state === 'answered') return { pods, podsFrom: 'disk' };
  return { pods: first.state === 'not asked' ? pods : first, podsFrom: undefined };
}

/** All claims of the pods that are asked about: which folder is whose is found out from all of them. */
function claimNames(
  pods: readonly {
    readonly namespace: string;
    readonly volumes: readonly { readonly claimName?: string }[];
  }[],
  subjects: readonly Subject[],
): readonly { readonly namespace: string; readonly name: string }[] {
  return [
    ...pods.flatMap(({ namespace, volumes }) => volumes.map(({ claimName }) => ({ namespace, claimName }))),
    ...subjects,
  ].flatMap(({ namespace, claimName }) => (claimName === undefined ? [] : [{ namespace, name: claimName }]));
}
