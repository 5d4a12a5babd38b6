import { CSI } from './disk/pod-folder.js';

/**
 * How a volume is measured:
 *
 * | way | |
 * |---|---|
 * | `statfs` | one system call on the filesystem that is mounted at the volume's path |
 * | `du` | a walk of the volume's directory, as often as it is due |
 * | `own tmpfs` | the same numbers from the tmpfs that is this volume's alone, without a walk |
 * | `cached du` | a walk whose result is kept for a while, as in the kubelet |
 * | `block` | the size of the device |
 * | `csi` | a question to the driver |
 * | `none` | not at all: the kubelet has no numbers either |
 */
export type Way = 'statfs' | 'own tmpfs' | 'du' | 'cached du' | 'block' | 'csi' | 'none';

/** A row of {@link MEASURED_BY}. */
export interface MeasuredBy {
  readonly filesystem: Way;
  /**
   * Whether the volume is a mount of its own. Until it is mounted, its folder shows the host's filesystem,
   * and nothing is measured.
   */
  readonly mustBeMount: boolean;
  /** Its device, in block mode: a mount of the device's file, but for iscsi and fc, where it is a symlink. */
  readonly block: Way;
  readonly deviceMustBeMount: boolean;
}

function row(filesystem: Way, isMount: 'mount' | 'folder', block: Way = 'none', device = ''): MeasuredBy {
  return {
    filesystem,
    mustBeMount: isMount === 'mount',
    block,
    deviceMustBeMount: device === 'mounted device',
  };
}

/**
 * Who measures what, by plugin. These are the kubelet's choices (kubernetes v1.36, pkg/volume), except that a
 * tmpfs is not walked and a mount of an unknown plugin is measured.
 */
export const MEASURED_BY = {
  'kubernetes.io/empty-dir': row('du', 'folder'),
  'kubernetes.io/empty-dir Memory': row('own tmpfs', 'mount'),
  // hugetlbfs as the kubelet mounts it answers statfs with zeros.
  'kubernetes.io/empty-dir HugePages': row('du', 'mount'),
  'kubernetes.io/configmap': row('cached du', 'folder'),
  'kubernetes.io/secret': row('own tmpfs', 'mount'),
  'kubernetes.io/downward-api': row('own tmpfs', 'mount'),
  'kubernetes.io/projected': row('own tmpfs', 'mount'),
  [CSI]: row('csi', 'mount', 'csi', 'mounted device'),
  'kubernetes.io/local-volume': row('statfs', 'mount', 'block', 'mounted device'),
  'kubernetes.io/nfs': row('statfs', 'mount'),
  'kubernetes.io/iscsi': row('statfs', 'mount', 'block', 'symlink to device'),
  'kubernetes.io/fc': row('none', 'mount', 'block', 'symlink to device'),
  'kubernetes.io/git-repo': row('none', 'folder'),
} as const satisfies Readonly<Record<string, MeasuredBy>>;

/**
 * FlexVolumes, and plugins that Kubernetes no longer has (cloud disks, cephfs, rbd): most of those gave the
 * kubelet numbers by statfs.
 */
const ANY_OTHER = row('statfs', 'mount', 'block', 'symlink to device');

/**
 * @param plugin - its name, such as `kubernetes.io/csi`
 * @param medium - of an emptyDir: empty for the node's disk, `Memory`, `HugePages` or `HugePages-<size>`
 */
export function measuredBy(plugin: string, medium = ''): MeasuredBy {
  const kind = medium.startsWith('HugePages') ? 'HugePages' : medium;
  const key = plugin === 'kubernetes.io/empty-dir' && kind !== '' ? `${plugin} ${kind}` : plugin;
  return isRow(key) ? MEASURED_BY[key] : ANY_OTHER;
}

function isRow(key: string): key is keyof typeof MEASURED_BY {
  return Object.hasOwn(MEASURED_BY, key);
}

/**
 * The plugin of an inline volume, by its kind: its folder has the pod's name for it. Kinds that have no
 * folder are not here.
 */
export const PLUGIN_OF_KIND: Readonly<Record<string, string>> = {
  emptyDir: 'kubernetes.io/empty-dir',
  configMap: 'kubernetes.io/configmap',
  secret: 'kubernetes.io/secret',
  downwardAPI: 'kubernetes.io/downward-api',
  projected: 'kubernetes.io/projected',
  gitRepo: 'kubernetes.io/git-repo',
  csi: CSI,
  nfs: 'kubernetes.io/nfs',
  iscsi: 'kubernetes.io/iscsi',
  fc: 'kubernetes.io/fc',
};

/** Inline volumes of these kinds are always the pod's own: no PersistentVolume has such a plugin. */
export const KIND_OF_PLUGIN: ReadonlyMap<string, string> = new Map(
  Object.entries(PLUGIN_OF_KIND)
    .filter(([kind]) => !['csi', 'nfs', 'iscsi', 'fc'].includes(kind))
    .map(([kind, plugin]) => [plugin, kind]),
);

/** Why volumes of a kind that has no folder are not measured. */
export const WITHOUT_FOLDER = {
  image:
    'metrics are not supported for image volumes: the container runtime mounts the image, and the kubelet has no numbers of it either',
  hostPath:
    'metrics are not supported for hostPath volumes, as in the kubelet; the option hostPath measures them',
} as const satisfies Readonly<Record<string, string>>;
