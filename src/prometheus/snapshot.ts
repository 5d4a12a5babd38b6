import { msOfDate } from '../errors.js';
import type { Metrics } from '../metrics.js';
import { LARGEST_INT64, quantityProblem, type Quantity } from '../reading.js';
import type { CollectionDurations } from '../stats/collection.js';
import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import type { PodVolumeStats, VolumeState, VolumeStats } from '../stats/volume-stats.js';
import type { Labels } from './registry.js';

type PodRef = PodVolumeStats['podRef'];

/** What a source says at one moment. */
export interface SourceAnswer {
  readonly pods: readonly PodVolumeStats[];
  readonly durations: ReadonlyMap<string, CollectionDurations>;
  readonly isListingFailed: boolean;
}

/** One volume of a pod. */
export interface SeenVolume {
  readonly labels: Labels;
  readonly stateLabels: Labels;
  /** Of the last good reading; undefined if there is none. */
  readonly ageSeconds: number | undefined;
  /** The last good reading, unless it is too old to be exported. */
  readonly metrics: Metrics | undefined;
}

/** A reading whose numbers are exported: of a claim, or of a volume without one. */
export interface SeenReading {
  readonly labels: Labels;
  readonly metrics: Metrics;
  /** Whether its counts of inodes mean anything. */
  readonly hasInodes: boolean;
}

/** The counts of inodes. Without a limit they are left out together. */
export const INODES: readonly Quantity[] = ['inodes', 'inodesFree', 'inodesUsed'];

/**
 * What is known of all volumes at the moment of a scrape, each with the labels of its series. The source may
 * be foreign code: what has no labels is left out, and a reading without a time counts as none.
 */
export class Snapshot {
  readonly volumes: readonly SeenVolume[];
  /** Each claim with the freshest good reading of its volumes, which all measure the same storage. */
  readonly claims: readonly SeenReading[];
  /** The volumes without a claim. */
  readonly unclaimed: readonly SeenReading[];
  /** Durations of calls by provider. */
  readonly durations: readonly { readonly labels: Labels; readonly durations: CollectionDurations }[];
  readonly isListingFailed: boolean;
  /** How often the source has failed. */
  readonly sourceErrors: number;

  /** @param maxAgeMs - an older reading is not exported */
  constructor(answer: SourceAnswer, sourceErrors: number, labels: SeriesLabels, maxAgeMs: number) {
    const nowMs = Date.now();
    const volumes: SeenVolume[] = [];
    const unclaimed: SeenReading[] = [];
    eachVolumeByName(answer.pods, (podRef, volume) => {
      const { state, pvcRef, metrics } = volume;
      const ofVolume = labels.ofVolume(podRef, volume);
      const timeMs = msOfDate(metrics?.time);
      const ageMs = timeMs === undefined ? undefined : nowMs - timeMs;
      const isExported = ageMs !== undefined && ageMs <= maxAgeMs;
      volumes.push({
        labels: ofVolume,
        stateLabels: labels.ofState(state),
        ageSeconds: ageMs === undefined ? undefined : ageMs / 1000,
        metrics: isExported ? metrics : undefined,
      });
      if (isExported && metrics && !pvcRef) unclaimed.push(seenReading(ofVolume, metrics));
    });
    this.volumes = volumes;
    this.unclaimed = unclaimed;
    this.claims = freshestByClaim(answer.pods, nowMs - maxAgeMs, labels);
    this.durations = Array.from(answer.durations)
      .filter(([source, durations]) => areTexts(source) && areNumbers(durations))
      .map(([source, durations]) => ({ labels: labels.ofSource(source), durations }));
    this.isListingFailed = answer.isListingFailed;
    this.sourceErrors = sourceErrors;
  }
}

/**
 * Without a limit the counts of inodes mean nothing, and alerts on few free inodes fire
 * (kubernetes-mixin#820). A filesystem without a limit says 0 (btrfs), 2^63-1, 2^64-1 (CephFS) or nothing.
 */
function seenReading(labels: Labels, metrics: Metrics): SeenReading {
  const [inodes, inodesFree, inodesUsed] = INODES.map((name) => amountOf(metrics, name));
  const hasInodes = inodes !== 0n && !isNoLimit(inodes) && !isNoLimit(inodesFree) && !isNoLimit(inodesUsed);
  return { labels, metrics, hasInodes };
}

function isNoLimit(value: bigint | undefined): boolean {
  return value !== undefined && value >= LARGEST_INT64;
}

/** A number of a reading; undefined if it is absent or invalid. */
export function amountOf(metrics: Metrics, name: Quantity): bigint | undefined {
  return quantityProblem(metrics[name]) === undefined ? metrics[name] : undefined;
}

function areTexts(...values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'string');
}

function areNumbers({ count, sumSeconds, buckets }: CollectionDurations): boolean {
  return [count, sumSeconds, ...buckets.flatMap((each) => [each.leSeconds, each.count])].every(
    Number.isFinite,
  );
}

/** Whether it has what its labels are made of. */
function hasLabels(podRef: PodRef, { name, state, pvcRef }: VolumeStats): boolean {
  return (
    areTexts(podRef.namespace, podRef.name, name, state) &&
    (!pvcRef || areTexts(pvcRef.namespace, pvcRef.name))
  );
}

