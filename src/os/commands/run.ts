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
   * When it has exited and all that it wrote was taken; of no use once it was killed. Rejects when it could not be started: with
   * METRICS_NOT_SUPPORTED when the program cannot be run, otherwise with a system error such as EAGAIN.
   */
  readonly ended: Promise<Ended>;
  /** When the process is no more. For one that the kernel does not let go that may be never: nothing may depend on it. */
  readonly gone: Promise<void>;
  /** SIGKILL. From then on its output is not read and it does not keep this process alive, whether it dies or not. */
  kill(): void;
}

/** The way to start a command: no shell, no input, nothing of this process's environment but PATH. */
export async function starter(): Promise<(command: Command, output: Output) => Child> {
  const { execa } = await import('execa');
  return (command, output) => {
    const child = execa(command.file, command.args, {
      // Not the current directory, which may be gone, and which a child would keep busy.
      cwd: '/',
      env: { LC_ALL: 'C', PATH: process.env['PATH'] ?? '' },
      extendEnv: false,
      stdin: 'ignore',
      buffer: false,
      reject: false,
      forceKillAfterDelay: false,
    });
    const { pid, stdout, stderr } = child;
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
      ended: child.then(({ exitCode, signal, code }) => {
        if (pid === undefined) throw cannotStart(command, code);
        return { exitCode, signal };
      }),
      gone: new Promise((resolve) => {
        if (pid === undefined) resolve();
        child.once('exit', () => {
          resolve();
        });
      }),
      kill: () => {
        child.kill('SIGKILL');
        stdout.destroy();
        stderr.destroy();
        letGo();
      },
    };
  };
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
