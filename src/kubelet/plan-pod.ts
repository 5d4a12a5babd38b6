import { escapeControls } from '../escape.js';
import type { Measure, PlannedVolume } from './described-volume.js';
import { CSI, escapedPlugin, subPathUses, type FolderVolume, type PodFolder } from './disk/pod-folder.js';
import { isClaimed, joinClaims, modesOf, type ClaimedVolume } from './join-claims.js';
import { KIND_OF_PLUGIN, PLUGIN_OF_KIND, WITHOUT_FOLDER } from './measured-by.js';
import type { NodePod, NodeVolume } from './node-pod.js';
import { measureOf, none, type PodPlace } from './plan-entry.js';
import type { ClaimSource } from './sources.js';

/** How hostPath volumes are measured. */
export type HostPathWay = 'unsupported' | 'statfs' | 'du';

/** What planning needs besides the pod and its folder. */
export interface PlanContext extends PodPlace {
  readonly claims: ClaimSource | undefined;
  readonly hostPath: HostPathWay;
}

/** What is known of each volume of a pod, and how it is to be measured. */
export interface PodPlan {
  readonly volumes: readonly PlannedVolume[];
  readonly problems: readonly string[];
  /** Whether the same pod, folder and mounts will always give the same plan: no claim is open. */
  readonly isSettled: boolean;
}

/** Brings together what the pod says and what is on disk. Each volume that either has is in the plan. */
export async function planPod(pod: NodePod, folder: PodFolder, context: PlanContext): Promise<PodPlan> {
  const problems = [...folder.problems];
  const inline = new Map<string, FolderVolume>();
  const byName = new Map<string, FolderVolume[]>();
  for (const entry of folder.volumes) {
    const same = byName.get(entry.name);
    if (same === undefined) byName.set(entry.name, [entry]);
    else same.push(entry);
  }
  for (const volume of pod.volumes) {
    const entry = isClaimed(volume)
      ? undefined
      : byName.get(volume.name)?.find((each) => isFolderOf(each, volume));
    if (entry !== undefined) inline.set(volume.name, entry);
  }
  const taken = new Set(inline.values());
  const joined = await joinClaims(pod, {
    entries: folder.volumes.filter((each) => !taken.has(each) && isPersistent(each)),
    subPaths: () => subPathUses(folder, context.mounts, problems),
    claims: context.claims,
  });
  const claimed = new Map(joined.map((each) => [each.volume.name, each]));
  const modes = modesOf(pod);
  for (const { entry } of joined) if (entry !== undefined) taken.add(entry);
  const volumes = pod.volumes.map((volume): PlannedVolume => {
    const one = claimed.get(volume.name);
    const entry = one === undefined ? inline.get(volume.name) : one.entry;
    const measure =
      entry === undefined
        ? whyAbsent(pod, volume, one, modes.has(volume.name), context)
        : measureOf(entry, volume, one?.claim, context);
    return { name: volume.name, volume, claimed: one, entry, measure };
  });
  for (const entry of folder.volumes) {
    if (taken.has(entry)) continue;
    const name = `${escapedPlugin(entry.plugin)}/${entry.name}`;
    const measure = measureOf(entry, undefined, undefined, context);
    volumes.push({ name, volume: undefined, claimed: undefined, entry, measure });
  }
  const isSettled = joined.every(({ mode, entry }) => mode === undefined || entry !== undefined);
  return { volumes, problems, isSettled };
}

/** Whether a folder may be a PersistentVolume's. */
function isPersistent({ plugin, volData }: FolderVolume): boolean {
  if (typeof volData === 'object') return volData.volumeLifecycleMode !== 'Ephemeral';
  return !KIND_OF_PLUGIN.has(plugin);
}

/** Whether a folder is that of an inline volume. */
function isFolderOf(entry: FolderVolume, { name, kind, flexDriver }: NodeVolume): boolean {
  if (entry.name !== name || entry.mode !== 'Filesystem') return false;
  const plugin = kind === 'flexVolume' ? flexDriver : PLUGIN_OF_KIND[kind];
  // A kind that Kubernetes no longer has, such as awsElasticBlockStore.
  if (plugin === undefined) return !KIND_OF_PLUGIN.has(entry.plugin) && entry.plugin !== CSI;
  if (plugin !== entry.plugin) return false;
  // A PersistentVolume may have the name that the pod gave to its inline volume.
  return (
    plugin !== CSI || typeof entry.volData !== 'object' || entry.volData.volumeLifecycleMode === 'Ephemeral'
  );
}

/** How a volume that is not on disk is measured, or why it is not. */
function whyAbsent(
  pod: NodePod,
  volume: NodeVolume,
  claimed: ClaimedVolume | undefined,
  isUsed: boolean,
  { hostPath, root, uid }: PlanContext,
): Measure {
  const onHost = volume.kind === 'hostPath' ? volume.hostPath : claimed?.claim?.volume?.hostPath;
  if (volume.kind === 'hostPath' || claimed?.claim?.volume?.kind === 'hostPath') {
    return planHostPath(onHost?.path, hostPath);
  }
  if (volume.kind === 'image') return none('METRICS_NOT_SUPPORTED', WITHOUT_FOLDER.image);
  if (pod.phase === 'Succeeded' || pod.phase === 'Failed') {
    const ended = `the pod has ended (${pod.phase}), and the kubelet has taken its volumes down`;
    return none('METRICS_NOT_SUPPORTED', ended);
  }
  if (!isUsed) {
    const unused = 'no container of the pod uses it, so the kubelet does not set it up';
    return none('METRICS_NOT_SUPPORTED', unused);
  }
  const unknown = claimed?.unknown;
  if (unknown !== undefined) return none('METRICS_NOT_FOUND', unknown);
  const place = `${root}/pods/${uid}/${claimed?.mode === 'Block' ? 'volumeDevices' : 'volumes'}`;
  const absent = `the kubelet has not set it up: there is no folder for it below ${escapeControls(place)}`;
  const hint =
    claimed !== undefined && claimed.claim === undefined
      ? ', unless its PersistentVolume is a hostPath, which has none'
      : '';
  return none('METRICS_NOT_FOUND', absent + hint);
}

function planHostPath(path: string | undefined, way: HostPathWay): Measure {
  if (way === 'unsupported') return none('METRICS_NOT_SUPPORTED', WITHOUT_FOLDER.hostPath, path);
  // The kubelet refuses a path with "..", and the API server one that is relative.
  if (path === undefined || !path.startsWith('/') || path.split('/').includes('..')) {
    return none('METRICS_NOT_SUPPORTED', 'the hostPath volume has no path that the kubelet would mount');
  }
  return { way, path, requireMount: false };
}
