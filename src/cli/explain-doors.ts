import { Option } from 'commander';
import { existsSync } from 'node:fs';
import type { ExplainOptions } from '../explain/index.js';
import type { DoorAuth } from '../kubelet/index.js';
import { notEmpty, UsageError } from './command.js';

/** Values of {@link EXPLAIN_DOORS}. */
export interface ExplainDoorOptions {
  readonly rootDir?: string;
  readonly nodeName?: string;
  readonly kubelet?: string;
  readonly kubeletTokenFile?: string;
  readonly kubeletCert?: string;
  readonly kubeletKey?: string;
  readonly kubeletCa?: string;
  readonly insecureSkipTlsVerify?: true;
  readonly kubeconfig?: string;
  readonly prometheus?: string;
  readonly prometheusTokenFile?: string;
  readonly prometheusUser?: string;
  readonly prometheusPasswordFile?: string;
  readonly prometheusCa?: string;
  readonly prometheusTenant?: string;
}

function text(flags: string, help: string): Option {
  return new Option(flags, help).argParser(notEmpty);
}

/** Whom to ask. On a usual node, in a pod and at a laptop with kubectl, none is needed but Prometheus' URL. */
export const EXPLAIN_DOORS: readonly Option[] = [
  text('--prometheus <URL>', 'also ask Prometheus there, such as http://localhost:9090'),
  text('--prometheus-token-file <FILE>', 'a bearer token for it'),
  text('--prometheus-user <NAME>', 'a name for it, with --prometheus-password-file'),
  text('--prometheus-password-file <FILE>', 'the password of that name'),
  text('--prometheus-ca <FILE>', 'the authority of its certificate'),
  text('--prometheus-tenant <NAME>', 'the tenant, X-Scope-OrgID'),
  text('--root-dir <FOLDER>', "the kubelet's --root-dir, if it is not in a usual place"),
  text('--node-name <NAME>', 'this node, as kubectl get nodes shows it').env('NODE_NAME'),
  text('--kubelet <URL>', 'the kubelet, such as https://127.0.0.1:10250'),
  text('--kubelet-token-file <FILE>', 'a token for the kubelet'),
  text('--kubelet-cert <FILE>', 'a client certificate for the kubelet, with --kubelet-key'),
  text('--kubelet-key <FILE>', 'the key of that certificate'),
  text('--kubelet-ca <FILE>', "the authority of the kubelet's certificate"),
  new Option('--insecure-skip-tls-verify', "trust any certificate of the kubelet's"),
  text('--kubeconfig <FILE>', 'a kubeconfig for kubectl'),
];

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Kubeconfigs of nodes themselves: upstream's and k3s'. */
const NODE_KUBECONFIGS = ['/etc/kubernetes/kubelet.conf', '/var/lib/rancher/k3s/agent/kubelet.kubeconfig'];

/** The doors, and what closes them. */
export interface ExplainDoors {
  readonly doors: Pick<ExplainOptions, 'node' | 'kubelet' | 'api' | 'prometheus'>;
  close(): void;
}

/**
 * Opens what can be asked from here: in a pod with the service account, on a worker with the node's own
 * credentials, elsewhere through kubectl alone.
 *
 * @throws UsageError for options that are wrong
 */
