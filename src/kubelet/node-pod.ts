/**
 * A pod of this node as the kubelet or the API server describes it: the checked part of Kubernetes' Pod that
 * finding and naming its volumes needs. Texts are as they came; escape them before a person reads them.
 */
export interface NodePod {
  /** `metadata.uid` as the source has it. For a static pod, the kubelet and the API server disagree. */
  readonly apiUid: string;
  /**
   * The name of the pod's directory below `<root>/pods`: the uid that the kubelet uses. It is one safe path
   * component. No two pods of a listing share it. For a mirror pod (a static pod as the API server has it),
   * it is the hash of the static pod's configuration.
   */
  readonly folderUid: string;
  readonly namespace: string;
  readonly name: string;
  readonly nodeName?: string;
  /** Pending, Running, Succeeded, Failed or Unknown; absent if the source has none. */
  readonly phase?: string;
  /** RFC 3339: when the kubelet accepted it. */
  readonly startTime?: string;
  /** Why it is not scheduled, or was evicted: the text of its status. */
  readonly message?: string;
  /** What its volumes' storage reported to the kubelet (Kubernetes 1.37, gate CSIVolumeHealth). */
  readonly volumeHealth?: readonly NodeVolumeHealth[];
  /** Whether it comes from a file or a URL of the kubelet rather than from the API server. */
  readonly isStatic: boolean;
  /** RFC 3339, if the pod is being deleted. */
  readonly deletionTimestamp?: string;
  /** In the order of the spec. Their names are distinct, and each is one safe path component. */
  readonly volumes: readonly NodeVolume[];
  /** All three kinds: init containers, containers and ephemeral ones, in this order. */
  readonly containers: readonly NodeContainer[];
}

/** One condition in a pod's `status.volumeHealth`. */
export interface NodeVolumeHealth {
  /** The name of the pod's volume. */
  readonly volume: string;
  /** `Degraded`, `Inaccessible` or `DataLoss`. */
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** One entry of a pod's `spec.volumes`. What is absent does not apply to its kind, or was not given. */
export interface NodeVolume {
  readonly name: string;
  /**
   * The key of its source, such as `emptyDir`, `persistentVolumeClaim`, `csi`, `ephemeral` or `hostPath`;
   * `unknown` if it has none or is malformed. A kind of a later Kubernetes is passed on as it is.
   */
  readonly kind: string;
  /** emptyDir: empty or absent is the node's disk, `Memory`, `HugePages` or `HugePages-<size>`. */
  readonly medium?: string;
  /** emptyDir: a quantity of Kubernetes such as `10Mi`. */
  readonly sizeLimit?: string;
  /** The claim's name: of persistentVolumeClaim as given, of ephemeral `<pod>-<volume>`. */
  readonly claimName?: string;
  /** persistentVolumeClaim, csi, nfs, iscsi, fc and flexVolume, where it says so. */
  readonly readOnly?: boolean;
  /** hostPath: `type` is empty or, for example, `Directory`. */
  readonly hostPath?: { readonly path: string; readonly type?: string };
  /** csi (inline): the driver that the pod names itself. */
  readonly csi?: { readonly driver: string; readonly fsType?: string };
  /** nfs. */
  readonly nfs?: { readonly server: string; readonly path: string };
  /** image: what is mounted. */
  readonly imageReference?: string;
  /** flexVolume: the driver, such as `vendor/name`. */
  readonly flexDriver?: string;
}

/** One container of a pod, with what its status says. */
export interface NodeContainer {
  readonly name: string;
  readonly type: 'init' | 'container' | 'ephemeral';
  readonly volumeMounts: readonly NodeVolumeMount[];
  readonly volumeDevices: readonly NodeVolumeDevice[];
  /** Absent if the source has no status of it yet. */
  readonly state?: NodeContainerState;
  /** How often it was restarted; 0 if the source has no status of it. */
  readonly restartCount: number;
}

/** One of a container's `volumeMounts`. */
export interface NodeVolumeMount {
  /** Its position in the spec, which names the directory of a subPath below `volume-subpaths`. */
  readonly index: number;
  /** The name of the pod's volume. */
  readonly name: string;
  readonly mountPath?: string;
  readonly readOnly?: boolean;
  readonly subPath?: string;
  readonly subPathExpr?: string;
}

/** One of a container's `volumeDevices`. */
export interface NodeVolumeDevice {
  /** The name of the pod's volume. */
  readonly name: string;
  readonly devicePath?: string;
}

/** `reason` is, for example, `CrashLoopBackOff`, `ContainerCreating` or `Completed`. */
export interface NodeContainerState {
  readonly name: 'running' | 'waiting' | 'terminated';
  readonly reason?: string;
  readonly exitCode?: number;
}
