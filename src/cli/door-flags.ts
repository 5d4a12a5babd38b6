import { Option } from 'commander';
import { notEmpty, textOption } from './command.js';

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

/** Which cluster kubectl asks. */
export const KUBECTL_OPTIONS: readonly Option[] = [
  textOption('--kubeconfig <FILE>', 'run kubectl with this kubeconfig to ask the API server'),
  textOption('--context <NAME>', 'run kubectl with this context of its kubeconfig'),
];

/** The options of every command that looks at the pods of this node. */
export const DOOR_OPTIONS: readonly Option[] = [
  textOption('--root <DIR>', "the kubelet's root directory; without it, the usual places are looked at"),
  new Option('--pods <SOURCE>', 'who says which pods there are; auto asks those that can be asked, in turn')
    .choices(['auto', 'kubelet', 'api', 'disk'])
    .default('auto'),
  new Option('--node <NAME>', "this node's name in the cluster; outside a pod, the host's name by default")
    // An empty variable counts as one that is not set.
    .argParser((text) => (text === '' && process.env['NODE_NAME'] === '' ? text : notEmpty(text)))
    .env('NODE_NAME'),
  textOption('--kubelet <URL>', "the kubelet's address; by default https://127.0.0.1:10250"),
  textOption('--token-file <FILE>', 'show the kubelet this token; in a pod, by default the service account'),
  textOption('--client-cert <FILE>', 'show the kubelet this client certificate'),
  textOption('--client-key <FILE>', 'the key of --client-cert; by default in the same file'),
  textOption('--ca-file <FILE>', 'trust what this authority has signed for the kubelet'),
  textOption('--server-name <NAME>', "the name that the kubelet's certificate must have"),
  textOption(
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
  return message
    .replace(/\b[a-z]+[A-Z]\w*/g, (word) => FLAGS[word] ?? word)
    .replace('Set auth to tls or serviceAccount', 'Give --token-file or --client-cert');
}
