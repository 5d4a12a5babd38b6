import { execFileSync, spawn } from 'node:child_process';
import { linkSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { MetricsDu, MetricsStatFs, pathInfo, type Metrics, type MetricsError } from '../../src/index.js';
import { sharedInFlight } from '../../src/os/commands/command-binding.js';
import { FuseServer } from '../support/fuse.mjs';
import type { FuseEntry } from '../support/fuse-protocol.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

const MOUNTING_LOOP = join(import.meta.dirname, '../support/mounting-loop.py');

/** Directories inside each other, which keep a walk busy. */
function deep(levels: number): Record<string, FuseEntry> {
  return levels === 0 ? {} : { d: { kind: 'directory', entries: deep(levels - 1) } };
}

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

    // The shorter the waits, the likelier both looks of a reading find a mount, and its numbers are the
    // host's.
    test.skipIf(needs({ root: true, programs: ['python3'] })).for([
      { seed: 31, longest: '0.0003' },
      { seed: 32, longest: '0.003' },
      { seed: 33, longest: '0.03' },
    ])(
      "with requireMount never gives the host's capacity while mounts come and go ($seed)",
      async ({ seed, longest }, context) => {
        // Before Linux 6.8 nothing tells a mount from the next one with its id.
        if (binding === 'native' && (await pathInfo('/', { binding })).uniqueMountId === undefined)
          context.skip();
        const path = join(place.newDirectory(), 'volume');
        const loop = spawn('python3', [MOUNTING_LOOP, path, String(seed), longest], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        const ended = new Promise((resolve) => loop.once('exit', resolve));
        await new Promise((resolve) => loop.stdout.once('data', resolve));
        const provider = new MetricsDu(path, { binding, requireMount: true });
        const seen = new Set<unknown>();
        try {
          for (let reading = 0; reading < (binding === 'native' ? 4_000 : 120); reading++) {
            seen.add(
              await provider.getMetrics().then(
                ({ capacity }) => capacity,
                (error: unknown) => (error as MetricsError).code,
              ),
            );
          }
        } finally {
          loop.stdin.end();
          expect(await ended).toBe(0);
        }
        // A walk whose mount goes away under it may fail; what it may not is give another number.
        const possible = [1_048_576n, 'METRICS_NOT_MOUNTED', 'METRICS_NOT_FOUND', 'METRICS_USAGE_FAILED'];
        expect(possible).toEqual(expect.arrayContaining([...seen]));
        expect(seen).toContain('METRICS_NOT_MOUNTED');
      },
    );

    describe.skipIf(needs({ mkfs: ['xfs'], programs: ['cp', 'sync'] }))('of XFS', () => {
      const MIB = 1_048_576;
      test('warns of files that share blocks, and of nothing else', async () => {
        const path = place.onLoop('xfs');
        const file = join(path, 'file');
        writeFileSync(file, Buffer.alloc(60 * MIB, 'x'));
        expect(await read(path)).not.toHaveProperty('warnings');
        for (const name of ['b', 'c', 'd']) execFileSync('cp', ['--reflink=always', file, join(path, name)]);
        execFileSync('sync', ['-f', path]);
        const shared = await read(path);
        expect(shared.used).toBeGreaterThanOrEqual(BigInt(240 * MIB));
        expect(shared.used).toBeLessThan(shared.capacity!);
        expect(shared.warnings).toEqual([
          expect.stringMatching(/ bytes, more than the \d+ in use on the filesystem: they share/),
        ]);
        for (let copy = 0; copy < 6; copy++)
          execFileSync('cp', ['--reflink=always', file, join(path, String(copy))]);
        expect((await read(path)).warnings).toEqual([
          expect.stringMatching(/ bytes, more than the filesystem's \d+: they share/),
        ]);
      });
    });

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

      // Seeded sizes; one file deep down has the only size.
      test.each([5, 77, 1_234_567])(
        'warns that files of %i bytes have no blocks, and leaves empty ones alone',
        async (size) => {
          const dark = { empty: { size: 0 }, d: { entries: { e: { entries: { file: { size } } } } } };
          const mount = await server.mount({ entries: { ...dark, other: { size: 0 } } });
          expect(await read(mount.path)).toMatchObject({
            used: 0n,
            inodesUsed: 6n,
            warnings: [
              'used is 0 although files have a size: the filesystem does not count blocks, or the files are sparse',
            ],
          });
          expect(await read(join(mount.path, 'd/e/file'))).toMatchObject({ used: 0n, inodesUsed: 1n });
          expect((await read(join(mount.path, 'd/e/file'))).warnings).toHaveLength(1);
          for (const path of ['empty', 'other']) {
            expect(await read(join(mount.path, path))).not.toHaveProperty('warnings');
          }
          // One block anywhere shows that the filesystem counts them.
          await mount.change({ entries: { ...dark, other: { size: 1, blocks: 8 } } });
          const counted = await read(mount.path);
          expect(counted).toMatchObject({ used: 4096n, inodesUsed: 6n });
          expect(counted).not.toHaveProperty('warnings');
        },
      );

      test('directories and symlinks that have sizes need no blocks', async () => {
        const mount = await server.mount({ entries: { d: { kind: 'directory', size: 4096 }, file: {} } });
        expect(await read(mount.path)).not.toHaveProperty('warnings');
        const directory = place.tmpfs();
        symlinkSync('x'.repeat(100), join(directory, 'link'));
        expect(await read(directory)).not.toHaveProperty('warnings');
      });

      test('a filesystem that counts blocks may have sparse files alone', async () => {
        const directory = place.tmpfs();
        writeFileSync(join(directory, 'sparse'), '');
        truncateSync(join(directory, 'sparse'), 1_048_576);
        const reading = await read(directory);
        expect(reading).toMatchObject({ used: 0n, inodesUsed: 2n });
        expect(reading).not.toHaveProperty('warnings');
      });

      // 8 of 10 blocks of 4096 bytes in use; an eighth more is no wonder.
      test.each([
        [72, 8n, false],
        [73, 8n, true],
        [79, 8n, true],
        [79, 0n, false],
      ])(
        'files of %i blocks of 512 bytes, of %i blocks in use: a warning: %s',
        async (blocks, inUse, warns) => {
          const free = 10n - inUse;
          const mount = await server.mount({
            statfs: { blocks: 10n, bfree: free, bavail: free },
            entries: { file: { blocks } },
          });
          expect((await read(mount.path)).warnings).toEqual(
            warns
              ? [
                  `the files use ${String(blocks * 512)} bytes, more than the 32768 in use on the filesystem: they share or compress blocks`,
                ]
              : undefined,
          );
        },
      );

      test('what was written during the walk is no excess', async () => {
        const statfs = { blocks: 1000n, bfree: 900n, bavail: 900n };
        const entries = { file: { blocks: 2000 }, ...deep(100) };
        let reading: Metrics | undefined;
        // The walk may be over before the filesystem has changed.
        for (let time = 0; time < 10; time++) {
          const mount = await server.mount({ statfs, entries });
          const call = read(mount.path);
          await mount.received('opendir');
          await mount.change({ statfs: { ...statfs, bfree: 700n }, entries });
          reading = await call;
          expect(reading).toMatchObject({ capacity: 4_096_000n, available: 3_686_400n, used: 1_024_000n });
          if (reading.warnings === undefined) break;
        }
        expect(reading).not.toHaveProperty('warnings');
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
