import type { MetricsErrorCode } from '../errors.js';
import type { Mount } from '../os/mounts.js';
import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import type { FolderVolume } from './disk/pod-folder.js';
import type { ClaimedVolume } from './join-claims.js';
import type { NodeVolume } from './node-pod.js';
import type { VolumeMode } from './sources.js';

/**
 * What is known of one volume of a pod, without measuring it. Texts are as they came from the pod, the disk
 * and the driver, except for those in `unknown`: escape them before a person reads them.
 */
export interface VolumeDescription {
  /**
   * Its name in the pod. A PersistentVolume whose name in the pod is not known has that of its folder, such
   * as `kubernetes.io~csi/pvc-1`, which no volume of a pod can have.
   */
  readonly name: string;
  /** The key in `spec.volumes`: `emptyDir`, `persistentVolumeClaim`...; `unknown` where that is not known. */
  readonly kind: string;
  /** The name of the plugin that set it up, such as `kubernetes.io/csi`; absent if it is not on disk. */
  readonly plugin?: string;
  readonly mode?: VolumeMode;
  /** What is measured, or named to the driver; absent if there is nothing. */
  readonly path?: string;
  /** What was mounted there at the time. */
  readonly mount?: Mount;
  /** The CSI driver and its id of the volume. */
  readonly driver?: string;
  readonly volumeHandle?: string;
  /** Where the driver staged the volume, if the kubelet made that folder. */
  readonly stagingPath?: string;
  /** The claim behind it, if it has one and that is known. */
  readonly claim?: PersistentVolumeClaimRef;
  /** The name of the PersistentVolume behind it. */
  readonly persistentVolume?: string;
  /**
   * The name of the provider that measures it: `statfs`, `du`, `block`, a driver's name, `nil`, `unknown`.
   */
  readonly provider: string;
  /** What is not known, and why: a sentence each, with control characters escaped. */
  readonly unknown: readonly string[];
}

/** How a volume is to be measured. */
export type Measure =
  | {
      readonly way: 'statfs' | 'own tmpfs' | 'du' | 'cached du' | 'block';
      readonly path: string;
      readonly requireMount: boolean;
    }
  | {
      readonly way: 'csi';
      readonly path: string;
      readonly driver: string;
      readonly volumeHandle: string;
      readonly entry: FolderVolume;
    }
  | {
      readonly way: 'none';
      readonly path: string | undefined;
      /** METRICS_NOT_SUPPORTED if there will never be numbers, else why there are none now. */
      readonly code: MetricsErrorCode;
      readonly reason: string;
    };

/** A volume, and how it is to be measured. */
export interface PlannedVolume {
  readonly name: string;
  /** Undefined if it is not known which volume of the pod this is. */
  readonly volume: NodeVolume | undefined;
  readonly claimed: ClaimedVolume | undefined;
  /** Undefined if it is not on disk. */
  readonly entry: FolderVolume | undefined;
  readonly measure: Measure;
}
