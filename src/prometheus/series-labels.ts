import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import type { PodVolumeStats, VolumeState, VolumeStats } from '../stats/volume-stats.js';
import type { Labels } from './registry.js';

type PodRef = PodVolumeStats['podRef'];

/**
 * The labels of each series, the same object at each scrape as long as the pod or claim is the same object: then the clients need not
 * write their text again. Nothing is kept of pods and claims that are gone.
 */
export class SeriesLabels {
  readonly #claims = new WeakMap<PersistentVolumeClaimRef, Labels>();
  readonly #volumes = new WeakMap<PodRef, Map<string, Labels>>();
  readonly #podVolumes = new WeakMap<PodRef, Map<string, Labels>>();
  readonly #states = new Map<VolumeState, Labels>();
  readonly #sources = new Map<string, Labels>();

  /** The kubelet's: of a claim. */
  ofClaim(pvcRef: PersistentVolumeClaimRef): Labels {
    let labels = this.#claims.get(pvcRef);
    if (labels === undefined) {
      labels = { namespace: pvcRef.namespace, persistentvolumeclaim: pvcRef.name };
      this.#claims.set(pvcRef, labels);
    }
    return labels;
  }

  /** Those of kubernetes#141061: of a volume without a claim. */
  ofPodVolume(podRef: PodRef, name: string): Labels {
    return remembered(this.#podVolumes, podRef, name, () => ({
      namespace: podRef.namespace,
      pod: podRef.name,
      volume_name: name,
    }));
  }

  /** Ours: of any volume, with its claim where it has one. */
  ofVolume(podRef: PodRef, { name, pvcRef }: VolumeStats): Labels {
    // The claim is in the key: a volume may get another one.
    return remembered(this.#volumes, podRef, `${name}/${pvcRef?.name ?? ''}`, () => ({
      namespace: podRef.namespace,
      pod: podRef.name,
      volume_name: name,
      ...(pvcRef !== undefined && { persistentvolumeclaim: pvcRef.name }),
    }));
  }

  ofState(state: VolumeState): Labels {
    let labels = this.#states.get(state);
    if (labels === undefined) this.#states.set(state, (labels = { state }));
    return labels;
  }

  /** The kubelet's: of who measured. */
  ofSource(source: string): Labels {
    let labels = this.#sources.get(source);
    if (labels === undefined) this.#sources.set(source, (labels = { metric_source: source }));
    return labels;
  }
}

function remembered(
  known: WeakMap<PodRef, Map<string, Labels>>,
  podRef: PodRef,
  key: string,
  make: () => Labels,
): Labels {
  let ofPod = known.get(podRef);
  if (ofPod === undefined) known.set(podRef, (ofPod = new Map<string, Labels>()));
  let labels = ofPod.get(key);
  if (labels === undefined) ofPod.set(key, (labels = make()));
  return labels;
}
