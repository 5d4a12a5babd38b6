import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { VolumeUsage_Unit } from '../../../src/csi/v1/index.js';
import { FuseServer, type FuseMount } from '../../support/fuse.mjs';
import { needs } from '../../support/needs.js';
import { serve, type Outcome } from './stats-server.js';

const { BYTES, INODES } = VolumeUsage_Unit;
const { OK, DEADLINE_EXCEEDED, INTERNAL, NOT_FOUND } = status;

const STATFS = { frsize: 4096, blocks: 100n, bfree: 40n, bavail: 30n, files: 10n, ffree: 7n };
const BYTES_ENTRY = { unit: BYTES, total: 409600n, available: 122880n, used: 245760n };
const INODES_ENTRY = { unit: INODES, total: 10n, available: 7n, used: 3n };

describe.skipIf(needs({ fuse: true }))('volumes on FUSE mounts', () => {
  let fuse: FuseServer;
  const mounts: FuseMount[] = [];

  beforeAll(() => {
    fuse = new FuseServer();
  });
  afterEach(async () => {
    for (const mount of mounts.splice(0)) await mount.unmount();
  });
  afterAll(async () => {
    await fuse.close();
  });

  const mountNew = async (...args: Parameters<FuseServer['mount']>): Promise<FuseMount> => {
    const mount = await fuse.mount(...args);
    mounts.push(mount);
    return mount;
  };
  const usageOf = (outcome: Outcome): unknown => ('response' in outcome ? outcome.response.usage : outcome);

  test.each<[string, Partial<typeof STATFS>, readonly object[]]>([
    ['has its numbers', {}, [BYTES_ENTRY, INODES_ENTRY]],
    ['that counts no inodes has bytes alone', { files: 0n, ffree: 0n }, [BYTES_ENTRY]],
    ['without a limit of inodes has bytes alone', { files: 2n ** 63n - 1n }, [BYTES_ENTRY]],
    ['with more free inodes than there are has bytes alone', { ffree: 11n }, [BYTES_ENTRY]],
    [
      'with more available than there is has nothing available',
      { bavail: 2n ** 64n - 1n },
      [{ ...BYTES_ENTRY, available: 0n }, INODES_ENTRY],
    ],
  ])('one %s', async (_, changes, usage) => {
    const mount = await mountNew({ statfs: { ...STATFS, ...changes } });
    for (const requireMount of [false, true]) {
      expect(usageOf(await (await serve({ requireMount })).ask('v', mount.path))).toEqual(usage);
    }
  });

  test('one of more than CSI can carry is a failure', async () => {
    const mount = await mountNew({ statfs: { ...STATFS, blocks: 2n ** 62n, bfree: 1n } });
    expect(await (await serve()).ask('v', mount.path)).toMatchObject({
      code: INTERNAL,
      details: `capacity of ${String(2n ** 74n)} bytes is more than CSI can carry`,
    });
  });

  test('one that is unmounted is not the host', async () => {
    const server = await serve({ requireMount: true });
    const mount = await mountNew({ statfs: STATFS });
    expect(await server.ask('v', mount.path)).toMatchObject({ code: OK });
    await mount.unmount();
    mounts.splice(0);
    expect(await server.ask('v', mount.path)).toMatchObject({ code: NOT_FOUND });
  });

  test.each(['ESTALE', 'ENOTCONN', 'EIO', 'ENODEV'])(
    'one whose other side is gone (%s) is abnormal with its last numbers, or a failure',
    async (errno) => {
      const mount = await mountNew({ statfs: STATFS });
      const judging = await serve({ health: true });
      const plain = await serve();
      expect(usageOf(await judging.ask('v', mount.path))).toEqual([BYTES_ENTRY, INODES_ENTRY]);
      await mount.change({ statfs: STATFS, errors: { statfs: errno } });
      const said = expect.stringContaining(errno) as string;
      expect(await judging.ask('v', mount.path)).toMatchObject({
        response: { usage: [BYTES_ENTRY, INODES_ENTRY], volumeCondition: { abnormal: true, message: said } },
      });
      expect(await plain.ask('v', mount.path)).toMatchObject({ code: INTERNAL, details: said });
    },
  );

  test('ten that hang keep nobody waiting, are answered in time, and cost one call each', async () => {
    const server = await serve();
    const healthy = await mountNew({ statfs: STATFS });
    const hung = await Promise.all(
      Array.from({ length: 10 }, () => mountNew({ statfs: STATFS }, 'unanswered')),
    );
    const settled: Outcome[] = [];
    const asked = hung.flatMap((mount, index) =>
      // Ten callers of the first one, one of each other.
      Array.from({ length: index === 0 ? 10 : 1 }, async () => {
        settled.push(await server.ask(`v${String(index)}`, mount.path, 2_000));
      }),
    );
    await Promise.all(hung.map((mount) => mount.received('getattr')));
    expect(usageOf(await server.ask('healthy', healthy.path, 2_000))).toEqual([BYTES_ENTRY, INODES_ENTRY]);
    expect(settled).toEqual([]);

    await Promise.all(asked);
    for (const outcome of settled) {
      // The client's own word for it would be another.
      expect(outcome).toMatchObject({
        code: DEADLINE_EXCEEDED,
        details: expect.stringMatching(/has not answered in time$/) as string,
      });
    }
    for (const mount of hung) expect(await mount.requests(process.pid)).toEqual({ getattr: 1 });

    await Promise.all(hung.map((mount) => mount.release()));
    for (const [index, mount] of hung.entries()) {
      expect(usageOf(await server.ask(`v${String(index)}`, mount.path))).toEqual([BYTES_ENTRY, INODES_ENTRY]);
    }
  });

  test('one that hangs is an abnormal volume where that is asked for', async () => {
    const server = await serve({ health: true });
    const mount = await mountNew({ statfs: STATFS });
    await server.ask('v', mount.path);
    await mount.hold('unanswered');
    expect(await server.ask('v', mount.path, 400)).toMatchObject({
      response: { usage: [BYTES_ENTRY, INODES_ENTRY], volumeCondition: { abnormal: true } },
    });
    await mount.release();
  });
});
