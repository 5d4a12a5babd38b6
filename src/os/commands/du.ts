import { systemError } from '../system-error.js';
import { fromBytes } from './bytes.js';

/**
 * Sizes of a tree from GNU's du: blocks x 512 of each inode once, on the root's device only, without what the
 * patterns match. The directories right below the root are printed too, as a sign of progress; all directories
 * would be too much of a deep tree, where the paths alone grow with the square of the depth.
 */
export function duArgs(root: string, leftOut: readonly string[]): string[] {
  return ['-x', '-D', '-B', '1', '-0', '-d', '1', ...leftOut.map((each) => `--exclude=${each}`), '--', root];
}

/** Reads the answer to {@link duArgs} as it comes. */
export class DuReader {
  readonly #root: string;
  #rest = '';
  /** Bytes of the directories below the root that are done with. */
  sofar = 0n;
  /** Bytes of the whole tree, the last line of all. */
  total: bigint | undefined;

  /** @param root - one character for each byte */
  constructor(root: string) {
    this.#root = root;
  }

  /** @throws a system error EOVERFLOW when a sum is too large to be one */
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

/** @throws a system error EOVERFLOW for "Infinity", GNU's word for 2^64 bytes and more: no filesystem has so many */
function bytes(size: string, path: string): bigint {
  if (!/^\d+$/.test(size)) throw systemError('EOVERFLOW', 'du', fromBytes(path));
  return BigInt(size);
}
