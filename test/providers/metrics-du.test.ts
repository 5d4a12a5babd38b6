import { linkSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { MetricsDu, MetricsStatFs, type Metrics } from '../../src/index.js';
import { sharedInFlight } from '../../src/os/commands/command-binding.js';
import { FuseServer } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

for (const binding of ['native', 'command'] as const) {
  describe.skipIf(needs({ native: binding === 'native' }))(`MetricsDu through the ${binding} binding`, () => {
    let place: TestMounts;
    beforeAll(() => {
      place = new TestMounts();
    });
    afterAll(() => {
      place.close();
    });

    const read = (path: string): Promise<Metrics> => new MetricsDu(path, { binding }).getMetrics();

    // The kubelet's tests of metrics_du: an empty directory, a file of 11 bytes, a hard link to it.
    test('counts what is written, and a hard link once', async () => {
      const directory = place.newDirectory();
      const blocks = (path: string): bigint => statSync(path, { bigint: true }).blocks * 512n;
      const empty = await read(directory);
      expect(empty).toMatchObject({ source: 'du', used: blocks(directory), inodesUsed: 1n });

      const file = join(directory, 'file');
      writeFileSync(file, 'Hello World');
      const written = { used: blocks(directory) + blocks(file), inodesUsed: 2n };
      expect(await read(directory)).toMatchObject(written);

      linkSync(file, join(directory, 'link'));
      expect(await read(directory)).toMatchObject(written);
    });

    test('takes all but its own two numbers from the filesystem', async () => {
      const directory = place.newDirectory();
      const [filesystem, tree] = await Promise.all([
        new MetricsStatFs(directory, { binding }).getMetrics(),
        read(directory),
      ]);
      expect(Object.keys(tree).sort()).toEqual(
        [...new Set([...Object.keys(filesystem), 'inodesUsed'])].sort(),
      );
      expect(tree.capacity).toBe(filesystem.capacity);
      expect(tree.inodes).toBe(filesystem.inodes);
      expect(tree.readOnly).toBe(filesystem.readOnly);
      expect(tree.used).not.toBe(filesystem.used);
    });

    test('walks by its binding too', async () => {
      const walks = vi.spyOn(sharedInFlight().turns, 'inTurn');
      await read(place.newDirectory());
      expect(walks).toHaveBeenCalledTimes(binding === 'command' ? 1 : 0);
      walks.mockRestore();
    });

    test('follows a symlink that is the path', async () => {
      const directory = place.newDirectory();
      for (const name of ['a', 'b']) writeFileSync(join(directory, name), 'x');
      const link = join(place.directory, 'link');
      symlinkSync(directory, link);
      expect(await read(link)).toMatchObject({ inodesUsed: 3n });
    });

    test('counts a single file', async () => {
      const file = join(place.newDirectory(), 'file');
      writeFileSync(file, '');
      truncateSync(file, 1_048_576);
      expect(await read(file)).toMatchObject({ used: 0n, inodesUsed: 1n });
    });

    test('rejects where nothing is', async () => {
      const missing = join(place.directory, 'missing');
      await expect(read(missing)).rejects.toMatchObject({
        code: 'METRICS_NOT_FOUND',
        path: missing,
        cause: { code: 'ENOENT' },
      });
    });

    test('a signal ends the call', async () => {
      const controller = new AbortController();
      const call = new MetricsDu('/usr', { binding }).getMetrics({ signal: controller.signal });
      const reason = new Error('enough');
      controller.abort(reason);
      await expect(call).rejects.toBe(reason);
    });

    test.skipIf(needs({ root: true }))(
      'with requireMount reads a mount and rejects on its empty directory',
      async () => {
        const path = place.newDirectory();
        const provider = new MetricsDu(path, { binding, requireMount: true });
        await expect(provider.getMetrics()).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED', path });
        place.mount(path, '-t', 'tmpfs', '-o', 'size=1m', 'kvm-test');
        writeFileSync(join(path, 'file'), 'x');
        expect(await provider.getMetrics()).toMatchObject({
          capacity: 1_048_576n,
          used: 4096n,
          inodesUsed: 2n,
        });
      },
    );

    describe.skipIf(needs({ fuse: true }))('of made-up filesystems', () => {
      let server: FuseServer;
      beforeAll(() => {
        server = new FuseServer();
      });
      afterAll(async () => {
        await server.close();
      });

      test('passes on what the filesystem left out', async () => {
        const mount = await server.mount({
          statfs: { files: 10n, ffree: 11n },
          entries: { file: { blocks: 8 } },
        });
        const reading = await read(mount.path);
        expect(reading).toMatchObject({ used: 4096n, inodesUsed: 2n });
        expect(reading.inodes).toBeUndefined();
        expect(reading.warnings).toEqual([expect.stringMatching(/^inodes left out/)]);
      });

      // An entry that nobody may read.
      test('fails on what it cannot read, or says that it is incomplete', async () => {
        const mount = await server.mount({
          entries: {
            file: { blocks: 8 },
            closed: { kind: 'directory', errors: { opendir: 'EACCES' } },
          },
        });
        const closed = join(mount.path, 'closed');
        await expect(read(mount.path)).rejects.toMatchObject({
          code: 'METRICS_USAGE_FAILED',
          path: closed,
          cause: { code: 'EACCES' },
        });
        const partial = new MetricsDu(mount.path, { binding, allowPartial: true });
        expect(await partial.getMetrics()).toMatchObject({
          used: 4096n,
          incomplete: { errors: 1, first: { path: closed, code: 'EACCES' } },
        });
      });

      test('passes on, with a warning, that files use more than the filesystem has', async () => {
        const mount = await server.mount({
          statfs: { blocks: 10n, bfree: 2n, bavail: 2n },
          entries: { file: { blocks: 88 } },
        });
        const reading = await read(mount.path);
        expect(reading).toMatchObject({ capacity: 40_960n, used: 45_056n });
        expect(reading.warnings).toEqual([
          "the files use 45056 bytes, more than the filesystem's 40960: they share or compress blocks",
        ]);
      });

      test('knows no capacity of a filesystem of 0 blocks', async () => {
        const mount = await server.mount({
          statfs: { blocks: 0n, bfree: 0n, bavail: 0n },
          entries: { file: { blocks: 8 } },
        });
        for (const provider of [
          new MetricsDu(mount.path, { binding }),
          new MetricsStatFs(mount.path, { binding }),
        ]) {
          const reading = await provider.getMetrics();
          expect(reading.capacity).toBeUndefined();
          expect(reading.available).toBeUndefined();
          expect(reading.used).toBe(provider.name === 'du' ? 4096n : undefined);
        }
      });

      test('gives a stuck filesystem up in its time, and begins no walk', async () => {
        const mount = await server.mount({ entries: { file: {} } });
        await mount.hold('unanswered');
        const provider = new MetricsDu(mount.path, { binding, timeoutMs: 50 });
        await expect(provider.getMetrics()).rejects.toMatchObject({
          code: 'METRICS_TIMED_OUT',
          path: mount.path,
        });
        const { opendir = 0, readdir = 0 } = await mount.requests();
        expect([opendir, readdir]).toEqual([0, 0]);
        await mount.release();
      });
    });
  });
}
