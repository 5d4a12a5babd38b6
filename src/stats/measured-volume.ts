import { isNotSupported, MetricsError } from '../errors.js';
import type { Metrics, MetricsProvider, VolumeCondition } from '../metrics.js';
import { callProvider, checkedReading, callError, providerName } from './checked-reading.js';
import type { Collection } from './collection.js';
import { conditionChange } from './condition-change.js';
import { claimOf, isLocalEphemeral, volumeKind, type Pod, type PodVolume } from './pod.js';
import type { PodVolumeStats, VolumeState, VolumeStats } from './volume-stats.js';

/** An attempt to measure a volume that waits for its turn or is out. */
export interface Attempt {
  readonly isWalk: boolean;
  /** Resolves when it has ended, is overdue, or was given up; never rejects. */
  readonly isOver: Promise<void>;
}

/** Who is told what happens to a volume. */
export interface VolumeListener {
  /** Its stats are others than before. */
  changed(): void;
  /** An attempt has ended, after it was found overdue or not. */
  attempted(): void;
}

/** One volume of a pod: what is known of it, and the attempt to know it better. */
export class MeasuredVolume {
  readonly #collection: Collection;
  readonly #podRef: PodVolumeStats['podRef'];
  readonly #name: string;
  readonly #listener: VolumeListener;
  #about: Pick<VolumeStats, 'kind' | 'pvcRef'> = { kind: 'unknown' };
  #isEphemeral = false;
  #provider: MetricsProvider | undefined;
  /** Why nobody can be asked now; how the newest attempt went shows again when it is gone. */
  #obstacle: { readonly state: VolumeState; readonly error: MetricsError } | undefined;
  #state: VolumeState = 'pending';
  #metrics: Metrics | undefined;
  #error: MetricsError | undefined;
  #attemptedAt: Date | undefined;
  #durationMs: number | undefined;
  /** What the storage said last of the volume's health; failing to hear more of it takes nothing back. */
  #verdict: VolumeCondition | undefined;
  /** When the next walk may be, on the clock of `performance.now()`. */
  #walkDueMs = 0;
  #attempt: (Attempt & { giveUp(): void }) | undefined;
  #stats: VolumeStats | undefined;

  constructor(
    collection: Collection,
    podRef: PodVolumeStats['podRef'],
    name: string,
    listener: VolumeListener,
  ) {
    this.#collection = collection;
    this.#podRef = podRef;
    this.#name = name;
    this.#listener = listener;
  }

  get isEphemeral(): boolean {
    return this.#isEphemeral;
  }

