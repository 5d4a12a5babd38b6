import { checkedFlag, checkedOptions, show } from '../options.js';
import type { CollectionDurations } from '../stats/collection.js';
import type { PodVolumeStats } from '../stats/volume-stats.js';
import { FAMILIES, type Family } from './families.js';
import { checkedRegistry, ScrapedMetric, type PrometheusRegistry, type Sample } from './registry.js';
import { SeriesLabels, Snapshot, type SourceAnswer } from './snapshot.js';

/**
 * The source of the exported numbers: an `FsResourceAnalyzer`, or any object of this shape. It is asked at
 * each scrape.
 */
export interface VolumeStatsSource {
  podVolumeStats(): readonly PodVolumeStats[];
  collectionDurations?(): ReadonlyMap<string, CollectionDurations>;
  /**
   * Anything but undefined means that the pods could not be listed, and that the volumes are those of an
   * earlier listing.
   */
  listingError?(): unknown;
}

/** Options of {@link VolumeStatsCollector}. */
export interface VolumeStatsCollectorOptions {
  /** Where the metrics go: a `Registry` of prom-client 15 or of `@prometheus-io/client`. */
  readonly registry: PrometheusRegistry;
  /**
   * The start of the names that the kubelet uses too. Another prefix keeps them apart from those of a kubelet
   * that is also scraped.
   *
   * @defaultValue `'kubelet_'`
   */
  readonly prefix?: string | undefined;
  /**
   * The start of the names that are this package's own, such as state and age of each volume.
   *
   * @defaultValue `'kube_volume_metrics_'`
   */
  readonly selfPrefix?: string | undefined;
  /**
   * Whether to export the numbers of volumes without a claim too, as `..._pod_...{namespace,pod,volume_name}`
   * (kubernetes#141061). That adds up to six series for each such volume.
   *
   * @defaultValue `false`
   */
  readonly podVolumes?: boolean | undefined;
  /**
   * Milliseconds after which a reading is no longer exported. The volume's state and age still are. With
   * `Infinity` a reading is exported for ever.
   *
   * @defaultValue 900000
   */
  readonly maxAgeMs?: number | undefined;
  /**
   * Whether to write 0 for each unknown number of a claim that has a reading, as the kubelet does. Some
   * programs need all series of a claim: pvc-autoresizer skips a claim that lacks one of its four.
   *
   * @defaultValue `false`
   */
  readonly zeroFill?: boolean | undefined;
}

const OPTION_NAMES = [
  'registry',
  'prefix',
  'selfPrefix',
  'podVolumes',
  'maxAgeMs',
  'zeroFill',
] as const satisfies readonly (keyof VolumeStatsCollectorOptions)[];

const NO_DURATIONS: ReadonlyMap<string, CollectionDurations> = new Map();

/**
 * Exports volumes as the kubelet does, with its names, help texts and labels, and one series for each claim.
 * A scrape measures nothing, reads what is known at that moment, and does not fail because a volume does.
 */
export class VolumeStatsCollector {
  readonly #source: VolumeStatsSource;
  readonly #maxAgeMs: number;
  readonly #zeroFill: boolean;
  readonly #labels = new SeriesLabels();
  /** The metrics that are exported, with their whole names. */
  readonly #families: readonly Family[];
  #sourceErrors = 0;
  #samples: ReadonlyMap<Family, readonly Sample[]> | undefined;

  /**
   * @param source - has the numbers
   * @param options - where the metrics go, and which are exported
   * @throws TypeError naming the argument or option that is invalid or unknown, or if the registry already
   * has a metric of one of these names
   */
  constructor(source: VolumeStatsSource, options: VolumeStatsCollectorOptions) {
    const given: Partial<VolumeStatsSource> | null | undefined = source;
    if (typeof given?.podVolumeStats !== 'function') {
      throw new TypeError('Expected source to have the method podVolumeStats');
    }
    const {
      registry,
      prefix = 'kubelet_',
      selfPrefix = 'kube_volume_metrics_',
      maxAgeMs = 900_000,
    } = checkedOptions(options, OPTION_NAMES);
    if (typeof maxAgeMs !== 'number' || !(maxAgeMs > 0)) {
      throw new TypeError(`Expected maxAgeMs to be a number of milliseconds above 0, got ${show(maxAgeMs)}`);
    }
    this.#source = source;
    this.#maxAgeMs = maxAgeMs;
    this.#zeroFill = checkedFlag('zeroFill', options.zeroFill);
    const prefixes = {
      prefix: checkedPrefix('prefix', prefix),
      selfPrefix: checkedPrefix('selfPrefix', selfPrefix),
    };
    const has = {
      podVolumes: checkedFlag('podVolumes', options.podVolumes),
      collectionDurations: source.collectionDurations !== undefined,
      listingError: source.listingError !== undefined,
    };
    this.#families = FAMILIES.filter(({ needs }) => needs === undefined || has[needs]).map((family) => ({
      ...family,
      name: prefixes[family.prefix] + family.name,
    }));
    this.#register(checkedRegistry(registry));
  }

  /** Registers all metrics or none: a registry with half of them would be useless. */
  #register(registry: PrometheusRegistry): void {
    const taken = this.#families.find(({ name }) => registry.getSingleMetric(name) !== undefined);
    if (taken !== undefined) {
      throw new TypeError(
        `The registry already has a metric ${taken.name}: a second collector needs its own registry, or its own prefix and selfPrefix`,
      );
    }
    for (const family of this.#families) {
      const metric = new ScrapedMetric(family, () => this.#current().get(family) ?? []);
      registry.registerMetric(metric as never);
    }
  }

  /**
   * A registry asks all its metrics in one go, before anything else happens. They get the same snapshot, as
   * does another scrape that begins at the same moment.
   */
  #current(): ReadonlyMap<Family, readonly Sample[]> {
    if (this.#samples === undefined) {
      this.#samples = this.#take();
      queueMicrotask(() => {
        this.#samples = undefined;
      });
    }
    return this.#samples;
  }

  #take(): ReadonlyMap<Family, readonly Sample[]> {
    try {
      return this.#samplesOf({
        pods: this.#source.podVolumeStats(),
        durations: this.#source.collectionDurations?.() ?? NO_DURATIONS,
        isListingFailed: this.#source.listingError?.() !== undefined,
      });
    } catch {
      this.#sourceErrors += 1;
      return this.#samplesOf({ pods: [], durations: NO_DURATIONS, isListingFailed: true });
    }
  }

  #samplesOf(answer: SourceAnswer): ReadonlyMap<Family, readonly Sample[]> {
    const snapshot = new Snapshot(answer, this.#sourceErrors, this.#labels, this.#maxAgeMs);
    return new Map(
      this.#families.map((family) => [family, family.samples(snapshot, family.name, this.#zeroFill)]),
    );
  }
}

function checkedPrefix(name: string, value: unknown): string {
  if (typeof value === 'string' && /^([a-zA-Z_:][a-zA-Z0-9_:]*)?$/.test(value)) return value;
  throw new TypeError(`Expected ${name} to be the start of a metric's name, got ${show(value)}`);
}
