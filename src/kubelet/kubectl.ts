import { errorText, propertyOf } from '../errors.js';
import { checkedOptions, checkedText } from '../options.js';
import { onAbort, throwIfAborted } from '../waiting/abort.js';
import { waitFor } from '../waiting/joined-call.js';
import { checkedLimits, type DoorOptions } from './door-options.js';
import { excerpt } from './excerpt.js';
import type { DoorAnswer } from './https-door.js';
import { KubeletError, type KubeletErrorCode } from './kubelet-error.js';

/** Which kubectl is run, and for which cluster. */
export interface KubectlOptions {
  /** The program. @defaultValue `kubectl`, found in PATH */
  readonly program?: string | undefined;
  /** A kubeconfig, such as `/etc/kubernetes/kubelet.conf`. @defaultValue what kubectl uses by itself */
  readonly kubeconfig?: string | undefined;
  /** A context of it. @defaultValue the current one */
  readonly context?: string | undefined;
}

const OPTIONS = ['program', 'kubeconfig', 'context'] as const;

/** Each process takes some 50 MB and a tenth of a second of CPU. */
const MOST_PROCESSES = 4;

/** kubectl's own words for the statuses that callers tell apart. */
const STATUSES: readonly (readonly [RegExp, number])[] = [
  [/^Error from server \(NotFound\): /m, 404],
  [/^Error from server \(Forbidden\): /m, 403],
  [/\(Unauthorized\)\s*$/m, 401],
];

/** kubectl's own words for what keeps it from asking. */
const FAILURES: readonly (readonly [RegExp, KubeletErrorCode, string])[] = [
  [
    /x509: |tls: /,
    'API_CERTIFICATE_NOT_TRUSTED',
    "look at the cluster's certificate-authority in the kubeconfig",
  ],
  [
    /was refused|no such host|no route to host|i\/o timeout|unable to connect|connection reset/i,
    'API_UNREACHABLE',
    'check the server of the kubeconfig; kubectl config get-contexts lists the clusters',
  ],
];

/** GET requests by `kubectl get --raw`. */
export class Kubectl {
  readonly title: string;
  readonly #program: string;
  readonly #flags: readonly string[];
  readonly #timeoutMs: number;
  readonly #mostBytes: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** @throws TypeError for an invalid or unknown option */
  constructor(options: KubectlOptions, limits: Pick<DoorOptions, 'timeoutMs' | 'maxAnswerBytes'>) {
    const { program = 'kubectl', kubeconfig, context } = checkedOptions(options, OPTIONS);
    const flags = Object.entries({ kubeconfig, context }).filter(([, value]) => value !== undefined);
    this.#program = checkedText('kubectl.program', program);
    this.#flags = flags.map(([name, value]) => `--${name}=${checkedText(`kubectl.${name}`, value ?? '')}`);
    const { timeoutMs, maxAnswerBytes } = checkedLimits(limits);
    this.#timeoutMs = timeoutMs;
    this.#mostBytes = maxAnswerBytes;
    this.title = [this.#program, ...this.#flags].join(' ');
  }

  async get(path: string, _accept: string, signal: AbortSignal | undefined): Promise<DoorAnswer> {
    // Each process has a limit of its own; who gives up need not wait for a turn.
    return await waitFor(this.#inTurn(path, signal), { signal, late: () => undefined });
  }

  async #inTurn(path: string, signal: AbortSignal | undefined): Promise<DoorAnswer> {
    await this.#turn();
    try {
      throwIfAborted(signal);
      return await this.#run(path, signal);
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** There is nothing to close. */
  close(): void {
    return undefined;
  }

  async #turn(): Promise<void> {
    while (this.#running >= MOST_PROCESSES) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
  }

  async #run(path: string, signal: AbortSignal | undefined): Promise<DoorAnswer> {
    const { execa } = await import('execa');
    const end = new AbortController();
    const stop = onAbort(signal, () => {
      end.abort();
    });
    try {
      const result = await execa(this.#program, [...this.#flags, 'get', '--raw', path], {
        stdin: 'ignore',
        encoding: 'buffer',
        reject: false,
        timeout: this.#timeoutMs,
        cancelSignal: end.signal,
        forceKillAfterDelay: 1_000,
        maxBuffer: this.#mostBytes,
      });
      throwIfAborted(signal);
      const stdout = Buffer.from(result.stdout);
      if (!result.failed)
        return { status: 200, contentType: 'application/json', body: withoutPreface(stdout) };
      if (result.timedOut)
        throw this.#failure('API_TIMED_OUT', `did not answer ${path} within ${String(this.#timeoutMs)} ms`);
      if (result.isMaxBuffer) {
        throw this.#failure(
          'API_TOO_LARGE',
          `answered ${path} with more than maxAnswerBytes, ${String(this.#mostBytes)}: raise it if that is right`,
        );
      }
      if (result.exitCode === undefined && !result.isTerminated) throw this.#notStarted(result);
      return this.#refused(path, Buffer.from(result.stderr).toString('utf8'), stdout);
    } finally {
      stop();
    }
  }

  /** What kubectl says on stderr when it fails, as the status that the API server has answered with. */
  #refused(path: string, stderr: string, stdout: Buffer): DoorAnswer {
    const status = STATUSES.find(([pattern]) => pattern.test(stderr))?.[1];
    if (status !== undefined) {
      const reason = status === 404 ? 'NotFound' : 'Failure';
      const body = Buffer.from(JSON.stringify({ kind: 'Status', reason, message: lastLine(stderr) }));
      return { status, contentType: 'application/json', body };
    }
    const [, code, advice] = FAILURES.find(([pattern]) => pattern.test(stderr)) ?? [undefined, undefined, ''];
    const said = excerpt(lastLine(stderr) || stdout.toString('utf8', 0, 1_000)) || 'it said nothing';
    if (code !== undefined) throw this.#failure(code, `cannot ask for ${path}: ${said}. ${advice}`);
    const isServer = /^Error from server/m.test(stderr);
    throw this.#failure(isServer ? 'API_FAILED' : 'API_KUBECTL', `failed for ${path}: ${said}`);
  }

  #notStarted(error: object): KubeletError {
    const cause = propertyOf(error, 'cause');
    const why = this.#whyNotStarted(propertyOf(error, 'code')) ?? errorText(cause ?? error);
    return this.#failure(
      'API_KUBECTL',
      `cannot be started: ${why}. Install kubectl, give its path as kubectl.program, or run in a pod`,
      cause,
    );
  }

  /** The look-up of a name in PATH gives EACCES also for a folder there that is closed to us. */
  #whyNotStarted(code: unknown): string | undefined {
    if (code === 'ENOENT') return 'there is no such program';
    if (code === 'EACCES' && !this.#program.includes('/'))
      return 'no folder of PATH that may be searched has such a program that may be run (EACCES)';
    return undefined;
  }

  #failure(code: KubeletErrorCode, what: string, cause?: unknown): KubeletError {
    return new KubeletError(code, `${this.title} ${what}`, cause === undefined ? {} : { cause });
  }
}

/** kubectl's warnings come first, its error last. */
function lastLine(stderr: string): string {
  return stderr.trim().split('\n').at(-1) ?? '';
}

/** The JSON, without lines that an exec plugin or a wrapper has written before it. */
function withoutPreface(stdout: Buffer): Buffer {
  for (let start = 0; start < stdout.length;) {
    if (stdout[start] === 0x7b) return stdout.subarray(start);
    const end = stdout.indexOf(0x0a, start);
    if (end < 0) break;
    start = end + 1;
  }
  return stdout;
}
