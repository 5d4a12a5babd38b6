import { MetricsError } from '../errors.js';
import type { MetricsProvider } from '../metrics.js';
import { callError, notAnswered, type Collection } from './collection.js';
import { MeasuredVolume, type Attempt } from './measured-volume.js';
import { volumesOf, type Pod, type StatsProvider, type VolumeMap } from './pod.js';
import { SoleCall } from './schedule/calls.js';
import { Periodic } from './schedule/periodic.js';
import type { PodVolumeStats } from './volume-stats.js';

/** The volumes of one pod, measured round after round. */
export class PodRounds {
  readonly #collection: Collection;
  readonly #podRef: PodVolumeStats['podRef'];
  readonly #volumes = new Map<string, MeasuredVolume>();
  readonly #periodic: Periodic;
  #pod: Pod;
  /**
   * Lists the volumes and attempts to measure them. Gives the attempts: none if the listing is overdue or
   * failed.
   */
  readonly #listing: SoleCall<readonly Attempt[]>;
  #roundsUnderway = 0;
  #stops = 0;
  #latest: PodVolumeStats | undefined;

  constructor(collection: Collection, statsProvider: StatsProvider, pod: Pod) {
    const { uid, namespace, name } = pod.metadata;
    this.#collection = collection;
    this.#podRef = { uid, namespace, name };
    this.#pod = pod;
    const { calls, lane, options } = collection;
    this.#listing = new SoleCall<readonly Attempt[]>(
      calls,
      JSON.stringify([uid]),
      {
        run: () => statsProvider.listVolumesForPod(uid),
        enter: (turn) =>
          lane.enter((place) => {
            turn.go(place);
          }, false),
        limitMs: options.timeoutMs,
        overdue: (since) => notAnswered('listVolumesForPod', since),
      },
      {
        answered: (answer) => this.#listed(answer),
        overdue: (error) => {
          this.#listingFailed(error);
          return [];
        },
        left: [],
      },
    );
    this.#periodic = new Periodic(options.periodMs, 1, () => this.round('quick'), collection.waitingRounds);
    this.update(pod);
  }

  /** Takes over the pod as it is now. Its volumes may have changed. */
  update(pod: Pod): void {
    this.#pod = pod;
    const specified = volumesOf(pod);
    for (const name of specified.keys()) this.#volume(name);
    for (const [name, volume] of this.#volumes) volume.record.describe(pod, specified.get(name));
  }

  /** What is known now; the same object until something changes. */
  latest(): PodVolumeStats {
    if (this.#latest === undefined) {
      const volumes = [...this.#volumes.values()];
      this.#latest = {
        podRef: this.#podRef,
        ephemeralVolumes: volumes.filter((each) => each.record.isEphemeral).map((each) => each.record.stats),
        persistentVolumes: volumes
          .filter((each) => !each.record.isEphemeral)
          .map((each) => each.record.stats),
      };
    }
    return this.#latest;
  }

  start(delayMs: number): void {
    this.#periodic.start(delayMs);
  }

  /** Ends the rounds, aborts what is out without waiting for it, and stores nothing more. */
  stop(): void {
    this.#stops += 1;
    this.#periodic.stop();
    this.#listing.leave();
    for (const volume of this.#volumes.values()) volume.giveUp();
  }

  /** The pod is gone. */
  dispose(): void {
    this.stop();
    for (const volume of this.#volumes.values()) volume.dispose();
  }

  /**
   * Lists the volumes, and attempts to measure each that is due. Resolves when all attempts are over; `quick`
   * does not wait for walks. Never rejects.
   */
  async round(waitFor: 'quick' | 'all'): Promise<void> {
    const stops = this.#stops;
    this.#roundsUnderway += 1;
    const attempts = await this.#listing.ask();
    await Promise.all(
      attempts.filter(({ isWalk }) => waitFor === 'all' || !isWalk).map(({ isOver }) => isOver),
    );
    this.#roundsUnderway -= 1;
    if (stops === this.#stops) this.#collection.collected(this);
  }

  #listed(answer: PromiseSettledResult<unknown>): readonly Attempt[] {
    if (answer.status === 'rejected') {
      this.#listingFailed(callError('listVolumesForPod', answer.reason));
      return [];
    }
    if (answer.value === undefined || answer.value === null) return [];
    try {
      if (!isVolumeMap(answer.value)) {
        const text = 'listVolumesForPod did not give a map of providers by volume name';
        throw new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: answer.value });
      }
      this.#match(answer.value);
    } catch (error) {
      // A map that is not a Map may throw when it is read.
      this.#listingFailed(callError('the map of listVolumesForPod', error));
      return [];
    }
    return [...this.#volumes.values()].flatMap((each) => each.attempt() ?? []);
  }

  /**
   * The volumes are those of the pod's spec and those of the map. One that only one of them has is shown too.
   */
  #match(providers: VolumeMap): void {
    const specified = volumesOf(this.#pod);
    for (const [name, volume] of this.#volumes) {
      if (specified.has(name) || providers.has(name)) continue;
      volume.dispose();
      this.#volumes.delete(name);
      this.#latest = undefined;
    }
    for (const name of providers.keys()) if (typeof name === 'string') this.#volume(name);
    for (const [name, volume] of this.#volumes) {
      // Like the kubelet, which skips a volume whose mounter is nil: it is not mounted.
      const provider = providers.get(name) ?? undefined;
      if (provider === undefined) volume.unlisted();
      else volume.measuredBy(provider);
    }
  }

  #listingFailed(error: MetricsError): void {
    for (const volume of this.#volumes.values()) volume.record.listingFailed(error);
  }

  #volume(name: string): MeasuredVolume {
    let volume = this.#volumes.get(name);
    if (volume === undefined) {
      volume = new MeasuredVolume(this.#collection, this.#podRef, name, {
        changed: () => {
          this.#latest = undefined;
        },
        attempted: () => {
          if (this.#roundsUnderway === 0) this.#collection.collected(this);
        },
      });
      this.#volumes.set(name, volume);
      this.#latest = undefined;
    }
    return volume;
  }
}

function isVolumeMap(value: unknown): value is ReadonlyMap<string, MetricsProvider> {
  const map = value as Partial<VolumeMap>;
  return (
    typeof map === 'object' &&
    typeof map.get === 'function' &&
    typeof map.has === 'function' &&
    typeof map.keys === 'function'
  );
}
