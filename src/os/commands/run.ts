import type { Readable } from 'node:stream';
import { MetricsError } from '../../errors.js';
import { systemError } from '../system-error.js';
import { killAtExit } from './at-exit.js';
import { launcher } from './launch.js';

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
  if (code === 'ENOENT' || code === 'EACCES') {
    return new MetricsError('METRICS_NOT_SUPPORTED', `the command ${file} cannot be run: ${code}`, { path });
  }
  return systemError(code, `spawn ${file}`, path);
}

/** The pipes of a child are sockets, though not by their type. */
function unref(pipe: Readable & { unref?: () => void }): void {
  pipe.unref?.();
}
