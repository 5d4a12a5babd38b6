import { Option } from 'commander';
import { accessSync, constants } from 'node:fs';
import { homedir, hostname } from 'node:os';
import type { ApiClient, DoorAuth, KubeletClient } from '../kubelet/index.js';
import { notEmpty, UsageError } from './command.js';

/** Who is to say which pods there are. `auto` asks one after the other. */
export type PodsFrom = 'auto' | 'kubelet' | 'api' | 'disk';

/** Values of {@link KUBECTL_OPTIONS}. */
export interface KubectlValues {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Values of {@link DOOR_OPTIONS}. */
export interface DoorValues extends KubectlValues {
  readonly root?: string;
  readonly pods: PodsFrom;
  readonly node?: string;
  /** The kubelet's address. */
  readonly kubelet?: string;
  readonly tokenFile?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly caFile?: string;
  readonly serverName?: string;
  readonly pinnedCert?: string;
  readonly insecureSkipTlsVerify?: true;
}

const option = (flags: string, text: string): Option => new Option(flags, text).argParser(notEmpty);

/** Which cluster kubectl asks. */
export const KUBECTL_OPTIONS: readonly Option[] = [
  option('--kubeconfig <FILE>', 'run kubectl with this kubeconfig to ask the API server'),
  option('--context <NAME>', 'run kubectl with this context of its kubeconfig'),
];

/** The options of every command that looks at the pods of this node. */
export const DOOR_OPTIONS: readonly Option[] = [
  option('--root <DIR>', "the kubelet's root directory; without it, the usual places are looked at"),
  new Option('--pods <SOURCE>', 'who says which pods there are; auto asks those that can be asked, in turn')
    .choices(['auto', 'kubelet', 'api', 'disk'])
    .default('auto'),
  new Option('--node <NAME>', "this node's name in the cluster; outside a pod, the host's name by default")
    // An empty variable counts as one that is not set.
    .argParser((text) => (text === '' && process.env['NODE_NAME'] === '' ? text : notEmpty(text)))
    .env('NODE_NAME'),
  option('--kubelet <URL>', "the kubelet's address; by default https://127.0.0.1:10250"),
  option('--token-file <FILE>', 'show the kubelet this token; in a pod, by default the service account'),
  option('--client-cert <FILE>', 'show the kubelet this client certificate'),
  option('--client-key <FILE>', 'the key of --client-cert; by default in the same file'),
  option('--ca-file <FILE>', 'trust what this authority has signed for the kubelet'),
  option('--server-name <NAME>', "the name that the kubelet's certificate must have"),
  option(
    '--pinned-cert <FILE>',
    "trust exactly this certificate; by default the kubelet's own below --root, if it can be read",
  ),
  new Option('--insecure-skip-tls-verify', 'trust any certificate: a proxy in between can read the token'),
  ...KUBECTL_OPTIONS,
];

/** The names of the options, by those that errors of the package have. */
const FLAGS: Readonly<Record<string, string>> = {
  rootDir: '--root',
  tokenFile: '--token-file',
  caFile: '--ca-file',
  serverName: '--server-name',
  pinnedCertificateFile: '--pinned-cert',
  insecureSkipTlsVerify: '--insecure-skip-tls-verify',
};

/** What an error of the package says, with the options that it names as they are called here. */
export function withFlags(message: string): string {
  return message.replace(/\b[a-z]+[A-Z]\w*/g, (word) => FLAGS[word] ?? word);
}

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
  close(): void;
}

/**
 * Finds out who can be asked, and asks nobody yet. Loads the kubelet's part of the package, which most
 * commands do without.
 *
 * @param timeoutMs - for each call
 * @throws UsageError if the options do not go together
 */
export async function openDoors(values: DoorValues, timeoutMs: number): Promise<Doors> {
  const { root, pods, node = '' } = values;
  let rootDir = root;
  let rootProblem: unknown;
  const { findKubeletRoot } = await import('../kubelet/index.js');
  try {
    rootDir ??= findKubeletRoot();
  } catch (error) {
    rootProblem = error;
  }
  const kubelet = pods === 'api' || pods === 'disk' ? undefined : await kubeletOf(values, rootDir, timeoutMs);
  const api = pods === 'disk' ? undefined : await apiServerOf(values, timeoutMs);
  if (pods === 'api' && api === undefined) throw new UsageError(`--pods api needs ${API_NEEDS}`);
  return {
    rootDir,
    ...(rootDir === undefined && { rootProblem }),
    ...(kubelet !== undefined && { kubelet }),
    ...(api !== undefined && { api }),
    nodeName: node === '' ? nodeNameHere() : node,
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
  timeoutMs: number,
): Promise<KubeletClient | undefined> {
  const { kubelet: endpoint, pods, caFile, serverName, pinnedCert, insecureSkipTlsVerify } = values;
  const auth = authOf(values);
  if (auth.type === 'none' && endpoint === undefined && pods !== 'kubelet') return undefined;
  const isTrustGiven = caFile !== undefined || pinnedCert !== undefined || insecureSkipTlsVerify === true;
  const trust = isTrustGiven || endpoint?.startsWith('http:') === true ? {} : ownTrust(rootDir, serverName);
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
): { pinnedCertificateFile?: string; caFile?: string } {
  const files = rootDir === undefined ? [] : OWN_CERTIFICATES.map((name) => `${rootDir}/${name}`);
  const pinnedCertificateFile = serverName === undefined ? files.find(isReadable) : undefined;
  if (pinnedCertificateFile !== undefined) return { pinnedCertificateFile };
  return isInPod() ? { caFile: `${SERVICE_ACCOUNT}/ca.crt` } : {};
}

function authOf({ kubelet, tokenFile, clientCert, clientKey }: DoorValues): DoorAuth {
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
  return isEncrypted && isInPod() ? { type: 'serviceAccount' } : { type: 'none' };
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

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
