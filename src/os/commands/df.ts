export function dfArgs(path: string): string[] {
  return ['-P', '-B', '1', '--', path];
}

/** What `df` prints about the filesystem that holds a path. */
export interface DfLine {
  /** Its size in bytes, modulo 2^64. */
  readonly size: bigint;
  /** One of its mounts, not always the one that the path is on. One character for each byte. */
  readonly mountPoint: string;
}

/**
 * BusyBox's answer to {@link dfArgs}; undefined if the text has another form. Neither name in it is escaped.
 */
export function parseDf(text: string): DfLine | undefined {
  const [, size, mountPoint] = /^Filesystem [^\n]*\n.*? (\d+) +\d+ +\d+ +\d+% (\/.*)\n$/s.exec(text) ?? [];
  return size === undefined || mountPoint === undefined ? undefined : { size: BigInt(size), mountPoint };
}

/** The size may have changed between the two commands by an eighth. */
const MOVED = 8n;

/**
 * The unit (f_frsize) of the block counts, from the filesystem's size in bytes, which `df` computed from that
 * unit.
 *
 * @param blocks - how many there are; not 0
 * @param bsize - f_bsize, which is often the unit
 * @param size - modulo 2^64
 * @returns undefined if no unit explains the size
 */
export function unitOf(blocks: bigint, bsize: bigint, size: bigint): bigint | undefined {
  const explains = (frsize: bigint): boolean => BigInt.asUintN(64, blocks * frsize) === size;
  if (explains(bsize)) return bsize;
  if (size !== 0n && size % blocks === 0n) return size / blocks;
  // The product has wrapped, or the filesystem's size has changed. Then the unit is a power of two, as for
  // every filesystem that can grow.
  return POWERS.find(explains) ?? POWERS.find((frsize) => near(blocks * frsize, size));
}

const POWERS = Array.from({ length: 22 }, (_, power) => 512n << BigInt(power));

function near(a: bigint, b: bigint): boolean {
  return (a > b ? a - b : b - a) <= b / MOVED;
}
