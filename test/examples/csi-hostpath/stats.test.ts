import { status } from '@grpc/grpc-js';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CsiNodeClient, MetricsCsi } from '../../../src/csi/index.js';
import {
  NodeServiceCapability_RPC_Type as Capability,
  StorageHealthErrorType,
  VolumeHealthErrorType,
  VolumeUsage_Unit as Unit,
  type VolumeCapability,
} from '../../../src/csi/v1/index.js';
import { needs } from '../../support/needs.js';
import { BLOCK, DIRECTORY } from './capabilities.js';
import { shareDriver, type Workplace } from './workplace.js';

const SIZE = 1n << 22n;

/** Says each process that is started from Node. */
const TELL_CHILDREN = `data:text/javascript,${encodeURIComponent(`
  import { subscribe } from 'node:diagnostics_channel';
  subscribe('child_process', () => process.stderr.write('CHILD\\n'));
`)}`;

let place: Workplace;

const use = (shared: Workplace): void => {
  place = shared;
};

interface PublishedVolume {
  readonly volumeId: string;
  readonly staging: string;
  readonly target: string;
  readonly folder: string;
}

async function published(
  name: string,
  capability: VolumeCapability = DIRECTORY,
  parameters: Record<string, string> = {},
): Promise<PublishedVolume> {
  const { volume } = await place.caller.call('createVolume', {
    name,
    parameters,
    volumeCapabilities: [capability],
    capacityRange: { requiredBytes: SIZE, limitBytes: SIZE },
  });
  const volumeId = volume!.volumeId;
  const [staging, target] = [place.newDirectory(), place.newPath()];
  const request = { volumeId, stagingTargetPath: staging, targetPath: target, volumeCapability: capability };
  await place.caller.call('nodeStageVolume', request);
  await place.caller.call('nodePublishVolume', request);
  return { volumeId, staging, target, folder: join(place.dataRoot, 'volumes', volumeId) };
}

async function statsOf(volumeId: string, volumePath: string) {
  return await place.caller.call('nodeGetVolumeStats', { volumeId, volumePath });
}

async function failureOf(volumeId: string, volumePath: string): Promise<status> {
  return (await place.caller.failure('nodeGetVolumeStats', { volumeId, volumePath })).code;
}

const WAYS = [
  { how: 'symlinks', args: ['--place-by', 'symlink'], skip: false as const },
  { how: 'bind mounts', args: ['--place-by', 'mount'], skip: needs({ root: true }) },
];

