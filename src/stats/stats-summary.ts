import { msOfDate } from '../errors.js';
import type { Metrics } from '../metrics.js';
import { checkedFlag, checkedOptions, checkedText } from '../options.js';
import { quantityProblem, show, type Quantity } from '../reading.js';
import type { PersistentVolumeClaimRef } from './pod.js';
import type { PodVolumeStats, VolumeStats } from './volume-stats.js';

/**
 * The volumes of a node in the shape of the kubelet's `/stats/summary`. `stringify` writes bigints as exact
 * numbers.
 */
export interface StatsSummary {
  readonly node?: { readonly nodeName: string };
  readonly pods: readonly PodSummary[];
}

/**
 * One pod of a {@link StatsSummary}. `volume` is the kubelet's name for the list; absent for a pod without
 * volumes.
 */
export interface PodSummary {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly volume?: readonly VolumeSummary[];
  /**
   * What the pod uses of the node's disk, where that was given. The kubelet also writes the disk's own
   * numbers.
   */
  readonly 'ephemeral-storage'?: EphemeralStorageSummary;
}

/** The sum of a pod in a {@link PodSummary}. */
export interface EphemeralStorageSummary {
  /** RFC 3339 in UTC, whole seconds, as the kubelet writes it. */
  readonly time?: string;
  readonly usedBytes: bigint;
  readonly inodesUsed?: bigint;
}

/**
 * What a pod uses of the node's disk: its containers' layers and logs, its ephemeral volumes, `etc-hosts`.
 */
export interface EphemeralStorage {
  /** When its newest part was measured. */
  readonly time: Date;
  /** Bytes in use. */
  readonly used: bigint;
  /** Inodes in use; absent if those of a part are not known. */
  readonly inodesUsed?: bigint;
}

/** One volume of a {@link PodSummary}. An unknown number is absent, or 0 with `zeroFill`. */
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
  /** The node's name. Without it the summary has no `node`. */
  readonly nodeName?: string | undefined;
  /**
   * Whether to write exactly what the kubelet writes: 0 for an unknown number, and no entry for a volume
   * without a reading. Otherwise unknown numbers are absent, and such a volume has an entry with its name and
   * claim.
   *
   * @defaultValue `false`
   */
  readonly zeroFill?: boolean | undefined;
  /**
   * The version of the kubelet that `zeroFill` imitates, as `1.36` or `v1.29.4+k3s1`. Only those from 1.24 to
   * 1.36 write `volumeHealthStats`. Without `zeroFill` a known condition is always written.
   *
   * @defaultValue `'1.37'`
   */
  readonly kubeletVersion?: string | undefined;
  /**
   * What pods use of the node's disk, by uid, such as `ephemeralStorage` of `KubeletNode` gives it: a pod's
   * `ephemeral-storage`.
   *
   * @defaultValue none: an analyzer does not know what containers use
   */
  readonly ephemeralStorage?: ReadonlyMap<string, EphemeralStorage> | undefined;
}

const OPTION_NAMES = [
  'nodeName',
  'zeroFill',
  'kubeletVersion',
  'ephemeralStorage',
] as const satisfies readonly (keyof StatsSummaryOptions)[];

/** The kubelet's names of the quantities, in its order. */
const NUMBERS = [
  ['availableBytes', 'available'],
  ['capacityBytes', 'capacity'],
  ['usedBytes', 'used'],
  ['inodesFree', 'inodesFree'],
  ['inodes', 'inodes'],
  ['inodesUsed', 'inodesUsed'],
] as const satisfies readonly (readonly [string, Quantity])[];

/**
 * Volumes in the shape, order and names of the kubelet's `/stats/summary`, without its other parts
 * (containers, network). With `ephemeralStorage`, also what each pod uses of the node's disk.
 *
 * @param podVolumeStats - what an analyzer knows
 * @param options - the node's name, and whether to write what a kubelet of some version writes
 * @returns an object for `stringify`
 * @throws TypeError naming the argument or option that is invalid or unknown
 */
