import { status } from '@grpc/grpc-js';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ControllerServiceCapability_RPC_Type as ControllerRpc,
  NodeServiceCapability_RPC_Type as NodeRpc,
  PluginCapability_Service_Type as PluginService,
  type Volume,
} from '../../../src/csi/v1/index.js';
import { needs } from '../../support/needs.js';
import { BLOCK, DIRECTORY } from './capabilities.js';
import { Workplace } from './workplace.js';

// What csi-sanity (kubernetes-csi/csi-test, v5.3.1 to v5.5.0, and the volume health of what comes after)
// asserts of a driver with these capabilities, test by test and in its order. Like there, the directories of
// each test are made with mkdir and removed with rmdir, so that a driver that leaves something behind fails;
// failures are compared by their code only.

const GIB = 2n ** 30n;
const SIZE = 10n * GIB;

/** Names, ids and paths of things that are not there. */
const FAKE_ID = 'fake-vol-id-0123456789';

const WAYS = [
  { how: 'symlinks', args: ['--place-by', 'symlink'], capability: DIRECTORY, skip: false as const },
  { how: 'bind mounts', args: [], capability: DIRECTORY, skip: needs({ root: true }) },
  { how: 'block devices', args: [], capability: BLOCK, skip: needs({ root: true, loop: true }) },
];

