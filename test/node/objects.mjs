import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { api } from './doors.mjs';
import { DRIVER, DRIVER_WITHOUT_STATS, IMAGE, NODE_NAME, PKI } from './place.mjs';

/** Makes objects in the API server. No controller runs: what one would do is done here, by hand. */

const KINDS = {
  Namespace: ['/api/v1', 'namespaces'],
  ServiceAccount: ['/api/v1', 'serviceaccounts'],
  ConfigMap: ['/api/v1', 'configmaps'],
  Secret: ['/api/v1', 'secrets'],
  Pod: ['/api/v1', 'pods'],
  PersistentVolume: ['/api/v1', 'persistentvolumes'],
  PersistentVolumeClaim: ['/api/v1', 'persistentvolumeclaims'],
  CSIDriver: ['/apis/storage.k8s.io/v1', 'csidrivers'],
  StorageClass: ['/apis/storage.k8s.io/v1', 'storageclasses'],
  ClusterRole: ['/apis/rbac.authorization.k8s.io/v1', 'clusterroles'],
  ClusterRoleBinding: ['/apis/rbac.authorization.k8s.io/v1', 'clusterrolebindings'],
};
const NAMESPACED = ['ServiceAccount', 'ConfigMap', 'Secret', 'Pod', 'PersistentVolumeClaim'];
const RBAC = 'rbac.authorization.k8s.io';
const STORAGE_CLASS = 'manual';

/** The path of an object, or of all objects of a kind if it has no name. */
export function pathOf(kind, name, namespace = 'default') {
  const [group, plural] = KINDS[kind];
  const parts = [group, ...(NAMESPACED.includes(kind) ? ['namespaces', namespace] : []), plural];
  return [...parts, ...(name === undefined ? [] : [name])].join('/');
}

/**
 * Makes an object, unless there is one of that name.
 *
 * @param {string} kind
 * @param {string} name
 * @param {Record<string, any>} [options] - `namespace`, `labels`, `ownerReferences`, and the object's other parts
 * @returns {Promise<any>} what is there now
 */
