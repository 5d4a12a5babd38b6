import type { CollectionDurations } from '../stats/collection-durations.js';
import type { PodVolumeStats } from '../stats/volume-stats.js';
import { families, type Families, type Quantities } from './families.js';
import { checkedRegistry, ScrapedMetric, type Family, type PrometheusRegistry } from './registry.js';
import { SeriesLabels } from './series-labels.js';
import { Snapshot, type SnapshotInput, type SnapshotRules } from './snapshot.js';

/** Whose numbers are exported: an `FsResourceAnalyzer`, or any object that knows volumes. It is asked at each scrape. */
export interface VolumeStatsSource {
  podVolumeStats(): readonly PodVolumeStats[];
  collectionDurations?(): ReadonlyMap<string, CollectionDurations>;
  /** Anything but undefined: the pods are those of before, because they could not be listed. */
  listingError?(): unknown;
}

/** Options of {@link VolumeStatsCollector}. */
export interface VolumeStatsCollectorOptions {
  /** Where the metrics go: a `Registry` of prom-client 15 or of `@prometheus-io/client`. */
  readonly registry: PrometheusRegistry;
  /**
   * The start of the names that the kubelet has. Another one keeps them apart from those of a kubelet that is scraped too.
   *
   * @defaultValue `'kubelet_'`
   */
  readonly prefix?: string | undefined;
  /**
   * The start of the names that are this package's own: state and age of each volume.
   *
   * @defaultValue `'kube_volume_metrics_'`
   */
  readonly selfPrefix?: string | undefined;
  /**
   * Whether the numbers of volumes without a claim are exported too, as `..._pod_...{namespace,pod,volume_name}`
   * (kubernetes#141061): some series more for each pod.
   *
   * @defaultValue `false`
   */
  readonly podVolumes?: boolean | undefined;
  /**
   * Milliseconds after which a reading is not exported any more; the volume's state and age still are. `Infinity`: always.
   *
   * @defaultValue 900000
   */
  readonly maxAgeMs?: number | undefined;
}

/**
 * Exports volumes as the kubelet does: its names, help texts and labels, one series for each claim. A scrape measures nothing,
 * reads what is known at that moment, and does not fail because a volume does.
 */
export class VolumeStatsCollector {
  readonly #source: VolumeStatsSource;
  readonly #families: Families;
  readonly #rules: SnapshotRules;
  readonly #labels = new SeriesLabels();
  #sourceErrors = 0;
  #snapshot: Snapshot | undefined;

  /**
   * @param source - whose numbers are exported
   * @param options - where to, and which
   * @throws TypeError for an argument that is none, and when the registry has metrics of these names already
   */
  constructor(source: VolumeStatsSource, options: VolumeStatsCollectorOptions) {
    const given: Partial<VolumeStatsSource> | null | undefined = source;
    if (typeof given?.podVolumeStats !== 'function') {
      throw new TypeError('Expected source to have the method podVolumeStats');
    }
    if (typeof options !== 'object' || options === null)
      throw new TypeError('Expected options with a registry');
    const {
      prefix = 'kubelet_',
      selfPrefix = 'kube_volume_metrics_',
      maxAgeMs = 900_000,
      podVolumes = false,
    } = options;
    if (typeof maxAgeMs !== 'number' || !(maxAgeMs > 0)) {
      throw new TypeError(
        `Expected maxAgeMs to be a number of milliseconds above 0, got ${String(maxAgeMs)}`,
      );
    }
    this.#source = source;
    this.#families = families(checkedPrefix('prefix', prefix), checkedPrefix('selfPrefix', selfPrefix));
    this.#rules = { maxAgeMs, podVolumes };
    this.#register(checkedRegistry(options.registry));
  }

  /** All or none: a registry with half of a collector in it would be of no use. */
  #register(registry: PrometheusRegistry): void {
    const { claim, claimAbnormal, pod, duration, state, age, listingFailed, sourceErrors } = this.#families;
    const all = [
      ...ofQuantities(claim),
      claimAbnormal,
      ...(this.#rules.podVolumes ? ofQuantities(pod) : []),
      ...(this.#source.collectionDurations === undefined ? [] : [duration]),
      state,
      age,
      ...(this.#source.listingError === undefined ? [] : [listingFailed]),
      sourceErrors,
    ];
    const taken = all.find(({ name }) => registry.getSingleMetric(name) !== undefined);
    if (taken !== undefined) {
      throw new TypeError(
        `The registry has a metric ${taken.name} already: a second collector needs a registry, or prefix and selfPrefix, of its own`,
      );
    }
    for (const family of all) {
      const metric = new ScrapedMetric(family, () => this.#current().of(family));
      registry.registerMetric(metric as never);
    }
  }

  /**
   * A registry asks all its metrics in one go, before anything else happens: they, and those of another scrape that is asked for in
   * that moment, get the same snapshot.
   */
  #current(): Snapshot {
    if (this.#snapshot === undefined) {
      this.#snapshot = this.#take();
      queueMicrotask(() => {
        this.#snapshot = undefined;
      });
    }
    return this.#snapshot;
  }

  #take(): Snapshot {
    const nowMs = Date.now();
    try {
      return this.#make({
        pods: this.#source.podVolumeStats(),
        durations: this.#source.collectionDurations?.() ?? new Map<string, CollectionDurations>(),
        isListingFailed: this.#source.listingError?.() !== undefined,
        nowMs,
      });
    } catch {
      this.#sourceErrors += 1;
      return this.#make({ pods: [], durations: new Map(), isListingFailed: true, nowMs });
    }
  }

  #make(input: Omit<SnapshotInput, 'sourceErrors'>): Snapshot {
    const all = { ...input, sourceErrors: this.#sourceErrors };
    return new Snapshot(this.#families, this.#labels, this.#rules, all);
  }
}

function ofQuantities(quantities: Quantities): Family[] {
  return quantities.map(([, family]) => family);
}

function checkedPrefix(name: string, value: unknown): string {
  if (typeof value === 'string' && /^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(value)) return value;
  throw new TypeError(`Expected ${name} to be the start of a metric's name, got ${String(value)}`);
}
