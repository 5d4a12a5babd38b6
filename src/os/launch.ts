import { spawn, type ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Readable } from 'node:stream';
import { Deadline } from '../waiting/deadline.js';

/** How a process ended: by itself or by a signal, or what kept it from starting. */
export interface Outcome {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  /** The errno's name. */
  readonly code?: string | undefined;
}

/** A process that was launched. */
export interface Launched {
  readonly child: ChildProcess;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves once it has ended and its output was taken. Never rejects. */
  readonly ended: Promise<Outcome>;
}

/** Where a program runs, and with which environment. */
export interface LaunchPlace {
  /** @defaultValue this process's */
  readonly cwd?: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Launches a program, for the commands of `commands/` unless told otherwise, or says why there is no process.
 */
export type Launch = (
  file: string,
  args: readonly string[],
  place?: LaunchPlace,
) => Launched | { failed: Promise<Outcome> };

const OPTIONS: LaunchPlace = {
  // Not the current directory, which may be gone, and which a child would keep busy.
  cwd: '/',
  // Nothing else: GNU's commands take options from the environment, and BusyBox's find leaves 2 KiB for it
  // (commands/du-and-find.ts).
  env: { LC_ALL: 'C' },
};

/** Much longer than execa takes to load. */
const LOAD_MS = 1_000;

let chosen: Promise<Launch> | undefined;

/**
 * The way to launch a program without a shell and without input: execa, or Node itself if execa cannot be
 * loaded. It is chosen once, because Node never retries a failed import(), even if it failed only because
 * descriptors or memory were short.
 */
export function launcher(): Promise<Launch> {
  return (chosen ??= choose());
}

async function choose(): Promise<Launch> {
  let launch = byNode;
  const loaded = import('execa').then(
    ({ execa }) => {
      launch = byExeca(execa);
    },
    () => undefined,
  );
  // Node's thread pool reads it, and other code may hold all of its threads for ever.
  await new Deadline(LOAD_MS).wait(loaded, () => undefined);
  return launch;
}

function byExeca(execa: typeof import('execa').execa): Launch {
  const run = (file: string, args: readonly string[], place: LaunchPlace) =>
    execa(file, args, {
      ...place,
      extendEnv: false,
      stdin: 'ignore',
      buffer: false,
      reject: false,
      forceKillAfterDelay: false,
      // It would listen for signals, and raise one again that the host listens for only once (see
      // killAtExit).
      cleanup: false,
    });
  return (file, args, place = OPTIONS) => {
    const started = withoutPipes(() => run(file, args, place));
    if ('failed' in started) return started;
    const child = started.result;
    if (child.pid === undefined) return { failed: child };
    return { child, stdout: child.stdout, stderr: child.stderr, ended: child };
  };
}

/**
 * Calls execa, prepared for a child without pipes: Node makes one if no descriptor is left
 * (nodejs/node#14166). execa 9 throws on such a child before it listens for the child's 'error', which would
 * then end this process. So this listens for the error.
 *
 * @returns what execa returned, or what the child has failed with
 */
function withoutPipes<T>(call: () => T): { result: T } | { failed: Promise<Outcome> } {
  let failed: Promise<Outcome> = Promise.resolve({});
  const onChild = (message: unknown): void => {
    failed = errorOf((message as { process: ChildProcess }).process);
  };
  subscribe('child_process', onChild);
  try {
    return { result: call() };
  } catch {
    return { failed };
  } finally {
    unsubscribe('child_process', onChild);
  }
}

const byNode: Launch = (file, args, place = OPTIONS) => {
  try {
    const child = spawn(file, args, { ...place, stdio: ['ignore', 'pipe', 'pipe'] });
    const failed = errorOf(child);
    if (child.pid === undefined) return { failed };
    const closed = new Promise<Outcome>((resolve) => {
      child.once('close', (exitCode, signal) => {
        resolve({ exitCode: exitCode ?? undefined, signal: signal ?? undefined });
      });
    });
    return { child, stdout: child.stdout, stderr: child.stderr, ended: closed };
  } catch (error) {
    // Node throws for too many arguments (E2BIG).
    return { failed: Promise.resolve({ code: (error as NodeJS.ErrnoException).code }) };
  }
};

function errorOf(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve) => {
    child.on('error', ({ code }: NodeJS.ErrnoException) => {
      resolve({ code });
    });
  });
}

const children = new Set<ChildProcess>();

/**
 * Kills a child, if it is still running, when this process or worker thread exits. It does not listen for
 * signals: the host decides what a signal does, even if it listens for one only once. No listener learns of a
 * signal that just ends this process, or of worker.terminate(): see commands/tools.ts for these.
 */
export function killAtExit(child: ChildProcess): void {
  if (children.size === 0) process.on('exit', killAll);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', killAll);
  });
}

function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}
