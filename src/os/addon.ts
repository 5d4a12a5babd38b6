import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WalkDelivery } from './native-walk.js';

/** What native/binding.cc exports. One per environment: each worker thread has its own, over the same process-wide pool. */
export interface Addon {
  connect(deliver: (words: BigUint64Array) => void, deliverWalk: WalkDelivery): Channel;
  /** Threads alive, calls stuck, calls without a worker, and system calls ever started, of the whole process. */
  counts(): { threads: number; stuck: number; waiting: number; asked: number };
}

/** Why something was not started: status, errno, since when the path is stuck. */
export type Refusal = readonly [status: number, errno: number, stuckSinceMs: number];

export interface Channel {
  /** The ticket of the call. */
  start(kind: number, path: string): number | Refusal;
  /** Gives the ticket up. Since when the path is stuck, in milliseconds since the epoch, or 0. */
  leave(kind: number, path: string, ticket: number): number;
  /** The walk's number. */
  walk(path: string, threads: number, allowPartial: boolean): number | Refusal;
  /** Bytes, inodes and system calls so far; undefined while the walk waits for its turn, and when it has ended. */
  walkProgress(number: number): BigUint64Array | undefined;
  walkCancel(number: number): void;
  /** Ends a walk that does not move and marks its path as stuck; 0 when it has ended already. */
  walkGiveUp(number: number, stuckSinceMs: number): number;
}

const PACKAGE = 'kube-volume-metrics';

let loaded: Addon | string | undefined;

/** The addon, or why it cannot be loaded. Tried once, unless this process was only short of something then. */
export function addon(): Addon | string {
  if (loaded !== undefined) return loaded;
  try {
    return (loaded = load());
  } catch (error) {
    const reason = reasonOf(error);
    if (!isShortage(error)) loaded = reason;
    return reason;
  }
}

function load(): Addon | string {
  if (process.platform !== 'linux')
    return `volumes are measured on Linux only, and this is ${process.platform}`;
  const native = nativeFolder();
  if (native === undefined)
    return `this code is not in the folder of ${PACKAGE}: a bundler has to leave the package out, as an external one`;
  const require = createRequire(import.meta.url);
  const nodeGypBuild = require('node-gyp-build') as (folder: string) => Addon;
  // To it, a folder that cannot be opened is one without an addon.
  closeSync(openSync(native, 'r'));
  const note = join(native, 'build/not-built.txt');
  try {
    return nodeGypBuild(native);
  } catch (error) {
    if (!isShortage(error) && existsSync(note))
      return `the addon was not built: ${readFileSync(note, 'utf8')}`;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  return `the addon does not load: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`;
}

/** What dlopen(3) says of EMFILE, ENFILE and ENOMEM: glibc's words, then those of musl. */
const SHORTAGE = /Too many open files|: Cannot allocate memory|No file descriptors available|: Out of memory/;

/** Whether it failed for want of descriptors or memory, which may be there the next time. */
function isShortage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM' || SHORTAGE.test(error.message);
}

/**
 * `native/` beside the package.json above this file: the depth differs between src/ and dist/. Undefined where that is not this
 * package's own, as in a bundle: the addon beside it would be somebody else's.
 */
function nativeFolder(): string | undefined {
  // Absent in a CommonJS bundle.
  const url = import.meta.url as string | undefined;
  if (url === undefined) return undefined;
  let folder = dirname(fileURLToPath(url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
  const { name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown };
  return name === PACKAGE ? join(folder, 'native') : undefined;
}
