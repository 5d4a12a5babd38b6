import type { Metrics } from '../metrics.js';
import type { PersistentVolumeClaimRef } from './pod.js';
import type { PodVolumeStats, VolumeStats } from './volume-stats.js';

/** The volumes of a node as the kubelet's `/stats/summary` has them. Bigints become exact numbers through `stringify`. */
export interface StatsSummary {
  readonly node?: { readonly nodeName: string };
  readonly pods: readonly PodSummary[];
}

/** One pod of a {@link StatsSummary}; `volume` is the kubelet's name for the list, absent for a pod without any. */
export interface PodSummary {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly volume?: readonly VolumeSummary[];
}

/** One volume of a {@link PodSummary}. A number that is not known is absent, unless zeros were asked for. */
export interface VolumeSummary {
  /** RFC 3339 in UTC, whole seconds, as the kubelet writes it. */
  readonly time?: string;
  readonly availableBytes?: bigint;
  readonly capacityBytes?: bigint;
  readonly usedBytes?: bigint;
  readonly inodesFree?: bigint;
  readonly inodes?: bigint;
  readonly inodesUsed?: bigint;
  readonly name: string;
  readonly pvcRef?: { readonly name: string; readonly namespace: string };
  readonly volumeHealthStats?: { readonly abnormal: boolean };
}

/** Options of {@link statsSummary}. */
export interface StatsSummaryOptions {
  /** The node's name; without it there is no `node`. */
  readonly nodeName?: string | undefined;
  /**
   * Whether to write what the kubelet writes, to the byte: 0 for a number that is not known, and no entry for a volume without a
   * reading. Otherwise such a volume is there with its name alone.
   *
   * @defaultValue `false`
   */
  readonly zeroFill?: boolean | undefined;
}

/** The kubelet's names and order of the numbers. */
const NUMBERS = [
  ['availableBytes', 'available'],
  ['capacityBytes', 'capacity'],
  ['usedBytes', 'used'],
  ['inodesFree', 'inodesFree'],
  ['inodes', 'inodes'],
  ['inodesUsed', 'inodesUsed'],
] as const;

/**
 * What is known of volumes in the shape, order and names of the kubelet's `/stats/summary`; its other parts (containers, network)
 * are not there.
 *
 * @param podVolumeStats - what an analyzer knows
 * @param options - the node's name, and whether unknown numbers are written as 0
 * @returns an object for `stringify`
 */
export function statsSummary(
  podVolumeStats: Iterable<PodVolumeStats>,
  options: StatsSummaryOptions = {},
): StatsSummary {
  const { nodeName, zeroFill = false } = options;
  return {
    ...(nodeName !== undefined && { node: { nodeName } }),
    pods: Array.from(podVolumeStats, ({ podRef, ephemeralVolumes, persistentVolumes }) => {
      const volume = [...ephemeralVolumes, ...persistentVolumes]
        .filter(({ metrics }) => metrics !== undefined || !zeroFill)
        .map((each) => volumeSummary(each, zeroFill));
      const { name, namespace, uid } = podRef;
      return { podRef: { name, namespace, uid }, ...(volume.length > 0 && { volume }) };
    }),
  };
}

function volumeSummary({ name, pvcRef, metrics }: VolumeStats, zeroFill: boolean): VolumeSummary {
  return {
    ...(metrics !== undefined && numbers(metrics, zeroFill)),
    name,
    ...(pvcRef !== undefined && { pvcRef: claim(pvcRef) }),
    ...(metrics?.condition !== undefined && { volumeHealthStats: { abnormal: metrics.condition.abnormal } }),
  };
}

function numbers(metrics: Metrics, zeroFill: boolean): Partial<VolumeSummary> {
  const known = NUMBERS.flatMap(([name, field]) => {
    const value = metrics[field] ?? (zeroFill ? 0n : undefined);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { time: `${metrics.time.toISOString().slice(0, 19)}Z`, ...Object.fromEntries(known) };
}

function claim({ name, namespace }: PersistentVolumeClaimRef): {
  readonly name: string;
  readonly namespace: string;
} {
  return { name, namespace };
}
