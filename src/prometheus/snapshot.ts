import type { Metrics } from '../metrics.js';
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
  readonly hasClaim: boolean;
  /** Of the last good reading; undefined if there is none. */
  readonly ageSeconds: number | undefined;
  /** The last good reading, unless it is too old to be exported. */
  readonly metrics: Metrics | undefined;
}

/**
 * One claim, with the freshest good reading of the volumes that use it: they all measure the same storage.
 */
export interface SeenClaim {
  readonly labels: Labels;
  readonly metrics: Metrics;
}

/** What is known of all volumes at the moment of a scrape, each with the labels of its series. */
export class Snapshot {
  readonly volumes: readonly SeenVolume[];
  readonly claims: readonly SeenClaim[];
  /** Durations of calls by provider. */
  readonly durations: readonly { readonly labels: Labels; readonly durations: CollectionDurations }[];
  readonly isListingFailed: boolean;
  /** How often the source has failed. */
  readonly sourceErrors: number;

  /** @param maxAgeMs - an older reading is not exported */
  constructor(answer: SourceAnswer, sourceErrors: number, labels: SeriesLabels, maxAgeMs: number) {
    const nowMs = Date.now();
    const ageMs = ({ time }: Metrics): number => nowMs - time.getTime();
    const claims = new FreshestClaims();
    for (const { ephemeralVolumes, persistentVolumes } of answer.pods) {
      for (const volumes of [ephemeralVolumes, persistentVolumes]) {
        for (const { pvcRef, metrics } of volumes) {
          if (pvcRef && metrics && ageMs(metrics) <= maxAgeMs) claims.add(pvcRef, metrics);
        }
      }
    }
    this.claims = claims.all().map(([pvcRef, metrics]) => ({ labels: labels.ofClaim(pvcRef), metrics }));
    this.volumes = volumesByName(answer.pods).map(([podRef, volume]) => {
      const { state, pvcRef, metrics } = volume;
      const age = metrics && ageMs(metrics);
      return {
        labels: labels.ofVolume(podRef, volume),
        stateLabels: labels.ofState(state),
        hasClaim: pvcRef !== undefined,
        ageSeconds: age === undefined ? undefined : age / 1000,
        metrics: age !== undefined && age <= maxAgeMs ? metrics : undefined,
      };
    });
    this.durations = Array.from(answer.durations, ([source, durations]) => ({
      labels: labels.ofSource(source),
      durations,
    }));
    this.isListingFailed = answer.isListingFailed;
    this.sourceErrors = sourceErrors;
  }
}

type ClaimReading = readonly [PersistentVolumeClaimRef, Metrics];

/** The freshest reading of each claim. */
class FreshestClaims {
  readonly #byNamespace = new Map<string, Map<string, ClaimReading>>();

  add(pvcRef: PersistentVolumeClaimRef, metrics: Metrics): void {
    let byName = this.#byNamespace.get(pvcRef.namespace);
    if (byName === undefined) {
      byName = new Map<string, ClaimReading>();
      this.#byNamespace.set(pvcRef.namespace, byName);
    }
    const known = byName.get(pvcRef.name);
    if (known === undefined || known[1].time < metrics.time) byName.set(pvcRef.name, [pvcRef, metrics]);
  }

  all(): ClaimReading[] {
    return [...this.#byNamespace.values()].flatMap((byName) => [...byName.values()]);
  }
}

/**
 * The volumes of all pods, each name once. Two pods may have the same name: one that ends and its successor,
 * or a static pod and its mirror. Series have no uid, so of namesakes the volume with the newest attempt is
 * taken.
 */
function volumesByName(pods: readonly PodVolumeStats[]): (readonly [PodRef, VolumeStats])[] {
  const byName = new Map<string, PodVolumeStats[]>();
  for (const pod of pods) {
    const name = JSON.stringify([pod.podRef.namespace, pod.podRef.name]);
    const namesakes = byName.get(name);
    if (namesakes === undefined) byName.set(name, [pod]);
    else namesakes.push(pod);
  }
  return [...byName.values()].flatMap((namesakes) => {
    const volumes = namesakes.flatMap(({ podRef, ephemeralVolumes, persistentVolumes }) =>
      [...ephemeralVolumes, ...persistentVolumes].map((volume) => [podRef, volume] as const),
    );
    return namesakes.length === 1 ? volumes : newestAttempts(volumes);
  });
}

function newestAttempts(
  volumes: readonly (readonly [PodRef, VolumeStats])[],
): (readonly [PodRef, VolumeStats])[] {
  const byName = new Map<string, readonly [PodRef, VolumeStats]>();
  for (const each of volumes) {
    const [, { name }] = each;
    const known = byName.get(name);
    if (known === undefined || attemptedMs(known[1]) < attemptedMs(each[1])) byName.set(name, each);
  }
  return [...byName.values()];
}

function attemptedMs({ attemptedAt }: VolumeStats): number {
  return attemptedAt?.getTime() ?? 0;
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
