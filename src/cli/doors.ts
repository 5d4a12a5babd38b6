import { accessSync, constants } from 'node:fs';
import { homedir, hostname } from 'node:os';
import type { ApiClient, DoorAuth, KubeletClient } from '../kubelet/index.js';
import { UsageError } from './command.js';
import { withFlags, type DoorValues, type KubectlValues } from './door-flags.js';
import { nodeCredentials, type NodeCredentials } from './node-credentials.js';

/**
 * Where kubelets keep the credentials that open the API server for their own node: kubeadm, k3s, RKE2, k0s,
 * MicroK8s, EKS.
 */
const NODE_KUBECONFIGS = [
  '/etc/kubernetes/kubelet.conf',
  '/var/lib/rancher/k3s/agent/kubelet.kubeconfig',
  '/var/lib/rancher/rke2/agent/kubelet.kubeconfig',
  '/var/lib/k0s/kubelet.conf',
  '/var/snap/microk8s/current/credentials/kubelet.config',
  '/var/lib/kubelet/kubeconfig',
];

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The kubelet's certificate below its root: the cluster's authority has signed the first, nobody the second.
 */
const OWN_CERTIFICATES = ['pki/kubelet-server-current.pem', 'pki/kubelet.crt'];

/** Who can be asked about this node, as far as the options and the place where this runs tell. */
export interface Doors {
  /** The kubelet's root. Undefined if none was found: then the disk tells nothing. */
  readonly rootDir: string | undefined;
  /** Why there is no `rootDir`. */
  readonly rootProblem?: unknown;
  /** Undefined without credentials, unless its address is given. */
  readonly kubelet?: KubeletClient;
  /** Undefined if there is neither a service account nor a kubeconfig. */
  readonly api?: ApiClient;
  /** Undefined in a pod that was not told. */
  readonly nodeName: string | undefined;
  /** Whether `nodeName` is only what the host calls itself. */
  readonly isNodeNameGuessed: boolean;
  close(): void;
}

/**
 * Finds out who can be asked, and asks nobody yet. Loads the kubelet's part of the package, which most
 * commands do without.
 *
 * @param timeoutMs - for each call
 * @param isRefusalWanted - whether to ask the kubelet also where nothing but the node's own credentials is
 * there: it refuses them, and says which right is missing
 * @throws UsageError if the options do not go together
 */
export async function openDoors(
  values: DoorValues,
  timeoutMs: number,
  isRefusalWanted = false,
): Promise<Doors> {
  const { root, pods, node = '' } = values;
  let rootDir = root;
  let rootProblem: unknown;
  const { findKubeletRoot } = await import('../kubelet/index.js');
  try {
    rootDir ??= findKubeletRoot();
  } catch (error) {
    rootProblem = error;
  }
  const own = rootDir === undefined ? undefined : ownCredentials(values);
  const shown = isRefusalWanted ? own : undefined;
  const isAsked = pods !== 'api' && pods !== 'disk';
  const kubelet = isAsked ? await kubeletOf(values, rootDir, shown, timeoutMs) : undefined;
  const api = pods === 'disk' ? undefined : await apiServerOf(values, timeoutMs);
  if (pods === 'api' && api === undefined) throw new UsageError(`--pods api needs ${API_NEEDS}`);
  return {
    rootDir,
    ...(rootDir === undefined && { rootProblem }),
    ...(kubelet !== undefined && { kubelet }),
    ...(api !== undefined && { api }),
    nodeName: node === '' ? (own?.nodeName ?? nodeNameHere()) : node,
    isNodeNameGuessed: node === '' && own === undefined && !isInPod(),
    close() {
      kubelet?.close();
      api?.close();
    },
  };
}

/** What it takes to ask the API server, for people. */
export const API_NEEDS = "a pod's service account, --kubeconfig, --context, or a kubeconfig of kubectl";

