import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { vi } from 'vitest';

export const ROOT = resolve(import.meta.dirname, '../..');
const TSUP = join(
  dirname(createRequire(import.meta.url).resolve('tsup/package.json')),
  'dist/cli-default.js',
);

let folder: string | undefined;

/** The example as a program, built from its sources once in this process, and removed at the end of it. */
export function builtNode(): string {
  if (folder === undefined) {
    folder = newCacheFolder();
    const args = ['--config', 'examples/embedded-node/tsup.config.ts', '--out-dir', folder];
    execFileSync(process.execPath, [TSUP, ...args], { cwd: ROOT, stdio: 'inherit' });
  }
  return join(folder, 'main.mjs');
}

/** The same where the package has no addon. */
export function builtNodeWithoutAddon(): string {
  const copy = newCacheFolder();
  cpSync(dirname(builtNode()), copy, { recursive: true });
  // The addon is looked for beside the nearest package.json.
  cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'));
  return join(copy, 'main.mjs');
}

function newCacheFolder(): string {
  const cache = join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const created = mkdtempSync(join(cache, 'embedded-node-test-'));
  process.once('exit', () => {
    rmSync(created, { recursive: true, force: true });
  });
  return created;
}

/** How the program ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The program as a process, with a temporary folder of its own. */
export class NodeProcess {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly ended: Promise<End>;
  /** What it has said so far. */
  stdout = '';
  stderr = '';
  readonly #temporary = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-test-')));

  constructor(command: string, args: readonly string[] = [], { detached = false } = {}) {
    this.child = spawn(command, args, {
      cwd: ROOT,
      // A home that is not there: nothing may depend on it.
      env: { ...process.env, HOME: join(this.#temporary, 'home'), TMPDIR: this.#temporary },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached,
    });
    for (const name of ['stdout', 'stderr'] as const) {
      this.child[name].setEncoding('utf8').on('data', (chunk: string) => (this[name] += chunk));
    }
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject).once('close', (code, signal) => {
        resolve({ code, signal });
      });
    });
  }

  /** Where it serves, once it does. */
  async address(): Promise<string> {
    return await vi.waitFor(
      () => {
        const [, address] = /(http:\S+)\/metrics/.exec(this.stdout) ?? [];
        if (address === undefined) throw new Error(`it does not serve\n${this.stdout}${this.stderr}`);
        return address;
      },
      { timeout: 30_000 },
    );
  }

  /** The path of something in its node. */
  path(name: string): string {
    return join(this.#temporary, this.nodes()[0] ?? '', name);
  }

  /** The folders of nodes that are there. */
  nodes(): string[] {
    return readdirSync(this.#temporary).filter((name) => name.startsWith('kvm-node-'));
  }

  /** What it made and is still there: folders, mounts, loop devices. */
  leftovers(): string[] {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    const devices = readdirSync('/sys/block').map((name) => {
      try {
        return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8');
      } catch {
        return '';
      }
    });
    return [...this.nodes(), ...[...lines, ...devices].filter((line) => line.includes(this.#temporary))];
  }

  /** Ends it if it has not ended, and removes its temporary folder. */
  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    await this.ended;
    if (this.leftovers().length === 0) rmSync(this.#temporary, { recursive: true, force: true });
  }
}
