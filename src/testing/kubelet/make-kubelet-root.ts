import { mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { checkedFlag, checkedOptions, checkedText } from '../../options.js';
import { show } from '../../reading.js';
import { layOutPod, makeFolder, type ApiPersistentVolume, type ApiPod, type LayOut } from './lay-out-pod.js';
import { mayMount, RootMounts } from './root-mounts.js';

export type { ApiContainer, ApiPersistentVolume, ApiPod, ApiVolume } from './lay-out-pod.js';

/** Options of {@link makeKubeletRoot}. */
export interface KubeletRootOptions {
  /**
   * The PersistentVolumes, as the API server describes them (`items` of its list). The volume of a claim is
   * the one whose `claimRef` names it. A claim without one is not laid out.
   *
   * @defaultValue none
   */
  readonly persistentVolumes?: readonly ApiPersistentVolume[] | undefined;
  /**
   * What is mounted for a volume, by the PersistentVolume's name, or an inline CSI volume's: a directory, or
   * for block mode a device.
   *
   * @defaultValue an empty tmpfs of 64 MiB for each, and no device
   */
  readonly sources?: Readonly<Record<string, string>> | undefined;
  /** @defaultValue `'node1'` */
  readonly nodeName?: string | undefined;
  /**
   * Whether volumes are mounted. Without, their folders are empty, as before the kubelet mounts them.
   *
   * @defaultValue whether this process may mount
   */
  readonly mount?: boolean | undefined;
}

/** A kubelet's root that was made by {@link makeKubeletRoot}. */
export interface KubeletRoot {
  /** The root, without symlinks. */
  readonly rootDir: string;
  /** Whether volumes are mounted. */
  readonly isMounted: boolean;
  /** Lays out another pod. */
  addPod(pod: ApiPod): void;
  /**
   * Unmounts all volumes and removes the root.
   *
   * @throws Error if something is still mounted there; then nothing is removed
   */
  close(): void;
  [Symbol.dispose](): void;
}

const OPTIONS = ['persistentVolumes', 'sources', 'nodeName', 'mount'] as const;

/**
 * Lays out a node's pods on disk as the kubelet does: folders, markers, its notes about CSI volumes, links of
 * block volumes, and the mounts if this process may mount. What is in the volumes is for the test to write.
 *
 * @param directory - the root to make; it may exist, but must be empty
 * @param pods - as the kubelet describes them (`items` of its `/pods`)
 * @param options - what the claims are bound to, what is mounted
 * @returns the root; close it
 * @throws TypeError for an invalid argument; Error if the directory has something in it or a mount fails
 */
export function makeKubeletRoot(
  directory: string,
  pods: readonly ApiPod[],
  options: KubeletRootOptions = {},
): KubeletRoot {
  checkedText('directory', directory);
  if (!Array.isArray(pods)) throw new TypeError(`Expected pods to be a list, got ${show(pods)}`);
  const {
    persistentVolumes = [],
    sources = {},
    nodeName = 'node1',
    mount,
  } = checkedOptions(options, OPTIONS);
  const isMounted = mount === undefined ? mayMount() : checkedFlag('mount', mount);
  mkdirSync(directory, { recursive: true });
  const root = realpathSync(directory);
  if (readdirSync(root).length > 0) throw new Error(`${root} is not empty`);
  const mounts = new RootMounts();
  const byClaim = new Map(
    persistentVolumes.flatMap((each) => {
      const { claimRef } = each.spec;
      return claimRef ? [[`${claimRef.namespace}/${claimRef.name}`, each] as const] : [];
    }),
  );
  const layOut: LayOut = {
    root,
    nodeName,
    mounts: isMounted ? mounts : undefined,
    volumeOf: (namespace, claim) => byClaim.get(`${namespace}/${claim}`),
    sourceOf: (name) => (Object.hasOwn(sources, name) ? sources[name] : undefined),
  };
  const close = (): void => {
    mounts.close();
    // With a mount left below, removing would delete what is not the root's.
    if (readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${root}/`)) {
      throw new Error(`there are still mounts below ${root}`);
    }
    rmSync(root, { recursive: true, force: true });
  };
  try {
    for (const name of ['pods', 'plugins', 'plugins_registry']) makeFolder(`${root}/${name}`);
    for (const pod of pods as readonly ApiPod[]) layOutPod(pod, layOut);
  } catch (error) {
    close();
    throw error;
  }
  return {
    rootDir: root,
    isMounted,
    addPod: (pod) => {
      layOutPod(pod, layOut);
    },
    close,
    [Symbol.dispose]: close,
  };
}
