import type { Metrics } from '../../../src/index.js';
import { get, kubeletText } from '../doors.mjs';
import { DRIVER_WITHOUT_STATS } from '../place.mjs';

/** What the kubelet and the API server say about the node's volumes, joined without this package. */

interface ApiVolume {
  readonly name: string;
  readonly persistentVolumeClaim?: { readonly claimName: string };
  readonly ephemeral?: object;
  readonly emptyDir?: object;
  readonly configMap?: object;
  readonly secret?: object;
  readonly projected?: object;
  readonly downwardAPI?: object;
  readonly csi?: { readonly driver: string };
  readonly hostPath?: object;
  readonly image?: object;
}

interface ApiContainer {
  readonly volumeMounts?: readonly { readonly name: string }[];
  readonly volumeDevices?: readonly { readonly name: string }[];
}

interface ApiPod {
  readonly metadata: { readonly uid: string; readonly namespace: string; readonly name: string };
  readonly spec: { readonly volumes?: readonly ApiVolume[]; readonly containers: readonly ApiContainer[] };
  readonly status: { readonly phase: string };
}

interface ApiPersistentVolume {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly claimRef?: { readonly namespace: string; readonly name: string };
    readonly csi?: { readonly driver: string; readonly volumeHandle: string };
    readonly local?: object;
    readonly hostPath?: object;
  };
}

type Numbers = Readonly<Record<string, number | undefined>>;

interface SummaryPod {
  readonly podRef: { readonly uid: string };
  readonly volume?: readonly (Numbers & {
    readonly name: string;
    readonly time: string;
    readonly pvcRef?: { readonly namespace: string; readonly name: string };
  })[];
  readonly 'ephemeral-storage'?: Numbers;
}

/** One volume of a pod. */
export interface TrueVolume {
  /** Its name in the pod. */
  readonly name: string;
  readonly mode: 'Filesystem' | 'Block';
  /** The plugin's folder below `volumes` or `volumeDevices`; undefined if it has none. */
  readonly plugin: string | undefined;
  /** `namespace/name`. */
  readonly claim: string | undefined;
  /** The name of the volume that the claim is bound to. */
  readonly persistentVolume: string | undefined;
  readonly driver: string | undefined;
  readonly volumeHandle: string | undefined;
  readonly provider: string;
  readonly state: 'ok' | 'unsupported';
  /** The kubelet's numbers, by its names. */
  readonly numbers: Numbers | undefined;
}

export interface TruePod {
  readonly uid: string;
  /** `namespace/name`. */
  readonly name: string;
  readonly volumes: readonly TrueVolume[];
  /** The kubelet's sum. */
  readonly ephemeral: Numbers | undefined;
}

export interface NodeTruth {
  readonly pods: readonly TruePod[];
  /** Another text after each of the kubelet's rounds. */
  readonly round: string;
}

export const NUMBERS = {
  availableBytes: 'available',
  capacityBytes: 'capacity',
  usedBytes: 'used',
  inodesFree: 'inodesFree',
  inodes: 'inodes',
  inodesUsed: 'inodesUsed',
} as const satisfies Readonly<Record<string, keyof Metrics>>;

const FOLDERS = {
  emptyDir: 'empty-dir',
  configMap: 'configmap',
  secret: 'secret',
  projected: 'projected',
  downwardAPI: 'downward-api',
} as const;

