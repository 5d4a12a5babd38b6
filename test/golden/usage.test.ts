import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, linkSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CachedMetrics, diskUsage, fsInfo, MetricsBlock, MetricsDu, MetricsStatFs } from '../../src/index.js';
import { FuseServer } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { BINDINGS } from './bindings.js';
import { FILESYSTEMS } from './filesystems.js';

const BLOCK = 4096n;
const STATFS_CAPACITY = 4_096_000n;

/** A tree, and what is in it as far as it counts. */
interface Tree {
  /** Builds it in an empty directory; returns the root to measure, where that is not the directory. */
  build(directory: string, place: TestMounts): string | undefined;
  /** Files with one block each. */
  readonly blocks: bigint;
  readonly directories: bigint;
  readonly symlinks: bigint;
  readonly inodes: bigint;
}

/**
 * Files of one byte; written out at once, because a filesystem that allocates later tells fewer blocks until
 * then.
 */
function oneByte(directory: string, ...names: string[]): void {
  for (const name of names) writeFileSync(join(directory, name), 'x', { flush: true });
}

function sparse(path: string, bytes: number): void {
  const fd = openSync(path, 'wx');
  ftruncateSync(fd, bytes);
  closeSync(fd);
}

function e4(directory: string): void {
  oneByte(directory, 'a', 'b', 'c', 'd');
  mkdirSync(join(directory, 'z'));
  oneByte(join(directory, 'z'), 'q');
}

/** Golden cases of the kubelet's disk usage, as a better port should answer them. */
const TREES: Record<string, Tree> = {
  'a projected volume with three keys': {
    build(directory) {
      const data = '..2026_01_02_03_04_05.678';
      mkdirSync(join(directory, data));
      oneByte(join(directory, data), 'one', 'two', 'three');
      symlinkSync(data, join(directory, '..data'));
      for (const key of ['one', 'two', 'three']) symlinkSync(`..data/${key}`, join(directory, key));
      return undefined;
    },
    blocks: 3n,
    directories: 2n,
    symlinks: 4n,
    inodes: 9n,
  },
  'a file and a hard link to it': {
    build(directory) {
      oneByte(directory, 'f1');
      linkSync(join(directory, 'f1'), join(directory, 'f2'));
      return undefined;
    },
    blocks: 1n,
    directories: 1n,
    symlinks: 0n,
    inodes: 2n,
  },
  'a sparse file, a fifo, a symlink and an empty directory': {
    build(directory) {
      sparse(join(directory, 'sparse'), 1024 ** 3);
      execFileSync('mkfifo', [join(directory, 'fifo')]);
      symlinkSync('sparse', join(directory, 'link'));
      mkdirSync(join(directory, 'empty'));
      return undefined;
    },
    blocks: 0n,
    directories: 2n,
    symlinks: 1n,
    inodes: 5n,
  },
  'four files beside a directory with one': {
    build(directory) {
      e4(directory);
      return undefined;
    },
    blocks: 5n,
    directories: 2n,
    symlinks: 0n,
    inodes: 7n,
  },
  'a file, a sparse file, a symlink and an empty directory': {
    build(directory) {
      writeFileSync(join(directory, 'f'), 'eleven byte', { flush: true });
      sparse(join(directory, 'sp'), 1024 ** 2);
      symlinkSync('f', join(directory, 'link'));
      mkdirSync(join(directory, 'sub'));
      return undefined;
    },
    blocks: 1n,
    directories: 2n,
    symlinks: 1n,
    inodes: 5n,
  },
  'a single file as the root': {
    build(directory) {
      oneByte(directory, 'file');
      return join(directory, 'file');
    },
    blocks: 1n,
    directories: 0n,
    symlinks: 0n,
    inodes: 1n,
  },
  'an empty directory': { build: () => undefined, blocks: 0n, directories: 1n, symlinks: 0n, inodes: 1n },
  'four files beside a directory with one, another filesystem on the directory': {
    build(directory, place) {
      e4(directory);
      place.mount(join(directory, 'z'), '-t', 'tmpfs', 'kvm-test');
      oneByte(join(directory, 'z'), 'foreign');
      return undefined;
    },
    blocks: 4n,
    directories: 1n,
    symlinks: 0n,
    inodes: 5n,
  },
  'four files beside a directory with one, a directory of the same filesystem bound to it': {
    build(directory, place) {
      const root = join(directory, 'root');
      const other = join(directory, 'other');
      for (const path of [root, other]) mkdirSync(path);
      e4(root);
      oneByte(other, 'same');
      place.bind(other, join(root, 'z'));
      return root;
    },
    blocks: 4n,
    directories: 1n,
    symlinks: 0n,
    inodes: 5n,
  },
  'four files beside a directory with one, a file of another filesystem bound to one of them': {
    build(directory, place) {
      e4(directory);
      const foreign = place.newDirectory();
      oneByte(foreign, 'file');
      place.bind(join(foreign, 'file'), join(directory, 'b'));
      return undefined;
    },
    blocks: 4n,
    directories: 2n,
    symlinks: 0n,
    inodes: 6n,
  },
  'a symlink to four files beside a directory with one, on the same filesystem': {
    build(directory) {
      const root = join(directory, 'root');
      mkdirSync(root);
      e4(root);
      symlinkSync(root, join(directory, 'link'));
      return join(directory, 'link');
    },
    blocks: 5n,
    directories: 2n,
    symlinks: 0n,
    inodes: 7n,
  },
  'a symlink to four files beside a directory with one, from another filesystem': {
    build(directory, place) {
      e4(directory);
      const link = join(place.newDirectory(), 'link');
      symlinkSync(directory, link);
      return link;
    },
    blocks: 5n,
    directories: 2n,
    symlinks: 0n,
    inodes: 7n,
  },
};

