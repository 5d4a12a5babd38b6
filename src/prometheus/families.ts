import type { Metrics } from '../metrics.js';
import type { Family } from './registry.js';

/** Every metric of a collector. */
export interface Families {
  /** The kubelet's, for volumes with a claim. */
  readonly claim: Quantities;
  readonly claimAbnormal: Family;
  /** Those of kubernetes#141061, for volumes without one. */
  readonly pod: Quantities;
  /** The kubelet's: how long the calls took. */
  readonly duration: Family;
  readonly state: Family;
  readonly age: Family;
  readonly listingFailed: Family;
  readonly sourceErrors: Family;
}

/** One metric for each number of a reading. */
export type Quantities = readonly (readonly [field: Quantity, family: Family])[];

export type Quantity = keyof Pick<
  Metrics,
  'capacity' | 'available' | 'used' | 'inodes' | 'inodesFree' | 'inodesUsed'
>;

/** Field, end of the name, and the kubelet's help text, in the kubelet's order. */
const QUANTITIES = [
  ['capacity', 'capacity_bytes', 'Capacity in bytes of the volume'],
  ['available', 'available_bytes', 'Number of available bytes in the volume'],
  ['used', 'used_bytes', 'Number of used bytes in the volume'],
  ['inodes', 'inodes', 'Maximum number of inodes in the volume'],
  ['inodesFree', 'inodes_free', 'Number of free inodes in the volume'],
  ['inodesUsed', 'inodes_used', 'Number of used inodes in the volume'],
] as const;

/**
 * @param prefix - of the names that the kubelet has
 * @param selfPrefix - of those that are ours
 */
export function families(prefix: string, selfPrefix: string): Families {
  const gauge = (name: string, help: string): Family => ({ name, help, type: 'gauge' });
  return {
    claim: QUANTITIES.map(([field, end, help]) => [field, gauge(`${prefix}volume_stats_${end}`, help)]),
    claimAbnormal: gauge(
      `${prefix}volume_stats_health_status_abnormal`,
      'Abnormal volume health status. The count is either 1 or 0. 1 indicates the volume is unhealthy, 0 indicates volume is healthy',
    ),
    pod: QUANTITIES.map(([field, end, help]) => [
      field,
      gauge(`${prefix}volume_stats_pod_${end}`, `${help}, for a volume of a pod that has no claim`),
    ]),
    duration: {
      name: `${prefix}volume_metric_collection_duration_seconds`,
      help: 'Duration in seconds to calculate volume stats',
      type: 'histogram',
    },
    state: gauge(
      `${selfPrefix}volume_state`,
      'How the newest attempt to measure the volume went: 1 for the state in the label, the others are absent',
    ),
    age: gauge(
      `${selfPrefix}reading_age_seconds`,
      'Age of the last good reading of the volume; absent when there is none',
    ),
    listingFailed: gauge(
      `${selfPrefix}listing_failed`,
      'Whether the pods could not be listed the last time: 1 or 0. If so, those of before are shown',
    ),
    sourceErrors: {
      name: `${selfPrefix}source_errors_total`,
      help: 'Scrapes that got no volumes because the source of the collector failed',
      type: 'counter',
    },
  };
}
