import { join } from 'node:path';
import type { MetricsProvider, Pod, StatsProvider, VolumeMap } from '../../../src/index.js';
import {
  ApiClient,
  apiServerClaims,
  KubeletClient,
  KubeletNode,
  kubeletPods,
  type PodSource,
} from '../../../src/kubelet/index.js';
import { API_SERVER, KUBELET, PKI } from '../place.mjs';

/**
 * For how long a node is asked before a new one takes its place. The kubelet of the tests syncs its pods
 * every few seconds, and then measures what it keeps until the next time; a node keeps that for a minute.
 */
const KEPT_MS = 3000;

/** How a volume is measured. `plugin` is for those who read about a difference. */
export interface MeasuredVolume {
  readonly plugin: string;
  readonly provider: MetricsProvider;
}

/**
 * The volumes of the node's pods, as a `KubeletNode` finds them. Only pods with a running container count, as
 * in the kubelet's statistics.
 */
export class NodeVolumes implements StatsProvider {
  readonly #kubelet: KubeletClient;
  readonly #api: ApiClient;
  #node: KubeletNode | undefined;
  #madeMs = 0;
  readonly #volumes = new Map<string, ReadonlyMap<string, MeasuredVolume>>();

  constructor() {
    const file = (name: string): string => join(PKI, name);
    const auth = { type: 'tls', certFile: file('admin.crt'), keyFile: file('admin.key') } as const;
    const doors = { caFile: file('ca.crt'), auth };
    this.#kubelet = new KubeletClient({ endpoint: KUBELET, ...doors });
    this.#api = new ApiClient({ endpoint: API_SERVER, ...doors });
  }

  /** The pods of now. What `listVolumesForPod` and `volumesOf` say is of this moment, too. */
  async getPods(): Promise<readonly Pod[]> {
    const node = this.#nodeOfNow();
    const pods = await node.getPods();
    this.#volumes.clear();
    for (const { metadata } of pods) {
      const providers = (await node.listVolumesForPod(metadata.uid)) ?? new Map<string, MetricsProvider>();
      const described = (await node.describe(metadata.uid)) ?? [];
      const plugins = new Map(
        described.map(({ name, plugin, mode, kind }) => [
          name,
          `${plugin ?? kind}${mode === 'Block' ? ' (block)' : ''}`,
        ]),
      );
      const volumes = Array.from(
        providers,
        ([name, provider]) => [name, { plugin: plugins.get(name) ?? 'unknown', provider }] as const,
      );
      this.#volumes.set(metadata.uid, new Map(volumes));
    }
    return pods;
  }

  listVolumesForPod(uid: string): VolumeMap | undefined {
    const volumes = this.#volumes.get(uid);
    return volumes && new Map(Array.from(volumes, ([name, { provider }]) => [name, provider]));
  }

  /** The volumes of a pod by name. */
  volumesOf(uid: string): ReadonlyMap<string, MeasuredVolume> {
    return this.#volumes.get(uid) ?? new Map<string, MeasuredVolume>();
  }

  close(): void {
    for (const each of [this.#node, this.#kubelet, this.#api]) each?.close();
  }

  #nodeOfNow(): KubeletNode {
    if (this.#node !== undefined && performance.now() - this.#madeMs < KEPT_MS) return this.#node;
    // Nothing of it is measured now: a comparison lists the pods before it measures.
    this.#node?.close();
    this.#madeMs = performance.now();
    this.#node = new KubeletNode({
      pods: runningPods(kubeletPods(this.#kubelet)),
      claims: apiServerClaims(this.#api),
    });
    return this.#node;
  }
}

/** The pods that have a running container. */
function runningPods(source: PodSource): PodSource {
  return {
    name: source.name,
    async pods(options) {
      const { pods, problems } = await source.pods(options);
      const isRunning = ({ containers }: (typeof pods)[number]): boolean =>
        containers.some(({ state }) => state?.name === 'running');
      return { pods: pods.filter(isRunning), problems };
    },
  };
}
