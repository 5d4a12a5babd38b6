import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MetricsStatFs, stringify, type Metrics } from '../../src/index.js';
import { FuseServer } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

for (const binding of ['native', 'command'] as const) {
  const native = binding === 'native';
  describe.skipIf(needs({ native }))(`MetricsStatFs through the ${binding} binding`, () => {
    let place: TestMounts;
    beforeAll(() => {
      place = new TestMounts();
    });
    afterAll(() => {
      place.close();
    });

    const read = (path: string, requireMount = false): Promise<Metrics> =>
      new MetricsStatFs(path, { binding, requireMount }).getMetrics();

    // The kubelet's test of the same name: a temporary directory has a capacity and something available.
    test('reads what the kernel says of a directory and of a file', async () => {
      const directory = place.newDirectory();
      const file = join(directory, 'file');
      writeFileSync(file, 'x');
      const { blocks, bsize, files } = statfsSync(directory, { bigint: true });
      for (const path of [directory, `${directory}/`, file]) {
        const reading = await read(path);
        // Where bsize and f_frsize are one, as on the filesystems that tests are run on, Node says the same.
        expect(reading.capacity).toBe(blocks * bsize);
        expect(reading.inodes).toBe(files > 0n ? files : undefined);
        expect(reading.available).toBeGreaterThan(0n);
        expect(reading.source).toBe('statfs');
      }
    });

    test('rejects where nothing is', async () => {
      const missing = join(place.directory, 'missing');
      for (const requireMount of [false, true]) {
        await expect(read(missing, requireMount)).rejects.toMatchObject({
          code: 'METRICS_NOT_FOUND',
          path: missing,
          cause: { code: 'ENOENT' },
        });
      }
      await expect(read(missing)).rejects.toThrow(/^failed to get FsInfo due to error ENOENT/);
    });

    test('takes a relative path from the current directory of the call', async () => {
      const reading = await read('.');
      expect(reading.capacity).toBe((await read(process.cwd())).capacity);
    });

    describe.skipIf(needs({ fuse: true }))('of made-up filesystems', () => {
      let server: FuseServer;
      beforeAll(() => {
        server = new FuseServer();
      });
      afterAll(async () => {
        await server.close();
      });

      // In units of f_bsize it would be 256 times as much.
      test('counts in units of f_frsize', async () => {
        const mount = await server.mount({
          statfs: { bsize: 1_048_576, frsize: 4096, blocks: 120_699_413n, bfree: 1000n, bavail: 900n },
        });
        expect(await read(mount.path)).toMatchObject({
          capacity: 494_384_795_648n,
          available: 3_686_400n,
          used: 494_380_699_648n,
        });
      });

      test('knows what is reserved for root from what is used', async () => {
        const mount = await server.mount();
        const { time, ...reading } = await read(mount.path);
        expect(time).toBeInstanceOf(Date);
        expect(reading).toEqual({
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

      test.each([0n, 2n ** 63n - 1n, 2n ** 64n - 1n])(
        'leaves inodes out where there are %s',
        async (files) => {
          const mount = await server.mount({ statfs: { files, ffree: files } });
          expect(stringify(await read(mount.path))).not.toContain('inode');
        },
      );

      test('says what it left out', async () => {
        const mount = await server.mount({ statfs: { files: 10n, ffree: 11n } });
        const reading = await read(mount.path);
        expect(reading.warnings).toEqual([expect.stringMatching(/^inodes left out: 11 free of 10/)]);
        expect(reading.inodes).toBeUndefined();
      });

      test.each([false, true])('gives a stuck mount up, with requireMount %s', async (requireMount) => {
        const mount = await server.mount();
        await mount.hold();
        const provider = new MetricsStatFs(mount.path, { binding, requireMount, timeoutMs: 50 });
        await expect(provider.getMetrics()).rejects.toMatchObject({
          code: 'METRICS_TIMED_OUT',
          path: mount.path,
        });
        await mount.release();
      });

      // Only the statx call of the native binding asks the volume itself: by commands there is no moment to
      // meet.
      if (!native) return;

      test('finds that the mount went away while it was asked', async () => {
        const mount = await server.mount();
        await mount.hold('unanswered');
        const call = read(mount.path, true);
        await mount.received('getattr');
        execFileSync('umount', ['--lazy', mount.path]);
        const rejection = expect(call).rejects.toMatchObject({
          code: 'METRICS_NOT_MOUNTED',
          path: mount.path,
        });
        await mount.release();
        await rejection;
      });

      test('reads what is mounted instead, when another came in between', async () => {
        const mount = await server.mount();
        await mount.hold('unanswered');
        const call = read(mount.path, true);
        await mount.received('getattr');
        execFileSync('umount', ['--lazy', mount.path]);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'kvm-test', mount.path]);
        try {
          await mount.release();
          expect(await call).toMatchObject({ capacity: 1_048_576n });
        } finally {
          execFileSync('umount', ['--lazy', mount.path]);
        }
      });
    });

    describe.skipIf(needs({ root: true }))('requireMount', () => {
      const MIB = 1_048_576n;
      let volume: string;
      beforeAll(() => {
        volume = place.tmpfs('size=1m');
      });

      test('reads a mount, by its path and with a slash at the end', async () => {
        expect(await read(volume, true)).toMatchObject({ capacity: MIB, source: 'statfs' });
        expect(await read(`${volume}/`, true)).toMatchObject({ capacity: MIB });
        expect((await read('/', true)).capacity).toBe((await read('/')).capacity);
      });

      test('rejects on a directory of another filesystem, and of the mount itself', async () => {
        const inside = join(volume, 'inside');
        mkdirSync(inside);
        for (const path of [place.newDirectory(), inside, `${volume}/inside/`]) {
          await expect(read(path, true)).rejects.toMatchObject({
            code: 'METRICS_NOT_MOUNTED',
            message: `nothing is mounted on ${path}`,
            path,
          });
        }
      });

      test('reads a mount by a path with symlinks and ..', async () => {
        const link = join(place.directory, 'link');
        const linked = join(place.directory, 'linked');
        symlinkSync(volume, link);
        symlinkSync(dirname(volume), linked);
        const name = basename(volume);
        const paths = [link, `${link}/`, join(linked, name), `${volume}/../${name}`, relative('.', volume)];
        for (const path of paths) expect(await read(path, true)).toMatchObject({ capacity: MIB });
      });

      test('rejects on a symlink to a directory that is no mount', async () => {
        const link = join(place.directory, 'link-to-none');
        symlinkSync(place.newDirectory(), link);
        await expect(read(link, true)).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED', path: link });
      });

      test('reads a bind mount of a directory on the same filesystem, and rejects on the directory', async () => {
        const source = place.newDirectory();
        const target = place.bind(source, place.newDirectory());
        expect((await read(target, true)).capacity).toBe((await read(source)).capacity);
        await expect(read(source, true)).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED' });
      });

      test('knows a bind mount of the same filesystem through a symlink', async () => {
        const target = place.bind(place.newDirectory(), place.newDirectory());
        const link = join(place.directory, 'link-to-bind');
        symlinkSync(target, link);
        expect((await read(link, true)).capacity).toBe((await read(target)).capacity);
        await expect(read(join(link, '..'), true)).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED' });
      });

      test.skipIf(needs({ mkfs: ['btrfs'] }))('knows btrfs behind a symlinked folder', async () => {
        const volume = place.onLoop('btrfs');
        const folder = join(place.directory, 'linked-folder');
        symlinkSync(dirname(volume), folder);
        const path = join(folder, basename(volume));
        expect((await read(path, true)).capacity).toBe((await read(volume)).capacity);
      });

      test('reads a file that is mounted on a file', async () => {
        const [source, target] = [join(volume, 'source'), join(place.newDirectory(), 'target')];
        for (const file of [source, target]) writeFileSync(file, '');
        place.bind(source, target);
        expect(await read(target, true)).toMatchObject({ capacity: MIB });
        await expect(read(source, true)).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED' });
      });

      test('reads the upper of two mounts on one path', async () => {
        const path = place.tmpfs('size=1m');
        place.mount(path, '-t', 'tmpfs', '-o', 'size=2m', 'kvm-test');
        expect(await read(path, true)).toMatchObject({ capacity: 2n * MIB });
      });

      test('rejects on a mount point that another mount hides', async () => {
        const above = place.newDirectory();
        const hidden = join(above, 'volume');
        mkdirSync(hidden);
        place.mount(hidden, '-t', 'tmpfs', 'kvm-test');
        expect((await read(hidden, true)).source).toBe('statfs');
        place.mount(above, '-t', 'tmpfs', 'kvm-test');
        mkdirSync(hidden);
        await expect(read(hidden, true)).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED' });
      });

      // Never the host's numbers.
      test('rejects after the volume was unmounted', async () => {
        const path = place.newDirectory();
        const provider = new MetricsStatFs(path, { binding, requireMount: true });
        execFileSync('mount', ['-t', 'tmpfs', 'kvm-test', path]);
        try {
          await provider.getMetrics();
        } finally {
          execFileSync('umount', [path]);
        }
        await expect(provider.getMetrics()).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED' });
      });

      test('says that a mount is read-only', async () => {
        expect(await read(place.tmpfs('size=1m,ro'), true)).toMatchObject({ readOnly: true });
        expect(await read(volume, true)).toMatchObject({ readOnly: false });
      });
    });
  });
}
