import type { Metrics } from '../metrics.js';
import type { CollectionDurations } from '../stats/collection-durations.js';
import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import type { PodVolumeStats, VolumeStats } from '../stats/volume-stats.js';
import type { Families, Quantities, Quantity } from './families.js';
import type { Family, Labels, Sample } from './registry.js';
import type { SeriesLabels } from './series-labels.js';
import { volumesByName } from './volumes-by-name.js';

/** What a snapshot is made of. */
export interface SnapshotInput {
  readonly pods: readonly PodVolumeStats[];
  readonly durations: ReadonlyMap<string, CollectionDurations>;
  readonly isListingFailed: boolean;
  readonly sourceErrors: number;
  readonly nowMs: number;
}

/** Which readings are exported. */
export interface SnapshotRules {
  /** A reading that is older is not. */
  readonly maxAgeMs: number;
  /** Whether those of volumes without a claim are. */
  readonly podVolumes: boolean;
}

interface ClaimReading {
  readonly pvcRef: PersistentVolumeClaimRef;
  readonly metrics: Metrics;
}

const NO_LABELS: Labels = {};

/** Left out together: counts of what has no limit mean nothing, and alerts on few free inodes fired for such (kubernetes-mixin#820). */
const INODES: readonly Quantity[] = ['inodes', 'inodesFree', 'inodesUsed'];

/** What a filesystem without a limit may say instead of 0 (btrfs) or nothing: this, or the 2^64-1 of CephFS. */
const NO_LIMIT = 2n ** 63n - 1n;

/** The samples of one scrape, by metric. Numbers become floats here and nowhere before. */
export class Snapshot {
  readonly #families: Families;
  readonly #labels: SeriesLabels;
  readonly #rules: SnapshotRules;
  readonly #samples = new Map<Family, Sample[]>();
  /** The freshest good reading of each claim, by namespace and name: pods that share it have measured the same storage. */
  readonly #claims = new Map<string, Map<string, ClaimReading>>();

  constructor(families: Families, labels: SeriesLabels, rules: SnapshotRules, input: SnapshotInput) {
    this.#families = families;
    this.#labels = labels;
    this.#rules = rules;
    for (const [podRef, volume] of volumesByName(input.pods)) this.#addVolume(podRef, volume, input.nowMs);
    for (const { ephemeralVolumes, persistentVolumes } of input.pods) {
      for (const volume of ephemeralVolumes) this.#compare(volume, input.nowMs);
      for (const volume of persistentVolumes) this.#compare(volume, input.nowMs);
    }
    for (const claims of this.#claims.values()) for (const claim of claims.values()) this.#addClaim(claim);
    this.#addDurations(input.durations);
    this.#add(families.listingFailed, input.isListingFailed ? 1 : 0);
    this.#add(families.sourceErrors, input.sourceErrors);
  }

  of(family: Family): readonly Sample[] {
    return this.#samples.get(family) ?? [];
  }

  #addVolume(podRef: PodVolumeStats['podRef'], volume: VolumeStats, nowMs: number): void {
    const { state, metrics, pvcRef } = volume;
    const labels = this.#labels.ofVolume(podRef, volume);
    this.#add(this.#families.state, 1, labels, this.#labels.ofState(state));
    if (metrics === undefined) return;
    const ageMs = nowMs - metrics.time.getTime();
    this.#add(this.#families.age, ageMs / 1000, labels);
    if (pvcRef === undefined && this.#rules.podVolumes && ageMs <= this.#rules.maxAgeMs) {
      this.#addQuantities(this.#families.pod, metrics, labels);
    }
  }

  #compare({ pvcRef, metrics }: VolumeStats, nowMs: number): void {
    if (pvcRef === undefined || metrics === undefined) return;
    if (nowMs - metrics.time.getTime() > this.#rules.maxAgeMs) return;
    let claims = this.#claims.get(pvcRef.namespace);
    if (claims === undefined) this.#claims.set(pvcRef.namespace, (claims = new Map<string, ClaimReading>()));
    const known = claims.get(pvcRef.name);
    if (known === undefined || known.metrics.time < metrics.time)
      claims.set(pvcRef.name, { pvcRef, metrics });
  }

  #addClaim({ pvcRef, metrics }: ClaimReading): void {
    const labels = this.#labels.ofClaim(pvcRef);
    this.#addQuantities(this.#families.claim, metrics, labels);
    if (metrics.condition !== undefined) {
      this.#add(this.#families.claimAbnormal, metrics.condition.abnormal ? 1 : 0, labels);
    }
  }

  #addQuantities(families: Quantities, metrics: Metrics, labels: Labels): void {
    const hasInodes = metrics.inodes !== 0n && !INODES.some((field) => (metrics[field] ?? 0n) >= NO_LIMIT);
    for (const [field, family] of families) {
      const value = metrics[field];
      if (value === undefined || (!hasInodes && INODES.includes(field))) continue;
      // Whoever divides by it, as dashboards do, gets nothing instead of infinity.
      if (field === 'capacity' && value === 0n) continue;
      this.#add(family, Number(value), labels);
    }
  }

  #addDurations(durations: ReadonlyMap<string, CollectionDurations>): void {
    const family = this.#families.duration;
    for (const [source, { count, sumSeconds, buckets }] of durations) {
      const labels = this.#labels.ofSource(source);
      for (const bucket of [...buckets, { leSeconds: '+Inf', count }]) {
        const name = `${family.name}_bucket`;
        this.#add(family, bucket.count, labels, { le: String(bucket.leSeconds) }, name);
      }
      this.#add(family, sumSeconds, labels, NO_LABELS, `${family.name}_sum`);
      this.#add(family, count, labels, NO_LABELS, `${family.name}_count`);
    }
  }

  #add(
    family: Family,
    value: number,
    sharedLabels = NO_LABELS,
    labels = NO_LABELS,
    metricName?: string,
  ): void {
    const sample = { value, labels, sharedLabels, metricName };
    const samples = this.#samples.get(family);
    if (samples === undefined) this.#samples.set(family, [sample]);
    else samples.push(sample);
  }
}
