import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Takes `answers` records of calls and `walks` records of walks, which lie in the buffer given to `connect`,
 * and the paths that walks' records go with.
 */
export type Deliver = (answers: number, walks: number, texts: readonly string[] | undefined) => void;

/**
 * What native/binding.cc exports. Each thread of JavaScript has its own, over one pool of native threads per
 * process.
 */
export interface Addon {
  /** `buffer` has {@link BUFFER_BYTES}. Undefined if it does not, or the thread is being terminated. */
  connect(deliver: Deliver, buffer: ArrayBuffer): Channel | undefined;
  /**
   * Of the whole process: threads alive, calls stuck, calls without a worker, and how often the kernel was
   * asked.
   */
  counts(): { threads: number; stuck: number; waiting: number; asked: number };
}

/** Why a call or walk was not started: status, errno, since when the path is stuck. */
export type Refusal = readonly [status: number, errno: number, stuckSinceMs: number];

export interface Channel {
  /** Starts or joins a call. Returns the caller's ticket. */
  start(kind: number, path: string): number | Refusal;
  /** Gives the ticket up. Since when the path is stuck, in milliseconds since the epoch, or 0. */
  leave(kind: number, path: string, ticket: number): number;
  /** Starts a walk. Returns its number. */
  walk(path: string, threads: number, allowPartial: boolean): number | Refusal;
  /**
   * Bytes, inodes, system calls and nanoseconds of work so far; undefined while the walk waits for its turn,
   * and once it has ended.
   */
  walkProgress(number: number): BigUint64Array | undefined;
  /** Ends a walk. Returns the milliseconds of its work. */
  walkCancel(number: number): number;
  /**
   * Ends a walk that does not move and marks its path as stuck. Returns the milliseconds of its work, or -1
   * if it has ended already.
   */
  walkGiveUp(number: number, stuckSinceMs: number): number;
}

/**
 * The buffer of records, native/binding_channel.h. A word of 8 bytes is a float64, or a uint64 from
 * {@link ANSWER_VALUES} and {@link WALK_COUNTS} on. The records of walks begin at {@link WALKS_AT}.
 */
export const ANSWER_WORDS = 16;
export const ANSWER_VALUES = 5;
export const WALK_WORDS = 10;
export const WALK_COUNTS = 8;
const MOST_ANSWERS = 64;
const MOST_WALKS = 64;
export const WALKS_AT = MOST_ANSWERS * ANSWER_WORDS;
export const BUFFER_BYTES = (WALKS_AT + MOST_WALKS * WALK_WORDS) * 8;

/** The two views of the buffer. */
export interface Records {
  readonly numbers: Float64Array;
  readonly words: BigUint64Array;
}

const PACKAGE = 'kube-volume-metrics';

let loaded: Addon | string | undefined;

/**
 * The addon, or why it cannot be loaded. It is tried once, and again only if descriptors or memory were
 * short.
 */
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
    return `this code is not in the folder of ${PACKAGE}: mark the package as external in your bundler`;
  const require = createRequire(import.meta.url);
  const nodeGypBuild = require('node-gyp-build') as (folder: string) => Addon;
  // node-gyp-build takes a folder that cannot be opened for one without an addon.
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

/** What dlopen(3) says about EMFILE, ENFILE and ENOMEM: glibc's words, then musl's. */
const SHORTAGE = /Too many open files|: Cannot allocate memory|No file descriptors available|: Out of memory/;

/** Whether it failed because descriptors or memory were short, so that another attempt may succeed. */
function isShortage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM' || SHORTAGE.test(error.message);
}

/**
 * `native/` beside the package.json above this file, whose depth differs between src/ and dist/. Undefined if
 * that package.json is another package's, as in a bundle: an addon beside it would not be ours.
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
