import { status } from '@grpc/grpc-js';
import { execa } from 'execa';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CsiError } from './csi-error.js';

/** Where commands are looked for. PATH is not asked. */
const DIRECTORIES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** As much of what a command complains about as a caller is told. */
const LONGEST_COMPLAINT = 512;

/** How a command ended. */
export interface Ended {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  /** When it has ended by itself, or could not be started (then without an exit code). Never rejects. */
  readonly ended: Promise<Ended>;
  /**
   * When its process is no more. For one that waits for a dead mount that may be never, even if it was
   * killed.
   */
  readonly gone: Promise<void>;
  /** From now on it does not keep this process alive, and nobody listens to it. */
  letGo(): void;
  kill(): void;
}

/**
 * Starts a command without a shell, and without anything of this process's environment.
 *
 * Whatever may wait for a dead mount is done this way and not by node:fs: four calls that hang there hang all
 * file I/O of a process of Node, and keep it from exiting.
 *
 * @throws CsiError INTERNAL when there is no such command
 */
export async function start(name: string, args: readonly string[]): Promise<Running> {
  const child = execa(await find(name), args, {
    cwd: '/',
    env: { LC_ALL: 'C', PATH: DIRECTORIES.join(':') },
    extendEnv: false,
    stdin: 'ignore',
    // A path may end with a newline.
    stripFinalNewline: false,
    reject: false,
    // What was begun is finished, also when this process ends first, or Ctrl-C ends all of its group.
    cleanup: false,
    detached: true,
    forceKillAfterDelay: false,
  });
  const { stdout, stderr } = child;
  const gone = new Promise<void>((resolve) => {
    if (child.pid === undefined) resolve();
    else child.once('exit', resolve);
  });
  return {
    ended: child.then(({ exitCode, stdout: said, stderr: complaint, shortMessage }) => ({
      exitCode,
      stdout: said,
      stderr: complaint === '' ? (shortMessage ?? '') : complaint,
    })),
    gone,
    letGo: () => {
      child.unref();
      for (const pipe of [stdout, stderr] as (Readable & { unref?: () => void })[]) pipe.unref?.();
    },
    kill: () => child.kill('SIGKILL'),
  };
}

/** What is said of a command that failed. */
export function commandFailed(name: string, { exitCode, stderr }: Ended): CsiError {
  const complaint = stderr.trim().slice(0, LONGEST_COMPLAINT) || `it ended with ${String(exitCode)}`;
  return new CsiError(status.INTERNAL, `${name} failed: ${complaint}`);
}

/**
 * Removes a file or a tree. Waits for its end up to that long; what then is left to do is done all the same.
 */
export async function removeTree(path: string, waitMs: number): Promise<void> {
  const removal = await start('rm', ['-rf', '--', path]);
  removal.letGo();
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined);
    }, waitMs);
  });
  const ended = await Promise.race([removal.ended, enough]);
  clearTimeout(timer);
  if (ended !== undefined && ended.exitCode !== 0) throw commandFailed('rm', ended);
}

async function find(name: string): Promise<string> {
  for (const directory of DIRECTORIES) {
    const file = join(directory, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  throw new CsiError(status.INTERNAL, `there is no ${name} in ${DIRECTORIES.join(', ')}`);
}