describe.each(WAYS)('NodeGetVolumeStats of directories placed by $how', ({ args, skip }) => {
  describe.skipIf(skip)('with a driver that runs', () => {
    shareDriver({ args, nodeArgs: ['--import', TELL_CHILDREN] }, use);

    test('gives the numbers of the filesystem, where it is published and where it is staged', async () => {
      const { volumeId, target, staging } = await published('measured');
      const { blocks, bsize, files } = statfsSync(target, { bigint: true });
      for (const path of [target, staging]) {
        const { usage, volumeCondition } = await statsOf(volumeId, path);
        expect(usage.find(({ unit }) => unit === Unit.BYTES)?.total).toBe(blocks * bsize);
        if (files > 0n) expect(usage.find(({ unit }) => unit === Unit.INODES)?.total).toBe(files);
        expect(volumeCondition).toEqual({ abnormal: false, message: expect.any(String) as string });
      }
    });

    test('finds no volume at any other path', async () => {
      const [one, other] = [await published('one'), await published('other')];
      expect(await failureOf(one.volumeId, other.target)).toBe(status.NOT_FOUND);
      expect(await failureOf(one.volumeId, other.staging)).toBe(status.NOT_FOUND);
      expect(await failureOf(one.volumeId, place.newDirectory())).toBe(status.NOT_FOUND);
      expect(await failureOf(one.volumeId, place.newPath())).toBe(status.NOT_FOUND);
      expect(await failureOf(one.volumeId, '/')).toBe(status.NOT_FOUND);
      expect(await failureOf('vol-unknown', one.target)).toBe(status.NOT_FOUND);
      expect((await statsOf(one.volumeId, one.target)).usage).not.toEqual([]);
    });

    test('finds it no more once it is unpublished', async () => {
      const { volumeId, target, staging } = await published('gone');
      await statsOf(volumeId, target);
      await place.caller.call('nodeUnpublishVolume', { volumeId, targetPath: target });
      expect(await failureOf(volumeId, target)).toBe(status.NOT_FOUND);
      mkdirSync(target);
      expect(await failureOf(volumeId, target)).toBe(status.NOT_FOUND);
      expect((await statsOf(volumeId, staging)).usage).not.toEqual([]);
    });

    test('says what a marker says, as long as it is there, and the numbers all the same', async () => {
      const { volumeId, target, folder } = await published('marked');
      const healthy = await published('healthy');
      writeFileSync(join(folder, 'abnormal'), 'the disk makes noises\n');
      const { usage, volumeCondition } = await statsOf(volumeId, target);
      expect(volumeCondition).toEqual({ abnormal: true, message: 'the disk makes noises' });
      expect(usage).not.toEqual([]);
      expect((await statsOf(healthy.volumeId, healthy.target)).volumeCondition?.abnormal).toBe(false);
      rmSync(join(folder, 'abnormal'));
      expect((await statsOf(volumeId, target)).volumeCondition?.abnormal).toBe(false);
    });

    test('says from the first what the parameter says', async () => {
      const { volumeId, target } = await published('abnormal', DIRECTORY, { abnormal: 'born this way' });
      const { volumeCondition } = await statsOf(volumeId, target);
      expect(volumeCondition).toEqual({ abnormal: true, message: 'born this way' });
    });

    test('says that the data is gone, instead of numbers, also after a restart', async () => {
      const { volumeId, target, staging, folder } = await published('lost');
      rmSync(join(folder, 'data'), { recursive: true });
      const lost = {
        usage: [],
        volumeCondition: { abnormal: true, message: 'the data of the volume is gone' },
      };
      expect(await statsOf(volumeId, target)).toEqual(lost);
      await place.driver.stop();
      await place.start({ args, nodeArgs: ['--import', TELL_CHILDREN] });
      expect(await statsOf(volumeId, target)).toEqual(lost);
      // It can be taken away, and deleted, all the same.
      await place.caller.call('nodeUnpublishVolume', { volumeId, targetPath: target });
      await place.caller.call('nodeUnstageVolume', { volumeId, stagingTargetPath: staging });
      await place.caller.call('deleteVolume', { volumeId });
      expect(place.mountPoints()).toEqual([]);
    });

    test.skipIf(needs({ native: true }))('starts no process', async () => {
      const { volumeId, target } = await published('cheap');
      const children = (): number => place.driver.lines.filter((line) => line === 'CHILD').length;
      await place.driver.said(`NodePublishVolume "${volumeId}" is done`);
      const before = children();
      expect(before).toBeGreaterThan(0);
      await Promise.all(Array.from({ length: 20 }, () => statsOf(volumeId, target)));
      await failureOf(volumeId, place.newPath());
      // Its line comes after those of whatever was started before.
      await place.caller.failure('createVolume', { name: 'without capabilities' });
      await place.driver.said('CreateVolume "without capabilities"');
      expect(children()).toBe(before);
    });

    test('is what this package reads', async () => {
      const { volumeId, target } = await published('read', DIRECTORY, { abnormal: 'for the reader' });
      const client = new CsiNodeClient(place.socket);
      try {
        const metrics = await new MetricsCsi({ client, volumeId, volumePath: target }).getMetrics();
        const { blocks, bsize } = statfsSync(target, { bigint: true });
        expect(metrics.capacity).toBe(blocks * bsize);
        expect(metrics.condition).toEqual({
          abnormal: true,
          message: 'for the reader',
          problems: [{ status: 'DEGRADED', reason: 'MarkedAbnormal', message: 'for the reader' }],
        });
        expect(metrics.warnings).toBeUndefined();
      } finally {
        client.close();
      }
    });
  });
});

