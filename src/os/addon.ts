import { existsSync, readFileSync } from 'node:fs';
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

export interface Channel {
  /** The ticket of the call, or why there will be none: status, errno, stuck since (ms). */
  start(kind: number, path: string): number | [status: number, errno: number, stuckSinceMs: number];
  /** Gives the ticket up. Since when the path is stuck, in milliseconds since the epoch, or 0. */
  leave(kind: number, path: string, ticket: number): number;
  /** The walk's number, or why there will be none, as of `start`. */
  walk(
    path: string,
    threads: number,
    allowPartial: boolean,
  ): number | [status: number, errno: number, stuckSinceMs: number];
  /** Bytes, inodes and system calls so far; undefined while the walk waits for its turn, and when it has ended. */
  walkProgress(number: number): BigUint64Array | undefined;
  walkCancel(number: number): void;
  /** Ends a walk that does not move and marks its path as stuck; 0 when it has ended already. */
  walkGiveUp(number: number, stuckSinceMs: number): number;
}

let loaded: Addon | string | undefined;

/** The addon, or why it cannot be loaded. Tried once. */
export function addon(): Addon | string {
  loaded ??= load();
  return loaded;
}

function load(): Addon | string {
  if (process.platform !== 'linux')
    return `volumes are measured on Linux only, and this is ${process.platform}`;
  const native = nativeFolder();
  if (native === undefined) return 'the native folder of the package is missing';
  try {
    const require = createRequire(import.meta.url);
    const nodeGypBuild = require('node-gyp-build') as (folder: string) => Addon;
    return nodeGypBuild(native);
  } catch (error) {
    const note = join(native, 'build/not-built.txt');
    if (existsSync(note)) return `the addon was not built: ${readFileSync(note, 'utf8')}`;
    return `the addon does not load: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`;
  }
}

/** `native/` beside the package.json above this file: the depth differs between src/ and dist/. */
function nativeFolder(): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
  return join(folder, 'native');
}
