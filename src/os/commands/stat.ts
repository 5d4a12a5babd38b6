import { deviceNumber } from '../device-number.js';
import { kindOf } from '../file-kind.js';
import type { PathInfo } from '../path-info.js';
import type { StatFs } from '../statfs.js';

/** What `stat -L` tells of a path. */
export interface Stat extends PathInfo {
  /** Units of 512 bytes that are allocated to it. */
  readonly blocks: bigint;
}

export function statArgs(path: string): string[] {
  return ['-L', '-c', '%f %t %T %s %d %i %b', '--', path];
}

/** The answer to {@link statArgs} in either dialect; undefined when the text is none. */
export function parseStat(text: string): Stat | undefined {
  const words = /^([\da-f]+) ([\da-f]+) ([\da-f]+) (-?\d+) (-?\d+) (-?\d+) (-?\d+)\n$/.exec(text)?.slice(1);
  if (words === undefined) return undefined;
  const [mode, major, minor] = words.slice(0, 3).map((digits) => BigInt(`0x${digits}`)) as Triple;
  const [size, device, inode, blocks] = words.slice(3).map(unsigned) as [...Triple, bigint];
  return {
    kind: kindOf(mode),
    size,
    device,
    inode,
    rdev: deviceNumber(major, minor),
    blocks,
  };
}

export function statFsArgs(path: string): string[] {
  return ['-f', '-c', '%t %b %f %a %c %d %S', '--', path];
}

/** The numbers of `stat -f`. */
export interface FsCounts extends Omit<StatFs, 'frsize' | 'readOnly'> {
  /** Bytes: f_frsize from GNU, f_bsize from BusyBox (1.35). The counts are in units of f_frsize with both. */
  readonly unit: bigint;
}

/** The answer to {@link statFsArgs} in either dialect; undefined when the text is none. */
export function parseStatFs(text: string): FsCounts | undefined {
  const words = /^([\da-f]+) (-?\d+) (-?\d+) (-?\d+) (-?\d+) (-?\d+) (\d+)\n$/.exec(text)?.slice(1);
  if (words === undefined) return undefined;
  const [blocks, bfree, bavail, files, ffree, unit] = words.slice(1).map(unsigned) as [...Triple, ...Triple];
  return {
    // A long in some kernels, with the sign spread over it; the numbers of linux/magic.h have 32 bits.
    magic: Number(BigInt.asUintN(32, BigInt(`0x${String(words[0])}`))),
    blocks,
    bfree,
    bavail,
    files,
    ffree,
    unit,
  };
}

type Triple = [bigint, bigint, bigint];

/** GNU's stat prints some of the kernel's unsigned counts with a sign. */
function unsigned(digits: string): bigint {
  return BigInt.asUintN(64, BigInt(digits));
}
