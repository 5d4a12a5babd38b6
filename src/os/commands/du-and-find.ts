import { systemError } from '../system-error.js';
import { fromBytes } from './children.js';

/**
 * Sizes of a tree from GNU's du: blocks x 512 of each inode once, on the root's device only, without entries
 * that match the patterns. It also prints the directories right below the root, as a sign of progress.
 * Printing all directories would be too much for a deep tree, in which the paths alone grow with the square
 * of the depth.
 */
export function duArgs(root: string, leftOut: readonly string[]): string[] {
  return ['-x', '-D', '-B', '1', '-0', '-d', '1', ...leftOut.map((each) => `--exclude=${each}`), '--', root];
}

/** Reads the answer to {@link duArgs} as it comes. */
export class DuReader {
  readonly #root: string;
  #rest = '';
  /** Bytes of the finished directories below the root. */
  sofar = 0n;
  /** Bytes of the whole tree, the last line of all. */
  total: bigint | undefined;

  /** @param root - one character for each byte */
  constructor(root: string) {
    this.#root = root;
  }

  /** @throws a system error EOVERFLOW if a sum is too large */
  read(chunk: string): void {
    const records = (this.#rest + chunk).split('\0');
    this.#rest = records.pop() ?? '';
    for (const record of records) {
      const tab = record.indexOf('\t');
      const size = record.slice(0, tab);
      const path = record.slice(tab + 1);
      if (path === this.#root) this.total = bytes(size, path);
      else this.sofar += bytes(size, path);
    }
  }
}

/**
 * @throws a system error EOVERFLOW for "Infinity", which GNU prints for 2^64 bytes and more: no filesystem
 * has that many
 */
function bytes(size: string, path: string): bigint {
  if (!/^\d+$/.test(size)) throw systemError('EOVERFLOW', 'du', fromBytes(path));
  return BigInt(size);
}

/**
 * What both uses of `find` have in common: the root's own entry and entries that match the patterns are left
 * out.
 */
function findArgs(root: string, leftOut: readonly string[], action: readonly string[]): string[] {
  const paths = leftOut.flatMap((each) => ['-o', '-path', each]).slice(1);
  const prune = paths.length === 0 ? [] : ['(', ...paths, ')', '-prune', '-o'];
  return ['-H', root, '-mindepth', '1', '-xdev', ...prune, ...action];
}

/** What {@link findInodesArgs} prints behind the device of a regular file that has a size. */
const SIZED = 'sized';

/**
 * A short line for each entry below the root: the device if it is a directory or has one link, otherwise
 * device and inode.
 *
 * @param withSizes - whether regular files that are not empty get a line more
 */
export function findInodesArgs(root: string, leftOut: readonly string[], withSizes = false): string[] {
  const once = ['(', '-type', 'd', '-o', '-links', '1', ')', '-printf', '%D\\n'];
  const each = [...once, '-o', '-printf', '%D %i\\n'];
  const sized = ['(', '-type', 'f', '-size', '+0c', '-printf', `%D ${SIZED}\\n`, ','];
  return findArgs(root, leftOut, withSizes ? [...sized, ...each, ')'] : each);
}

/**
 * Paths of more bytes than this are given to `stat` one by one. BusyBox (1.35) leaves 2 KiB of the kernel's
 * limit on arguments free, but then takes one path more than fits; if that is too much ("Argument list too
 * long"), all of them are lost.
 */
const LONG_PATH = 1_000;

/**
 * The same with blocks, for a find without `-printf` (BusyBox): `stat` prints device, mode, links, blocks,
 * inode and size. There are no parentheses, because inside them BusyBox (1.35) forgets to run `-exec ... +`
 * for the last paths.
 */
export function findStatArgs(root: string, leftOut: readonly string[], stat: string): string[] {
  const exec = ['-exec', stat, '-c', '%d %f %h %b %i %s', '--', '{}'];
  const isLong = ['-path', `${'?'.repeat(LONG_PATH)}*`];
  return findArgs(root, leftOut, ['!', ...isLong, ...exec, '+', '-o', ...isLong, ...exec, ';']);
}

/** Splits output into lines. */
abstract class LineReader {
  #rest = '';

  read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.line(line);
  }

  protected abstract line(line: string): void;
}

/** Counts the output of {@link findInodesArgs}. It remembers only entries with several links. */
export class InodeReader extends LineReader {
  readonly #device: string;
  readonly #linked = new Set<string>();
  #single = 0;
  /** Whether a regular file has a size, if sizes were asked for. */
  hasSizes = false;

  /** @param device - the root's; entries of other devices are left out */
  constructor(device: bigint) {
    super();
    this.#device = String(device);
  }

  /** Inodes below the root, each once. */
  get inodes(): bigint {
    return BigInt(this.#single + this.#linked.size);
  }

  protected override line(line: string): void {
    const [device, inode] = line.split(' ');
    if (device !== this.#device) return;
    if (inode === undefined) this.#single += 1;
    else if (inode === SIZED) this.hasSizes = true;
    else this.#linked.add(inode);
  }
}

/** Counts the output of {@link findStatArgs}. It remembers only entries with several links. */
export class StatReader extends LineReader {
  readonly #device: string;
  readonly #linked = new Set<string>();
  #inodes = 0;
  #blocks = 0n;
  /** Whether a regular file has a size. */
  hasSizes = false;

  /** @param device - the root's; entries of other devices are left out */
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
    const [device, mode = '', links, blocks, inode = '', size = '0'] = line.split(' ');
    if (device !== this.#device || blocks === undefined) return;
    if (size !== '0' && typeOf(mode) === REGULAR_FILE) this.hasSizes = true;
    if (links !== '1' && typeOf(mode) !== DIRECTORY) {
      if (this.#linked.has(inode)) return;
      this.#linked.add(inode);
    }
    this.#inodes += 1;
    this.#blocks += BigInt(blocks);
  }
}

const DIRECTORY = 0o040000;
const REGULAR_FILE = 0o100000;

/** @param mode - st_mode in hexadecimal digits */
function typeOf(mode: string): number {
  return Number.parseInt(mode, 16) & 0o170000;
}

/** One character of UTF-8, or one byte that is not part of a character. */
const CHARACTER =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\s\S]/g;

/**
 * A pattern of fnmatch(3) that matches exactly this path. Arguments of a command are UTF-8 here, so a byte
 * that is not becomes `?`, which matches any one byte under LC_ALL=C.
 *
 * @param path - one character for each byte
 */
export function patternFor(path: string): string {
  return path.replace(CHARACTER, (character) => {
    if (character.length > 1) return Buffer.from(character, 'latin1').toString();
    if (character > '\x7f') return '?';
    return '[]*?\\'.includes(character) ? `\\${character}` : character;
  });
}