export function statsSummary(
  podVolumeStats: Iterable<PodVolumeStats>,
  options: StatsSummaryOptions = {},
): StatsSummary {
  const { nodeName, ephemeralStorage } = checkedOptions(options, OPTION_NAMES);
  if (ephemeralStorage !== undefined && !((ephemeralStorage as unknown) instanceof Map)) {
    throw new TypeError(`Expected ephemeralStorage to be a Map, got ${show(ephemeralStorage)}`);
  }
  if (nodeName !== undefined) checkedText('nodeName', nodeName);
  const zeroFill = checkedFlag('zeroFill', options.zeroFill);
  const hasHealth = writesHealth(options.kubeletVersion ?? '1.37') || !zeroFill;
  return {
    ...(nodeName !== undefined && { node: { nodeName } }),
    pods: Array.from(checkedPods(podVolumeStats), ({ podRef, ephemeralVolumes, persistentVolumes }) => {
      const volume = [...ephemeralVolumes, ...persistentVolumes]
        .filter(({ metrics }) => metrics !== undefined || !zeroFill)
        .map((each) => volumeSummary(each, zeroFill, hasHealth));
      const { name, namespace, uid } = podRef;
      const ephemeral = ephemeralStorage?.get(uid);
      return {
        podRef: { name, namespace, uid },
        ...(volume.length > 0 && { volume }),
        ...(ephemeral !== undefined && { 'ephemeral-storage': ephemeralSummary(ephemeral) }),
      };
    }),
  };
}

/** @throws TypeError unless it has the stats of pods */
function* checkedPods(given: unknown): Generator<PodVolumeStats> {
  const what = 'the stats of pods, as podVolumeStats() of an analyzer gives them';
  if (typeof (given as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator] !== 'function') {
    throw new TypeError(`Expected podVolumeStats to be ${what}, got ${show(given)}`);
  }
  for (const each of given as Iterable<unknown>) {
    const pod = each as Partial<PodVolumeStats> | null | undefined;
    const volumes: unknown[] = [pod?.ephemeralVolumes, pod?.persistentVolumes];
    if (!pod?.podRef || !volumes.every((list) => Array.isArray(list) && list.every(isNamed))) {
      throw new TypeError(`Expected podVolumeStats to be ${what}, got ${show(each)} that is not of a pod`);
    }
    yield each as PodVolumeStats;
  }
}

function isNamed(volume: unknown): boolean {
  return typeof (volume as Partial<VolumeStats> | null | undefined)?.name === 'string';
}

/**
 * Whether a kubelet of this version writes `volumeHealthStats`.
 *
 * @throws TypeError unless it is a version
 */
function writesHealth(version: unknown): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)([.+-]|$)/.exec(typeof version === 'string' ? version : '') ?? [];
  if (minor === undefined) {
    throw new TypeError(`Expected kubeletVersion to be a version such as 1.36, got ${show(version)}`);
  }
  return major === '1' && Number(minor) >= 24 && Number(minor) <= 36;
}

function volumeSummary(
  { name, pvcRef, metrics }: VolumeStats,
  zeroFill: boolean,
  hasHealth: boolean,
): VolumeSummary {
  return {
    ...(metrics !== undefined && numbers(metrics, zeroFill)),
    name,
    ...(pvcRef !== undefined && { pvcRef: claim(pvcRef) }),
    ...(hasHealth &&
      metrics?.condition !== undefined && { volumeHealthStats: { abnormal: metrics.condition.abnormal } }),
  };
}

function numbers(metrics: Metrics, zeroFill: boolean): Partial<VolumeSummary> {
  const known = NUMBERS.flatMap(([name, field]) => {
    const given = quantityProblem(metrics[field]) === undefined ? metrics[field] : undefined;
    const value = given ?? (zeroFill ? 0n : undefined);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...timeText(metrics.time), ...Object.fromEntries(known) };
}

/** @throws TypeError naming the number that is wrong */
function ephemeralSummary({ time, used, inodesUsed }: EphemeralStorage): EphemeralStorageSummary {
  for (const [name, value] of Object.entries<unknown>({ used, inodesUsed: inodesUsed ?? 0n })) {
    const problem = quantityProblem(value ?? null);
    if (problem !== undefined) {
      throw new TypeError(`Expected ephemeralStorage to have ${name} as a bigint, but it is ${problem}`);
    }
  }
  return { ...timeText(time), usedBytes: used, ...(inodesUsed !== undefined && { inodesUsed }) };
}

function timeText(time: Date): { readonly time?: string } {
  const ms = msOfDate(time);
  return ms === undefined ? {} : { time: `${new Date(ms).toISOString().slice(0, 19)}Z` };
}

function claim({ name, namespace }: PersistentVolumeClaimRef): {
  readonly name: string;
  readonly namespace: string;
} {
  return { name, namespace };
}