export async function make(kind, name, { namespace = 'default', labels, ownerReferences, ...rest } = {}) {
  const apiVersion = KINDS[kind][0].replace(/^\/apis?\//, '');
  const metadata = { name, ...(labels && { labels }), ...(ownerReferences && { ownerReferences }) };
  const made = await api('POST', pathOf(kind, undefined, namespace), { apiVersion, kind, metadata, ...rest });
  if (made.status === 409) return (await api('GET', pathOf(kind, name, namespace))).object;
  return accepted(made, `${kind} ${namespace}/${name}`);
}

/** Deletes an object at once, and waits until it is gone. */
export async function remove(kind, name, namespace) {
  const path = pathOf(kind, name, namespace);
  await api('DELETE', path, { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 });
  while ((await api('GET', path)).status !== 404) await delay(100);
}

async function patch(path, change) {
  return accepted(await api('PATCH', path, change, 'application/merge-patch+json'), path);
}

function accepted({ status, object }, what) {
  if (status !== 200 && status !== 201) throw new Error(`${what}: ${status} ${object.message}`);
  return object;
}

/** What every node has: accounts, drivers, a storage class. */
export async function makeBasics() {
  for (const name of ['default', 'kube-system']) {
    while ((await api('GET', pathOf('Namespace', name))).status !== 200) await delay(100);
  }
  await make('Namespace', 'other');
  const ca = readFileSync(join(PKI, 'ca.crt'), 'utf8');
  for (const namespace of ['default', 'kube-system', 'other']) {
    await make('ServiceAccount', 'default', { namespace });
    await make('ConfigMap', 'kube-root-ca.crt', { namespace, data: { 'ca.crt': ca } });
  }
  await make('CSIDriver', DRIVER, {
    spec: {
      attachRequired: false,
      podInfoOnMount: true,
      volumeLifecycleModes: ['Persistent', 'Ephemeral'],
      fsGroupPolicy: 'File',
    },
  });
  await make('CSIDriver', DRIVER_WITHOUT_STATS, {
    spec: { attachRequired: false, podInfoOnMount: false, volumeLifecycleModes: ['Persistent'] },
  });
  await make('StorageClass', STORAGE_CLASS, {
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
}

/** An account that may `get` some subresources of nodes, and nothing else. */
export async function makeAccount(name, subresources) {
  await make('ServiceAccount', name);
  if (subresources.length === 0) return;
  const role = `kubelet-${name}`;
  const resources = subresources.map((each) => `nodes/${each}`);
  await make('ClusterRole', role, { rules: [{ apiGroups: [''], resources, verbs: ['get'] }] });
  await make('ClusterRoleBinding', role, {
    roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
  });
}

/**
 * A claim and a volume `pv-NAME`, bound to each other.
 *
 * @param {string} name
 * @param {object} options
 * @param {string} options.size
 * @param {object} options.source - of the volume, such as `{ csi: ... }`
 * @param {string} [options.namespace]
 * @param {'Filesystem' | 'Block'} [options.mode]
 * @param {string} [options.access]
 * @param {object} [options.labels] - of the claim
 * @param {object[]} [options.ownerReferences] - of the claim
 */
export async function makeClaim(
  name,
  {
    size,
    source,
    namespace = 'default',
    mode = 'Filesystem',
    access = 'ReadWriteOnce',
    labels,
    ownerReferences,
  },
) {
  const volume = `pv-${name}`;
  const common = { accessModes: [access], volumeMode: mode, storageClassName: STORAGE_CLASS };
  await make('PersistentVolume', volume, {
    spec: {
      ...common,
      capacity: { storage: size },
      persistentVolumeReclaimPolicy: 'Retain',
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name },
      ...('local' in source && { nodeAffinity: ON_THIS_NODE }),
      ...source,
    },
  });
  const claim = await make('PersistentVolumeClaim', name, {
    namespace,
    labels,
    ownerReferences,
    spec: { ...common, volumeName: volume, resources: { requests: { storage: size } } },
  });
  const { uid, resourceVersion } = claim.metadata;
  const volumePath = pathOf('PersistentVolume', volume);
  await patch(volumePath, { spec: { claimRef: { uid, resourceVersion } } });
  await patch(`${volumePath}/status`, { status: { phase: 'Bound' } });
  await patch(`${pathOf('PersistentVolumeClaim', name, namespace)}/status`, {
    status: { phase: 'Bound', accessModes: [access], capacity: { storage: size } },
  });
}

const ON_THIS_NODE = {
  required: {
    nodeSelectorTerms: [
      { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [NODE_NAME] }] },
    ],
  },
};

/**
 * A pod on the node with one container, which mounts each volume at `/v/NAME`.
 *
 * @param {string} name
 * @param {object} [options]
 * @param {string} [options.namespace]
 * @param {object[]} [options.volumes]
 * @param {string} [options.shell] - what the container runs; by default it sleeps
 * @param {string[]} [options.devices] - the volumes that are block devices
 * @param {string[]} [options.unmounted] - the volumes that the container does not have
 * @param {object[]} [options.mounts] - more mounts
 * @param {'Always' | 'Never'} [options.restartPolicy]
 * @param {object} [options.labels]
 * @param {object} [options.spec] - more of the pod's spec
 */
export async function makePod(name, { namespace = 'default', labels, ...rest } = {}) {
  return await make('Pod', name, { namespace, labels, spec: { nodeName: NODE_NAME, ...podSpec(rest) } });
}

/** The spec of such a pod; `nodeName` is left out. */
export function podSpec({
  volumes = [],
  shell = SLEEP,
  devices = [],
  unmounted = [],
  mounts = [],
  restartPolicy = 'Always',
  spec = {},
}) {
  const container = {
    name: 'main',
    image: IMAGE,
    imagePullPolicy: 'Never',
    command: ['/bin/sh', '-c', shell],
    volumeMounts: [
      ...volumes
        .filter(({ name }) => !devices.includes(name) && !unmounted.includes(name))
        .map(({ name }) => ({ name, mountPath: `/v/${name}` })),
      ...mounts,
    ],
    ...(devices.length > 0 && {
      volumeDevices: devices.map((each) => ({ name: each, devicePath: `/dev/${each}` })),
    }),
  };
  const common = { hostNetwork: true, terminationGracePeriodSeconds: 0, restartPolicy };
  return { ...common, containers: [container], volumes, ...spec };
}

export const SLEEP = 'sleep 1000000';
