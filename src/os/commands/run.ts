import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Readable } from 'node:stream';
import { MetricsError } from '../../errors.js';
import { systemError } from '../system-error.js';

/** What is to be run. */
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
  /** What killed it. */
  readonly signal: string | undefined;
}

/** A process. */
export interface Child {
  /** undefined: it could not be started, and `ended` says why. */
  readonly pid: number | undefined;
  /**
   * When it has exited and all that it wrote was taken; of no use once it was killed. Rejects when it could not
   * be started: with METRICS_NOT_SUPPORTED when the program cannot be run, otherwise with a system error such
   * as EAGAIN.
   */
  readonly ended: Promise<Ended>;
  /**
   * When the process is no more. For one that the kernel does not let go that may be never: nothing may depend
   * on it.
   */
  readonly gone: Promise<void>;
  /**
   * SIGKILL. From then on its output is not read and it does not keep this process alive, whether it dies or
   * not.
   */
  kill(): void;
}

/** The way to start a command: no shell, no input, nothing of this process's environment. */
export async function starter(): Promise<(command: Command, output: Output) => Child> {
  const { execa } = await import('execa');
  const run = ({ file, args, keepsAlive }: Command) =>
    execa(file, args, {
      // Not the current directory, which may be gone, and which a child would keep busy.
      cwd: '/',
      // Nothing else: options of GNU's commands come from there too, and BusyBox's find leaves it 2 KiB (see
      // find.ts).
      env: { LC_ALL: 'C' },
      extendEnv: false,
      stdin: 'ignore',
      buffer: false,
      reject: false,
      forceKillAfterDelay: false,
      // Only a walk goes on for long enough to be worth ending when this process ends.
      cleanup: keepsAlive,
    });

  return (command, output) => {
    const started = withoutPipes(() => run(command));
    if ('failure' in started) return failedChild(started.failure.then((code) => cannotStart(command, code)));
    const child = started.result;
    const { pid, stdout, stderr } = child;
    if (pid === undefined) return failedChild(child.then(({ code }) => cannotStart(command, code)));
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
      pid,
      ended: child.then(({ exitCode, signal }) => ({ exitCode, signal })),
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
  if (code === 'ENOENT' || code === 'EACCES') {
    return new MetricsError('METRICS_NOT_SUPPORTED', `the command ${file} cannot be run: ${code}`, { path });
  }
  return systemError(code, `spawn ${file}`, path);
}

/**
 * Calls execa where Node may make no pipes: with no descriptor left it gives a child without any
 * (nodejs/node#14166). execa 9 trips over that before it listens for the child's 'error', which then would end
 * this process. So the error is waited for here.
 *
 * @returns what execa returned, or the errno's name that the child has failed with
 */
function withoutPipes<T>(call: () => T): { result: T } | { failure: Promise<string | undefined> } {
  let failure: Promise<string | undefined> = Promise.resolve(undefined);
  const onChild = (message: unknown): void => {
    const { process: child } = message as { process: ChildProcess };
    failure = new Promise((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) => {
        resolve(error.code);
      });
    });
  };
  subscribe('child_process', onChild);
  try {
    return { result: call() };
  } catch {
    return { failure };
  } finally {
    unsubscribe('child_process', onChild);
  }
}

/** The pipes of a child are sockets, though not by their type. */
function unref(pipe: Readable & { unref?: () => void }): void {
  pipe.unref?.();
}