  /** The same object until something changes. */
  get stats(): VolumeStats {
    return (this.#stats ??= {
      name: this.#name,
      ...this.#about,
      provider: providerName(this.#provider),
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
    if (kind === oldKind && pvcRef?.name === oldRef?.name && pvcRef?.namespace === oldRef?.namespace) return;
    this.#about = { kind, ...(pvcRef !== undefined && { pvcRef }) };
    this.#changed();
  }

  /** Who measures it from now on. A call that is out is not made again for that. */
  measuredBy(provider: MetricsProvider): void {
    const isSame = this.#obstacle === undefined && providerName(provider) === providerName(this.#provider);
    this.#provider = provider;
    this.#obstacle = undefined;
    if (!isSame) this.#changed();
  }

  /** Nobody measures it (now); a reading of before stays. */
  unlisted(): void {
    if (this.#obstacle?.state === 'pending') return;
    const text = `the stats provider does not list volume "${this.#name}"`;
    this.#provider = undefined;
    this.#obstacle = { state: 'pending', error: new MetricsError('METRICS_NOT_FOUND', text) };
    this.#changed();
  }

  /** The stats provider could not say who measures it. */
  listingFailed(error: MetricsError): void {
    this.#obstacle = { state: stateOf(error), error };
    this.#changed();
  }

  /** Makes an attempt, or gives the one that is on its way; undefined when it is not due. */
  attempt(): Attempt | undefined {
    if (this.#attempt !== undefined || this.#provider === undefined) return this.#attempt;
    const isWalk = this.#isWalk(this.#provider);
    if (isWalk && performance.now() < this.#walkDueMs) return undefined;
    const { calls, lane, walkLane, options } = this.#collection;
    let over = (): void => undefined;
    const isOver = new Promise<void>((resolve) => {
      over = resolve;
    });
    const attempt = { isWalk, isOver, giveUp: over };
    this.#attempt = attempt;
    let asked = providerName(this.#provider);
    const leave = calls.begin(
      JSON.stringify([this.#podRef.uid, this.#name]),
      {
        // The provider of the moment when its turn comes: it may have been replaced since.
        run: (signal) => {
          asked = providerName(this.#provider);
          return callProvider(this.#provider, signal);
        },
        lane: isWalk ? walkLane : lane,
        doubtful: this.#state === 'stuck',
        placeMs: options.timeoutMs,
        limitMs: isWalk ? Math.max(options.walkTimeoutMs, options.timeoutMs) : options.timeoutMs,
      },
      {
        overdue: (since) => {
          this.#overdue(asked, since);
          over();
        },
        settled: (answer, since, durationMs) => {
          this.#attempt = undefined;
          if (isWalk) this.#walked(durationMs);
          this.#settled(asked, answer, since, durationMs);
          over();
        },
      },
    );
    attempt.giveUp = () => {
      leave();
      over();
    };
    return attempt;
  }

  /** Stores nothing more; an attempt that is out is aborted, and not waited for. */
  giveUp(): void {
    this.#attempt?.giveUp();
    this.#attempt = undefined;
  }

  /** The volume is not part of the pod any more. */
  dispose(): void {
    this.giveUp();
    this.#collection.walkPace.forget(this);
  }

  #isWalk(provider: MetricsProvider): boolean {
    const { isWalk } = this.#collection.options;
    if (isWalk === undefined) return providerName(provider) === 'du' || this.#metrics?.source === 'du';
    try {
      return isWalk(provider);
    } catch (error) {
      this.#collection.complain('isWalk', callError('isWalk', error));
      return false;
    }
  }

  #overdue(provider: string, since: Date): void {
    const text = `provider "${provider}" has not answered since ${since.toISOString()}`;
    this.#attemptedAt = since;
    this.#durationMs = undefined;
    this.#failed(new MetricsError('METRICS_TIMED_OUT', text, { stuckSince: since }));
    this.#collection.attempted(this.#podRef, this.stats);
  }

  #settled(provider: string, answer: PromiseSettledResult<unknown>, since: Date, durationMs: number): void {
    this.#collection.durations.add(provider, durationMs);
    this.#attemptedAt = since;
    this.#durationMs = durationMs;
    let condition: VolumeCondition | undefined;
    try {
      if (answer.status === 'rejected') throw answer.reason;
      this.#metrics = checkedReading(provider, answer.value);
      this.#state = 'ok';
      this.#error = undefined;
      condition = this.#metrics.condition;
      this.#changed();
    } catch (error) {
      this.#failed(callError(`provider "${provider}"`, error));
    }
    this.#collection.attempted(this.#podRef, this.stats);
    if (condition !== undefined) this.#judged(condition);
    this.#listener.attempted();
  }

  #failed(error: MetricsError): void {
    this.#state = stateOf(error);
    this.#error = error;
    this.#changed();
  }

  #walked(durationMs: number): void {
    const { walkPace } = this.#collection;
    walkPace.walked(this, durationMs);
    this.#walkDueMs = performance.now() + walkPace.restMs(this);
  }

  #judged(condition: VolumeCondition): void {
    const previous = this.#verdict;
    this.#verdict = condition;
    const type = conditionChange(previous, condition);
    if (type === undefined) return;
    this.#collection.conditionChanged({
      type,
      podRef: this.#podRef,
      volume: this.stats,
      condition,
      ...(previous !== undefined && { previous }),
      message: `Volume ${this.#name}: ${condition.message}`,
    });
  }

  #changed(): void {
    this.#stats = undefined;
    this.#listener.changed();
  }
}

function stateOf(error: MetricsError): VolumeState {
  if (isNotSupported(error)) return 'unsupported';
  return error.code === 'METRICS_TIMED_OUT' ? 'stuck' : 'failed';
}
