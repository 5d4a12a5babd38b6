import { MetricsError } from '../../errors.js';
import type { Incomplete } from '../../metrics.js';
import { waitFor } from '../../waiting/joined-call.js';
import { mountedBelow, type Mount } from '../mounts.js';
import type { Counted, Walk } from '../os-binding.js';
import { pathStuck } from '../system-error.js';
import { withoutSlash } from '../volume-call.js';
import { toBytes } from './children.js';
import { Failures, together } from './complaints.js';
import {
  duArgs,
  DuReader,
  findInodesArgs,
  findStatArgs,
  InodeReader,
  patternFor,
  StatReader,
} from './du-and-find.js';
import type { WatchedCall } from './path-calls.js';
import type { Stat } from './stat.js';
import type { Tools } from './tools.js';
import type { WalkTurns } from './walk-turns.js';
import { EndedBySignal, runWalkingCommand, stalled, StallLimit } from './walking-command.js';

/** What a walk needs of the binding. */
export interface WalkNeeds {
  readonly tools: Tools;
  readonly turns: Pick<WalkTurns, 'inTurn' | 'abandoned' | 'checkFree'>;
  stat(path: string): WatchedCall<Stat>;
  /** Where a path leads, one character for each byte. */
  realPath(path: string): WatchedCall<string>;
  /** The visible mounts; their names have one character for each byte. */
  visibleMounts(): readonly Mount[];
}

/**
 * Disk usage by commands: GNU's du for the bytes, then GNU's find for the inodes. Without both of them, find
 * runs `stat` on every entry, which gives bytes and inodes. (BusyBox's du cannot leave a mount point out and
 * rounds to 1024 bytes, and its find prints only names.)
 *
 * Mount points below the root are neither opened nor counted, but du and find do lstat(2) one on their way
 * past it. If the filesystem mounted there never answers, the walk stalls. The native binding does not have
 * this limit.
 */
export async function treeUsage(path: string, walk: Walk, needs: WalkNeeds): Promise<Counted> {
  const { turns, tools } = needs;
  return await turns.inTurn(walk.signal, async () => {
    await turns.checkFree(withoutSlash(path));
    const root = await whileMoving(path, walk, needs.stat(path));
    if (root.kind !== 'directory') return counted(bytesOf(root), 1n, isSized(root));

    const realPath = await whileMoving(path, walk, needs.realPath(path));
    // The kernel has judged a slash at the end. Commands may drop it or add another.
    const plain = withoutSlash(path);
    const below = mountedBelow(realPath, needs.visibleMounts());
    const leftOut = below.map((point) => `${plain === '/' ? '' : toBytes(plain)}${point}`);
    const answer = Promise.all([
      tools.dialect('du', path),
      tools.dialect('find', path),
      tools.walkerPrefix(path),
    ]);
    const [du, find] = await whileMoving(path, walk, {
      answer,
      sign: () => tools.sign(),
      leave: () => undefined,
    });
    const tree = new Tree(path, plain, root, leftOut, walk, needs);
    if (du !== 'gnu' || find !== 'gnu') return await tree.byStat();
    try {
      return await tree.byDuAndFind();
    } catch (error) {
      if (!walk.allowPartial || !(error instanceof EndedBySignal && error.signal === 'SIGABRT')) throw error;
      return await tree.byStatAfterAbort();
    }
  });
}

/**
 * Waits for a question that comes before the walk, within the walk's limits. The wait keeps this process
 * alive; the child that answers does not.
 */
function whileMoving<T>(path: string, walk: Walk, call: WatchedCall<T>): Promise<T> {
  const { signal, stallTimeoutMs } = walk;
  const stall = new StallLimit(() => call.sign(), stallTimeoutMs);
  let stuckSince: Date | undefined;
  return waitFor(call.answer, {
    deadline: { onEnd: (end) => stall.onEnd(end, { keepsAlive: true }) },
    signal,
    late: () => (stuckSince === undefined ? stalled(path, stallTimeoutMs) : pathStuck(path, stuckSince)),
    leave: () => {
      stuckSince = call.leave();
    },
  });
}

/** The tree below one directory. */
class Tree {
  readonly #path: string;
  readonly #root: string;
  readonly #stat: Stat;
  readonly #leftOut: readonly string[];
  readonly #patterns: readonly string[];
  readonly #walk: Walk;
  readonly #needs: WalkNeeds;
  readonly #progress: Progress;

