import type { Readable } from 'node:stream';
import { checkedNotEmpty, checkedOptions } from '../options.js';
import { killAtExit, launcher, type Launched, type Outcome } from '../os/launch.js';
import { throwIfAborted } from '../waiting/abort.js';
import { Deadline } from '../waiting/deadline.js';
import { waitFor } from '../waiting/joined-call.js';
import { checkedLimits, type DoorOptions } from './door-options.js';
import { excerpt } from './excerpt.js';
import type { DoorAnswer } from './https-door.js';
import { KubeletError, type KubeletErrorCode } from './kubelet-error.js';
import { Turns } from './turns.js';

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

/** How much of what it complains about is kept: its error comes last. */
const KEPT_COMPLAINTS = 64 * 1024;

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

/** GET requests by `kubectl get --raw`. The process has this one's environment and working directory. */
export class Kubectl {
  readonly title: string;
  readonly #program: string;
  readonly #flags: readonly string[];
  readonly #timeoutMs: number;
  readonly #mostBytes: number;
  readonly #turns = new Turns(MOST_PROCESSES);

  /** @throws TypeError for an invalid or unknown option */
  constructor(options: KubectlOptions, limits: Pick<DoorOptions, 'timeoutMs' | 'maxAnswerBytes'>) {
    const { program = 'kubectl', kubeconfig, context } = checkedOptions(options, OPTIONS);
    const flags = Object.entries({ kubeconfig, context }).filter(([, value]) => value !== undefined);
    this.#program = checkedNotEmpty('kubectl.program', program);
    this.#flags = flags.map(
      ([name, value]) => `--${name}=${checkedNotEmpty(`kubectl.${name}`, value ?? '')}`,
    );
    const { timeoutMs, maxAnswerBytes } = checkedLimits(limits);
    this.#timeoutMs = timeoutMs;
    this.#mostBytes = maxAnswerBytes;
    this.title = [this.#program, ...this.#flags].join(' ');
  }

  async get(path: string, _accept: string, signal: AbortSignal | undefined): Promise<DoorAnswer> {
    // Each process has a limit of its own; who gives up need not wait for a turn.
    const answer = this.#turns.run(async () => {
      throwIfAborted(signal);
      return await this.#run(path, signal);
    });
    return await waitFor(answer, { signal, late: () => undefined });
  }

  /** There is nothing to close. */
  close(): void {
    return undefined;
  }

  async #run(path: string, signal: AbortSignal | undefined): Promise<DoorAnswer> {
    const launch = await launcher();
    const launched = launch(this.#program, [...this.#flags, 'get', '--raw', path], { env: process.env });
    if ('failed' in launched) throw this.#notStarted(await launched.failed);
    const { child, stdout, stderr } = launched;
    killAtExit(child);
    try {
      const all = Promise.all([launched.ended, this.#answerIn(stdout, path), complaintsIn(stderr)]);
      // It may be over while a child of kubectl's, such as an exec plugin's, still has its output open.
      const [{ exitCode }, answer, complaints] = await waitFor(all, {
        deadline: new Deadline(this.#timeoutMs),
        signal,
        late: () =>
          this.#failure('API_TIMED_OUT', `did not answer ${path} within ${String(this.#timeoutMs)} ms`),
      });
      if (exitCode !== 0) return this.#refused(path, complaints, answer);
      return { status: 200, contentType: 'application/json', body: withoutPreface(answer) };
    } finally {
      stdout.destroy();
      stderr.destroy();
      end(launched);
    }
  }

  async #answerIn(stdout: Readable, path: string): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > this.#mostBytes) {
        throw this.#failure(
          'API_TOO_LARGE',
          `answered ${path} with more than maxAnswerBytes, ${String(this.#mostBytes)}: raise it if that is right`,
        );
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, bytes);
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

  #notStarted({ code }: Outcome): KubeletError {
    const why = this.#whyNotStarted(code) ?? code ?? 'it gave no reason';
    return this.#failure(
      'API_KUBECTL',
      `cannot be started: ${why}. Install kubectl, give its path as kubectl.program, or run in a pod`,
    );
  }

  /** The look-up of a name in PATH gives EACCES also for a folder there that is closed to us. */
  #whyNotStarted(code: unknown): string | undefined {
    if (code === 'ENOENT') return 'there is no such program';
    if (code === 'EACCES' && !this.#program.includes('/'))
      return 'no folder of PATH that may be searched has such a program that may be run (EACCES)';
    return undefined;
  }

  #failure(code: KubeletErrorCode, what: string): KubeletError {
    return new KubeletError(code, `${this.title} ${what}`);
  }
}

/** Ends a process, unless it has ended: asks it first. */
function end({ child }: Launched): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill();
  const timer = setTimeout(() => child.kill('SIGKILL'), 1_000).unref();
  child.once('exit', () => {
    clearTimeout(timer);
  });
}

/** The end of what a process complains about. */
async function complaintsIn(stderr: Readable): Promise<string> {
  let kept = Buffer.alloc(0);
  for await (const chunk of stderr as AsyncIterable<Buffer>) {
    kept = Buffer.concat([kept, chunk]).subarray(-KEPT_COMPLAINTS);
  }
  return kept.toString('utf8');
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