/** The freshest reading of each claim, without those from before `oldestMs`. */
function freshestByClaim(
  pods: readonly PodVolumeStats[],
  oldestMs: number,
  labels: SeriesLabels,
): SeenReading[] {
  interface Freshest {
    readonly timeMs: number;
    readonly seen: SeenReading;
  }
  const byNamespace = new Map<string, Map<string, Freshest>>();
  eachVolume(pods, (_podRef, { pvcRef, metrics }) => {
    if (!pvcRef || !metrics) return;
    const timeMs = msOfDate(metrics.time);
    if (timeMs === undefined || timeMs < oldestMs) return;
    let byName = byNamespace.get(pvcRef.namespace);
    if (byName === undefined) {
      byName = new Map<string, Freshest>();
      byNamespace.set(pvcRef.namespace, byName);
    }
    const known = byName.get(pvcRef.name);
    if (known === undefined || known.timeMs < timeMs) {
      byName.set(pvcRef.name, { timeMs, seen: seenReading(labels.ofClaim(pvcRef), metrics) });
    }
  });
  return [...byNamespace.values()].flatMap((byName) => Array.from(byName.values(), ({ seen }) => seen));
}

type VolumeVisitor = (podRef: PodRef, volume: VolumeStats) => void;

/**
 * Visits the volumes of all pods, each name once. Two pods may have the same name: one that ends and its
 * successor, or a static pod and its mirror. Series have no uid, so of namesakes the volume with the newest
 * attempt is taken.
 */
function eachVolumeByName(pods: readonly PodVolumeStats[], visit: VolumeVisitor): void {
  const byName = new Map<string, PodVolumeStats[]>();
  for (const pod of pods) {
    const name = JSON.stringify([pod.podRef.namespace, pod.podRef.name]);
    const namesakes = byName.get(name);
    if (namesakes === undefined) byName.set(name, [pod]);
    else namesakes.push(pod);
  }
  for (const namesakes of byName.values()) {
    if (namesakes.length === 1) eachVolume(namesakes, visit);
    else eachNewestAttempt(namesakes, visit);
  }
}

function eachVolume(pods: readonly PodVolumeStats[], visit: VolumeVisitor): void {
  for (const { podRef, ephemeralVolumes, persistentVolumes } of pods) {
    for (const volume of ephemeralVolumes) if (hasLabels(podRef, volume)) visit(podRef, volume);
    for (const volume of persistentVolumes) if (hasLabels(podRef, volume)) visit(podRef, volume);
  }
}

function eachNewestAttempt(namesakes: readonly PodVolumeStats[], visit: VolumeVisitor): void {
  const byName = new Map<string, readonly [PodRef, VolumeStats]>();
  eachVolume(namesakes, (podRef, volume) => {
    const known = byName.get(volume.name);
    if (known === undefined || attemptedMs(known[1]) < attemptedMs(volume)) {
      byName.set(volume.name, [podRef, volume]);
    }
  });
  for (const [podRef, volume] of byName.values()) visit(podRef, volume);
}

function attemptedMs({ attemptedAt }: VolumeStats): number {
  return msOfDate(attemptedAt) ?? 0;
}

interface VolumeLabels {
  readonly claim: string | undefined;
  readonly labels: Labels;
}

/**
 * The labels of each series. They stay the same object at each scrape as long as the pod or claim is the same
 * object, so that the clients need not write their text again. Nothing is kept of pods and claims that are
 * gone.
 */
export class SeriesLabels {
  readonly #claims = new WeakMap<PersistentVolumeClaimRef, Labels>();
  readonly #volumes = new WeakMap<PodRef, Map<string, VolumeLabels>>();
  readonly #states = new Map<VolumeState, Labels>();
  readonly #sources = new Map<string, Labels>();

  /** The kubelet's labels of a claim. */
  ofClaim(pvcRef: PersistentVolumeClaimRef): Labels {
    let labels = this.#claims.get(pvcRef);
    if (labels === undefined) {
      labels = { namespace: pvcRef.namespace, persistentvolumeclaim: pvcRef.name };
      this.#claims.set(pvcRef, labels);
    }
    return labels;
  }

  /** The labels of kubernetes#141061, and the volume's claim if it has one. */
  ofVolume(podRef: PodRef, { name, pvcRef }: VolumeStats): Labels {
    let volumes = this.#volumes.get(podRef);
    if (volumes === undefined) this.#volumes.set(podRef, (volumes = new Map<string, VolumeLabels>()));
    const claim = pvcRef?.name;
    let known = volumes.get(name);
    if (known === undefined || known.claim !== claim) {
      const labels = { namespace: podRef.namespace, pod: podRef.name, volume_name: name };
      known = { claim, labels: claim === undefined ? labels : { ...labels, persistentvolumeclaim: claim } };
      volumes.set(name, known);
    }
    return known.labels;
  }

  ofState(state: VolumeState): Labels {
    let labels = this.#states.get(state);
    if (labels === undefined) this.#states.set(state, (labels = { state }));
    return labels;
  }

  /** The kubelet's labels of a provider. */
  ofSource(source: string): Labels {
    let labels = this.#sources.get(source);
    if (labels === undefined) this.#sources.set(source, (labels = { metric_source: source }));
    return labels;
  }
}
