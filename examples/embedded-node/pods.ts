import type { ApiPod, ApiVolume } from 'kube-volume-metrics/testing/kubelet';

export const NODE_NAME = 'embedded';

/** A pod whose one container uses all its volumes; those of `devices` as raw devices. */
function pod(
  uid: string,
  namespace: string,
  name: string,
  volumes: ApiVolume[],
  ...devices: string[]
): ApiPod {
  const mounts = volumes.filter((each) => !devices.includes(each.name));
  return {
    metadata: { uid, namespace, name },
    spec: {
      volumes,
      containers: [
        {
          name: 'main',
          volumeMounts: mounts.map((each) => ({ name: each.name, mountPath: `/${each.name}` })),
          volumeDevices: devices.map((each) => ({ name: each, devicePath: `/dev/${each}` })),
        },
      ],
    },
    status: { phase: 'Running' },
  };
}

// The pods, as the kubelet has them.
export const WEB = pod('c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a01', 'shop', 'web-0', [
  { name: 'cache', emptyDir: {} },
  { name: 'scratch', emptyDir: { medium: 'Memory' } },
  { name: 'certificate', secret: { secretName: 'web' } },
  { name: 'api-access', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } },
  { name: 'site', persistentVolumeClaim: { claimName: 'site-web-0' } },
]);

export const DATABASE = pod(
  ...(['c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a02', 'shop', 'database-0'] as const),
  [
    { name: 'data', persistentVolumeClaim: { claimName: 'data-database-0' } },
    { name: 'journal', persistentVolumeClaim: { claimName: 'journal-database-0' } },
  ],
  'journal',
);

export const BACKUP = pod('c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a03', 'backup', 'backup-0', [
  { name: 'archive', persistentVolumeClaim: { claimName: 'archive' } },
]);

export const AGENT = pod('c1f5a5b0-7a5f-4d0c-9c3e-5b8f7f1f0a04', 'kube-system', 'log-agent', [
  { name: 'logs', hostPath: { path: '/var/log' } },
]);
