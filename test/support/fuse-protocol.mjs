// @ts-check The part of the kernel's FUSE protocol (linux/fuse.h, major 7) that a read-only tree needs.
// Little endian throughout.
import os from 'node:os';

/**
 * @typedef {object} StatFsNumbers What the filesystem answers to statfs.
 * @property {number | bigint} bsize of 32 bits, like frsize
 * @property {number | bigint} frsize
 * @property {bigint} blocks in units of frsize, like the two below
 * @property {bigint} bfree
 * @property {bigint} bavail
 * @property {bigint} files
 * @property {bigint} ffree
 */

/**
 * @typedef {object} FuseEntry One entry of the tree.
 * @property {'file' | 'directory'} [kind] a directory where there are entries, else a file
 * @property {number} [blocks] of 512 bytes each
 * @property {number} [size] in bytes; without it, what the blocks hold
 * @property {bigint} [inode] the inode number; without it, one of its own
 * @property {Record<string, FuseEntry>} [entries] what a directory holds
 * @property {Partial<Record<FuseRequest, Errno>>} [errors] the errno that a kind of request on this entry is
 * answered with
 */

/** @typedef {string | number} Errno By the name that Node has for it, or by its number. */

/**
 * @typedef {'lookup' | 'getattr' | 'open' | 'read' | 'statfs' | 'opendir' | 'readdir' | 'other'} FuseRequest
 */

/** @typedef {{ id: bigint, name: string, entry: FuseEntry, children: Map<string, FuseNode> }} FuseNode */

/** @typedef {Map<bigint, FuseNode>} FuseTree nodes by number, the root under 1 */

const LOOKUP = 1;
const FORGET = 2;
const GETATTR = 3;
const OPEN = 14;
const READ = 15;
const STATFS = 17;
const RELEASE = 18;
const FLUSH = 25;
const INIT = 26;
const OPENDIR = 27;
const READDIR = 28;
const RELEASEDIR = 29;
const INTERRUPT = 36;
const DESTROY = 38;
const BATCH_FORGET = 42;

/** Requests that the kernel wants no answer to; an interrupt may be left unanswered too. */
const UNANSWERED = new Set([FORGET, BATCH_FORGET, INTERRUPT, DESTROY]);

/** @type {Map<number, FuseRequest>} */
const NAMES = new Map([
  [LOOKUP, 'lookup'],
  [GETATTR, 'getattr'],
  [OPEN, 'open'],
  [READ, 'read'],
  [STATFS, 'statfs'],
  [OPENDIR, 'opendir'],
  [READDIR, 'readdir'],
]);

const ROOT = 1n;
const IN_HEADER = 40;
const OUT_HEADER = 16;

/**
 * What kind of request it is.
 *
 * @param {Buffer} request
 * @returns {FuseRequest}
 */
export function kindOf(request) {
  return NAMES.get(request.readUInt32LE(4)) ?? 'other';
}

/**
 * The thread that asks.
 *
 * @param {Buffer} request
 */
export function threadOf(request) {
  return request.readUInt32LE(32);
}

/**
 * The number of an errno.
 *
 * @param {Errno} errno
 * @throws RangeError for a name that Node does not know, or a number that the kernel takes from no server
 */
function errnoNumber(errno) {
  /** @type {Readonly<Record<string, number>>} */
  const numbers = os.constants.errno;
  const number = typeof errno === 'number' ? errno : numbers[errno];
  if (number !== undefined && Number.isInteger(number) && number > 0 && number < 512) return number;
  throw new RangeError(`${String(errno)} is no errno that a FUSE server can answer with`);
}

/**
 * Numbers the entries of a tree.
 *
 * @param {FuseEntry} root
 * @returns {FuseTree}
 * @throws RangeError for an errno that is none
 */
export function numbered(root) {
  /** @type {FuseTree} */
  const tree = new Map();
  /**
   * @param {string} name
   * @param {FuseEntry} entry
   * @returns {FuseNode}
   */
  const add = (name, entry) => {
    /** @type {FuseNode} */
    const node = { id: ROOT + BigInt(tree.size), name, entry, children: new Map() };
    tree.set(node.id, node);
    Object.values(entry.errors ?? {}).forEach(errnoNumber);
    for (const [child, inner] of Object.entries(entry.entries ?? {}))
      node.children.set(child, add(child, inner));
    return node;
  };
  add('', { kind: 'directory', ...root });
  return tree;
}

/**
 * The answer to a request, or undefined where the kernel wants none.
 *
 * @param {Buffer} request
 * @param {FuseTree} tree
 * @param {StatFsNumbers} statfs
 * @returns {Buffer | undefined}
 */
