import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MetricsDu, type Metrics } from '../../src/index.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

/** What the kubelet's atomic writer leaves behind after it has written `files` `times` times. */
function writeAtomically(path: string, files: Record<string, string | Buffer>, times = 1): void {
  for (let time = 0; time < times; time++) {
    const folder = `..2026_11_27_14_47_0${String(time)}.123456789${String(time)}`;
    const before =
      time === 0 ? undefined : `..2026_11_27_14_47_0${String(time - 1)}.123456789${String(time - 1)}`;
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(path, folder, name, '..'), { recursive: true });
      writeFileSync(join(path, folder, name), content, { mode: 0o644 });
    }
    symlinkSync(folder, join(path, '..data_tmp'));
    renameSync(join(path, '..data_tmp'), join(path, '..data'));
    if (before === undefined) {
      for (const name of new Set(Object.keys(files).map((each) => each.split('/')[0]!)))
        symlinkSync(`..data/${name}`, join(path, name));
    } else {
      rmSync(join(path, before), { recursive: true });
    }
  }
}

const TOKEN = { token: 'x'.repeat(1100), 'ca.crt': 'x'.repeat(1100), namespace: 'default' };

/** Everything that a volume on a tmpfs of its own may hold, and that both ways count alike. */
const TREES: Record<string, (path: string) => void> = {
  'an empty volume': () => undefined,
  'a token': (path) => {
    writeAtomically(path, TOKEN);
  },
  'a token that was renewed': (path) => {
    writeAtomically(path, TOKEN, 3);
  },
  'a secret of a megabyte': (path) => {
    writeAtomically(path, { 'tls.key': Buffer.alloc(1_048_000), 'tls.crt': 'x' });
  },
  'a projected volume with folders': (path) => {
    writeAtomically(path, { 'a/b/c': 'x', 'a/d': 'y', labels: '', ['n'.repeat(250)]: 'z' }, 2);
  },
  'an emptyDir in memory': (path) => {
    for (let folder = 0; folder < 20; folder++) {
      mkdirSync(join(path, String(folder)));
      for (let file = 0; file < 20; file++)
        writeFileSync(join(path, String(folder), String(file)), Buffer.alloc(file * 1000));
    }
    for (let file = 0; file < 10; file++) unlinkSync(join(path, '7', String(file)));
    rmSync(join(path, '8'), { recursive: true });
  },
  'holes, a fifo, a long symlink and what fallocate reserves': (path) => {
    const sparse = openSync(join(path, 'sparse'), 'w');
    ftruncateSync(sparse, 1024 ** 3);
    writeSync(sparse, 'x', 500_000_000);
    closeSync(sparse);
    execFileSync('mkfifo', [join(path, 'fifo')]);
    symlinkSync('x'.repeat(4000), join(path, 'long'));
    execFileSync('fallocate', ['-l', '1000000', join(path, 'reserved')]);
    writeFileSync(join(path, 'cut'), Buffer.alloc(300_000));
    truncateSync(join(path, 'cut'), 5_000);
  },
};

