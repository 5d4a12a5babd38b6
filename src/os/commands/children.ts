import { existsSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { MetricsError } from '../../errors.js';
import { systemError } from '../system-error.js';
import { errnoOf } from './errno-text.js';
import { killAtExit, launcher } from '../launch.js';

// Commands print names as bytes, which need not be UTF-8. Until a person reads a name, it is a string with
// one character for each byte.

/** The bytes of a path of ours, one character each. */
export function toBytes(path: string): string {
  return Buffer.from(path).toString('latin1');
}

/** The path as text. Bytes that are not UTF-8 become U+FFFD, as everywhere in Node. */
export function fromBytes(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}

/** A command to run. */
export interface Command {
  /** The program: an absolute path. */
  readonly file: string;
  readonly args: readonly string[];
  /** The path that it is run for; errors name it. */
  readonly path: string;
  /** Whether the running child keeps this process alive. */
  readonly keepsAlive: boolean;
}

/** Takes what a child writes, as it comes; each character stands for one byte. */
export interface Output {
  stdout(chunk: string): void;
  stderr(chunk: string): void;
}

/** How a child ended by itself. */
export interface Ended {
  readonly exitCode: number | undefined;
  /** The signal that killed it. */
  readonly signal: string | undefined;
}

/** A process. */
export interface Child {
  /** undefined if it could not be started; `ended` says why. */
  readonly pid: number | undefined;
  /**
   * Resolves once it has exited and all its output was taken, unless it was killed from here. Rejects if it
   * could not be started: with METRICS_NOT_SUPPORTED if the program cannot be run, otherwise with a system
   * error such as EAGAIN.
   */
  readonly ended: Promise<Ended>;
  /**
   * Resolves once the process no longer exists. The kernel may never let it go, so nothing may depend on
   * this.
   */
  readonly gone: Promise<void>;
  /**
   * SIGKILL. From then on its output is not read and it does not keep this process alive, whether it dies or
   * not.
   */
  kill(): void;
}

/** The way to start a command (see launch.ts). */
export async function starter(): Promise<(command: Command, output: Output) => Child> {
  const launch = await launcher();

  return (command, output) => {
    const launched = launch(command.file, command.args);
    if ('failed' in launched)
      return failedChild(launched.failed.then(({ code }) => cannotStart(command, code)));
    const { child, stdout, stderr, ended } = launched;
    // Only a walk goes on for long enough to be worth ending when this process ends.
    if (command.keepsAlive) killAtExit(child);
    stdout.setEncoding('latin1').on('data', (chunk: string) => {
      output.stdout(chunk);
    });
    stderr.setEncoding('latin1').on('data', (chunk: string) => {
      output.stderr(chunk);
    });
    const letGo = (): void => {
      child.unref();
      unref(stdout);
      unref(stderr);
    };
    if (!command.keepsAlive) letGo();
    return {
      pid: child.pid,
      ended: ended.then(({ exitCode, signal }) => ({ exitCode, signal })),
      gone: new Promise((resolve) => {
        child.once('exit', () => {
          resolve();
        });
      }),
      kill: () => {
        child.kill('SIGKILL');
        letGo();
        stdout.destroy();
        stderr.destroy();
      },
    };
  };
}

/** A command that could not be started. */
function failedChild(error: Promise<Error>): Child {
  const ended = error.then((reason) => Promise.reject<Ended>(reason));
  return { pid: undefined, ended, gone: Promise.resolve(), kill: () => undefined };
}

function cannotStart({ file, path }: Command, code = 'EIO'): Error {
  if (code === 'ENOENT' && !existsSync('/dev/null') && existsSync(file)) {
    return new MetricsError('METRICS_NOT_SUPPORTED', `no command can be run: /dev/null is missing`, { path });
  }
  if (code === 'ENOENT' || code === 'EACCES') {
    return new MetricsError('METRICS_NOT_SUPPORTED', `the command ${file} cannot be run: ${code}`, { path });
  }
  return systemError(code, `spawn ${file}`, path);
}

/** The pipes of a child are sockets, though not by their type. */
function unref(pipe: Readable & { unref?: () => void }): void {
  pipe.unref?.();
}

/**
 * A text that changes as long as a process makes progress or could: when it has used processor time, and
 * while it waits for a processor, which takes a while at low priority. undefined if that cannot be told.
 * Reading it takes microseconds, even while the process is stuck in a system call.
 */
export function signOfLife(pid: number | undefined): string | undefined {
  if (pid === undefined) return undefined;
  const stat = readProc(`/proc/${String(pid)}/stat`);
  // The command's name may hold anything; it ends with the last parenthesis. After it come the state and,
  // from the 12th field on, utime and stime.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields === undefined) return undefined;
  if (fields[0] === 'R') return `runnable at ${String(performance.now())}`;
  // Nanoseconds on a processor. A kernel without schedstats only has ticks, and a walk over a slow disk uses
  // few of them.
  return readProc(`/proc/${String(pid)}/schedstat`)?.split(' ', 1)[0] ?? fields.slice(11, 13).join(' ');
}

function readProc(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}

/** What a command has said by the time it ended. Each character stands for one byte. */
export interface Said {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** More characters than any answer here has. */
const MOST_SAID = 65_536;

/** The processes that work on one call. They do not keep this process alive: the caller's own timer does. */
export class Children {
  readonly #running = new Set<Child>();
  #ended = false;

  /** Runs a command that says little, and takes all that it says. */
  async ask(file: string, args: readonly string[], path: string): Promise<Said> {
    const start = await starter();
    return await new Promise<Said>((resolve, reject) => {
      if (this.#ended) {
        reject(new Error(`${file} was not started: the call is over`));
        return;
      }
      const said = { stdout: '', stderr: '' };
      const take = (name: 'stdout' | 'stderr') => (chunk: string) => {
        said[name] += chunk;
        if (said[name].length <= MOST_SAID) return;
        child.kill();
        reject(new MetricsError('METRICS_FS_INFO_FAILED', `${file} says too much to be an answer`, { path }));
      };
      const child = start(
        { file, args, path, keepsAlive: false },
        { stdout: take('stdout'), stderr: take('stderr') },
      );
      this.#running.add(child);
      void child.gone.then(() => this.#running.delete(child));
      child.ended.then(({ exitCode }) => {
        resolve({ exitCode, ...said });
      }, reject);
    });
  }

  /**
   * A text that changes as long as the processes make progress (see {@link signOfLife}), and while none is
   * running.
   */
  sign(): string {
    if (this.#running.size === 0) return `none at ${String(performance.now())}`;
    return [...this.#running].map(({ pid }) => signOfLife(pid)).join();
  }

  /**
   * Kills what still runs and lets nothing more start. Resolves once all processes are gone, which may be
   * never.
   */
  async end(): Promise<void> {
    this.#ended = true;
    const running = [...this.#running];
    for (const child of running) child.kill();
    await Promise.all(running.map((child) => child.gone));
  }
}

/**
 * A longer path is ENAMETOOLONG to every system call (PATH_MAX counts the NUL at its end), however a child
 * gets it.
 */
const LONGEST_PATH = 4_095;

/**
 * What a command prints about one path, read by `parse`.
 *
 * @throws a system error of `syscall` if the command failed on the path; MetricsError METRICS_FS_INFO_FAILED
 * if its output is not understood
 */
export async function askOf<T>(
  children: Children,
  file: string,
  args: readonly string[],
  parse: (text: string) => T | undefined,
  syscall: string,
  path: string,
): Promise<T> {
  if (Buffer.byteLength(path) > LONGEST_PATH) throw systemError('ENAMETOOLONG', syscall, path);
  const { exitCode, stdout, stderr } = await children.ask(file, args, path);
  const answer = exitCode === 0 ? parse(stdout) : undefined;
  if (answer !== undefined) return answer;
  const errno = errnoOf(stderr);
  if (errno !== undefined) throw systemError(errno, syscall, path);
  const said = fromBytes(stderr || stdout).trim();
  throw new MetricsError('METRICS_FS_INFO_FAILED', `${file} gave no answer for ${path}: ${said}`, { path });
}
