import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CsiNodeClient, MetricsCsi } from '../../../src/csi/index.js';
import {
  CachedMetrics,
  MetricsBlock,
  MetricsDu,
  MetricsNil,
  MetricsStatFs,
  type MetricsProvider,
  type Pod,
  type PodVolume,
  type StatsProvider,
  type VolumeMap,
} from '../../../src/index.js';
import { get, kubeletText } from '../doors.mjs';
import { KUBELET_ROOT } from '../place.mjs';

/** Of a reading that the kubelet caches until it syncs the pod again. */
const CACHED_MS = 3000;

interface NodePod extends Pod {
  readonly status?: { readonly containerStatuses?: readonly { readonly state?: { running?: object } }[] };
}

interface PersistentVolume {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly volumeMode?: string;
    readonly claimRef?: { readonly namespace: string; readonly name: string };
    readonly csi?: { readonly driver: string; readonly volumeHandle: string };
    readonly local?: object;
  };
}

/** How a volume is measured. `plugin` is for those who read about a difference. */
export interface MeasuredVolume {
  readonly plugin: string;
  readonly provider: MetricsProvider;
}

/**
 * The volumes of the node's pods with the providers that the kubelet would use, from the kubelet's list of pods
 * and the API server's volumes. Only pods with a running container count, as in the kubelet's statistics.
 */
export class NodeVolumes implements StatsProvider {
  readonly #clients = new Map<string, CsiNodeClient>();
  readonly #volumes = new Map<string, ReadonlyMap<string, MeasuredVolume>>();

  /** The pods of now. What `listVolumesForPod` and `volumesOf` say is of this moment, too. */
  async getPods(): Promise<readonly Pod[]> {
    const { items: all } = JSON.parse(await kubeletText('/pods')) as { items: readonly NodePod[] | null };
    const { items: volumes } = (await get('/api/v1/persistentvolumes')) as { items: PersistentVolume[] };
    const pods = (all ?? []).filter(({ status }) =>
      status?.containerStatuses?.some(({ state }) => state?.running !== undefined),
    );
    const known = new Set(pods.map(({ metadata }) => metadata.uid));
    for (const uid of this.#volumes.keys()) if (!known.has(uid)) this.#volumes.delete(uid);
    for (const pod of pods) {
      // The same providers as long as the pod lives: a cached one keeps its reading.
      if (!this.#volumes.has(pod.metadata.uid)) this.#volumes.set(pod.metadata.uid, this.#of(pod, volumes));
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
    for (const client of this.#clients.values()) client.close();
  }

  #of(pod: Pod, volumes: readonly PersistentVolume[]): ReadonlyMap<string, MeasuredVolume> {
    return new Map(
      (pod.spec.volumes ?? []).map((volume) => [volume.name, this.#measured(pod, volume, volumes)]),
    );
  }

  #measured(pod: Pod, volume: PodVolume, volumes: readonly PersistentVolume[]): MeasuredVolume {
    const { uid, namespace, name } = pod.metadata;
    const claimName =
      volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${name}-${volume.name}`);
    if (claimName !== undefined && claimName !== null) {
      const bound = volumes.find(
        ({ spec }) => spec.claimRef?.name === claimName && spec.claimRef.namespace === namespace,
      );
      if (bound === undefined) throw new Error(`no volume is bound to the claim ${namespace}/${claimName}`);
      return this.#persistent(uid, bound);
    }
    const path = (plugin: string): string => volumePath(uid, plugin, volume.name);
    const mounted = { requireMount: true };
    if (volume.emptyDir) {
      const { medium } = volume.emptyDir;
      const directory = path('empty-dir');
      return medium
        ? { plugin: `emptyDir (${medium})`, provider: new MetricsDu(directory, mounted) }
        : { plugin: 'emptyDir', provider: new MetricsDu(directory) };
    }
    if (volume.configMap) return { plugin: 'configMap', provider: cached(new MetricsDu(path('configmap'))) };
    if (volume.secret) return { plugin: 'secret', provider: cached(new MetricsDu(path('secret'), mounted)) };
    if (volume.projected) {
      return { plugin: 'projected', provider: cached(new MetricsDu(path('projected'), mounted)) };
    }
    if (volume.downwardAPI) {
      return { plugin: 'downwardAPI', provider: cached(new MetricsDu(path('downward-api'), mounted)) };
    }
    const { driver } = (volume.csi ?? {}) as { driver?: string };
    if (driver !== undefined) {
      const handle = `csi-${createHash('sha256')
        .update(uid + volume.name)
        .digest('hex')}`;
      return { plugin: 'csi (inline)', provider: this.#csi(driver, handle, join(path('csi'), 'mount')) };
    }
    return { plugin: volume.hostPath ? 'hostPath' : 'other', provider: new MetricsNil() };
  }

  #persistent(uid: string, { metadata: { name }, spec }: PersistentVolume): MeasuredVolume {
    const isBlock = spec.volumeMode === 'Block';
    if (spec.csi) {
      const { driver, volumeHandle } = spec.csi;
      const path = isBlock
        ? join(KUBELET_ROOT, 'plugins/kubernetes.io/csi/volumeDevices', name, 'dev', uid)
        : join(volumePath(uid, 'csi', name), 'mount');
      return { plugin: isBlock ? 'csi (block)' : 'csi', provider: this.#csi(driver, volumeHandle, path) };
    }
    if (spec.local) {
      const device = join(KUBELET_ROOT, 'plugins/kubernetes.io~local-volume/volumeDevices', name, uid);
      return isBlock
        ? { plugin: 'local (block)', provider: new MetricsBlock(device) }
        : {
            plugin: 'local',
            provider: new MetricsStatFs(volumePath(uid, 'local-volume', name), { requireMount: true }),
          };
    }
    return { plugin: 'other', provider: new MetricsNil() };
  }

  #csi(driver: string, volumeId: string, volumePath: string): MetricsProvider {
    let client = this.#clients.get(driver);
    if (client === undefined) {
      client = new CsiNodeClient(join(KUBELET_ROOT, 'plugins', driver, 'csi.sock'));
      this.#clients.set(driver, client);
    }
    return new MetricsCsi({ client, driverName: driver, volumeId, volumePath });
  }
}

function volumePath(uid: string, plugin: string, name: string): string {
  return join(KUBELET_ROOT, 'pods', uid, 'volumes', `kubernetes.io~${plugin}`, name);
}

function cached(provider: MetricsProvider): MetricsProvider {
  return new CachedMetrics(provider, { maxAgeMs: CACHED_MS });
}
