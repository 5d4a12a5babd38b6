import type { NodePod } from '../../kubelet/node-pod.js';
import type { VolumeDescription } from '../../kubelet/described-volume.js';
import type { KubeletSummary } from '../../kubelet/kubelet-summary.js';
import type { CheckedExplain } from '../explain-options.js';
import { whyNotRunning } from '../not-running.js';
import { shown, type Subject } from '../volume-facts.js';
import { valueOf } from '../answer.js';
import type { Facts } from '../facts.js';

type Target = Pick<CheckedExplain, 'claim' | 'pod' | 'volume' | 'all'>;

/** The pods that are asked about, among those of one listing. */
export function chosenPods(
  pods: readonly NodePod[],
  { claim, pod }: Pick<Target, 'claim' | 'pod'>,
): readonly NodePod[] {
  if (claim !== undefined) {
    return pods.filter(
      ({ namespace, volumes }) =>
        namespace === claim.namespace && volumes.some(({ claimName }) => claimName === claim.name),
    );
  }
  if (pod === undefined) return pods;
  if (pod.namespace === '')
    return pods.filter(({ apiUid, folderUid }) => apiUid === pod.name || folderUid === pod.name);
  return pods.filter(({ namespace, name }) => namespace === pod.namespace && name === pod.name);
}

/** The volumes of these pods that are asked about. Of a claim that several pods use, one that runs counts. */
export function chosenVolumes(pods: readonly NodePod[], isHere: boolean, target: Target): readonly Subject[] {
  const { claim, volume: wanted, all } = target;
  const subjects = pods.flatMap((pod) =>
    pod.volumes
      .filter(({ name, claimName }) => {
        if (claim !== undefined) return claimName === claim.name;
        return wanted === undefined ? all || claimName !== undefined : name === wanted;
      })
      .map((volume): Subject => {
        const { name, claimName } = volume;
        const about = { namespace: pod.namespace, pod, isHere, volumeName: name, volume };
        return claimName === undefined ? about : { ...about, claimName };
      }),
  );
  const byClaim = new Map<string, Subject>();
  for (const subject of subjects) {
    const { namespace, claimName, pod, volumeName } = subject;
    const key =
      claimName === undefined ? `${pod?.folderUid ?? ''}//${volumeName ?? ''}` : `${namespace}/${claimName}`;
    const before = byClaim.get(key)?.pod;
    const isBetter =
      before === undefined ||
      (whyNotRunning(before) !== undefined && pod !== undefined && whyNotRunning(pod) === undefined);
    if (isBetter) byClaim.set(key, subject);
  }
  return [...byClaim.values()];
}

/** Why there is no volume to explain; undefined if there is none, or if an unanswered question says why. */
export function whyNoSubject(target: Target, { pods, elsewhere }: Facts): string | undefined {
  const { pod, volume } = target;
  if (pod === undefined)
    return pods.state === 'not asked' ? `which pods there are is not known: ${pods.problem}` : undefined;
  const name = `pod ${pod.namespace}/${pod.name}`;
  const known = [...(valueOf(pods)?.pods ?? []), ...(valueOf(elsewhere) ?? [])];
  if (chosenPods(known, target).length > 0) {
    if (volume !== undefined) return `${name} has no volume ${shown(volume)}`;
    return target.all ? `${name} has no volume` : `${name} has no volume with a claim`;
  }
  if (elsewhere.state === 'answered') return `there is no ${name}`;
  return elsewhere.state === 'not asked'
    ? `${name} is not on this node, and ${elsewhere.problem}`
    : undefined;
}

/** Volumes on disk that the list of pods does not name, because it comes from the disk too. */
export function unnamedVolumes(
  pods: readonly NodePod[],
  described: ReadonlyMap<string, readonly VolumeDescription[]>,
  wanted?: string,
): readonly Subject[] {
  return pods.flatMap((pod) =>
    (described.get(pod.folderUid) ?? [])
      .filter(
        ({ name, persistentVolume }) =>
          persistentVolume !== undefined &&
          [name, persistentVolume, undefined].includes(wanted) &&
          !pod.volumes.some((each) => each.name === name),
      )
      .map(({ name }) => ({ namespace: pod.namespace, pod, isHere: true, volumeName: name })),
  );
}

/** The claims that the kubelet's summary names, when the pods themselves are not known. */
export function claimsOfSummary({ pods }: KubeletSummary): readonly Subject[] {
  return pods.flatMap(({ volume = [] }) =>
    volume.flatMap(({ name, pvcRef }) =>
      pvcRef === undefined
        ? []
        : [{ namespace: pvcRef.namespace, claimName: pvcRef.name, isHere: true, volumeName: name }],
    ),
  );
}