/** @returns undefined if there is nothing to show it and nobody wants it to be asked */
async function kubeletOf(
  values: DoorValues,
  rootDir: string | undefined,
  own: NodeCredentials | undefined,
  timeoutMs: number,
): Promise<KubeletClient | undefined> {
  const { kubelet: endpoint, pods, caFile, serverName, pinnedCert, insecureSkipTlsVerify } = values;
  const auth = authOf(values, own);
  if (auth.type === 'none' && endpoint === undefined && pods !== 'kubelet') return undefined;
  const isTrustGiven = caFile !== undefined || pinnedCert !== undefined || insecureSkipTlsVerify === true;
  const trust =
    isTrustGiven || endpoint?.startsWith('http:') === true ? {} : ownTrust(rootDir, serverName, own);
  const { KubeletClient } = await import('../kubelet/index.js');
  try {
    return new KubeletClient({
      ...{ endpoint, auth, caFile, serverName, pinnedCertificateFile: pinnedCert, insecureSkipTlsVerify },
      ...{ timeoutMs, ...trust },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(withFlags(error.message).replace(/\bendpoint\b/, '--kubelet'));
  }
}

/** The kubelet of this node has its certificate on this node's disk; a pod knows the cluster's authority. */
function ownTrust(
  rootDir: string | undefined,
  serverName: string | undefined,
  own: NodeCredentials | undefined,
): { pinnedCertificateFile?: string; caFile?: string } {
  const files = rootDir === undefined ? [] : OWN_CERTIFICATES.map((name) => `${rootDir}/${name}`);
  const pinnedCertificateFile = serverName === undefined ? files.find(isReadable) : undefined;
  if (pinnedCertificateFile !== undefined) return { pinnedCertificateFile };
  const caFile = isInPod() ? `${SERVICE_ACCOUNT}/ca.crt` : own?.caFile;
  return caFile === undefined ? {} : { caFile };
}

function authOf(
  { kubelet, tokenFile, clientCert, clientKey }: DoorValues,
  own: NodeCredentials | undefined,
): DoorAuth {
  if (tokenFile !== undefined && clientCert !== undefined) {
    throw new UsageError('expected one of --token-file and --client-cert, got both');
  }
  if (clientCert === undefined && clientKey !== undefined) {
    throw new UsageError('--client-key needs --client-cert');
  }
  if (clientCert !== undefined)
    return { type: 'tls', certFile: clientCert, keyFile: clientKey ?? clientCert };
  if (tokenFile !== undefined) return { type: 'serviceAccount', tokenFile };
  const isEncrypted = kubelet?.startsWith('http:') !== true;
  if (isEncrypted && isInPod()) return { type: 'serviceAccount' };
  if (!isEncrypted || own === undefined) return { type: 'none' };
  return { type: 'tls', certFile: own.certFile, keyFile: own.keyFile };
}

/** Those of this node, if the kubeconfig in use is a node's. */
function ownCredentials({ kubeconfig }: KubectlValues): NodeCredentials | undefined {
  const file = kubeconfig ?? NODE_KUBECONFIGS.find(isReadable);
  return isInPod() || file === undefined ? undefined : nodeCredentials(file);
}

/**
 * The API server, as it can be asked from here: in a pod with its service account, on a worker node with the
 * kubelet's own credentials, anywhere else as kubectl is configured.
 *
 * @returns undefined if none of these is there
 */
export async function apiServerOf(
  { kubeconfig, context }: KubectlValues,
  timeoutMs: number,
): Promise<ApiClient | undefined> {
  const { ApiClient } = await import('../kubelet/index.js');
  if (kubeconfig !== undefined || context !== undefined) {
    return new ApiClient({ transport: 'kubectl', kubectl: { kubeconfig, context }, timeoutMs });
  }
  if (isInPod()) return new ApiClient({ transport: 'https', timeoutMs });
  const ofNode = NODE_KUBECONFIGS.find(isReadable);
  if (ofNode !== undefined) {
    return new ApiClient({ transport: 'kubectl', kubectl: { kubeconfig: ofNode }, timeoutMs });
  }
  const isConfigured = (process.env['KUBECONFIG'] ?? '') !== '' || isReadable(`${homedir()}/.kube/config`);
  return isConfigured ? new ApiClient({ transport: 'kubectl', timeoutMs }) : undefined;
}

/** Outside a pod, a kubelet calls its node like the host, unless it is told otherwise. */
function nodeNameHere(): string | undefined {
  return isInPod() ? undefined : hostname().toLowerCase();
}

/** Whether this is a pod with a service account. */
function isInPod(): boolean {
  return (process.env['KUBERNETES_SERVICE_HOST'] ?? '') !== '' && isReadable(`${SERVICE_ACCOUNT}/token`);
}

/** Whether the kubelet with this root has a folder for a pod. */
export function hasPodFolder(rootDir: string, uid: string): boolean {
  return /^[\w-]+$/.test(uid) && isReadable(`${rootDir}/pods/${uid}`);
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