export async function explainDoors(options: ExplainDoorOptions): Promise<ExplainDoors> {
  const [{ ApiClient, KubeletClient, findKubeletRoot }, { PrometheusClient }] = await Promise.all([
    import('../kubelet/index.js'),
    import('../explain/index.js'),
  ]);
  const rootDir = options.rootDir ?? rootHere(findKubeletRoot);
  const isPod = existsSync(`${SERVICE_ACCOUNT}/token`);
  const node = rootDir === undefined ? undefined : { rootDir, ...named(options.nodeName) };
  try {
    const kubelet =
      rootDir === undefined && options.kubelet === undefined
        ? undefined
        : new KubeletClient(kubeletOptions(options, rootDir ?? '/var/lib/kubelet', isPod));
    const kubeconfig =
      options.kubeconfig ?? (isPod ? undefined : NODE_KUBECONFIGS.find((file) => existsSync(file)));
    const isKubectl = options.kubeconfig !== undefined || !isPod;
    const api = new ApiClient(
      isKubectl ? { transport: 'kubectl', ...(kubeconfig !== undefined && { kubectl: { kubeconfig } }) } : {},
    );
    const prometheus =
      options.prometheus === undefined ? undefined : new PrometheusClient(prometheusOptions(options));
    return {
      doors: { node, kubelet, api, prometheus },
      close: () => {
        for (const each of [kubelet, api, prometheus]) each?.close();
      },
    };
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

function named(name: string | undefined): { readonly name?: string } {
  return name === undefined ? {} : { name };
}

/** The kubelet's root on this machine; undefined if this is not a node. */
function rootHere(find: () => string): string | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

function kubeletOptions(
  options: ExplainDoorOptions,
  root: string,
  isPod: boolean,
): {
  endpoint: string;
  auth: DoorAuth;
  caFile?: string;
  pinnedCertificateFile?: string;
  insecureSkipTlsVerify?: true;
} {
  const { kubelet, kubeletCa, insecureSkipTlsVerify } = options;
  const hostIp = process.env['NODE_IP'];
  const host = hostIp === undefined || hostIp === '' ? '127.0.0.1' : hostIp;
  const endpoint = kubelet ?? `https://${host.includes(':') ? `[${host}]` : host}:10250`;
  const auth = endpoint.startsWith('http:') ? ({ type: 'none' } as const) : authOf(options, root, isPod);
  const pinned = `${root}/pki/kubelet.crt`;
  if (insecureSkipTlsVerify === true) return { endpoint, auth, insecureSkipTlsVerify };
  if (kubeletCa !== undefined) return { endpoint, auth, caFile: kubeletCa };
  // On the node itself, its own certificate can be read, and no other has to be trusted.
  if (endpoint.startsWith('https:') && existsSync(pinned))
    return { endpoint, auth, pinnedCertificateFile: pinned };
  const clusterCa = `${SERVICE_ACCOUNT}/ca.crt`;
  return isPod && endpoint.startsWith('https:') ? { endpoint, auth, caFile: clusterCa } : { endpoint, auth };
}

function authOf(
  { kubeletTokenFile, kubeletCert, kubeletKey }: ExplainDoorOptions,
  root: string,
  isPod: boolean,
): DoorAuth {
  if ((kubeletCert === undefined) !== (kubeletKey === undefined))
    throw new UsageError('--kubelet-cert and --kubelet-key go together');
  if (kubeletCert !== undefined && kubeletKey !== undefined)
    return { type: 'tls', certFile: kubeletCert, keyFile: kubeletKey };
  if (kubeletTokenFile !== undefined) return { type: 'serviceAccount', tokenFile: kubeletTokenFile };
  if (isPod) return { type: 'serviceAccount' };
  const own = `${root}/pki/kubelet-client-current.pem`;
  return existsSync(own) ? { type: 'tls', certFile: own, keyFile: own } : { type: 'none' };
}

function prometheusOptions(
  options: ExplainDoorOptions,
): ConstructorParameters<typeof import('../explain/index.js').PrometheusClient>[0] {
  const {
    prometheus: url = '',
    prometheusTokenFile: tokenFile,
    prometheusUser: username,
    prometheusPasswordFile: passwordFile,
    prometheusCa: caFile,
    prometheusTenant: tenant,
  } = options;
  if ((username === undefined) !== (passwordFile === undefined))
    throw new UsageError('--prometheus-user and --prometheus-password-file go together');
  if (username !== undefined && tokenFile !== undefined)
    throw new UsageError('expected only one of --prometheus-token-file and --prometheus-user');
  const trust = { ...(caFile !== undefined && { caFile }), ...(tenant !== undefined && { tenant }) };
  if (username !== undefined && passwordFile !== undefined)
    return { url, auth: { type: 'basic', username, passwordFile }, ...trust };
  return tokenFile === undefined ? { url, ...trust } : { url, auth: { type: 'bearer', tokenFile }, ...trust };
}
