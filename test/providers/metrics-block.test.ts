import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MetricsBlock, type Metrics } from '../../src/index.js';
import { blockDeviceSize } from '../../src/os/devices.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

const MIB = 1_048_576;

for (const binding of ['native', 'command'] as const) {
  describe.skipIf(needs({ native: binding === 'native' }))(
    `MetricsBlock through the ${binding} binding`,
    () => {
      let place: TestMounts;
      beforeAll(() => {
        place = new TestMounts();
      });
      afterAll(() => {
        place.close();
      });

      const read = (device: string): Promise<Metrics> => new MetricsBlock(device, { binding }).getMetrics();

      test('gives the length of a file, and nothing else', async () => {
        const reading = await read(place.image(5 * MIB));
        expect(Object.keys(reading).sort()).toEqual(['capacity', 'source', 'time']);
        expect(reading).toMatchObject({ capacity: 5_242_880n, source: 'block' });
      });

      test.skipIf(needs({ loop: true }))('gives the size of a block device, also by a symlink', async () => {
        const device = place.loopDevice(place.image(64 * MIB));
        const link = join(place.directory, 'link');
        symlinkSync(device, link);
        for (const path of [device, link]) expect((await read(path)).capacity).toBe(67_108_864n);
      });

      test.skipIf(needs({ loop: true }))('gives the new size of a device that grows', async () => {
        const image = place.image(MIB);
        const device = place.loopDevice(image);
        const provider = new MetricsBlock(device, { binding });
        expect((await provider.getMetrics()).capacity).toBe(1_048_576n);
        execFileSync('truncate', ['-s', String(2 * MIB), image]);
        execFileSync('losetup', ['--set-capacity', device]);
        expect((await provider.getMetrics()).capacity).toBe(2_097_152n);
      });

      test('rejects where nothing is', async () => {
        const missing = join(place.directory, 'missing');
        await expect(read(missing)).rejects.toMatchObject({
          code: 'METRICS_NOT_FOUND',
          message: expect.stringMatching(/^unable to open device "\/.*\/missing": ENOENT/) as string,
          path: missing,
          cause: { code: 'ENOENT' },
        });
      });

      test('rejects on what is neither a device nor a file, and says what it is', async () => {
        const directory = join(place.directory, 'directory');
        mkdirSync(directory);
        await expect(read(directory)).rejects.toMatchObject({
          code: 'METRICS_FS_INFO_FAILED',
          message: `failed to detect size of "${directory}": it is a directory, not a block device or a regular file`,
          path: directory,
        });
        await expect(read('/dev/null')).rejects.toThrow(/it is a character device, a fifo or a socket/);
      });

      test.skipIf(needs({ root: true, programs: ['mknod'] }))(
        'rejects on a node without a device',
        async () => {
          const node = join(place.directory, 'node');
          execFileSync('mknod', [node, 'b', '4095', '1048575']);
          await expect(read(node)).rejects.toMatchObject({
            code: 'METRICS_FS_INFO_FAILED',
            message: expect.stringMatching(
              /^failed to detect size of "\/.*\/node": .*4095:1048575/,
            ) as string,
            cause: { code: 'ENOENT' },
          });
        },
      );
    },
  );
}

test('a device that there is not has no size', () => {
  expect(() => blockDeviceSize(0xffffffffn)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});
