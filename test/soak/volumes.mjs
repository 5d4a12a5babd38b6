// @ts-check
import { link, lstat, mkdir, readdir, statfs, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MetricsDu, MetricsStatFs } from 'kube-volume-metrics';
import { MetricsCsi } from 'kube-volume-metrics/csi';
import { csiNumbers, csiVolume } from './csi-numbers.mjs';
import { Volume } from './volume.mjs';

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./volume.mjs').Quantity} Quantity */

const PAGE = 4096;

/** How long a call on a volume here may take, and a walk stand still. */
export const LIMITS = { timeoutMs: 3_000, stallTimeoutMs: 3_000 };

/**
 * An emptyDir: a tree that stays as it is, of a shape and size that no other has at the time.
 *
 * @param {string} path
 * @param {number} number
 * @param {Random} random
 */
export async function scratchVolume(path, number, random) {
  const folders = [path];
  await mkdir(path, { recursive: true });
  const more = random.between(1, 12);
  for (let each = 0; each < more; each += 1) {
    const folder = join(random.pick(folders), `d${String(each)}`);
    await mkdir(folder);
    folders.push(folder);
  }
  const files = 1 + (number % 61);
  for (let file = 0; file < files; file += 1) {
    const pages = file === 0 ? 1 + (number % 64) : random.between(0, 2);
    await writeFile(join(random.pick(folders), `f${String(file)}`), Buffer.alloc(pages * PAGE, 'x'));
  }
  await writeFile(join(path, 'linked'), 'x');
  await link(join(path, 'linked'), join(random.pick(folders), 'twice'));
  await symlink('/', join(random.pick(folders), 'out'));
  const { used, inodesUsed } = await counted(path);
  const { blocks, bsize } = await statfs(path, { bigint: true });
  return new Volume({
    name: 'scratch',
    spec: { emptyDir: {} },
    provider: new MetricsDu(path, LIMITS),
    place: { how: 'du', path },
    exact: { capacity: blocks * bsize, used, inodesUsed },
    // While it is removed.
    changing: { used: [0n, used], inodesUsed: [0n, inodesUsed] },
  });
}

/**
 * What a tree uses, by Node's own lstat.
 *
 * @param {string} path
 */
async function counted(path) {
  const byInode = new Map();
  for (const paths = [path]; paths.length > 0;) {
    const each = /** @type {string} */ (paths.pop());
    const status = await lstat(each, { bigint: true });
    byInode.set(status.ino, status.blocks * 512n);
    if (status.isDirectory()) paths.push(...(await readdir(each)).map((name) => join(each, name)));
  }
  const used = [...byInode.values()].reduce((sum, bytes) => sum + bytes, 0n);
  return { used, inodesUsed: BigInt(byInode.size) };
}

/**
 * A claim on a filesystem of its own, a tmpfs, which is not there yet.
 *
 * @param {string} path
 * @param {number} number
 * @param {import('./workplace.mjs').Workplace} workplace
 */
export function mountedVolume(path, number, workplace) {
  const size = BigInt(64 + (number % 128)) * 65_536n;
  const inodes = BigInt(64 + (number % 199));
  const files = 1 + (number % 7);
  const pages = 1 + (number % 11);
  const used = BigInt(files * pages * PAGE);
  const inodesUsed = BigInt(1 + files);
  const volume = new Volume({
    name: 'mounted',
    spec: { persistentVolumeClaim: { claimName: `mounted-${String(number)}` } },
    provider: new MetricsStatFs(path, { timeoutMs: LIMITS.timeoutMs, requireMount: true }),
    place: { how: 'statfs', path },
    exact: {
      capacity: size,
      used,
      available: size - used,
      inodes,
      inodesUsed,
      inodesFree: inodes - inodesUsed,
    },
    // While its files are written.
    changing: {
      used: [0n, used],
      available: [size - used, size],
      inodesUsed: [1n, inodesUsed],
      inodesFree: [inodes - inodesUsed, inodes],
    },
  });
  volume.settledMs = Infinity;
  const mount = async () => {
    await workplace.tmpfs(path, `size=${String(size)},nr_inodes=${String(inodes)}`);
    for (let file = 0; file < files; file += 1) {
      await writeFile(join(path, `f${String(file)}`), Buffer.alloc(pages * PAGE, 'x'));
    }
    // A call may join one that began before it, so that its number is older than its time.
    volume.settledMs = Date.now() + 1_000;
    await checkNumbers(path, volume.exact);
  };
  return { volume, mount };
}

/**
 * The soak's own sums are those of Node's statfs, too.
 *
 * @param {string} path
 * @param {Partial<Record<Quantity, bigint>>} exact
 */
async function checkNumbers(path, exact) {
  const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(path, { bigint: true });
  const own = [exact.capacity, exact.used, exact.available, exact.inodes, exact.inodesFree];
  const node = [blocks * bsize, (blocks - bfree) * bsize, bavail * bsize, files, ffree];
  if (String(own) !== String(node)) throw new Error(`${path} has ${String(node)}, not ${String(own)}`);
}

/**
 * A claim that a CSI driver measures.
 *
 * @param {number} number
 * @param {import('kube-volume-metrics/csi').CsiNodeClient} client
 */
export function claimedVolume(number, client) {
  return new Volume({
    name: 'claimed',
    spec: { persistentVolumeClaim: { claimName: `claimed-${String(number)}` } },
    provider: new MetricsCsi({ client, driverName: 'csi.soak', ...csiVolume(number) }),
    place: { how: 'csi', number },
    exact: csiNumbers(number),
    mayFail: ['METRICS_CSI_FAILED', 'METRICS_TIMED_OUT'],
    health: 'recovers',
  });
}