  /**
   * @param path - the root as the caller named it
   * @param root - the root as commands get it
   * @param leftOut - the paths to leave out, one character for each byte
   */
  constructor(
    path: string,
    root: string,
    stat: Stat,
    leftOut: readonly string[],
    walk: Walk,
    needs: WalkNeeds,
  ) {
    this.#path = path;
    this.#root = root;
    this.#stat = stat;
    this.#leftOut = leftOut;
    this.#patterns = leftOut.map(patternFor);
    this.#walk = walk;
    this.#needs = needs;
    this.#progress = new Progress(walk.onProgress);
  }

  async byDuAndFind(): Promise<Counted> {
    const sizes = new DuReader(toBytes(this.#root));
    const unsized = await this.#walkBy('du', duArgs(this.#root, this.#patterns), (chunk) => {
      sizes.read(chunk);
      this.#progress.report(() => ({ used: sizes.sofar, inodesUsed: 1n }));
    });
    const used = sizes.total;
    if (used === undefined) {
      throw new MetricsError('METRICS_USAGE_FAILED', `du ended without a sum for ${this.#path}`, {
        path: this.#path,
      });
    }
    const entries = new InodeReader(this.#stat.device);
    const args = findInodesArgs(this.#root, this.#patterns, used === 0n);
    const uncounted = await this.#walkBy('find', args, (chunk) => {
      entries.read(chunk);
      this.#progress.report(() => ({ used, inodesUsed: 1n + entries.inodes }));
    });
    return counted(used, 1n + entries.inodes, entries.hasSizes, together(unsized, uncounted));
  }

  /**
   * GNU's du aborts if directories are renamed under it. Then find counts, and the reading says that the tree
   * was changing.
   */
  async byStatAfterAbort(): Promise<Counted> {
    const counted = await this.byStat();
    return { incomplete: { errors: 1, first: { path: this.#path, code: 'SIGABRT' } }, ...counted };
  }

  async byStat(): Promise<Counted> {
    const entries = new StatReader(this.#stat.device);
    const sofar = (): Counted => ({
      used: bytesOf(this.#stat) + entries.bytes,
      inodesUsed: 1n + entries.inodes,
    });
    const stat = await this.#needs.tools.file('stat');
    const incomplete = await this.#walkBy('find', findStatArgs(this.#root, this.#patterns, stat), (chunk) => {
      entries.read(chunk);
      this.#progress.report(sofar);
    });
    const { used, inodesUsed } = sofar();
    return counted(used, inodesUsed, entries.hasSizes, incomplete);
  }

  /** Walks the tree by one command; returns what it could not read. */
  async #walkBy(
    name: 'du' | 'find',
    args: readonly string[],
    read: (chunk: string) => void,
  ): Promise<Incomplete | undefined> {
    const { tools, turns } = this.#needs;
    const [prefix, file] = await Promise.all([tools.walkerPrefix(this.#path), tools.file(name)]);
    const failures = new Failures(toBytes(this.#root), this.#path, this.#leftOut, this.#walk.allowPartial);
    const walking = {
      command: [file, ...args] as const,
      read,
      complain: failures.add.bind(failures),
    };
    await runWalkingCommand(prefix, walking, this.#path, {
      signal: this.#walk.signal,
      stallTimeoutMs: this.#walk.stallTimeoutMs,
      abandoned: (child, since) => {
        turns.abandoned(this.#root, child, since);
      },
    });
    return failures.incomplete;
  }
}

function bytesOf({ blocks }: Stat): bigint {
  return blocks * 512n;
}

function isSized({ kind, size }: Stat): boolean {
  return kind === 'file' && size > 0n;
}

/** @param hasSizes - whether a regular file has a size */
function counted(used: bigint, inodesUsed: bigint, hasSizes: boolean, incomplete?: Incomplete): Counted {
  return {
    used,
    inodesUsed,
    ...(incomplete !== undefined && { incomplete }),
    ...(used === 0n && hasSizes && { lacksBlocks: true }),
  };
}

/** At most ten reports a second. */
const REPORT_EVERY_MS = 100;

/** Reports to a walk's listener. Errors of the listener are ignored. */
export class Progress {
  readonly #listener: Walk['onProgress'];
  #reportedAt = performance.now();

  constructor(listener: Walk['onProgress']) {
    this.#listener = listener;
  }

  /** Something more was counted. */
  report(sofar: () => Counted): void {
    const now = performance.now();
    if (this.#listener === undefined || now - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now;
    try {
      const listener: (sofar: Counted) => unknown = this.#listener;
      void Promise.resolve(listener(sofar())).catch(() => undefined);
    } catch {
      // The walk goes on.
    }
  }
}