describe.skipIf(needs({ root: true, programs: ['mkfifo', 'fallocate'] }))('a tmpfs of its own', () => {
  for (const binding of ['native', 'command'] as const) {
    describe.skipIf(needs({ native: binding === 'native' }))(`through the ${binding} binding`, () => {
      let place: TestMounts;
      beforeAll(() => {
        place = new TestMounts();
      });
      afterAll(() => {
        place.close();
      });

      const ask = (path: string): Promise<Metrics> =>
        new MetricsDu(path, { binding, ownTmpfs: 'statfs' }).getMetrics();
      const walk = (path: string): Promise<Metrics> => new MetricsDu(path, { binding }).getMetrics();
      const numbers = (reading: Metrics): object => ({ ...reading, time: undefined, source: undefined });

      /** Expects a walk, with the numbers of a walk. */
      async function expectWalked(path: string): Promise<void> {
        const asked = await ask(path);
        expect(asked.source).toBe('du');
        // What is free on a disk that others use changes.
        const stays = (reading: Metrics): object => ({
          ...reading,
          time: undefined,
          available: undefined,
          inodesFree: undefined,
        });
        expect(stays(asked)).toEqual(stays(await walk(path)));
      }

      describe.each(['size=8m', 'size=8m,mode=0777,nr_inodes=100k', 'size=64m,huge=always', 'noswap'])(
        'mounted with %s',
        (options) => {
          test.for(Object.keys(TREES))('%s: the numbers of a walk', async (tree, context) => {
            let path: string;
            try {
              path = place.tmpfs(options);
            } catch (error) {
              // noswap came with Linux 6.4, and needs a kernel with swap.
              if (options === 'noswap') context.skip('tmpfs knows no noswap here');
              throw error;
            }
            TREES[tree]!(path);
            const asked = await ask(path);
            const walked = await walk(path);
            expect(asked.source).toBe('statfs');
            expect(walked.source).toBe('du');
            expect(numbers(asked)).toEqual(numbers(walked));
            expect(asked.inodesUsed).toBeGreaterThan(0n);
          });
        },
      );

      test('mounted twice, through a symlink, with a slash, over another mount, read-only', async () => {
        const path = place.tmpfs();
        writeAtomically(path, TOKEN);
        const other = place.bind(path, place.newDirectory());
        const link = `${path}-link`;
        symlinkSync(path, link);
        const over = place.bind(path, place.tmpfs());
        const readOnly = place.bind(path, place.newDirectory());
        place.makeReadOnly(readOnly);
        for (const each of [path, other, link, `${path}/`, over, readOnly]) {
          const asked = await ask(each);
          expect(asked.source).toBe('statfs');
          expect(numbers(asked)).toEqual(numbers(await walk(each)));
          expect(asked).toMatchObject({ used: 12_288n, inodesUsed: 9n, readOnly: each === readOnly });
        }
      });

      test('is asked with requireMount too, once it is mounted', async () => {
        const path = place.newDirectory();
        const provider = new MetricsDu(path, { binding, requireMount: true, ownTmpfs: 'statfs' });
        await expect(provider.getMetrics()).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED', path });
        place.mount(path, '-t', 'tmpfs', '-o', 'size=1m', 'kvm-test');
        expect(await provider.getMetrics()).toMatchObject({
          source: 'statfs',
          capacity: 1_048_576n,
          used: 0n,
          inodesUsed: 1n,
        });
      });

      test('is walked by default', async () => {
        const path = place.tmpfs();
        expect((await walk(path)).source).toBe('du');
        expect((await new MetricsDu(path, { binding, ownTmpfs: 'walk' }).getMetrics()).source).toBe('du');
      });

      test('a plain directory is walked, also below a tmpfs', async () => {
        const directory = place.newDirectory();
        writeFileSync(join(directory, 'file'), 'x');
        await expectWalked(directory);
        const below = join(place.tmpfs(), 'below');
        mkdirSync(below);
        writeFileSync(join(below, 'file'), 'x');
        await expectWalked(below);
      });

      test('a bind mount of a directory or of a file in a tmpfs is walked', async () => {
        const path = place.tmpfs();
        mkdirSync(join(path, 'part/of/it'), { recursive: true });
        writeFileSync(join(path, 'part/file'), 'x');
        writeFileSync(join(path, 'whole'), 'x'.repeat(10_000));
        await expectWalked(place.bind(join(path, 'part'), place.newDirectory()));
        const file = join(place.newDirectory(), 'file');
        writeFileSync(file, '');
        await expectWalked(place.bind(join(path, 'part/file'), file));
      });

      test('another filesystem that is mounted there is walked, also over a tmpfs', async () => {
        const ramfs = place.mount(place.newDirectory(), '-t', 'ramfs', 'kvm-test');
        writeFileSync(join(ramfs, 'file'), 'x');
        await expectWalked(ramfs);
        const covered = place.tmpfs();
        writeFileSync(join(covered, 'beneath'), 'x');
        place.mount(covered, '-t', 'ramfs', 'kvm-test');
        await expectWalked(covered);
      });

      test('one without a limit of bytes or of inodes counts nothing, so it is walked', async () => {
        for (const options of ['size=0', 'size=8m,nr_inodes=0']) {
          const path = place.tmpfs(options);
          writeFileSync(join(path, 'file'), 'x');
          const asked = await ask(path);
          expect(asked).toMatchObject({ source: 'du', used: 4096n, inodesUsed: 2n });
        }
      });

      // What docs/kubelet-parity.md lists.
      test('also counts extra hard links, deleted files that are open, and what mounts cover', async () => {
        const path = place.tmpfs();
        mkdirSync(join(path, 'covered'));
        writeFileSync(join(path, 'file'), 'x');
        linkSync(join(path, 'file'), join(path, 'link'));
        const linked = { used: 4096n, inodesUsed: 3n };
        expect(await walk(path)).toMatchObject(linked);
        expect(await ask(path)).toMatchObject({ ...linked, inodesUsed: 4n });

        const open = openSync(join(path, 'open'), 'w');
        writeSync(open, Buffer.alloc(10_000));
        unlinkSync(join(path, 'open'));
        expect(await walk(path)).toMatchObject(linked);
        expect(await ask(path)).toMatchObject({ used: 16_384n, inodesUsed: 5n });
        closeSync(open);

        writeFileSync(join(path, 'covered/beneath'), 'x');
        place.mount(join(path, 'covered'), '-t', 'tmpfs', 'kvm-test');
        // Neither the mount point nor what is beneath it.
        expect(await walk(path)).toMatchObject({ used: 4096n, inodesUsed: 2n });
        expect(await ask(path)).toMatchObject({ used: 8192n, inodesUsed: 5n });
      });

      test('gives the numbers of the moment, whatever is mounted and unmounted there', async () => {
        const path = place.newDirectory();
        const provider = new MetricsDu(path, { binding, ownTmpfs: 'statfs' });
        const sources: string[] = [];
        const note = async (): Promise<void> => void sources.push((await provider.getMetrics()).source);
        await note();
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'kvm-test', path]);
        await note();
        execFileSync('mount', ['-t', 'ramfs', 'kvm-test', path]);
        await note();
        execFileSync('umount', [path]);
        await note();
        execFileSync('umount', [path]);
        await note();
        expect(sources).toEqual(['du', 'statfs', 'du', 'statfs', 'du']);
        expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(` ${path} `);
      });

      test('rejects where nothing is', async () => {
        const missing = join(place.directory, 'missing');
        await expect(ask(missing)).rejects.toMatchObject({ code: 'METRICS_NOT_FOUND', path: missing });
      });

      test('a signal ends the call', async () => {
        const controller = new AbortController();
        const provider = new MetricsDu(place.tmpfs(), { binding, ownTmpfs: 'statfs' });
        const call = provider.getMetrics({ signal: controller.signal });
        const reason = new Error('enough');
        controller.abort(reason);
        await expect(call).rejects.toBe(reason);
      });
    });
  }
});