describe.each(WAYS)('csi-sanity, volumes as $how', ({ args, capability, skip }) => {
  describe.skipIf(skip)('a running driver', () => {
    let place: Workplace;
    let mountDirectory: string;
    let staging: string;
    let target: string;
    /** What the test has made, as csi-sanity's cleanup knows it. */
    let created: Volume[];
    let names = 0;

    beforeAll(async () => {
      place = new Workplace();
      await place.start({ args });
      mountDirectory = join(place.directory, 'csi-mount');
      staging = join(place.directory, 'csi-staging');
      target = join(mountDirectory, 'target');
    });

    afterAll(async () => {
      await place.close();
    });

    beforeEach(() => {
      mkdirSync(mountDirectory);
      mkdirSync(staging);
      created = [];
    });

    afterEach(async () => {
      for (const { volumeId } of created) {
        await tolerateNotFound(place.caller.call('nodeUnpublishVolume', { volumeId, targetPath: target }));
        await tolerateNotFound(
          place.caller.call('nodeUnstageVolume', { volumeId, stagingTargetPath: staging }),
        );
        await place.caller.call('deleteVolume', { volumeId });
      }
      rmdirSync(mountDirectory);
      rmdirSync(staging);
    });

    function uniqueName(): string {
      return `sanity-${String(++names)}`;
    }

    async function create(name: string, requiredBytes = 0n, limitBytes = 0n): Promise<Volume> {
      const { volume } = await place.caller.call('createVolume', {
        name,
        volumeCapabilities: [capability],
        ...((requiredBytes > 0n || limitBytes > 0n) && { capacityRange: { requiredBytes, limitBytes } }),
      });
      expect(volume).toBeDefined();
      if (!created.some(({ volumeId }) => volumeId === volume!.volumeId)) created.push(volume!);
      return volume!;
    }

    async function stage(volumeId: string): Promise<void> {
      const volumeCapability = capability;
      await place.caller.call('nodeStageVolume', { volumeId, stagingTargetPath: staging, volumeCapability });
    }

    async function publish(volumeId: string): Promise<void> {
      await place.caller.call('nodePublishVolume', {
        volumeId,
        stagingTargetPath: staging,
        targetPath: target,
        volumeCapability: capability,
      });
    }

    async function code(...call: Parameters<Workplace['caller']['failure']>): Promise<status> {
      return (await place.caller.failure(...call)).code;
    }

    describe('Identity Service', () => {
      test('GetPluginCapabilities: every entry has a type that is known', async () => {
        const { capabilities } = await place.caller.call('getPluginCapabilities');
        for (const { service, volumeExpansion } of capabilities) {
          const type = service?.type ?? volumeExpansion?.type ?? 0;
          expect(type).toBeGreaterThan(0);
          expect(type).toBeLessThanOrEqual(service ? 4 : 2);
        }
        expect(capabilities.map(({ service }) => service?.type)).toContain(PluginService.CONTROLLER_SERVICE);
      });

      test('Probe: no error', async () => {
        await expect(place.caller.call('probe')).resolves.toEqual({ ready: true });
      });

      test('GetPluginInfo: a name in domain notation', async () => {
        const { name } = await place.caller.call('getPluginInfo');
        expect(name).toMatch(/^[a-zA-Z][a-zA-Z0-9._-]{0,61}[a-zA-Z]$/);
      });
    });

    describe('Controller Service', () => {
      test('ControllerGetCapabilities: every entry has a type that is known', async () => {
        const { capabilities } = await place.caller.call('controllerGetCapabilities');
        for (const { rpc } of capabilities) expect(ControllerRpc[rpc?.type ?? 0]).toMatch(/^(?!UNKNOWN)/);
        expect(capabilities.map(({ rpc }) => rpc?.type)).toEqual([ControllerRpc.CREATE_DELETE_VOLUME]);
      });

      test('CreateVolume fails when no name is provided', async () => {
        expect(await code('createVolume', { volumeCapabilities: [capability] })).toBe(
          status.INVALID_ARGUMENT,
        );
      });

      test('CreateVolume fails when no volume capabilities are provided', async () => {
        expect(await code('createVolume', { name: uniqueName() })).toBe(status.INVALID_ARGUMENT);
      });

      test('CreateVolume returns appropriate values for a single volume without capacity', async () => {
        const volume = await create(uniqueName());
        expect(volume.volumeId).not.toBe('');
      });

      test('CreateVolume returns appropriate values for a single volume of a size', async () => {
        const volume = await create(uniqueName(), SIZE, 2n * SIZE);
        expect(volume.volumeId).not.toBe('');
        expect(volume.capacityBytes === 0n || volume.capacityBytes >= SIZE).toBe(true);
      });

      test('CreateVolume does not fail when the same name and size are asked for again', async () => {
        const name = uniqueName();
        const first = await create(name, SIZE);
        const second = await create(name, SIZE);
        expect(second).toEqual(first);
      });

      test('CreateVolume fails when the same name is asked for with another size', async () => {
        const name = uniqueName();
        await create(name, SIZE, SIZE);
        const failure = await code('createVolume', {
          name,
          volumeCapabilities: [capability],
          capacityRange: { requiredBytes: 2n * SIZE, limitBytes: 2n * SIZE },
        });
        expect(failure).toBe(status.ALREADY_EXISTS);
      });

      test('CreateVolume does not fail with a name of maximum length', async () => {
        const volume = await create(`${uniqueName()}-`.padEnd(128, 'n'), SIZE);
        expect(volume.volumeId).not.toBe('');
      });

      test('DeleteVolume fails when no volume id is provided', async () => {
        expect(await code('deleteVolume')).toBe(status.INVALID_ARGUMENT);
      });

      test('DeleteVolume succeeds when the volume does not exist', async () => {
        await expect(place.caller.call('deleteVolume', { volumeId: FAKE_ID })).resolves.toEqual({});
      });

      test('DeleteVolume removes a volume', async () => {
        const { volumeId } = await create(uniqueName());
        await place.caller.call('deleteVolume', { volumeId });
        expect(await code('validateVolumeCapabilities', { volumeId, volumeCapabilities: [capability] })).toBe(
          status.NOT_FOUND,
        );
      });

      test('ValidateVolumeCapabilities fails when no volume id is provided', async () => {
        expect(await code('validateVolumeCapabilities', { volumeCapabilities: [capability] })).toBe(
          status.INVALID_ARGUMENT,
        );
      });

      test('ValidateVolumeCapabilities fails when no volume capabilities are provided', async () => {
        const { volumeId } = await create(uniqueName());
        expect(await code('validateVolumeCapabilities', { volumeId })).toBe(status.INVALID_ARGUMENT);
      });

      test('ValidateVolumeCapabilities fails when the volume does not exist', async () => {
        const request = { volumeId: FAKE_ID, volumeCapabilities: [capability] };
        expect(await code('validateVolumeCapabilities', request)).toBe(status.NOT_FOUND);
      });

      test('ValidateVolumeCapabilities confirms what a volume can do', async () => {
        const { volumeId } = await create(uniqueName());
        const { confirmed } = await place.caller.call('validateVolumeCapabilities', {
          volumeId,
          volumeCapabilities: [capability],
        });
        expect(confirmed?.volumeCapabilities).toEqual([capability]);
      });
    });

    describe('Node Service', () => {
      test('NodeGetCapabilities: every entry has a type that is known', async () => {
        const { capabilities } = await place.caller.call('nodeGetCapabilities');
        const types = capabilities.map(({ rpc }) => rpc?.type);
        // Up to 8: those of CSI 1.13.
        for (const type of types) expect(type).toBeLessThanOrEqual(8);
        expect(types).toEqual([
          NodeRpc.STAGE_UNSTAGE_VOLUME,
          NodeRpc.GET_VOLUME_STATS,
          NodeRpc.VOLUME_CONDITION,
          NodeRpc.GET_VOLUME_HEALTH,
          NodeRpc.GET_STORAGE_HEALTH,
        ]);
      });

      test('NodeGetInfo returns appropriate values', async () => {
        const { nodeId, maxVolumesPerNode } = await place.caller.call('nodeGetInfo');
        expect(nodeId).toBe('node-of-tests');
        expect(maxVolumesPerNode).toBeGreaterThanOrEqual(0n);
      });

      test('NodePublishVolume fails when no volume id is provided', async () => {
        expect(await code('nodePublishVolume')).toBe(status.INVALID_ARGUMENT);
      });

      test('NodePublishVolume fails when no target path is provided', async () => {
        expect(await code('nodePublishVolume', { volumeId: FAKE_ID })).toBe(status.INVALID_ARGUMENT);
      });

      test('NodePublishVolume fails when no volume capability is provided', async () => {
        const request = { volumeId: FAKE_ID, targetPath: target };
        expect(await code('nodePublishVolume', request)).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeUnpublishVolume fails when no volume id is provided', async () => {
        expect(await code('nodeUnpublishVolume')).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeUnpublishVolume fails when no target path is provided', async () => {
        expect(await code('nodeUnpublishVolume', { volumeId: FAKE_ID })).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeUnpublishVolume removes the target path', async () => {
        const { volumeId } = await create(uniqueName(), SIZE);
        await stage(volumeId);
        await publish(volumeId);
        expect(existsSync(target)).toBe(true);
        await place.caller.call('nodeUnpublishVolume', { volumeId, targetPath: target });
        expect(existsSync(target)).toBe(false);
      });

      test('NodeStageVolume fails when no volume id is provided', async () => {
        const request = { stagingTargetPath: staging, volumeCapability: capability };
        expect(await code('nodeStageVolume', request)).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeStageVolume fails when no staging target path is provided', async () => {
        const request = { volumeId: FAKE_ID, volumeCapability: capability };
        expect(await code('nodeStageVolume', request)).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeStageVolume fails when no volume capability is provided', async () => {
        const { volumeId } = await create(uniqueName(), SIZE);
        const request = { volumeId, stagingTargetPath: staging };
        expect(await code('nodeStageVolume', request)).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeUnstageVolume fails when no volume id is provided', async () => {
        expect(await code('nodeUnstageVolume', { stagingTargetPath: staging })).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeUnstageVolume fails when no staging target path is provided', async () => {
        expect(await code('nodeUnstageVolume', { volumeId: FAKE_ID })).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeGetVolumeStats fails when no volume id is provided', async () => {
        expect(await code('nodeGetVolumeStats', { volumePath: 'some/path' })).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeGetVolumeStats fails when no volume path is provided', async () => {
        expect(await code('nodeGetVolumeStats', { volumeId: FAKE_ID })).toBe(status.INVALID_ARGUMENT);
      });

      test('NodeGetVolumeStats fails when the volume is not found', async () => {
        const request = { volumeId: FAKE_ID, volumePath: 'some/path' };
        expect(await code('nodeGetVolumeStats', request)).toBe(status.NOT_FOUND);
      });

      test('NodeGetVolumeStats fails when the volume does not exist on the path', async () => {
        const { volumeId } = await create(uniqueName(), SIZE);
        await stage(volumeId);
        await publish(volumeId);
        const request = { volumeId, volumePath: 'some/path' };
        expect(await code('nodeGetVolumeStats', request)).toBe(status.NOT_FOUND);
      });

      test.each([1, 10])('should work, and be idempotent: staged and published %i times', async (times) => {
        const { volumeId } = await create(uniqueName(), SIZE);
        for (let count = 0; count < times; count++) {
          await stage(volumeId);
          await publish(volumeId);
        }
        const { usage } = await place.caller.call('nodeGetVolumeStats', { volumeId, volumePath: target });
        expect(usage.length).toBeGreaterThan(0);
        for (let count = 0; count < times; count++) {
          await place.caller.call('nodeUnpublishVolume', { volumeId, targetPath: target });
        }
        for (let count = 0; count < times; count++) {
          await place.caller.call('nodeUnstageVolume', { volumeId, stagingTargetPath: staging });
        }
        for (let count = 0; count < times; count++) await place.caller.call('deleteVolume', { volumeId });
      });
    });
  });
});