describe.skipIf(needs({ root: true, loop: true }))('NodeGetVolumeStats of block volumes', () => {
  shareDriver({}, use);

  test('gives the size, at the target and wherever else the kubelet links it to', async () => {
    const { volumeId, target, staging } = await published('block', BLOCK);
    const [link, bound] = [place.newPath(), place.newPath()];
    symlinkSync(target, link);
    writeFileSync(bound, '');
    execFileSync('mount', ['--bind', target, bound]);
    for (const path of [target, link, bound]) {
      const { usage, volumeCondition } = await statsOf(volumeId, path);
      expect(usage).toEqual([{ unit: Unit.BYTES, total: SIZE, available: 0n, used: 0n }]);
      expect(volumeCondition?.abnormal).toBe(false);
    }
    expect(await failureOf(volumeId, staging)).toBe(status.NOT_FOUND);
    const other = await published('other block', BLOCK);
    expect(await failureOf(volumeId, other.target)).toBe(status.NOT_FOUND);
  });

  test('says that the image is gone', async () => {
    const { volumeId, target, staging, folder } = await published('lost block', BLOCK);
    rmSync(join(folder, 'image'));
    const { usage, volumeCondition } = await statsOf(volumeId, target);
    expect(usage).toEqual([]);
    expect(volumeCondition).toEqual({ abnormal: true, message: 'the data of the volume is gone' });
    await place.caller.call('nodeUnpublishVolume', { volumeId, targetPath: target });
    await place.caller.call('nodeUnstageVolume', { volumeId, stagingTargetPath: staging });
    await place.caller.call('deleteVolume', { volumeId });
  });
});

describe('NodeGetVolumeHealth, switched off,', () => {
  shareDriver({ args: ['--place-by', 'symlink', '--no-health'] }, use);

  test('is not there', async () => {
    const { volumeId } = await published('unasked');
    const { code } = await place.caller.failure('nodeGetVolumeHealth', { volumeId });
    expect(code).toBe(status.UNIMPLEMENTED);
    expect((await place.caller.failure('nodeGetStorageHealth')).code).toBe(status.UNIMPLEMENTED);
    const { capabilities } = await place.caller.call('nodeGetCapabilities');
    const types = capabilities.map(({ rpc }) => rpc?.type);
    expect(types).not.toContain(Capability.GET_VOLUME_HEALTH);
    expect(types).not.toContain(Capability.GET_STORAGE_HEALTH);
  });
});

describe('NodeGetVolumeHealth', () => {
  shareDriver({ args: ['--place-by', 'symlink'] }, use);

  test('lists what is wrong', async () => {
    const { volumeId, folder, target } = await published('ailing', DIRECTORY, { abnormal: 'slow' });
    const { volumeHealth } = await place.caller.call('nodeGetVolumeHealth', { volumeId });
    expect(volumeHealth).toEqual({
      volumeId,
      healthStatuses: [{ status: VolumeHealthErrorType.DEGRADED, reason: 'MarkedAbnormal', message: 'slow' }],
    });
    rmSync(join(folder, 'data'), { recursive: true });
    const client = new CsiNodeClient(place.socket);
    try {
      const { condition } = await new MetricsCsi({ client, volumeId, volumePath: target }).getMetrics();
      expect(condition?.problems).toEqual([
        { status: 'DATA_LOSS', reason: 'DataMissing', message: 'the data of the volume is gone' },
      ]);
    } finally {
      client.close();
    }
    const { code } = await place.caller.failure('nodeGetVolumeHealth', { volumeId: 'unknown' });
    expect(code).toBe(status.NOT_FOUND);
  });
});

describe('NodeGetStorageHealth', () => {
  shareDriver({ args: ['--place-by', 'symlink'] }, use);

  test('says what is wrong with the data root, and forgets it', async () => {
    const marker = join(place.dataRoot, 'abnormal');
    expect(await place.caller.call('nodeGetStorageHealth')).toEqual({ backendHealth: [] });
    writeFileSync(marker, 'one of two disks is gone');
    expect(await place.caller.call('nodeGetStorageHealth')).toEqual({
      backendHealth: [
        {
          status: StorageHealthErrorType.STORAGE_DEGRADED,
          reason: 'MarkedAbnormal',
          message: 'one of two disks is gone',
        },
      ],
    });
    rmSync(marker);
    expect(await place.caller.call('nodeGetStorageHealth')).toEqual({ backendHealth: [] });
    const moved = `${place.dataRoot}-moved`;
    renameSync(place.dataRoot, moved);
    const { backendHealth } = await place.caller.call('nodeGetStorageHealth');
    renameSync(moved, place.dataRoot);
    expect(backendHealth).toMatchObject([
      { status: StorageHealthErrorType.STORAGE_UNREACHABLE, reason: 'DataRootDoesNotAnswer' },
    ]);
  });
});
