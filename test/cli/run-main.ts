import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

/** The built command line. */
export const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');

/** How the command line ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Running = ChildProcessByStdio<null, Readable, Readable>;

/** What the command line answers must not depend on how the tests are run. */
export const ENV: NodeJS.ProcessEnv = {
  ...process.env,
  ...{ NO_COLOR: undefined, FORCE_COLOR: undefined, CI: undefined, CSI_ENDPOINT: undefined },
};

/** Starts the built command line as a process of its own. */
export function start(args: readonly string[], cwd?: string, env: NodeJS.ProcessEnv = {}): Running {
  return spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Waits for its end, and gives all that it said. */
export async function ended(child: Running): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => (said[name] += chunk));
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  return { code, ...said };
}

/** Runs the built command line to its end. */
export function run(...args: string[]): Promise<Ended> {
  return ended(start(args));
}

/** One volume of a JSON answer, with numbers as the texts that they are. */
export interface JsonVolume {
  readonly path: string;
  readonly provider: string;
  readonly state: string;
  readonly metrics?: Readonly<Record<string, unknown>>;
  readonly error?: Readonly<Record<string, unknown>>;
  readonly mount?: Readonly<Record<string, unknown>>;
  readonly filesystem?: Readonly<Record<string, unknown>>;
}

/** Runs the built command line with `--json`, to its end. */
export async function runJson(
  ...args: string[]
): Promise<{ code: number | null; volumes: JsonVolume[]; binding: string; schema: string; command: string }> {
  const { code, stdout } = await run(...args, '--json');
  return {
    code,
    ...(JSON.parse(stdout) as { volumes: JsonVolume[]; binding: string; schema: string; command: string }),
  };
}
