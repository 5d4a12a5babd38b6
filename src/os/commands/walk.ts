import { MetricsError } from '../../errors.js';
import type { Incomplete } from '../../metrics.js';
import type { DiskUsage, Walk } from '../disk-usage.js';
import { withinLimits, type Share } from '../share.js';
import { withoutSlash } from '../volume-path.js';
import { toBytes } from './bytes.js';
import { duArgs, DuReader } from './du.js';
import { Failures, together } from './failures.js';
import { findInodesArgs, findStatArgs, InodeReader, StatReader } from './find.js';
import { patternFor } from './glob.js';
import { mountedBelow, visibleMounts } from './mount-of.js';
import { Progress } from './progress.js';
import type { Stat } from './stat.js';
import type { CommandState } from './state.js';
import type { Tools } from './tools.js';
import { runWalker } from './walker.js';

/** What a walk needs of the binding. */
export interface WalkNeeds {
  readonly tools: Tools;
  readonly walks: CommandState['walks'];
  stat(path: string): Share<Stat>;
  realPath(path: string): Share<string>;
}

/**
 * Disk usage by commands: GNU's du for the bytes, then GNU's find for the inodes. Without both (BusyBox, whose
 * du can leave no mount point out and rounds to 1024 bytes, and whose find prints only names) find runs `stat`
 * on every entry, which tells both.
 *
 * Mount points below the root are neither opened nor counted, but du and find do lstat(2) one on their way past
 * it. When what is mounted there never answers, the walk stalls: a limit that only the native binding is free
 * of.
 */
export async function walkByCommands(path: string, walk: Walk, needs: WalkNeeds): Promise<DiskUsage> {
  const { walks } = needs;
  return await walks.inTurn(walk.signal, async () => {
    await walks.checkFree(withoutSlash(path));
    const within = <T>(start: () => Share<T>): Promise<T> =>
      withinLimits(start, path, walk.stallTimeoutMs, walk.signal);
    const root = await within(() => needs.stat(path));
    if (root.kind !== 'directory') return { used: bytesOf(root), inodesUsed: 1n };

    const realPath = await within(() => needs.realPath(path));
    // A slash at the end was the kernel's to judge, and it has; commands put another one behind it, or not.
    const plain = withoutSlash(path);
    const below = mountedBelow(realPath, await visibleMounts());
    const leftOut = below.map((point) => `${plain === '/' ? '' : toBytes(plain)}${point}`);
    // Within limits as well: who waits for a child keeps this process alive, the child does not.
    const [du, find] = await within(() => ({
      answer: Promise.all([
        needs.tools.dialect('du', path),
        needs.tools.dialect('find', path),
        needs.tools.walkerPrefix(path),
      ]),
      leave: () => undefined,
    }));
    const tree = new Tree(path, plain, root, leftOut, walk, needs);
    return du === 'gnu' && find === 'gnu' ? await tree.byDuAndFind() : await tree.byStat();
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
   * @param leftOut - paths of what is not to be counted, one character for each byte
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

  async byDuAndFind(): Promise<DiskUsage> {
    const sizes = new DuReader(toBytes(this.#root));
    const unsized = await this.#run('du', duArgs(this.#root, this.#patterns), (chunk) => {
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
    const uncounted = await this.#run('find', findInodesArgs(this.#root, this.#patterns), (chunk) => {
      entries.read(chunk);
      this.#progress.report(() => ({ used, inodesUsed: 1n + entries.inodes }));
    });
    return usage(used, 1n + entries.inodes, together(unsized, uncounted));
  }

  async byStat(): Promise<DiskUsage> {
    const entries = new StatReader(this.#stat.device);
    const sofar = (): DiskUsage => ({
      used: bytesOf(this.#stat) + entries.bytes,
      inodesUsed: 1n + entries.inodes,
    });
    const stat = await this.#needs.tools.file('stat');
    const incomplete = await this.#run('find', findStatArgs(this.#root, this.#patterns, stat), (chunk) => {
      entries.read(chunk);
      this.#progress.report(sofar);
    });
    const { used, inodesUsed } = sofar();
    return usage(used, inodesUsed, incomplete);
  }

  /** Runs one command over the tree; returns what it could not read. */
  async #run(
    name: 'du' | 'find',
    args: readonly string[],
    read: (chunk: string) => void,
  ): Promise<Incomplete | undefined> {
    const { tools, walks } = this.#needs;
    const [prefix, file] = await Promise.all([tools.walkerPrefix(this.#path), tools.file(name)]);
    const failures = new Failures(toBytes(this.#root), this.#path, this.#leftOut, this.#walk.allowPartial);
    const walker = {
      command: [file, ...args] as const,
      read,
      complain: failures.add.bind(failures),
    };
    await runWalker(prefix, walker, this.#path, {
      signal: this.#walk.signal,
      stallTimeoutMs: this.#walk.stallTimeoutMs,
      abandoned: (child, since) => {
        walks.abandoned(this.#root, child, since);
      },
    });
    return failures.incomplete;
  }
}

function bytesOf({ blocks }: Stat): bigint {
  return blocks * 512n;
}

function usage(used: bigint, inodesUsed: bigint, incomplete: Incomplete | undefined): DiskUsage {
  return { used, inodesUsed, ...(incomplete !== undefined && { incomplete }) };
}