/** @throws Error while the kubelet or the API server does not answer, or they contradict each other */
export async function nodeTruth(): Promise<NodeTruth> {
  const listed = JSON.parse(await kubeletText('/pods')) as { items: readonly ApiPod[] | null };
  const volumes = (await get('/api/v1/persistentvolumes')) as { items: readonly ApiPersistentVolume[] };
  const summary = JSON.parse(await kubeletText('/stats/summary')) as { pods: readonly SummaryPod[] };
  const byClaim = new Map(
    volumes.items.map((each) => [
      `${each.spec.claimRef?.namespace ?? ''}/${each.spec.claimRef?.name ?? ''}`,
      each,
    ]),
  );
  const byUid = new Map(summary.pods.map((each) => [each.podRef.uid, each]));
  const pods = (listed.items ?? []).map((pod): TruePod => {
    const { uid, namespace, name } = pod.metadata;
    const said = byUid.get(uid);
    return {
      uid,
      name: `${namespace}/${name}`,
      volumes: (pod.spec.volumes ?? []).map((volume) => trueVolume(pod, volume, byClaim, said)),
      ephemeral: said?.['ephemeral-storage'],
    };
  });
  const times = summary.pods.flatMap(({ podRef, volume = [] }) =>
    volume.map((each) => `${podRef.uid} ${each.name} ${each.time}`),
  );
  return { pods, round: times.sort().join('\n') };
}

function trueVolume(
  pod: ApiPod,
  volume: ApiVolume,
  byClaim: ReadonlyMap<string, ApiPersistentVolume>,
  said: SummaryPod | undefined,
): TrueVolume {
  const { namespace, name: podName } = pod.metadata;
  const { name } = volume;
  const claimName = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${podName}-${name}`);
  const claim = claimName === undefined ? undefined : `${namespace}/${claimName}`;
  const bound = claim === undefined ? undefined : byClaim.get(claim);
  if (claim !== undefined && bound === undefined) throw new Error(`no volume is bound to the claim ${claim}`);
  const uses = (list: 'volumeMounts' | 'volumeDevices'): boolean =>
    pod.spec.containers.some((each) => each[list]?.some((use) => use.name === name));
  const mode = uses('volumeDevices') ? 'Block' : 'Filesystem';
  const driver = volume.csi?.driver ?? bound?.spec.csi?.driver;
  const isUsed = mode === 'Block' || uses('volumeMounts');
  const hasEnded = ['Succeeded', 'Failed'].includes(pod.status.phase);
  const plugin = isUsed && !hasEnded ? folderOf(volume, bound) : undefined;
  const entry = said?.volume?.find((each) => each.name === name);
  const claimSaid = entry?.pvcRef && `${entry.pvcRef.namespace}/${entry.pvcRef.name}`;
  if (entry !== undefined && claimSaid !== claim) {
    throw new Error(`the kubelet says that ${name} of ${podName} is the claim ${claimSaid ?? 'none'}`);
  }
  const hasNumbers = plugin !== undefined && driver !== DRIVER_WITHOUT_STATS;
  // A pod without a running container, such as one that crashes, is not in the summary.
  if (said !== undefined && (entry !== undefined) !== hasNumbers) {
    throw new Error(`the kubelet has ${entry ? '' : 'no '}numbers of ${name} of ${podName}`);
  }
  return {
    name,
    mode,
    plugin,
    claim,
    persistentVolume: bound?.metadata.name,
    driver: plugin === undefined ? undefined : driver,
    volumeHandle: plugin === undefined ? undefined : bound?.spec.csi?.volumeHandle,
    provider: plugin === undefined ? 'nil' : (driver ?? providerOf(bound, mode)),
    state: hasNumbers ? 'ok' : 'unsupported',
    numbers: entry,
  };
}

function folderOf(volume: ApiVolume, bound: ApiPersistentVolume | undefined): string | undefined {
  if (volume.csi !== undefined || bound?.spec.csi !== undefined) return 'kubernetes.io~csi';
  if (bound?.spec.local !== undefined) return 'kubernetes.io~local-volume';
  for (const [kind, folder] of Object.entries(FOLDERS)) {
    if (volume[kind as keyof typeof FOLDERS] !== undefined) return `kubernetes.io~${folder}`;
  }
  return undefined;
}

function providerOf(bound: ApiPersistentVolume | undefined, mode: TrueVolume['mode']): string {
  if (bound === undefined) return 'du';
  return mode === 'Block' ? 'block' : 'statfs';
}
