import { QUANTITIES, type Quantity } from '../reading.js';
import type { Labels, MetricHead, Sample } from './registry.js';
import { amountOf, INODES, type SeenReading, type SeenVolume, type Snapshot } from './snapshot.js';

/** One metric: its name, its help text, and how its samples come from a snapshot. */
export interface Family extends MetricHead {
  /** Which option of the collector the name begins with. The rest of the name is in `name`. */
  readonly prefix: 'prefix' | 'selfPrefix';
  /** Exported only if this is there: an option of the collector, or a method of its source. */
  readonly needs?: 'podVolumes' | 'collectionDurations' | 'listingError';
  /**
   * @param name - the whole name
   * @param zeroFill - whether unknown numbers of claims are 0
   */
  readonly samples: (snapshot: Snapshot, name: string, zeroFill: boolean) => readonly Sample[];
}

/** End of the name, and the kubelet's help text, which begins with the metric's stability level. */
const QUANTITY_TEXTS: Readonly<Record<Quantity, readonly [end: string, help: string]>> = {
  capacity: ['capacity_bytes', '[ALPHA] Capacity in bytes of the volume'],
  available: ['available_bytes', '[ALPHA] Number of available bytes in the volume'],
  used: ['used_bytes', '[ALPHA] Number of used bytes in the volume'],
  inodes: ['inodes', '[ALPHA] Maximum number of inodes in the volume'],
  inodesFree: ['inodes_free', '[ALPHA] Number of free inodes in the volume'],
  inodesUsed: ['inodes_used', '[ALPHA] Number of used inodes in the volume'],
};

/** Every metric of a collector, in the order in which they are exported. */
export const FAMILIES: readonly Family[] = [
  // The kubelet's, for volumes with a claim.
  ...QUANTITIES.map((quantity): Family => {
    const [end, help] = QUANTITY_TEXTS[quantity];
    return {
      prefix: 'prefix',
      name: `volume_stats_${end}`,
      type: 'gauge',
      help,
      samples: ({ claims }, _name, zeroFill) =>
        samplesOf(claims, zeroFill ? filledNumber(quantity) : exportedNumber(quantity)),
    };
  }),
  {
    prefix: 'prefix',
    name: 'volume_stats_health_status_abnormal',
    type: 'gauge',
    help: '[ALPHA] Abnormal volume health status. The count is either 1 or 0. 1 indicates the volume is unhealthy, 0 indicates volume is healthy',
    samples: forEachClaim(({ metrics }) => asNumber(metrics.condition?.abnormal)),
  },
  // Those of kubernetes#141061, for volumes without a claim.
  ...QUANTITIES.map((quantity): Family => {
    const [end, help] = QUANTITY_TEXTS[quantity];
    return {
      prefix: 'prefix',
      name: `volume_stats_pod_${end}`,
      type: 'gauge',
      help: `${help}, for a volume of a pod that has no claim`,
      needs: 'podVolumes',
      samples: ({ unclaimed }) => samplesOf(unclaimed, exportedNumber(quantity)),
    };
  }),
  {
    prefix: 'prefix',
    name: 'volume_metric_collection_duration_seconds',
    type: 'histogram',
    help: '[ALPHA] Duration in seconds to calculate volume stats',
    needs: 'collectionDurations',
    samples: ({ durations: all }, name) =>
      all.flatMap(({ labels, durations: { count, sumSeconds, buckets } }) => [
        ...[...buckets, { leSeconds: '+Inf', count }].map((bucket) =>
          sample(bucket.count, labels, `${name}_bucket`, { le: String(bucket.leSeconds) }),
        ),
        sample(sumSeconds, labels, `${name}_sum`),
        sample(count, labels, `${name}_count`),
      ]),
  },
  // This package's own.
  {
    prefix: 'selfPrefix',
    name: 'volume_state',
    type: 'gauge',
    help: 'How the newest attempt to measure the volume went: 1 for the state in the label, the others are absent',
    samples: ({ volumes }) =>
      volumes.map(({ labels, stateLabels }) => sample(1, labels, undefined, stateLabels)),
  },
  {
    prefix: 'selfPrefix',
    name: 'reading_age_seconds',
    type: 'gauge',
    help: 'Age of the last good reading of the volume; absent if there is none',
    samples: forEachVolume(({ ageSeconds }) => ageSeconds),
  },
  {
    prefix: 'selfPrefix',
    name: 'volume_read_only',
    type: 'gauge',
    help: 'Whether the volume is read-only, or stopped writing after an error: 1 or 0; absent if that is not known',
    samples: forEachVolume(({ metrics }) => asNumber(metrics?.readOnly)),
  },
  {
    prefix: 'selfPrefix',
    name: 'listing_failed',
    type: 'gauge',
    help: 'Whether the last attempt to list the pods failed: 1 or 0. If it failed, the pods of the last successful listing are shown',
    needs: 'listingError',
    samples: ({ isListingFailed }) => [sample(asNumber(isListingFailed), NO_LABELS)],
  },
  {
    prefix: 'selfPrefix',
    name: 'source_errors_total',
    type: 'counter',
    help: 'Scrapes without volumes because the source of the collector failed',
    samples: ({ sourceErrors }) => [sample(sourceErrors, NO_LABELS)],
  },
];

const NO_LABELS: Labels = {};

function sample(value: number, sharedLabels: Labels, metricName?: string, labels = NO_LABELS): Sample {
  return { value, labels, sharedLabels, metricName };
}

/** One sample for each claim that has a number. */
function forEachClaim(numberOf: (claim: SeenReading) => number | undefined): Family['samples'] {
  return ({ claims }) => samplesOf(claims, numberOf);
}

/** One sample for each volume that has a number. */
function forEachVolume(numberOf: (volume: SeenVolume) => number | undefined): Family['samples'] {
  return ({ volumes }) => samplesOf(volumes, numberOf);
}

function samplesOf<T extends { readonly labels: Labels }>(
  all: readonly T[],
  numberOf: (each: T) => number | undefined,
): Sample[] {
  const samples: Sample[] = [];
  for (const each of all) {
    const value = numberOf(each);
    if (value !== undefined) samples.push(sample(value, each.labels));
  }
  return samples;
}

/** 1 or 0; undefined for anything but a boolean, which a source of foreign code may give. */
function asNumber(value: boolean): number;
function asNumber(value: boolean | undefined): number | undefined;
function asNumber(value: unknown): number | undefined {
  return typeof value === 'boolean' ? Number(value) : undefined;
}

/**
 * A number of a reading as it is exported; undefined if it is not. Bigints become floats here and nowhere
 * else.
 */
function exportedNumber(quantity: Quantity): (seen: SeenReading) => number | undefined {
  const isOfInodes = INODES.includes(quantity);
  return ({ metrics, hasInodes }) => {
    const value = amountOf(metrics, quantity);
    if (value === undefined || (isOfInodes && !hasInodes)) return undefined;
    // A query that divides by the capacity, as dashboards do, gives nothing instead of infinity.
    return quantity === 'capacity' && value === 0n ? undefined : Number(value);
  };
}

/** A number of a reading as the kubelet exports it: 0 if it is not known. */
function filledNumber(quantity: Quantity): (seen: SeenReading) => number {
  return ({ metrics }) => Number(amountOf(metrics, quantity) ?? 0n);
}
