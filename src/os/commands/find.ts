/**
 * `find` with all that both forms have in common: the root's own entry and what the patterns match are left
 * out.
 */
function findArgs(root: string, leftOut: readonly string[], action: readonly string[]): string[] {
  const paths = leftOut.flatMap((each) => ['-o', '-path', each]).slice(1);
  const prune = paths.length === 0 ? [] : ['(', ...paths, ')', '-prune', '-o'];
  return ['-H', root, '-mindepth', '1', '-xdev', ...prune, ...action];
}

/**
 * A line for each entry below the root, in little output: its device alone when it is a directory or has one
 * link, otherwise device and inode.
 */
export function findInodesArgs(root: string, leftOut: readonly string[]): string[] {
  const once = ['(', '-type', 'd', '-o', '-links', '1', ')', '-printf', '%D\\n'];
  return findArgs(root, leftOut, [...once, '-o', '-printf', '%D %i\\n']);
}

/**
 * Paths of more bytes than this are given to `stat` one by one. BusyBox (1.35) takes one path more than fit
 * below 2 KiB less than the kernel's limit on arguments, and when that is too much ("Argument list too long")
 * all of them are lost.
 */
const LONG_PATH = 1_000;

/**
 * The same with blocks, for a find that has no `-printf` (BusyBox): `stat` prints device, mode, links, blocks
 * and inode. In parentheses BusyBox (1.35) would forget to run `-exec ... +` for the last paths.
 */
export function findStatArgs(root: string, leftOut: readonly string[], stat: string): string[] {
  const exec = ['-exec', stat, '-c', '%d %f %h %b %i', '--', '{}'];
  const isLong = ['-path', `${'?'.repeat(LONG_PATH)}*`];
  return findArgs(root, leftOut, ['!', ...isLong, ...exec, '+', '-o', ...isLong, ...exec, ';']);
}

/** Splits what comes into lines. */
abstract class LineReader {
  #rest = '';

  read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.line(line);
  }

  protected abstract line(line: string): void;
}

/** Counts what {@link findInodesArgs} prints. Remembers entries with several links, nothing else. */
export class InodeReader extends LineReader {
  readonly #device: string;
  readonly #linked = new Set<string>();
  #single = 0;

  /** @param device - the root's; entries of another one are left out */
  constructor(device: bigint) {
    super();
    this.#device = String(device);
  }

  /** Inodes below the root, each once. */
  get inodes(): bigint {
    return BigInt(this.#single + this.#linked.size);
  }

  protected override line(line: string): void {
    const space = line.indexOf(' ');
    if (space === -1) this.#single += line === this.#device ? 1 : 0;
    else if (line.slice(0, space) === this.#device) this.#linked.add(line.slice(space + 1));
  }
}

/** Counts what {@link findStatArgs} prints. Remembers entries with several links, nothing else. */
export class StatReader extends LineReader {
  readonly #device: string;
  readonly #linked = new Set<string>();
  #inodes = 0;
  #blocks = 0n;

  /** @param device - the root's; entries of another one are left out */
  constructor(device: bigint) {
    super();
    this.#device = String(device);
  }

  /** Inodes below the root, each once. */
  get inodes(): bigint {
    return BigInt(this.#inodes);
  }

  /** Bytes that are allocated to them. */
  get bytes(): bigint {
    return this.#blocks * 512n;
  }

  protected override line(line: string): void {
    const [device, mode = '', links, blocks, inode = ''] = line.split(' ');
    if (device !== this.#device || blocks === undefined) return;
    if (links !== '1' && !isDirectory(mode)) {
      if (this.#linked.has(inode)) return;
      this.#linked.add(inode);
    }
    this.#inodes += 1;
    this.#blocks += BigInt(blocks);
  }
}

/** @param mode - st_mode in hexadecimal digits */
function isDirectory(mode: string): boolean {
  return (Number.parseInt(mode, 16) & 0o170000) === 0o040000;
}
