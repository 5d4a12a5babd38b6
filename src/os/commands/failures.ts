import { MetricsError } from '../../errors.js';
import type { Incomplete } from '../../metrics.js';
import { systemError } from '../system-error.js';
import { fromBytes } from './bytes.js';
import type { Message } from './messages.js';

/**
 * Errnos of an entry that was removed, or replaced by another kind of file, while the walk came to it. Not ELOOP: GNU's
 * commands open directories in such a way that a symlink in the place of one is ENOTDIR.
 */
const VANISHED: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR']);

/** What the messages of a walking command mean for the walk. */
export class Failures {
  readonly #root: string;
  readonly #path: string;
  readonly #leftOut: ReadonlySet<string>;
  readonly #allowPartial: boolean;
  #errors = 0;
  #first: Incomplete['first'] | undefined;

  /**
   * @param root - the root as it was given to the command, one character for each byte
   * @param path - the root as the caller named it
   * @param leftOut - mount points below the root, one character for each byte
   */
  constructor(root: string, path: string, leftOut: readonly string[], allowPartial: boolean) {
    this.#root = root;
    this.#path = path;
    this.#leftOut = new Set(leftOut);
    this.#allowPartial = allowPartial;
  }

  /** The entries that were left out. */
  get incomplete(): Incomplete | undefined {
    return this.#first && { errors: this.#errors, first: this.#first };
  }

  /**
   * @throws a system error naming the entry, unless such errors are allowed; MetricsError METRICS_USAGE_FAILED
   * when the message is not understood
   */
  add(message: Message): void {
    // It warns when it may not lower the priority, and runs the command all the same.
    if (message.program === 'nice') return;
    const { program, path: entry, code } = message;
    const isRoot = entry === this.#root;
    const isBelow = entry?.startsWith(this.#root === '/' ? '/' : `${this.#root}/`);
    // What is no entry of this tree is a command that could not be run.
    if (entry === undefined || code === undefined || !(isRoot || isBelow)) {
      throw new MetricsError(
        'METRICS_USAGE_FAILED',
        `failed to measure disk usage: ${fromBytes(message.text)}`,
        {
          path: this.#path,
        },
      );
    }
    // find does lstat(2) a mount point before it turns away from it, and what is mounted there may be dead
    // (ENOTCONN).
    if (this.#leftOut.has(entry) || (VANISHED.has(code) && !isRoot)) return;
    const path = isRoot ? this.#path : fromBytes(entry);
    if (!this.#allowPartial || VANISHED.has(code)) throw systemError(code, program, path);
    this.#errors += 1;
    this.#first ??= { path, code };
  }
}

/** Both commands report the same entries: the larger count of the two is taken, not their sum. */
export function together(one: Incomplete | undefined, other: Incomplete | undefined): Incomplete | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return { errors: Math.max(one.errors, other.errors), first: one.first };
}
