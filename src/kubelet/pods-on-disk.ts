import { checkedText } from '../options.js';
import { escapeControls } from '../escape.js';
import { MountReader, type MountTable } from './disk/mount-table.js';
import { namesIn, podFolders, readPodFolder, type FolderVolume, type PodFolder } from './disk/pod-folder.js';
import { findKubeletRoot, resolvedRoot } from './kubelet-root.js';
import { KIND_OF_PLUGIN } from './measured-by.js';
import type { NodePod, NodeVolume } from './node-pod.js';
import type { PodSource } from './sources.js';

/**
 * The pods that have a folder below the kubelet's root, for when neither the kubelet nor the API server can
 * be asked. Their uids, volumes and plugins are known, and their names and claims are not: a pod's name is
 * its uid, and its namespace is empty. A folder may have been left over by a pod that is gone.
 *
 * @param rootDir - the kubelet's root; by default the first of {@link KUBELET_ROOTS} that is one
 * @returns the source; its `pods` rejects with MetricsError METRICS_NOT_FOUND or METRICS_PROVIDER_FAILED if
 * there is no root or it cannot be read
 * @throws TypeError unless `rootDir` is a string
 */
export function podsOnDisk(rootDir?: string): PodSource {
  if (rootDir !== undefined) checkedText('rootDir', rootDir);
  const mounts = new MountReader();
  let root: string | undefined;
  return {
    name: rootDir === undefined ? 'the disk' : `the disk at ${escapeControls(rootDir)}`,
    // eslint-disable-next-line @typescript-eslint/require-await -- async, so that it rejects and never throws
    pods: async () => {
      const found = (root ??= resolvedRoot(rootDir ?? findKubeletRoot()));
      const table = mounts.read();
      const problems: string[] = [];
      const pods = podFolders(found).map((uid) => podOnDisk(found, uid, table, problems));
      return { pods, problems };
    },
  };
}

function podOnDisk(root: string, uid: string, mounts: MountTable, problems: string[]): NodePod {
  const folder = readPodFolder(root, uid, mounts);
  problems.push(...folder.problems);
  const volumes = new Map<string, NodeVolume>();
  for (const entry of folder.volumes) {
    const volume = inlineVolume(entry, folder, mounts, problems);
    // Of two folders with the same name, one was left over.
    if (volume !== undefined && !volumes.has(volume.name)) volumes.set(volume.name, volume);
  }
  return {
    apiUid: uid,
    folderUid: uid,
    namespace: '',
    name: uid,
    // The uid of a static pod is a hash; the API server's have dashes.
    isStatic: /^[0-9a-f]{32}$/.test(uid),
    volumes: [...volumes.values()],
    containers: [],
  };
}

/** The pod's volume that a folder belongs to, if its name is also the volume's name in the pod. */
function inlineVolume(
  { plugin, name, mode, path, volData }: FolderVolume,
  folder: PodFolder,
  mounts: MountTable,
  problems: string[],
): NodeVolume | undefined {
  if (mode === 'Block') return undefined;
  if (typeof volData === 'object' && volData.volumeLifecycleMode === 'Ephemeral') {
    return {
      name,
      kind: 'csi',
      ...(volData.driverName !== undefined && { csi: { driver: volData.driverName } }),
    };
  }
  const kind = KIND_OF_PLUGIN.get(plugin);
  if (kind === undefined) return undefined;
  if (kind !== 'emptyDir') return { name, kind };
  const fsType = mounts.at(path)?.fsType;
  if (fsType === 'tmpfs') return { name, kind, medium: 'Memory' };
  if (fsType === 'hugetlbfs') return { name, kind, medium: 'HugePages' };
  // Only the marker tells an emptyDir on disk from one in memory that is not mounted yet.
  if (namesIn(`${folder.path}/plugins/kubernetes.io~empty-dir/${name}`, mounts, problems).includes('ready')) {
    return { name, kind };
  }
  return { name, kind, medium: 'Memory' };
}