describe('csi-sanity 5.6.0, of a driver that advertises the health of CSI 1.13', () => {
  let place: Workplace;

  beforeAll(async () => {
    place = new Workplace();
    await place.start({ args: ['--place-by', 'symlink'] });
  });

  afterAll(async () => {
    await place.close();
  });

  test('NodeGetCapabilities has it', async () => {
    const { capabilities } = await place.caller.call('nodeGetCapabilities');
    const types = capabilities.map(({ rpc }) => rpc?.type);
    expect(types).toContain(NodeRpc.GET_VOLUME_HEALTH);
    expect(types).toContain(NodeRpc.GET_STORAGE_HEALTH);
  });

  test('NodeGetVolumeHealth fails when no volume id is provided', async () => {
    expect((await place.caller.failure('nodeGetVolumeHealth')).code).toBe(status.INVALID_ARGUMENT);
  });

  test('NodeGetStorageHealth works', async () => {
    expect(await place.caller.call('nodeGetStorageHealth')).toEqual({ backendHealth: [] });
  });

  test('NodeGetVolumeHealth works without any path, and names the volume', async () => {
    const { volume } = await place.caller.call('createVolume', {
      name: 'healthy',
      volumeCapabilities: [DIRECTORY],
    });
    const volumeId = volume!.volumeId;
    const { volumeHealth } = await place.caller.call('nodeGetVolumeHealth', { volumeId });
    expect(volumeHealth).toEqual({ volumeId, healthStatuses: [] });
  });
});

async function tolerateNotFound(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if ((error as { code?: unknown }).code !== status.NOT_FOUND) throw error;
  }
}
