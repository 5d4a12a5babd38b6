import { isNotSupported, MetricsError } from '../errors.js';
import type { Metrics } from '../metrics.js';
import { claimOf, isLocalEphemeral, volumeKind, type Pod, type PodVolume } from './pod.js';
import type { VolumeState, VolumeStats } from './volume-stats.js';

/** What is known of one volume, and the snapshot of it that others are given. */
export class VolumeRecord {
  readonly #name: string;
  readonly #changed: () => void;
  #about: Pick<VolumeStats, 'kind' | 'pvcRef'> = { kind: 'unknown' };
  #isEphemeral = false;
  #provider = 'unknown';
  /** Why nobody can be asked now; how the newest attempt went shows again when it is gone. */
  #obstacle: { readonly state: VolumeState; readonly error: MetricsError } | undefined;
  #state: VolumeState = 'pending';
  #metrics: Metrics | undefined;
  #error: MetricsError | undefined;
  #attemptedAt: Date | undefined;
  #durationMs: number | undefined;
  #stats: VolumeStats | undefined;

  /**
   * @param name - the volume's
   * @param changed - told when the snapshot is another one than before
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
    return (this.#stats ??= {
      name: this.#name,
      ...this.#about,
      provider: this.#provider,
      state: this.#state,
      ...(this.#metrics !== undefined && { metrics: this.#metrics }),
      ...(this.#error !== undefined && { error: this.#error }),
      ...this.#obstacle,
      ...(this.#attemptedAt !== undefined && { attemptedAt: this.#attemptedAt }),
      ...(this.#durationMs !== undefined && { durationMs: this.#durationMs }),
    });
  }

  /** What the pod says the volume is; undefined when the pod does not have it. */
  describe(pod: Pod, volume: PodVolume | undefined): void {
    const kind = volumeKind(volume);
    const pvcRef = claimOf(pod, volume);
    this.#isEphemeral = isLocalEphemeral(volume);
    const { kind: oldKind, pvcRef: oldRef } = this.#about;
    // The reference stays the same object as long as it says the same: the text of its labels is remembered by it.
    if (kind === oldKind && pvcRef?.name === oldRef?.name && pvcRef?.namespace === oldRef?.namespace) return;
    this.#about = { kind, ...(pvcRef !== undefined && { pvcRef }) };
    this.#change();
  }

  /** Who measures it from now on. */
  measuredBy(provider: string): void {
    if (this.#obstacle === undefined && provider === this.#provider) return;
    this.#provider = provider;
    this.#obstacle = undefined;
    this.#change();
  }

  /** Nobody measures it (now). */
  unlisted(): void {
    if (this.#obstacle?.state === 'pending') return;
    const text = `the stats provider does not list volume "${this.#name}"`;
    this.#provider = 'unknown';
    this.#obstacle = { state: 'pending', error: new MetricsError('METRICS_NOT_FOUND', text) };
    this.#change();
  }

  /** The stats provider could not say who measures it. */
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

  /** An attempt gave none; `durationMs` is undefined when it is still out. */
  failed(error: MetricsError, since: Date, durationMs: number | undefined): void {
    this.#state = stateOf(error);
    this.#error = error;
    this.#attempted(since, durationMs);
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
