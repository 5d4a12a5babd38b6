import type { MetricsProvider } from '../metrics.js';
import { show } from '../reading.js';

/**
 * The part of a pod that is needed: a structural subset of the API's V1Pod, so that the objects of any client
 * fit. If a client declares every field as optional, as `@kubernetes/client-node` does, write `pods as
 * Pod[]`.
 */
export interface Pod {
  readonly metadata: { readonly uid: string; readonly name: string; readonly namespace: string };
  readonly spec: { readonly volumes?: readonly PodVolume[] | null | undefined };
}

/** One entry of a pod's `spec.volumes`: a name, and one key that says what kind of volume it is. */
export interface PodVolume {
  readonly name: string;
  readonly persistentVolumeClaim?: { readonly claimName: string } | null | undefined;
  readonly ephemeral?: object | null | undefined;
  readonly emptyDir?: { readonly medium?: string | null | undefined } | null | undefined;
  readonly configMap?: object | null | undefined;
  readonly secret?: object | null | undefined;
  readonly projected?: object | null | undefined;
  readonly downwardAPI?: object | null | undefined;
  readonly hostPath?: object | null | undefined;
  readonly csi?: object | null | undefined;
  readonly gitRepo?: object | null | undefined;
}

/** The providers of a pod's mounted or mapped volumes, by their names in `spec.volumes`. */
export type VolumeMap = ReadonlyMap<string, MetricsProvider>;

/** Lists the pods of a node and the providers of their volumes, as the kubelet's `stats.Provider` does. */
export interface StatsProvider {
  /** The pods of this node, whether their containers run or not. */
  getPods(): readonly Pod[] | Promise<readonly Pod[]>;
  /** The volumes of one pod; undefined if they are not known now, and then the last readings stay. */
  listVolumesForPod(uid: string): VolumeMap | undefined | Promise<VolumeMap | undefined>;
}

/** @throws TypeError unless it has both methods */
export function checkStatsProvider(value: StatsProvider): void {
  const given: Partial<StatsProvider> | null | undefined = value;
  if (typeof given?.getPods === 'function' && typeof given.listVolumesForPod === 'function') return;
  throw new TypeError('Expected statsProvider to have the methods getPods and listVolumesForPod');
}

/** A claim, as a volume refers to it. */
export interface PersistentVolumeClaimRef {
  readonly namespace: string;
  readonly name: string;
}

/** The key in `spec.volumes` that says what a volume is; `unknown` if the pod's spec lacks the volume. */
export function volumeKind(volume: PodVolume | undefined): string {
  const source = Object.entries(volume ?? {}).find(
    ([key, value]) => key !== 'name' && typeof value === 'object' && value !== null,
  );
  return source?.[0] ?? 'unknown';
}

/**
 * The claim behind a volume: the one it names, or `<pod>-<volume>`, which Kubernetes makes for a generic
 * ephemeral volume.
 */
export function claimOf(pod: Pod, volume: PodVolume | undefined): PersistentVolumeClaimRef | undefined {
  const { name, namespace } = pod.metadata;
  const claimName: unknown = volume?.persistentVolumeClaim?.claimName;
  if (typeof claimName === 'string') return { namespace, name: claimName };
  return volume?.ephemeral ? { namespace, name: `${name}-${volume.name}` } : undefined;
}

/**
 * Whether a volume counts against the pod's ephemeral-storage limit, as the kubelet's IsLocalEphemeralVolume
 * decides. Everything else counts as persistent there, also secrets, projected volumes and emptyDirs in
 * memory.
 */
export function isLocalEphemeral(volume: PodVolume | undefined): boolean {
  if (volume?.emptyDir) return !volume.emptyDir.medium;
  return Boolean(volume?.gitRepo ?? volume?.configMap);
}

/** What makes a value invalid as a pod, in words; undefined if it is valid. */
export function podProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `a pod that is ${show(value)}`;
  const { metadata, spec } = value as Partial<Pod>;
  const { uid, name, namespace }: Partial<Record<keyof Pod['metadata'], unknown>> = metadata ?? {};
  const title = [namespace, name].map((each) => (typeof each === 'string' ? each : '?')).join('/');
  if (typeof uid !== 'string' || uid === '') return `a pod without uid (${title})`;
  if (typeof name !== 'string' || typeof namespace !== 'string') {
    return `a pod without name or namespace (${title}, uid ${uid})`;
  }
  const volumes: unknown = spec?.volumes ?? [];
  return Array.isArray(volumes) ? undefined : `a pod whose volumes are not a list (${title})`;
}

/** The volumes of the spec by name, without entries that have no name. */
export function volumesOf(pod: Pod): ReadonlyMap<string, PodVolume> {
  const volumes: readonly (Partial<PodVolume> | null)[] =
    (pod.spec as Pod['spec'] | undefined)?.volumes ?? [];
  const byName = new Map<string, PodVolume>();
  for (const each of volumes) {
    if (typeof each?.name === 'string') byName.set(each.name, each as PodVolume);
  }
  return byName;
}
