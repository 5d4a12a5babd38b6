import { status } from '@grpc/grpc-js';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { needs } from '../../support/needs.js';
import { BLOCK, DIRECTORY } from './capabilities.js';
import { shareDriver, type Workplace } from './workplace.js';

// Volumes that stand in a pod, as the kubelet asks for them: published without being made or staged before.

const ID = `csi-${'0123456789abcdef'.repeat(4)}`;

const WAYS = [
  { how: 'symlinks', args: ['--place-by', 'symlink'], skip: false as const },
  { how: 'bind mounts', args: ['--place-by', 'mount'], skip: needs({ root: true }) },
];

describe.each(WAYS)('an inline volume, placed by $how', ({ args, skip }) => {
  describe.skipIf(skip)('of a running driver', () => {
    let place: Workplace;

    shareDriver({ args }, (shared) => {
      place = shared;
    });

    const folders = (): string[] => readdirSync(join(place.dataRoot, 'volumes'));

    const publish = async (targetPath: string, volumeId = ID): Promise<void> => {
      await place.caller.call('nodePublishVolume', {
        volumeId,
        targetPath,
        volumeCapability: DIRECTORY,
        volumeContext: { 'csi.storage.k8s.io/ephemeral': 'true', 'csi.storage.k8s.io/pod.name': 'p' },
      });
    };

    test('comes with its publishing, is measured, and goes with its unpublishing', async () => {
      const target = place.newPath();
      await publish(target);
      await publish(target);
      writeFileSync(join(target, 'file'), 'content');
      const { usage } = await place.caller.call('nodeGetVolumeStats', { volumeId: ID, volumePath: target });
      expect(usage).toHaveLength(2);
      const { volumeHealth } = await place.caller.call('nodeGetVolumeHealth', { volumeId: ID });
      expect(volumeHealth).toEqual({ volumeId: ID, healthStatuses: [] });
      await place.caller.call('nodeUnpublishVolume', { volumeId: ID, targetPath: target });
      expect(existsSync(target)).toBe(false);
      expect(folders()).toEqual([]);
      // The kubelet did not hear of it, and comes again.
      await place.caller.call('nodeUnpublishVolume', { volumeId: ID, targetPath: target });
    });

    test('is known again after the driver was killed', async () => {
      const target = place.newPath();
      await publish(target);
      writeFileSync(join(target, 'file'), 'content');
      place.driver.kill('SIGKILL');
      await place.driver.ended;
      await place.start({ args });
      await publish(target);
      expect(readFileSync(join(target, 'file'), 'utf8')).toBe('content');
      await place.caller.call('nodeUnpublishVolume', { volumeId: ID, targetPath: target });
      expect(folders()).toEqual([]);
    });

    test('never takes the place of another volume, whatever its id is', async () => {
      const { volume } = await place.caller.call('createVolume', {
        name: 'persistent',
        volumeCapabilities: [DIRECTORY],
      });
      const { volumeId } = volume!;
      await expect(publish(place.newPath(), volumeId)).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
      const target = place.newPath();
      await publish(target, '../../escape');
      expect(folders().sort()).toEqual([expect.stringMatching(/^inline-[0-9a-f]{32}$/), volumeId]);
      await place.caller.call('nodeUnpublishVolume', { volumeId: '../../escape', targetPath: target });
      await place.caller.call('deleteVolume', { volumeId });
    });

    test('is a directory', async () => {
      const { code } = await place.caller.failure('nodePublishVolume', {
        volumeId: ID,
        targetPath: place.newPath(),
        volumeCapability: BLOCK,
        volumeContext: { 'csi.storage.k8s.io/ephemeral': 'true' },
      });
      expect(code).toBe(status.INVALID_ARGUMENT);
      expect(folders()).toEqual([]);
    });

    test('that is not said to be inline is unknown', async () => {
      const { code } = await place.caller.failure('nodePublishVolume', {
        volumeId: ID,
        targetPath: place.newPath(),
        stagingTargetPath: place.newPath(),
        volumeCapability: DIRECTORY,
      });
      expect(code).toBe(status.NOT_FOUND);
    });
  });
});
