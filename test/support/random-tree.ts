import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { DiskUsage } from '../../src/os/disk-usage.js';

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ODD_NAMES = [
  'new\nline',
  ' ',
  '-rf',
  '*[a-z]?',
  'quote\'"`$(x)',
  'back\\slash\\012',
  'tab\t',
  '\u{1f600}',
  '…',
  '\x7f\x1b[31m',
  '#',
  '...',
];

/** Things outside of the trees, on the same filesystem, that trees hold links to. */
export class Outside {
  readonly #folder: string;
  readonly #server = createServer();
  readonly #links: string[];

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'x'.repeat(5000));
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    this.#links = ['file', 'fifo'];
  }

  /** A socket as well, if its path is short enough. */
  async listen(): Promise<void> {
    const path = join(this.#folder, 'socket');
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
    this.#links.push('socket');
  }

  close(): void {
    this.#server.close();
  }

  pick(random: () => number): string {
    return join(this.#folder, this.#links[Math.floor(random() * this.#links.length)]!);
  }
}

/**
 * Makes a directory with a random tree in it: hard links within the tree and out of it, sparse files,
 * symlinks (dangling ones and loops too), fifos, sockets, long and odd names, deep chains, empty directories
 * and files.
 */
export function makeTree(root: string, random: () => number, outside: Outside): void {
  const directories = [root];
  const files: string[] = [];
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const newName = (number: number): string => {
    const kind = random();
    if (kind < 0.15) return `${pick(ODD_NAMES)}${String(number)}`;
    if (kind < 0.2) return `${'n'.repeat(200)}${String(number)}`;
    return `f${String(number)}`;
  };
  mkdirSync(root);
  const size = Math.floor(random() * random() * 80);
  for (let number = 0; number < size; number++) {
    const path = join(pick(directories), newName(number));
    const kind = random();
    if (kind < 0.3) {
      mkdirSync(path);
      directories.push(path);
    } else if (kind < 0.33) {
      const chain = join(path, 'c/'.repeat(1 + Math.floor(random() * 40)));
      mkdirSync(chain, { recursive: true });
      directories.push(path, chain);
    } else if (kind < 0.4) {
      symlinkSync(pick([...directories, ...files, '.', '..', 'nowhere']), path);
    } else if (kind < 0.5) {
      linkSync(outside.pick(random), path);
    } else if (kind < 0.65 && files.length > 0) {
      linkSync(pick(files), path);
    } else if (kind < 0.75) {
      const file = openSync(path, 'w');
      ftruncateSync(file, Math.floor(random() * 2 ** 30));
      if (random() < 0.5) writeSync(file, 'middle', Math.floor(random() * 2 ** 20));
      closeSync(file);
      files.push(path);
    } else {
      writeFileSync(path, 'x'.repeat(Math.floor(random() ** 4 * 100_000)));
      files.push(path);
    }
  }
}

/** What a tree uses, by plain means: the model that the bindings are held against. */
export function modelUsage(root: string): DiskUsage {
  const seen = new Set<string>();
  let used = 0n;
  const visit = (path: string): void => {
    const stat = lstatSync(path, { bigint: true });
    const inode = `${String(stat.dev)}:${String(stat.ino)}`;
    if (seen.has(inode)) return;
    seen.add(inode);
    used += stat.blocks * 512n;
    if (stat.isDirectory()) for (const name of readdirSync(path)) visit(join(path, name));
  };
  visit(root);
  return { used, inodesUsed: BigInt(seen.size) };
}
