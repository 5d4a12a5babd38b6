import {
  MetricsBlock,
  MetricsDu,
  MetricsNil,
  MetricsStatFs,
  type MetricsProvider,
  type Pod,
  type StatsProvider,
  type VolumeMap,
} from 'kube-volume-metrics';
import { MetricsCsi } from 'kube-volume-metrics/csi';
import type { NodeOnDisk } from './node-on-disk.js';

// The pods, as the API server has them.
export const WEB: Pod = {
  metadata: { uid: 'c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a01', namespace: 'shop', name: 'web-0' },
  spec: {
    volumes: [
      { name: 'cache', emptyDir: {} },
      { name: 'certificate', secret: { secretName: 'web' } },
      { name: 'api-access', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
      { name: 'site', persistentVolumeClaim: { claimName: 'site-web-0' } },
    ],
  },
};

export const DATABASE: Pod = {
  metadata: { uid: 'c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a02', namespace: 'shop', name: 'database-0' },
  spec: {
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: 'data-database-0' } },
      { name: 'journal', persistentVolumeClaim: { claimName: 'journal-database-0' } },
    ],
  },
};

export const BACKUP: Pod = {
  metadata: { uid: 'c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a03', namespace: 'backup', name: 'backup-0' },
  spec: { volumes: [{ name: 'archive', persistentVolumeClaim: { claimName: 'archive' } }] },
};

export const AGENT: Pod = {
  metadata: { uid: 'c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a04', namespace: 'kube-system', name: 'log-agent' },
  spec: { volumes: [{ name: 'logs', hostPath: { path: '/var/log' } }] },
};

/** Who measures which volume: what the volume plugins of a kubelet decide. */
export function statsProviderOf(node: NodeOnDisk): StatsProvider {
  const { site, archive } = node;
  const volumes = new Map<Pod, VolumeMap>([
    [
      WEB,
      new Map<string, MetricsProvider>([
        ['cache', new MetricsDu(node.cache)],
        // The kubelet keeps these readings in a wrapper, which it makes anew about once a minute. An analyzer
        // asks no more often than that, so it needs none.
        ['certificate', new MetricsDu(node.certificate)],
        ['api-access', new MetricsDu(node.apiAccess)],
        ['site', csiVolume(site)],
      ]),
    ],
    [
      DATABASE,
      new Map<string, MetricsProvider>([
        // If nothing is mounted there (any more), it must not show the numbers of the node's own disk.
        ['data', new MetricsStatFs(node.database, { requireMount: node.mountObstacle === undefined })],
        ['journal', new MetricsBlock(node.journal)],
      ]),
    ],
    [BACKUP, new Map([['archive', csiVolume(archive)]])],
    [AGENT, new Map([['logs', new MetricsNil('a hostPath belongs to the host')]])],
  ]);
  const byUid = new Map([...volumes].map(([{ metadata }, map]) => [metadata.uid, map]));
  return {
    getPods: () => [...volumes.keys()],
    listVolumesForPod: (uid) => byUid.get(uid),
  };
}

function csiVolume({ storage, volume }: NodeOnDisk['site']): MetricsProvider {
  return new MetricsCsi({ client: storage.client, driverName: storage.name, ...volume });
}