export function answer(request, tree, statfs) {
  const opcode = request.readUInt32LE(4);
  const unique = request.readBigUInt64LE(8);
  if (UNANSWERED.has(opcode)) return undefined;
  const node = tree.get(request.readBigUInt64LE(16));
  const body = request.subarray(IN_HEADER);
  const name = opcode === LOOKUP ? body.toString('utf8', 0, body.indexOf(0)) : undefined;
  const target = name === undefined ? node : node?.children.get(name);
  const errno = target === undefined ? 'ENOENT' : target.entry.errors?.[kindOf(request)];
  if (errno !== undefined && opcode !== INIT) return reply(unique, Buffer.alloc(0), errno);
  const payload = answerTo(opcode, body, /** @type {FuseNode} */ (target), statfs);
  return payload === undefined ? reply(unique, Buffer.alloc(0), 'ENOSYS') : reply(unique, payload);
}

/**
 * @param {number} opcode
 * @param {Buffer} body
 * @param {FuseNode} target
 * @param {StatFsNumbers} statfs
 * @returns {Buffer | undefined} undefined for a request that is not served
 */
function answerTo(opcode, body, target, statfs) {
  switch (opcode) {
    case INIT:
      return init(body);
    case STATFS:
      return statfsOut(statfs);
    case GETATTR:
      // All validity times are zero: each stat is a request of its own, so that they can be counted.
      return Buffer.concat([Buffer.alloc(16), attributes(target)]);
    case LOOKUP: {
      const entry = Buffer.alloc(40);
      entry.writeBigUInt64LE(target.id, 0);
      return Buffer.concat([entry, attributes(target)]);
    }
    case OPEN:
    case OPENDIR:
      return Buffer.alloc(16);
    case READDIR:
      return directory(target, Number(body.readBigUInt64LE(8)), body.readUInt32LE(16));
    case READ:
    case FLUSH:
    case RELEASE:
    case RELEASEDIR:
      return Buffer.alloc(0);
    default:
      return undefined;
  }
}

/**
 * @param {bigint} unique
 * @param {Buffer} payload
 * @param {Errno} [errno]
 */
function reply(unique, payload, errno) {
  const header = Buffer.alloc(OUT_HEADER);
  header.writeUInt32LE(OUT_HEADER + payload.length, 0);
  if (errno !== undefined) header.writeInt32LE(-errnoNumber(errno), 4);
  header.writeBigUInt64LE(unique, 8);
  return Buffer.concat([header, payload]);
}

/** @param {Buffer} body */
function init(body) {
  const out = Buffer.alloc(64);
  out.writeUInt32LE(7, 0);
  out.writeUInt32LE(Math.min(31, body.readUInt32LE(4)), 4);
  out.writeUInt32LE(body.readUInt32LE(8), 8); // max_readahead
  out.writeUInt16LE(1024, 16); // max_background
  out.writeUInt16LE(768, 18); // congestion_threshold
  out.writeUInt32LE(4096, 20); // max_write; bounds the size of a request to what one read takes
  out.writeUInt32LE(1, 24); // time_gran
  return out;
}

/** @param {StatFsNumbers} numbers */
function statfsOut(numbers) {
  const out = Buffer.alloc(80);
  const { blocks, bfree, bavail, files, ffree } = numbers;
  [blocks, bfree, bavail, files, ffree].forEach((count, index) => out.writeBigUInt64LE(count, index * 8));
  out.writeUInt32LE(Number(numbers.bsize), 40);
  out.writeUInt32LE(255, 44); // namelen
  out.writeUInt32LE(Number(numbers.frsize), 48);
  return out;
}

/** @param {FuseNode} node */
function attributes(node) {
  const out = Buffer.alloc(88);
  const blocks = node.entry.blocks ?? 0;
  out.writeBigUInt64LE(node.entry.inode ?? node.id, 0);
  out.writeBigUInt64LE(BigInt.asUintN(62, BigInt(node.entry.size ?? BigInt(blocks) * 512n)), 8);
  out.writeBigUInt64LE(BigInt(blocks), 16);
  out.writeUInt32LE(isDirectory(node) ? 0o40755 : 0o100644, 60); // mode
  out.writeUInt32LE(isDirectory(node) ? 2 : 1, 64); // nlink
  out.writeUInt32LE(4096, 80); // blksize
  return out;
}

/**
 * @param {FuseNode} node
 * @param {number} offset how many entries the caller has already
 * @param {number} size bytes that the caller has room for
 */
function directory(node, offset, size) {
  const entries = [...node.children.values()].slice(offset);
  let room = size;
  return Buffer.concat(
    entries.flatMap((child, index) => {
      const name = Buffer.from(child.name);
      const out = Buffer.alloc(24 + Math.ceil(name.length / 8) * 8);
      if (out.length > room) {
        room = 0;
        return [];
      }
      room -= out.length;
      out.writeBigUInt64LE(child.entry.inode ?? child.id, 0);
      out.writeBigUInt64LE(BigInt(offset + index + 1), 8);
      out.writeUInt32LE(name.length, 16);
      out.writeUInt32LE(isDirectory(child) ? 4 : 8, 20); // DT_DIR, DT_REG
      name.copy(out, 24);
      return [out];
    }),
  );
}

/** @param {FuseNode} node */
function isDirectory(node) {
  return (node.entry.kind ?? (node.entry.entries === undefined ? 'file' : 'directory')) === 'directory';
}
