import type { MetricsError } from '../errors.js';
import type { Metrics } from '../metrics.js';
import type { PersistentVolumeClaimRef } from './pod.js';

/**
 * How the newest attempt to measure a volume went.
 *
 * | state | meaning |
 * |---|---|
 * | `pending` | no attempt has ended yet (it is new, or walked for the first time), or the stats provider does not list it |
 * | `ok` | a reading |
 * | `unsupported` | there are no metrics to be had (METRICS_NOT_SUPPORTED) |
 * | `failed` | an error |
 * | `stuck` | no answer in time (METRICS_TIMED_OUT), be the call still out or not |
 */
export type VolumeState = 'pending' | 'ok' | 'unsupported' | 'failed' | 'stuck';

/** What is known of one volume of a pod. */
export interface VolumeStats {
  /** Its name in the pod. */
  readonly name: string;
  /** The key in `spec.volumes`: `emptyDir`, `persistentVolumeClaim`, `hostPath`...; `unknown` where the spec lacks it. */
  readonly kind: string;
  /** The claim behind it, where there is one. */
  readonly pvcRef?: PersistentVolumeClaimRef;
  /** The name of who measures it; `unknown` until that is known. */
  readonly provider: string;
  /** How the newest attempt went. */
  readonly state: VolumeState;
  /** The newest good reading, with its own time, also while later attempts fail. */
  readonly metrics?: Metrics;
  /** Why the newest attempt gave none. */
  readonly error?: MetricsError;
  /** When the newest attempt began that has ended or is overdue. */
  readonly attemptedAt?: Date;
  /** Milliseconds which that attempt took; absent while it is still out. */
  readonly durationMs?: number;
}

/** What is known of the volumes of one pod: a snapshot, which does not change. */
export interface PodVolumeStats {
  readonly podRef: { readonly uid: string; readonly namespace: string; readonly name: string };
  /** The volumes that count against the pod's ephemeral storage: emptyDirs on disk, configMaps, gitRepos. */
  readonly ephemeralVolumes: readonly VolumeStats[];
  /** All others, as the kubelet splits them: claims, and also secrets, projected volumes, emptyDirs in memory. */
  readonly persistentVolumes: readonly VolumeStats[];
}
