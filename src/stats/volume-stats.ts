import { isNotSupported, MetricsError } from '../errors.js';
import type { Metrics } from '../metrics.js';
import {
  claimOf,
  isLocalEphemeral,
  volumeKind,
  type PersistentVolumeClaimRef,
  type Pod,
  type PodVolume,
} from './pod.js';

/**
 * How the newest attempt to measure a volume went.
 *
 * | state | meaning |
 * |---|---|
 * | `pending` | no attempt has ended yet (the volume is new, or walked for the first time; if that walk was stopped so that others go first, `error` says so), or the stats provider does not list it |
 * | `ok` | a reading |
 * | `unsupported` | the volume has no metrics (METRICS_NOT_SUPPORTED) |
 * | `failed` | an error |
 * | `stuck` | no answer in time (METRICS_TIMED_OUT), whether the call is still out or not |
 */
export type VolumeState = 'pending' | 'ok' | 'unsupported' | 'failed' | 'stuck';

/** What is known of one volume of a pod. */
export interface VolumeStats {
  /** Its name in the pod. */
  readonly name: string;
  /**
   * The key in `spec.volumes`: `emptyDir`, `persistentVolumeClaim`, `hostPath`...; `unknown` if the spec
   * lacks the volume.
   */
  readonly kind: string;
  /** The claim behind it; absent if there is none. */
  readonly pvcRef?: PersistentVolumeClaimRef;
  /** The name of the provider that measures it; `unknown` until that is known. */
  readonly provider: string;
  /** How the newest attempt went. */
  readonly state: VolumeState;
  /** The newest good reading, with its own time. It stays while later attempts fail. */
  readonly metrics?: Metrics;
  /** Why the newest attempt gave no reading. */
  readonly error?: MetricsError;
  /** When the newest attempt began that has ended or is overdue. */
  readonly attemptedAt?: Date;
  /** Milliseconds that this attempt took; absent while it is still out. */
  readonly durationMs?: number;
}

/** What is known of the volumes of one pod: a snapshot, which does not change. */
export interface PodVolumeStats {
  readonly podRef: { readonly uid: string; readonly namespace: string; readonly name: string };
  /** The volumes that count against the pod's ephemeral storage: emptyDirs on disk, configMaps, gitRepos. */
  readonly ephemeralVolumes: readonly VolumeStats[];
  /**
   * All others, as the kubelet splits them: claims, and also secrets, projected volumes, emptyDirs in memory.
   */
  readonly persistentVolumes: readonly VolumeStats[];
}

/** Gathers what is known of one volume, and makes snapshots of it. */
export class VolumeRecord {
  readonly #name: string;
  readonly #changed: () => void;
  #about: Pick<VolumeStats, 'kind' | 'pvcRef'> = { kind: 'unknown' };
  #isEphemeral = false;
  #provider = 'unknown';
  /**
   * Why the volume cannot be measured now. When this is gone, the result of the newest attempt shows again.
   */
  #obstacle: { readonly state: VolumeState; readonly error: MetricsError } | undefined;
  #state: VolumeState = 'pending';
  #metrics: Metrics | undefined;
  #error: MetricsError | undefined;
  #attemptedAt: Date | undefined;
  #durationMs: number | undefined;
  #stats: VolumeStats | undefined;

  /**
   * @param name - of the volume
   * @param changed - called when the snapshot is no longer the same
   */
  constructor(name: string, changed: () => void) {
    this.#name = name;
    this.#changed = changed;
  }

  get isEphemeral(): boolean {
    return this.#isEphemeral;
  }

  /** The newest good reading. */
  get metrics(): Metrics | undefined {
    return this.#metrics;
  }

  /** Whether the newest attempt did not come back in time. */
  get isStuck(): boolean {
    return this.#state === 'stuck';
  }

  /** The same object until something changes. */
  get stats(): VolumeStats {
    return (this.#stats ??= this.#snapshot());
  }

  /** Made for each volume after each round, so its fields are set one by one. */
  #snapshot(): VolumeStats {
    const { kind, pvcRef } = this.#about;
    const stats = { name: this.#name, kind } as { -readonly [Key in keyof VolumeStats]: VolumeStats[Key] };
    if (pvcRef !== undefined) stats.pvcRef = pvcRef;
    stats.provider = this.#provider;
    stats.state = this.#obstacle?.state ?? this.#state;
    const error = this.#obstacle?.error ?? this.#error;
    if (this.#metrics !== undefined) stats.metrics = this.#metrics;
    if (error !== undefined) stats.error = error;
    if (this.#attemptedAt !== undefined) stats.attemptedAt = this.#attemptedAt;
    if (this.#durationMs !== undefined) stats.durationMs = this.#durationMs;
    return stats;
  }

  /** Takes over what the pod says about the volume; undefined if the pod's spec lacks it. */
  describe(pod: Pod, volume: PodVolume | undefined): void {
    const kind = volumeKind(volume);
    const pvcRef = claimOf(pod, volume);
    this.#isEphemeral = isLocalEphemeral(volume);
    const { kind: oldKind, pvcRef: oldRef } = this.#about;
    // The reference stays the same object as long as it says the same, because label texts are remembered by
    // it.
    if (kind === oldKind && pvcRef?.name === oldRef?.name && pvcRef?.namespace === oldRef?.namespace) return;
    this.#about = { kind, ...(pvcRef !== undefined && { pvcRef }) };
    this.#change();
  }

  /** The provider of this name measures it from now on. */
  measuredBy(provider: string): void {
    if (this.#obstacle === undefined && provider === this.#provider) return;
    this.#provider = provider;
    this.#obstacle = undefined;
    this.#change();
  }

  /** The stats provider does not list it now. */
  unlisted(): void {
    if (this.#obstacle?.state === 'pending') return;
    const text = `the stats provider does not list volume "${this.#name}"`;
    this.#provider = 'unknown';
    this.#obstacle = { state: 'pending', error: new MetricsError('METRICS_NOT_FOUND', text) };
    this.#change();
  }

  /** The stats provider could not list the pod's volumes. */
  listingFailed(error: MetricsError): void {
    this.#obstacle = { state: stateOf(error), error };
    this.#change();
  }

  /** An attempt gave a reading. */
  read(metrics: Metrics, since: Date, durationMs: number): void {
    this.#metrics = metrics;
    this.#state = 'ok';
    this.#error = undefined;
    this.#attempted(since, durationMs);
  }

  /** An attempt failed; `durationMs` is undefined while its call is still out. */
  failed(error: MetricsError, since: Date, durationMs: number | undefined): void {
    this.#state = stateOf(error);
    this.#error = error;
    this.#attempted(since, durationMs);
  }

  /** An attempt was stopped and is made again: of a volume that has no result yet, this is what is known. */
  stopped(error: MetricsError): void {
    if (this.#state !== 'pending') return;
    this.#error = error;
    this.#change();
  }

  #attempted(since: Date, durationMs: number | undefined): void {
    this.#attemptedAt = since;
    this.#durationMs = durationMs;
    this.#change();
  }

  #change(): void {
    this.#stats = undefined;
    this.#changed();
  }
}

function stateOf(error: MetricsError): VolumeState {
  if (isNotSupported(error)) return 'unsupported';
  return error.code === 'METRICS_TIMED_OUT' ? 'stuck' : 'failed';
}
