import { spawn, type ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Readable } from 'node:stream';
import { atMost } from './at-most.js';

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
  /** When it has ended and its output was taken. Never rejects. */
  readonly ended: Promise<Outcome>;
}

/** Launches a program, or says why there is no process. */
export type Launch = (file: string, args: readonly string[]) => Launched | { failed: Promise<Outcome> };

const OPTIONS = {
  // Not the current directory, which may be gone, and which a child would keep busy.
  cwd: '/',
  // Nothing else: options of GNU's commands come from there too, and BusyBox's find leaves it 2 KiB (see find.ts).
  env: { LC_ALL: 'C' },
} as const;

/** How long execa usually takes to load, and much more. */
const LOAD_MS = 1_000;

let chosen: Promise<Launch> | undefined;

/**
 * The way to launch a program without a shell, without input and with nothing of this process's environment:
 * by execa, and by Node itself where execa cannot be loaded. It is chosen once: Node keeps the failure of an
 * import() for good, also when it was only short of descriptors or memory at that moment.
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
  // It is read by threads of Node's pool, and others may hold all of them for ever.
  await atMost(LOAD_MS, loaded, false);
  return launch;
}

function byExeca(execa: typeof import('execa').execa): Launch {
  const run = (file: string, args: readonly string[]) =>
    execa(file, args, {
      ...OPTIONS,
      extendEnv: false,
      stdin: 'ignore',
      buffer: false,
      reject: false,
      forceKillAfterDelay: false,
      // It would listen for signals, and raise one again where the host listens for it once (see at-exit.ts).
      cleanup: false,
    });
  return (file, args) => {
    const started = withoutPipes(() => run(file, args));
    if ('failed' in started) return started;
    const child = started.result;
    if (child.pid === undefined) return { failed: child };
    return { child, stdout: child.stdout, stderr: child.stderr, ended: child };
  };
}

/**
 * Calls execa where Node may make no pipes: with no descriptor left it gives a child without any
 * (nodejs/node#14166). execa 9 trips over that before it listens for the child's 'error', which then would end
 * this process. So the error is waited for here.
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

const byNode: Launch = (file, args) => {
  try {
    const child = spawn(file, args, { ...OPTIONS, stdio: ['ignore', 'pipe', 'pipe'] });
    const failed = errorOf(child);
    if (child.pid === undefined) return { failed };
    const closed = new Promise<Outcome>((resolve) => {
      child.once('close', (exitCode, signal) => {
        resolve({ exitCode: exitCode ?? undefined, signal: signal ?? undefined });
      });
    });
    return { child, stdout: child.stdout, stderr: child.stderr, ended: closed };
  } catch (error) {
    // Too many arguments are told at once (E2BIG).
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
