export function dfArgs(path: string): string[] {
  return ['-P', '-B', '1', '--', path];
}

/** What `df` tells of the filesystem that holds a path. */
export interface DfLine {
  /** Its size in bytes, modulo 2^64. */
  readonly size: bigint;
  /** A mount of it; not always the one that the path is on. One character for each byte. */
  readonly mountPoint: string;
}

/** BusyBox's answer to {@link dfArgs}; undefined when the text is none. Neither name in it is escaped. */
export function parseDf(text: string): DfLine | undefined {
  const [, size, mountPoint] = /^Filesystem [^\n]*\n.*? (\d+) +\d+ +\d+ +\d+% (\/.*)\n$/s.exec(text) ?? [];
  return size === undefined || mountPoint === undefined ? undefined : { size: BigInt(size), mountPoint };
}

/** How far the size may have moved between the two commands: an eighth of it. */
const MOVED = 8n;

/**
 * The unit (f_frsize) of the block counts, from the filesystem's size in bytes as `df` computed it from that
 * unit.
 *
 * @param blocks - how many there are; not 0
 * @param bsize - f_bsize, which often is the unit
 * @param size - modulo 2^64
 * @returns undefined when no unit explains the size
 */
export function unitOf(blocks: bigint, bsize: bigint, size: bigint): bigint | undefined {
  const explains = (frsize: bigint): boolean => BigInt.asUintN(64, blocks * frsize) === size;
  if (explains(bsize)) return bsize;
  if (size !== 0n && size % blocks === 0n) return size / blocks;
  // The product has wrapped, or the filesystem has another size by now: then it is a power of two, as it is for
  // all that grow.
  return POWERS.find(explains) ?? POWERS.find((frsize) => near(blocks * frsize, size));
}

const POWERS = Array.from({ length: 22 }, (_, power) => 512n << BigInt(power));

function near(a: bigint, b: bigint): boolean {
  return (a > b ? a - b : b - a) <= b / MOVED;
}
