import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { start } from './daemons.mjs';
import * as place from './place.mjs';

/** The daemons of a node, with their arguments and files of configuration. */

const { BIN, CONTAINERD_SOCKET, CSI_VOLUMES, KUBELET_ROOT, NODE_NAME, PKI, PORTS, STATE } = place;

export function startEtcd() {
  const [client, peer] = [PORTS.etcd, PORTS.etcdPeer].map((port) => `http://127.0.0.1:${port}`);
  start('etcd', [
    join(BIN, 'etcd'),
    '--name=node',
    `--data-dir=${join(STATE, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=node=${peer}`,
    '--unsafe-no-fsync',
  ]);
}

export function startContainerd() {
  // Pods use the network of the host. The kubelet calls a node ready once there is any network.
  const network = { cniVersion: '0.4.0', name: 'none', plugins: [{ type: 'none' }] };
  writeFileSync(join(STATE, 'cni/none.conflist'), JSON.stringify(network));
  const config = `
version = 3
root = "${join(STATE, 'containerd')}"
state = "${place.CONTAINERD_STATE}"
disabled_plugins = [${[
    'nri.v1.nri',
    'snapshotter.v1.btrfs',
    'snapshotter.v1.zfs',
    'snapshotter.v1.devmapper',
    'snapshotter.v1.blockfile',
    'snapshotter.v1.erofs',
    'differ.v1.erofs',
    'tracing.processor.v1.otlp',
    'internal.v1.tracing',
  ]
    .map((name) => `"io.containerd.${name}"`)
    .join(', ')}]
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(STATE, 'opt')}"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${place.IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE a score cannot be lowered.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${BIN}"]
    conf_dir = "${join(STATE, 'cni')}"
    use_internal_loopback = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "${join(BIN, 'runc')}"
      SystemdCgroup = false
`;
  writeFileSync(join(STATE, 'containerd.toml'), config);
  start('containerd', [join(BIN, 'containerd'), '--config', join(STATE, 'containerd.toml')]);
}

export function startApiServer(gates) {
  const key = (name) => join(PKI, name);
  start('kube-apiserver', [
    join(BIN, 'kube-apiserver'),
    `--etcd-servers=http://127.0.0.1:${PORTS.etcd}`,
    '--bind-address=127.0.0.1',
    `--secure-port=${PORTS.apiServer}`,
    `--advertise-address=${address()}`,
    '--endpoint-reconciler-type=none',
    '--service-cluster-ip-range=10.96.0.0/24',
    '--authorization-mode=Node,RBAC',
    `--client-ca-file=${key('ca.crt')}`,
    `--tls-cert-file=${key('apiserver.crt')}`,
    `--tls-private-key-file=${key('apiserver.key')}`,
    `--service-account-key-file=${key('sa.pub')}`,
    `--service-account-signing-key-file=${key('sa.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--kubelet-client-certificate=${key('apiserver-kubelet.crt')}`,
    `--kubelet-client-key=${key('apiserver-kubelet.key')}`,
    `--kubelet-certificate-authority=${key('ca.crt')}`,
    '--kubelet-preferred-address-types=Hostname,InternalIP',
    '--enable-admission-plugins=NodeRestriction',
    `--feature-gates=${gates.join(',')}`,
    `--cert-dir=${join(STATE, 'apiserver')}`,
  ]);
}

/** An address of this machine. The API server takes none of the loopback network. */
function address() {
  const all = Object.values(networkInterfaces()).flat();
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}

export function startKubelet(more, gates) {
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: '127.0.0.1',
    port: PORTS.kubelet,
    readOnlyPort: PORTS.kubeletReadOnly,
    healthzPort: PORTS.kubeletHealth,
    staticPodPath: place.STATIC_PODS,
    podLogsDir: join(STATE, 'pod-logs'),
    tlsCertFile: join(PKI, 'kubelet-server.crt'),
    tlsPrivateKeyFile: join(PKI, 'kubelet-server.key'),
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true, cacheTTL: '10s' },
      x509: { clientCAFile: join(PKI, 'ca.crt') },
    },
    authorization: {
      mode: 'Webhook',
      webhook: { cacheAuthorizedTTL: '10s', cacheUnauthorizedTTL: '5s' },
    },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${place.CGROUP}`,
    failCgroupV1: false,
    failSwapOn: false,
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    volumePluginDir: join(STATE, 'volume-plugins'),
    volumeStatsAggPeriod: '20s',
    syncFrequency: '10s',
    fileCheckFrequency: '2s',
    resolvConf: '/etc/resolv.conf',
    makeIPTablesUtilChains: false,
    containerLogMaxSize: '1Mi',
    evictionHard: {
      'imagefs.available': '1Gi',
      'memory.available': '100Mi',
      'nodefs.available': '200Mi',
      'nodefs.inodesFree': '1%',
    },
    featureGates: Object.fromEntries(
      gates.map((gate) => gate.split('=')).map(([name, value]) => [name, value === 'true']),
    ),
    ...more,
  };
  writeFileSync(join(STATE, 'kubelet.json'), JSON.stringify(config, undefined, 2));
  start('kubelet', [
    join(BIN, 'kubelet'),
    `--config=${join(STATE, 'kubelet.json')}`,
    `--kubeconfig=${join(PKI, 'kubelet.kubeconfig')}`,
    `--hostname-override=${NODE_NAME}`,
    `--root-dir=${KUBELET_ROOT}`,
    `--cert-dir=${join(STATE, 'kubelet-pki')}`,
    '--v=2',
  ]);
}

export function startDriver(daemon, name, flags) {
  const common = [`-name=${name}`, `-node=${NODE_NAME}`, `-dir=${CSI_VOLUMES}`, `-root=${KUBELET_ROOT}`];
  start(daemon, [join(BIN, 'csi-driver'), ...common, ...flags]);
}
