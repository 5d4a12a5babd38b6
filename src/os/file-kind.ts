import type { PathInfo } from './path-info.js';

const S_IFMT = 0o170000n;
const KINDS = new Map<bigint, PathInfo['kind']>([
  [0o040000n, 'directory'],
  [0o100000n, 'file'],
  [0o060000n, 'block'],
]);

/** @param mode - stat(2)'s st_mode */
export function kindOf(mode: bigint): PathInfo['kind'] {
  return KINDS.get(mode & S_IFMT) ?? 'other';
}
