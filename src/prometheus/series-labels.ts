import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import type { PodVolumeStats, VolumeState, VolumeStats } from '../stats/volume-stats.js';
import type { Labels } from './registry.js';

type PodRef = PodVolumeStats['podRef'];

interface VolumeLabels {
  readonly claim: string | undefined;
  readonly labels: Labels;
}

/**
 * The labels of each series, the same object at each scrape as long as the pod or claim is the same object: then the clients need not
 * write their text again. Nothing is kept of pods and claims that are gone.
 */
export class SeriesLabels {
  readonly #claims = new WeakMap<PersistentVolumeClaimRef, Labels>();
  readonly #volumes = new WeakMap<PodRef, Map<string, VolumeLabels>>();
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

  /** Those of kubernetes#141061, and its claim where the volume has one. */
  ofVolume(podRef: PodRef, { name, pvcRef }: VolumeStats): Labels {
    let volumes = this.#volumes.get(podRef);
    if (volumes === undefined) this.#volumes.set(podRef, (volumes = new Map<string, VolumeLabels>()));
    let known = volumes.get(name);
    if (known === undefined || known.claim !== pvcRef?.name) {
      const labels = { namespace: podRef.namespace, pod: podRef.name, volume_name: name };
      known =
        pvcRef === undefined
          ? { claim: undefined, labels }
          : { claim: pvcRef.name, labels: { ...labels, persistentvolumeclaim: pvcRef.name } };
      volumes.set(name, known);
    }
    return known.labels;
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
