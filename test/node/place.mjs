import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where everything of the node lies, and under which names and ports it is reached. */

/** The kubelet's folder. A filesystem of its own while the node is up. */
export const KUBELET_ROOT = '/var/lib/kubelet';

/** Containerd's folder. cAdvisor looks for its socket nowhere else. */
export const CONTAINERD_STATE = '/run/containerd';
export const CONTAINERD_SOCKET = join(CONTAINERD_STATE, 'containerd.sock');

/** All that belongs to the node that is up. There is one node per machine, and this folder is its lock. */
export const STATE = '/var/tmp/kube-volume-metrics-node';
export const BIN = join(STATE, 'bin');
export const LOGS = join(STATE, 'log');
export const PKI = join(STATE, 'pki');
/** The volumes of the CSI drivers: folders, images `ID.img`, verdicts on their health in `ID.health`. */
export const CSI_VOLUMES = join(STATE, 'csi');
/** What hostPath volumes show. */
export const HOST_PATH = join(STATE, 'host-path');
/** A filesystem for the volume of kind `local`. */
export const LOCAL_VOLUME = join(STATE, 'local');
/** Pods that the kubelet runs without the API server. */
export const STATIC_PODS = join(STATE, 'static-pods');
export const ADMIN_KUBECONFIG = join(PKI, 'admin.kubeconfig');

/** The parent of the cgroups of all pods, in each hierarchy. */
export const CGROUP = 'kube-volume-metrics-node';

/** What is built outlives a checkout. */
export const CACHE = join(
  process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'),
  'kube-volume-metrics',
  'node',
);

export const NODE_NAME = 'node1';
export const PORTS = {
  etcd: 2379,
  etcdPeer: 2380,
  apiServer: 6443,
  kubelet: 10250,
  kubeletReadOnly: 10255,
  kubeletHealth: 10248,
};
export const API_SERVER = `https://127.0.0.1:${PORTS.apiServer}`;
export const KUBELET = `https://127.0.0.1:${PORTS.kubelet}`;

/** The image of every container: busybox. It is nowhere but in containerd. */
export const IMAGE = 'localhost/kube-volume-metrics/box:1';

/** A driver with stats, health, block and inline volumes, and one that measures nothing. */
export const DRIVER = 'hostpath.mini.example';
export const DRIVER_WITHOUT_STATS = 'nostats.mini.example';
