import type { NodePod } from './node-pod.js';

/** Options of one listing or look-up. */
export interface SourceOptions {
  /** Ends the call: it rejects with `signal.reason`, unwrapped. */
  readonly signal?: AbortSignal | undefined;
}

/** Where the pods of a node come from. A plug-in is any object of this shape. */
export interface PodSource {
  /** What people call it, such as `kubelet https://127.0.0.1:10250`. */
  readonly name: string;
  /**
   * The pods of this node.
   *
   * @throws KubeletError, or whatever the source throws, if nothing is known
   */
  pods(options?: SourceOptions): Promise<PodListing>;
}

/** What a {@link PodSource} gives. */
export interface PodListing {
  readonly pods: readonly NodePod[];
  /**
   * What was left out of the listing and why, a text for people each, with control characters escaped: a pod
   * without a uid, two pods with the same one, a malformed volume. The other pods are unaffected.
   */
  readonly problems: readonly string[];
}

/** Where claims come from. A plug-in is any object of this shape. */
export interface ClaimSource {
  /** What people call it, such as `API server https://10.0.0.1:443`. */
  readonly name: string;
  /**
   * A claim and, if it is bound, its PersistentVolume.
   *
   * @returns the claim; undefined if there is none of that name
   * @throws KubeletError, or whatever the source throws, if it is not known
   */
  claim(namespace: string, name: string, options?: ClaimOptions): Promise<Claim | undefined>;
}

/** Options of one look-up of a claim. */
export interface ClaimOptions extends SourceOptions {
  /**
   * The uid of the pod that uses the claim. A claim in use cannot be replaced, so that a source may keep the
   * answer for this pod once the claim is bound.
   */
  readonly podUid?: string | undefined;
}

/** A PersistentVolumeClaim: the checked part that naming and measuring a volume needs. */
export interface Claim {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Pending, Bound or Lost; absent if the API server has none. */
  readonly phase?: string;
  readonly volumeMode: VolumeMode;
  readonly storageClassName?: string;
  /** A quantity of Kubernetes such as `10Gi`: the capacity of the bound volume, not what was requested. */
  readonly capacity?: string;
  /** The name of the PersistentVolume that it is bound to. It is one safe path component. */
  readonly volumeName?: string;
  /** The uids of its owners: the claim of a generic ephemeral volume has its pod, and is of no other. */
  readonly ownerUids: readonly string[];
  /** Absent if it is not bound, or for the reason in `volumeProblem`. */
  readonly volume?: PersistentVolume;
  /** Why there is no `volume` although the claim names one: a text for people. */
  readonly volumeProblem?: string;
}

export type VolumeMode = 'Filesystem' | 'Block';

/** A PersistentVolume whose `claimRef` has the claim's uid. */
export interface PersistentVolume {
  readonly name: string;
  readonly uid: string;
  /** The key of its source, such as `csi`, `local`, `nfs`, `iscsi`, `fc`, `hostPath`; else `unknown`. */
  readonly kind: string;
  readonly volumeMode: VolumeMode;
  readonly capacity?: string;
  readonly storageClassName?: string;
  /** The uid of the claim that it is bound to. */
  readonly claimUid: string;
  readonly csi?: { readonly driver: string; readonly volumeHandle: string; readonly fsType?: string };
  /** The directory or device of a local volume. */
  readonly local?: { readonly path: string };
  readonly nfs?: { readonly server: string; readonly path: string };
  readonly hostPath?: { readonly path: string };
  /** Annotation `pv.kubernetes.io/migrated-to`: the CSI driver that serves a volume of an in-tree plugin. */
  readonly migratedTo?: string;
}
