import { statfsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fsInfo, MetricsStatFs } from '../../src/index.js';
import { FuseServer } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { BINDINGS } from './bindings.js';
import { FILESYSTEMS } from './filesystems.js';

const skipFuse = needs({ fuse: true }) !== false;

describe.skipIf(skipFuse).each(BINDINGS)('%s binding, made-up numbers', (binding) => {
  let server: FuseServer;
  beforeAll(() => {
    server = new FuseServer();
  });
  afterAll(async () => {
    await server.close();
  });

  test('blocks are counted in fragments', async () => {
    const statfs = {
      bsize: 1024 ** 2,
      frsize: 4096,
      blocks: 120_699_413n,
      bfree: 20_699_413n,
      bavail: 10_699_413n,
    };
    const { path } = await server.mount({ statfs });
    expect(await new MetricsStatFs(path, { binding }).getMetrics()).toMatchObject({
      capacity: 494_384_795_648n,
      available: 10_699_413n * 4096n,
      used: 100_000_000n * 4096n,
    });
    expect(await fsInfo(path, { binding })).toMatchObject({ capacity: 494_384_795_648n, blockSize: 4096n });
  });

  test('used is what is not free, available is what is left for the unprivileged', async () => {
    const statfs = { frsize: 4096, blocks: 1000n, bfree: 400n, bavail: 350n, files: 100n, ffree: 60n };
    const { path } = await server.mount({ statfs });
    const reading = await new MetricsStatFs(path, { binding }).getMetrics();
    expect(reading).toEqual({
      time: reading.time,
      source: 'statfs',
      capacity: 4_096_000n,
      available: 1_433_600n,
      used: 2_457_600n,
      inodes: 100n,
      inodesFree: 60n,
      inodesUsed: 40n,
      readOnly: false,
    });
  });

  test.each([
    ['no inodes', 0n, 0n],
    ['inodes without a limit', 2n ** 63n - 1n, 2n ** 63n - 2n],
    ['inodes without a limit, as read without a sign', 2n ** 64n - 1n, 2n ** 64n - 1n],
  ])('%s are absent', async (_, files, ffree) => {
    const { path } = await server.mount({ statfs: { files, ffree } });
    const reading = await new MetricsStatFs(path, { binding }).getMetrics();
    expect(reading.capacity).toBe(4_096_000n);
    expect(Object.keys(reading).filter((key) => key.startsWith('inodes'))).toEqual([]);
  });

  test('numbers beyond 2^53 are exact', async () => {
    const blocks = 2n ** 51n + 1n;
    const { path } = await server.mount({
      statfs: { blocks, bfree: 3n, bavail: 2n, files: 2n ** 60n + 1n, ffree: 1n },
    });
    expect(await new MetricsStatFs(path, { binding }).getMetrics()).toMatchObject({
      capacity: blocks * 4096n,
      available: 8192n,
      used: (blocks - 3n) * 4096n,
      inodes: 2n ** 60n + 1n,
      inodesUsed: 2n ** 60n,
    });
  });

  test('an error of the filesystem is the cause', async () => {
    const { path } = await server.mount({ errors: { statfs: 'EIO' } });
    await expect(new MetricsStatFs(path, { binding }).getMetrics()).rejects.toMatchObject({
      code: 'METRICS_FS_INFO_FAILED',
      path,
      cause: { code: 'EIO' },
    });
  });
});

describe.each(FILESYSTEMS)('on $name', (filesystem) => {
  const skip = needs(filesystem.needs) !== false;
  let place: TestMounts;
  let path: string;
  beforeAll(() => {
    if (skip) return;
    place = new TestMounts();
    path = filesystem.mount(place);
  });
  afterAll(() => {
    if (!skip) place.close();
  });

  describe.skipIf(skip).each(BINDINGS)('%s binding', (binding) => {
    test('the numbers are those of statfs', async () => {
      const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(path, { bigint: true });
      // Node 20 has no f_frsize; on these it is f_bsize.
      expect(await fsInfo(path, { binding })).toEqual({
        capacity: blocks * bsize,
        available: bavail * bsize,
        used: (blocks - bfree) * bsize,
        ...(filesystem.countsInodes && { inodes: files, inodesFree: ffree, inodesUsed: files - ffree }),
        readOnly: false,
        blockSize: bsize,
        type: filesystem.name,
      });
    });

    test('a mount that became read-only says so', async () => {
      const view = place.bind(path, place.newDirectory());
      place.makeReadOnly(view);
      expect((await fsInfo(view, { binding })).readOnly).toBe(true);
      expect((await new MetricsStatFs(path, { binding }).getMetrics()).readOnly).toBe(false);
    });
  });
});