describe.each(FILESYSTEMS)('on $name', (filesystem) => {
  const skip = needs(filesystem.needs) !== false;
  let place: TestMounts;
  let mountPoint: string;
  const roots = new Map<string, string>();
  beforeAll(() => {
    if (skip) return;
    place = new TestMounts();
    mountPoint = filesystem.mount(place);
    for (const [index, [name, tree]] of Object.entries(TREES).entries()) {
      const directory = join(mountPoint, String(index));
      mkdirSync(directory);
      roots.set(name, tree.build(directory, place) ?? directory);
    }
  });
  afterAll(() => {
    if (!skip) place.close();
  });

  describe.skipIf(skip).each(BINDINGS)('%s binding', (binding) => {
    test.each(Object.entries(TREES))('%s', async (name, tree) => {
      expect(await diskUsage(roots.get(name)!, { binding })).toEqual({
        used:
          tree.blocks * BLOCK +
          tree.directories * filesystem.directoryBytes +
          tree.symlinks * filesystem.symlinkBytes,
        inodesUsed: tree.inodes,
      });
    });

    test('MetricsDu joins what the tree uses with what the filesystem has', async () => {
      const name = 'four files beside a directory with one';
      const root = roots.get(name)!;
      const { capacity, inodes } = await fsInfo(root, { binding });
      const reading = await new MetricsDu(root, { binding }).getMetrics();
      expect(reading).toMatchObject({ source: 'du', capacity, ...(await diskUsage(root, { binding })) });
      expect(reading.inodes).toBe(inodes);
      expect('inodes' in reading).toBe(filesystem.countsInodes);
    });
  });
});

describe.each(BINDINGS)('%s binding', (binding) => {
  describe('a path that does not exist', () => {
    const path = '/there/is/no/such/path';
    test.each([
      ['diskUsage', () => diskUsage(path, { binding })],
      ['MetricsDu', () => new MetricsDu(path, { binding }).getMetrics()],
      ['MetricsStatFs', () => new MetricsStatFs(path, { binding }).getMetrics()],
      ['MetricsBlock', () => new MetricsBlock(path, { binding }).getMetrics()],
    ])('%s', async (_, call) => {
      await expect(call()).rejects.toMatchObject({
        code: 'METRICS_NOT_FOUND',
        path,
        cause: { code: 'ENOENT' },
      });
    });
  });

  describe('an empty path', () => {
    test.each([
      ['diskUsage', () => diskUsage('', { binding })],
      ['MetricsDu', () => new MetricsDu('', { binding }).getMetrics()],
      ['MetricsStatFs', () => new MetricsStatFs('', { binding }).getMetrics()],
      ['MetricsBlock', () => new MetricsBlock('', { binding }).getMetrics()],
      ['CachedMetrics', () => new CachedMetrics(new MetricsDu('', { binding })).getMetrics()],
    ])('%s', async (_, call) => {
      await expect(call()).rejects.toMatchObject({
        code: 'METRICS_NO_PATH_DEFINED',
        message: 'no path defined for disk usage metrics.',
      });
    });
  });

  describe.skipIf(needs({ fuse: true }) !== false)('a filesystem with errors', () => {
    let server: FuseServer;
    beforeAll(() => {
      server = new FuseServer();
    });
    afterAll(async () => {
      await server.close();
    });
    const file = { blocks: 8 };

    test('a directory that may not be read fails the walk, or makes it incomplete', async () => {
      const entries = {
        a: file,
        closed: { entries: { b: file }, blocks: 8, errors: { opendir: 'EACCES' } },
        z: file,
      };
      const { path } = await server.mount({ entries });
      const closed = join(path, 'closed');
      await expect(diskUsage(path, { binding })).rejects.toMatchObject({
        code: 'METRICS_USAGE_FAILED',
        path: closed,
        cause: { code: 'EACCES' },
      });
      const incomplete = { errors: 1, first: { path: closed, code: 'EACCES' } };
      expect(await diskUsage(path, { binding, allowPartial: true })).toEqual({
        used: 3n * BLOCK,
        inodesUsed: 4n,
        incomplete,
      });
      expect(await new MetricsDu(path, { binding, allowPartial: true }).getMetrics()).toMatchObject({
        capacity: STATFS_CAPACITY,
        incomplete,
      });
    });

    test('a file that vanishes between the listing and the look at it is ignored', async () => {
      const { path } = await server.mount({
        entries: { a: file, gone: { errors: { lookup: 'ENOENT' } }, z: file },
      });
      expect(await diskUsage(path, { binding })).toEqual({ used: 2n * BLOCK, inodesUsed: 3n });
    });

    test('a directory that vanishes between the look at it and its listing is ignored', async () => {
      const gone = { entries: { b: file }, blocks: 8, errors: { opendir: 'ENOENT' } };
      const { path } = await server.mount({ entries: { a: file, gone, z: file } });
      // Commands have told about a directory before they open it.
      const counted = binding === 'native' ? 0n : 1n;
      expect(await diskUsage(path, { binding })).toEqual({
        used: (2n + counted) * BLOCK,
        inodesUsed: 3n + counted,
      });
    });

    test('a mount point below the root is not opened', async () => {
      const outer = await server.mount({ entries: { a: file, z: { kind: 'directory', blocks: 8 } } });
      const inner = await server.mount({ entries: { b: file } });
      const place = new TestMounts();
      try {
        place.bind(inner.path, join(outer.path, 'z'));
        expect(await diskUsage(outer.path, { binding })).toEqual({ used: BLOCK, inodesUsed: 2n });
        expect(await inner.requests(process.pid)).toEqual({});
        expect((await inner.requests()).opendir).toBeUndefined();
      } finally {
        place.close();
      }
    });
  });
});
