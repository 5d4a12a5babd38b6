import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OsBinding } from '../../../src/os/os-binding.js';
import { createCommandBinding } from '../../../src/os/commands/command-binding.js';
import { newInFlight } from '../../../src/os/commands/command-binding.js';
import { PathCalls } from '../../../src/os/commands/path-calls.js';
import { checkedWalk, type DiskUsage, type DiskUsageOptions } from '../../../src/os/disk-usage.js';
import { toFsInfo } from '../../../src/os/fs-info.js';
import { FuseServer } from '../../support/fuse.mjs';
import { TestMounts } from '../../support/mounts.js';
import { needs } from '../../support/needs.js';
import { makeTree, modelUsage, Outside, randomFrom } from '../../support/random-tree.js';
import { ownChildren } from './own-children.js';

const DIALECTS = ['gnu', 'busybox'] as const;
type Dialect = (typeof DIALECTS)[number];

/** A directory for each dialect, with its commands. */
const directories = {} as Record<Dialect, string>;
let folder: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-commands-')));
  chmodSync(folder, 0o755);
  for (const dialect of DIALECTS) {
    directories[dialect] = join(folder, dialect);
    mkdirSync(directories[dialect]);
    for (const name of ['stat', 'df', 'readlink', 'du', 'find', 'nice']) {
      const isBusybox = dialect === 'busybox' && name !== 'nice';
      symlinkSync(isBusybox ? '/bin/busybox' : `/usr/bin/${name}`, join(directories[dialect], name));
    }
  }
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Commands of one dialect, or those in other directories that come first. */
function bindingOf(dialect: Dialect, ...others: string[]): OsBinding {
  return createCommandBinding({ directories: [...others, directories[dialect]], inFlight: newInFlight() });
}

function measure(binding: OsBinding, path: string, options: DiskUsageOptions = {}): Promise<DiskUsage> {
  return binding.diskUsage(path, checkedWalk(options));
}

/** Runs `body` as somebody who may not read everything, which root may. */
async function asNobody<T>(body: () => Promise<T>): Promise<T> {
  process.seteuid!(65534);
  try {
    return await body();
  } finally {
    process.seteuid!(0);
  }
}

/** A script in place of a command. */
function script(directory: string, name: string, text: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(directory, name), 0o755);
}

const skipped = (dialect: Dialect): boolean => needs({ busybox: dialect === 'busybox' }) !== false;

describe.each(DIALECTS)('%s', (dialect) => {
  describe.skipIf(skipped(dialect))('without mounts', () => {
    test('statFs says what statfs(2) says, and pathInfo what stat(2) says', async () => {
      const binding = bindingOf(dialect);
      const node = statfsSync('/dev', { bigint: true });
      expect(await binding.statFs('/dev').answer).toMatchObject({
        magic: Number(node.type),
        frsize: node.bsize,
        blocks: node.blocks,
        files: node.files,
        readOnly: false,
      });
      for (const path of ['/dev', '/dev/null', '/proc/self/status', folder]) {
        const { dev, ino, rdev } = statSync(path, { bigint: true });
        expect(await binding.pathInfo(path).answer).toMatchObject({ device: dev, rdev });
        if (!path.startsWith('/proc')) {
          expect(await binding.pathInfo(path).answer).toMatchObject({ inode: ino });
        }
      }
    });

    test.skipIf(needs({ root: true }))('a walk finds sizes without blocks', async () => {
      using place = new TestMounts();
      const [root, binding] = [place.tmpfs(), bindingOf(dialect)];
      writeFileSync(join(root, 'empty'), '');
      symlinkSync('somewhere', join(root, 'symlink'));
      expect(await measure(binding, root)).toEqual({ used: 0n, inodesUsed: 3n });
      mkdirSync(join(root, 'a'));
      for (const name of ['sparse', 'a/sparse']) writeFileSync(join(root, name), '');
      truncateSync(join(root, 'a/sparse'), 1);
      const lacking = { used: 0n, lacksBlocks: true };
      expect(await measure(binding, root)).toEqual({ ...lacking, inodesUsed: 6n });
      expect(await measure(binding, join(root, 'a/sparse'))).toEqual({ ...lacking, inodesUsed: 1n });
      writeFileSync(join(root, 'file'), 'x');
      expect(await measure(binding, root)).toEqual({ used: 4096n, inodesUsed: 7n });
    });

    test('statFs of a device node is about the filesystem that holds the node', async () => {
      const binding = bindingOf(dialect);
      const [node, around] = [await binding.statFs('/dev/null').answer, await binding.statFs('/dev').answer];
      expect(node).toMatchObject({ magic: around.magic, blocks: around.blocks, frsize: around.frsize });
    });

    test('statFs of a filesystem without blocks', async () => {
      expect(await bindingOf(dialect).statFs('/proc').answer).toMatchObject({
        magic: 0x9fa0,
        frsize: 4096n,
        blocks: 0n,
        files: 0n,
      });
    });

    test('random trees have the numbers of the model', async () => {
      const random = randomFrom(20_260_801);
      const outside = new Outside(join(folder, `outside-${dialect}`));
      const binding = bindingOf(dialect);
      for (let number = 0; number < 10; number += 1) {
        const root = join(folder, `tree-${dialect}-${String(number)}`);
        makeTree(root, random, outside);
        expect(await measure(binding, root)).toEqual(modelUsage(root));
      }
      outside.close();
    });

    test(
      'more names than fit into the arguments of one command, and long paths',
      { timeout: 180_000 },
      async () => {
        const root = join(folder, `many-${dialect}`);
        const deep = join(root, ...Array.from({ length: 8 }, () => 'd'.repeat(200)));
        mkdirSync(deep, { recursive: true });
        for (let number = 0; number < 9_000; number += 1) {
          writeFileSync(join(root, 'n'.repeat(240) + String(number)), '');
        }
        for (let number = 0; number < 50; number += 1) {
          writeFileSync(join(deep, 'n'.repeat(240) + String(number)), 'x');
        }
        expect(await measure(bindingOf(dialect), root)).toEqual(modelUsage(root));
      },
    );

    test('a path that looks like an option, and one with every odd character', async () => {
      const binding = bindingOf(dialect);
      for (const name of ['-rf', '--help', ' *[a]?{}\\\n\'"$(x)\t\u{1f600}', '!', '(']) {
        const root = join(folder, `odd-${dialect}`, name);
        mkdirSync(join(root, 'sub'), { recursive: true });
        expect(await measure(binding, root)).toEqual(modelUsage(root));
        expect((await binding.pathInfo(root).answer).inode).toBe(statSync(root, { bigint: true }).ino);
        expect((await binding.statFs(root).answer).blocks).toBe(statfsSync(folder, { bigint: true }).blocks);
      }
    });

    test('a root deeper than any path may be long is told so before anything is run', async () => {
      const path = `/${'x/'.repeat(2500)}`;
      const error = { code: 'ENAMETOOLONG', path };
      const binding = bindingOf(dialect);
      await expect(binding.statFs(path).answer).rejects.toMatchObject({ ...error, syscall: 'statfs' });
      await expect(binding.pathInfo(path).answer).rejects.toMatchObject({ ...error, syscall: 'stat' });
      await expect(measure(binding, path)).rejects.toMatchObject(error);
      await expect(binding.pathInfo('/x'.repeat(100_000)).answer).rejects.toMatchObject({
        code: 'ENAMETOOLONG',
      });
    });

    test('a command that is missing is named', async () => {
      const binding = createCommandBinding({
        directories: [join(folder, 'nothing')],
        inFlight: newInFlight(),
      });
      const error = {
        code: 'METRICS_NOT_SUPPORTED',
        message: expect.stringContaining('the command stat') as string,
      };
      await expect(binding.statFs('/').answer).rejects.toMatchObject(error);
      await expect(binding.pathInfo('/').answer).rejects.toMatchObject(error);
      await expect(measure(binding, '/')).rejects.toMatchObject(error);
    });

    test('a command that talks nonsense', async () => {
      const odd = join(folder, `nonsense-${dialect}`);
      script(odd, 'stat', '[ "$1" = --version ] && echo "stat (GNU coreutils) 9.1" || echo forty-two');
      const binding = bindingOf(dialect, odd);
      await expect(binding.pathInfo('/').answer).rejects.toMatchObject({
        code: 'METRICS_FS_INFO_FAILED',
        message: `${odd}/stat gave no answer for /: forty-two`,
      });
    });
  });

  describe.skipIf(skipped(dialect) || needs({ root: true }) !== false)('golden cases on tmpfs', () => {
    let mounts: TestMounts;
    let binding: OsBinding;
    let root: string;
    beforeAll(() => {
      mounts = new TestMounts();
      chmodSync(mounts.directory, 0o755);
      binding = bindingOf(dialect);
    });
    afterAll(() => {
      mounts.close();
    });
    const newRoot = (): void => {
      root = mounts.tmpfs();
    };
    const write = (...names: string[]): void => {
      for (const name of names) {
        mkdirSync(dirname(join(root, name)), { recursive: true });
        writeFileSync(join(root, name), 'x');
      }
    };
    const usage = (used: bigint, inodesUsed: bigint): DiskUsage => ({ used, inodesUsed });

    test('a projected volume', async () => {
      newRoot();
      write('..2026_01_01/a', '..2026_01_01/b', '..2026_01_01/c');
      symlinkSync('..2026_01_01', join(root, '..data'));
      for (const name of ['a', 'b', 'c']) symlinkSync(`..data/${name}`, join(root, name));
      expect(await measure(binding, root)).toEqual(usage(12288n, 9n));
    });

    test('a hard link', async () => {
      newRoot();
      write('f1');
      linkSync(join(root, 'f1'), join(root, 'f2'));
      expect(await measure(binding, root)).toEqual(usage(4096n, 2n));
    });

    test('a sparse file, a fifo, a symlink and an empty directory', async () => {
      newRoot();
      writeFileSync(join(root, 'sparse'), '');
      truncateSync(join(root, 'sparse'), 2 ** 30);
      execFileSync('mkfifo', [join(root, 'fifo')]);
      symlinkSync('sparse', join(root, 'link'));
      mkdirSync(join(root, 'empty'));
      expect(await measure(binding, root)).toEqual({ ...usage(0n, 5n), lacksBlocks: true });
    });

    test('five files, and one of them as the root', async () => {
      newRoot();
      write('a', 'b', 'c', 'd', 'z/q');
      expect(await measure(binding, root)).toEqual(usage(20480n, 7n));
      expect(await measure(binding, join(root, 'a'))).toEqual(usage(4096n, 1n));
    });

    test('an empty directory', async () => {
      newRoot();
      expect(await measure(binding, root)).toEqual(usage(0n, 1n));
    });

    test('a missing root', async () => {
      newRoot();
      await expect(measure(binding, join(root, 'missing'))).rejects.toMatchObject({
        code: 'ENOENT',
        path: join(root, 'missing'),
      });
    });

    test('a foreign mount below', async () => {
      newRoot();
      write('a', 'b', 'c', 'd', 'z/q');
      mounts.mount(join(root, 'z'), '-t', 'tmpfs', 'kvm-test');
      writeFileSync(join(root, 'z', 'more'), 'x');
      expect(await measure(binding, root)).toEqual(usage(16384n, 5n));
    });

    test('a foreign file that is bind-mounted', async () => {
      newRoot();
      write('a', 'b', 'c', 'd', 'z/q');
      const foreign = join(mounts.newDirectory(), 'file');
      writeFileSync(foreign, 'x');
      mounts.bind(foreign, join(root, 'b'));
      expect(await measure(binding, root)).toEqual(usage(16384n, 6n));
    });

    test('a symlink as the root, to the same and to another filesystem', async () => {
      newRoot();
      write('real/a', 'real/b');
      symlinkSync('real', join(root, 'link'));
      const elsewhere = join(mounts.newDirectory(), 'link');
      symlinkSync(join(root, 'real'), elsewhere);
      for (const path of [join(root, 'link'), `${root}/link/`, elsewhere]) {
        expect(await measure(binding, path)).toEqual(usage(8192n, 3n));
      }
    });

    test('mounts of the same filesystem are left out, whatever their names are', async () => {
      newRoot();
      write('kept/*x', 'kept/[ab]', 'kept/?', 'source/in', 'source/deep/er');
      const names = ['*', '[ab]', 'a?c', 'back\\slash', 'new\nline', 'a space', 'caf\u00e9', '-name', '!'];
      for (const name of names) {
        mkdirSync(join(root, 'points', name), { recursive: true });
        mounts.bind(join(root, 'source'), join(root, 'points', name));
        // What a pattern with the plain name would leave out as well.
        mkdirSync(join(root, 'points', `${name}-x`));
      }
      for (const name of ['a', 'abc', 'backslash']) mkdirSync(join(root, 'points', name));
      writeFileSync(join(root, 'file'), 'x');
      mounts.bind(join(root, 'kept', '?'), join(root, 'file'));
      const inodes = 1n + 4n + 4n + 1n + BigInt(names.length) + 3n;
      expect(await measure(binding, root)).toEqual(usage(5n * 4096n, inodes));
      const link = join(mounts.newDirectory(), 'to [the] root*');
      symlinkSync(root, link);
      expect(await measure(binding, link)).toEqual(usage(5n * 4096n, inodes));
    });

    test('a mount point whose name is not UTF-8 is left out', async () => {
      newRoot();
      write('source/in');
      const point = Buffer.concat([Buffer.from(`${root}/bad`), Buffer.from([0xff, 0xfe])]);
      mkdirSync(point);
      mkdirSync(join(root, 'bad'));
      // No argument of a Node child can hold these bytes.
      const [source, target] = [`'${root}/source'`, `"$(printf '${root}/bad\\377\\376')"`];
      execFileSync('/bin/bash', ['-c', `mount --bind ${source} ${target}`]);
      try {
        expect(await measure(binding, root)).toEqual(usage(4096n, 4n));
      } finally {
        execFileSync('/bin/bash', ['-c', `umount ${target}`]);
      }
    });

    test('mounts that others hide do not count as mount points', async () => {
      newRoot();
      write('below/x');
      mounts.mount(join(root, 'below'), '-t', 'tmpfs', 'kvm-test');
      const hidden = root;
      mounts.mount(hidden, '-t', 'tmpfs', 'kvm-test');
      write('below/a', 'below/b');
      expect(await measure(binding, root)).toEqual(usage(8192n, 4n));
    });

    test('statFs tells whether the path is on a read-only mount', async () => {
      newRoot();
      mkdirSync(join(root, 'a mount\npoint'));
      mkdirSync(join(root, 'sub'));
      const point = join(root, 'a mount\npoint');
      mounts.bind(root, point);
      execFileSync('mount', ['-o', 'remount,bind,ro', point]);
      const link = join(mounts.newDirectory(), 'link');
      symlinkSync(point, link);
      const readOnly = async (path: string): Promise<boolean | undefined> =>
        (await binding.statFs(path).answer).readOnly;
      expect(await readOnly(point)).toBe(true);
      expect(await readOnly(join(point, 'sub'))).toBe(true);
      expect(await readOnly(join(link, 'sub'))).toBe(true);
      expect(await readOnly(root)).toBe(false);
      expect(await readOnly(join(root, 'sub'))).toBe(false);
      expect(await readOnly(join(point, 'sub', '..', '..'))).toBe(false);
    });

    test('pathInfo of a device with a large number, which the node is asked for and not the device', async () => {
      newRoot();
      const device = join(root, 'device');
      execFileSync('mknod', [device, 'b', '3000', '1000000']);
      expect(await binding.pathInfo(device).answer).toMatchObject({
        kind: 'block',
        rdev: statSync(device, { bigint: true }).rdev,
        size: 0n,
      });
    });

    describe('what may not be read', () => {
      beforeAll(() => {
        newRoot();
        write('a/x', 'new\nline/x', 'open/x');
        chmodSync(join(root, 'new\nline'), 0);
      });

      test('fails the walk, naming the entry', async () => {
        await expect(asNobody(() => measure(binding, root))).rejects.toMatchObject({
          code: 'EACCES',
          path: join(root, 'new\nline'),
        });
      });

      test('is counted once when that is allowed', async () => {
        expect(await asNobody(() => measure(binding, root, { allowPartial: true }))).toEqual({
          used: 8192n,
          inodesUsed: 6n,
          incomplete: { errors: 1, first: { path: join(root, 'new\nline'), code: 'EACCES' } },
        });
      });

      test('as the root: nothing but the root is counted', async () => {
        const closed = join(root, 'new\nline');
        await expect(asNobody(() => measure(binding, closed))).rejects.toMatchObject({
          code: 'EACCES',
          path: closed,
        });
        expect(await asNobody(() => measure(binding, `${closed}/`, { allowPartial: true }))).toMatchObject({
          inodesUsed: 1n,
          incomplete: { errors: 1, first: { path: `${closed}/`, code: 'EACCES' } },
        });
      });

      test('because the directory around it is closed', async () => {
        chmodSync(join(root, 'a'), 0o744);
        const { incomplete } = await asNobody(() =>
          measure(binding, join(root, 'a'), { allowPartial: true }),
        );
        expect(incomplete).toMatchObject({ errors: 1, first: { path: join(root, 'a', 'x') } });
        await expect(asNobody(() => binding.pathInfo(join(root, 'a', 'x')).answer)).rejects.toMatchObject({
          code: 'EACCES',
        });
      });
    });
  });

  describe.skipIf(skipped(dialect) || needs({ mkfs: ['ext4', 'xfs', 'btrfs'] }) !== false)(
    'on filesystems',
    () => {
      let mounts: TestMounts;
      beforeAll(() => {
        mounts = new TestMounts();
      });
      afterAll(() => {
        mounts.close();
      });

      test('ext4 gives blocks to directories', async () => {
        const root = join(mounts.onLoop('ext4'), 'root');
        mkdirSync(join(root, 'sub'), { recursive: true });
        writeFileSync(join(root, 'f'), 'eleven byte');
        writeFileSync(join(root, 'sparse'), '');
        truncateSync(join(root, 'sparse'), 2 ** 20);
        symlinkSync('f', join(root, 'link'));
        const binding = bindingOf(dialect);
        expect(await measure(binding, root)).toEqual({ used: 12288n, inodesUsed: 5n });
        expect(await measure(binding, join(root, 'sub'))).toEqual({ used: 4096n, inodesUsed: 1n });
      });

      test.each(['ext4', 'xfs', 'btrfs'] as const)('statFs on %s', async (type) => {
        const path = mounts.onLoop(type);
        const node = statfsSync(path, { bigint: true });
        const { frsize, ...counts } = await bindingOf(dialect).statFs(path).answer;
        expect(counts).toEqual({
          magic: Number(node.type),
          blocks: node.blocks,
          bfree: node.bfree,
          bavail: node.bavail,
          files: node.files,
          ffree: node.ffree,
          readOnly: false,
        });
        expect(frsize).toBe(node.bsize);
      });

      test('a subvolume of btrfs is another device, though no mount', async () => {
        const root = mounts.onLoop('btrfs');
        mkdirSync(join(root, 'plain'));
        execFileSync('btrfs', ['-q', 'subvolume', 'create', join(root, 'sub')], {
          env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
        });
        writeFileSync(join(root, 'sub', 'file'), 'x'.repeat(10_000));
        execFileSync('sync', ['-f', root]);
        expect((await measure(bindingOf(dialect), root)).inodesUsed).toBe(2n);
      });
    },
  );

  describe.skipIf(skipped(dialect) || needs({ fuse: true, programs: ['unshare'] }) !== false)(
    'filesystems made to order',
    () => {
      let server: FuseServer;
      beforeAll(() => {
        server = new FuseServer();
      });
      afterAll(async () => {
        await server.close();
      });

      /**
       * BusyBox's df looks at every mount that is listed before the one it looks for. Here it sees only those
       * of this server: others, of tests that run at the same time, may hang.
       */
      const bindingFor = (path: string): OsBinding => {
        const own = join(folder, `own-mounts-${dialect}`);
        const others = `while read -r _ point type _; do case $type:$point in
        fuse*:${dirname(path)}/*) ;;
        fuse*) /bin/umount -l --no-canonicalize "$point" ;;
      esac; done < /proc/self/mounts`;
        const commands = `${others}; exec /bin/busybox df "$@"`;
        script(own, 'df', `exec /usr/bin/unshare --mount /bin/sh -c '${commands}' df "$@"`);
        return bindingOf(dialect, own);
      };

      test('the unit of the counts is f_frsize', async () => {
        const { path } = await server.mount({
          statfs: { bsize: 1 << 20, frsize: 4096, blocks: 120699413n, bfree: 100n, bavail: 50n },
        });
        const raw = await bindingFor(path).statFs(path).answer;
        expect(raw).toMatchObject({ frsize: 4096n, blocks: 120699413n, bfree: 100n, bavail: 50n });
        expect(toFsInfo(raw).capacity).toBe(494384795648n);
      });

      test('plain numbers, and inodes without a limit', async () => {
        const plain = await server.mount();
        const binding = bindingFor(plain.path);
        expect(toFsInfo(await binding.statFs(plain.path).answer)).toMatchObject({
          capacity: 4096000n,
          available: 1433600n,
          used: 2457600n,
          inodes: 100n,
          inodesFree: 60n,
          inodesUsed: 40n,
        });
        const endless = await server.mount({
          statfs: {
            blocks: 2n ** 63n,
            bfree: 2n ** 63n - 1n,
            bavail: 2n ** 64n - 1n,
            files: 2n ** 63n - 1n,
            ffree: 2n ** 64n - 1n,
          },
        });
        expect(await binding.statFs(endless.path).answer).toMatchObject({
          blocks: 2n ** 63n,
          bfree: 2n ** 63n - 1n,
          bavail: 2n ** 64n - 1n,
          files: 2n ** 63n - 1n,
          ffree: 2n ** 64n - 1n,
        });
      });

      test('an entry that vanishes between its name and its stat is ignored', async () => {
        const { path } = await server.mount({
          entries: {
            stays: { blocks: 8 },
            gone: { errors: { lookup: 'ENOENT', getattr: 'ENOENT' } },
            directory: { entries: { inner: { blocks: 16 } }, errors: { opendir: 'ENOENT' } },
          },
        });
        const { used, inodesUsed, ...rest } = await measure(bindingOf(dialect), path);
        expect(rest).toEqual({});
        expect(inodesUsed).toBe(3n);
        expect(used).toBe(4096n);
      });

      test('any other error fails the walk with the entry named, or counts', async () => {
        const { path } = await server.mount({
          entries: {
            fine: { blocks: 8 },
            broken: { errors: { lookup: 'EIO', getattr: 'EIO' } },
            closed: { entries: {}, errors: { opendir: 'ESTALE' } },
          },
        });
        const binding = bindingOf(dialect);
        const codes = { [join(path, 'broken')]: 'EIO', [join(path, 'closed')]: 'ESTALE' };
        const error = (await measure(binding, path).catch(
          (reason: unknown) => reason,
        )) as NodeJS.ErrnoException;
        expect(error.code).toBe(codes[error.path!]);
        const { incomplete } = await measure(binding, path, { allowPartial: true });
        expect(incomplete?.errors).toBe(2);
        expect(incomplete?.first.code).toBe(codes[incomplete!.first.path]);
      });

      test('errors of the filesystem itself have their errno', async () => {
        const { path } = await server.mount({ errors: { statfs: 'EIO', getattr: 'EIO' } });
        const binding = bindingOf(dialect);
        await expect(binding.statFs(path).answer).rejects.toMatchObject({
          code: 'EIO',
          syscall: 'statfs',
          path,
        });
      });

      test('a mount below the root that is broken does not matter', async () => {
        await using own = new FuseServer();
        const mount = await own.mount();
        await mount.change({ errors: { getattr: 'EIO', statfs: 'EIO' } });
        expect(await measure(bindingOf(dialect), dirname(mount.path))).toMatchObject({ inodesUsed: 1n });
      });

      test('a mount below the root that never answers stalls the walk, and refuses others while it holds the walker', async () => {
        await using own = new FuseServer();
        const mount = await own.mount();
        const root = dirname(mount.path);
        const binding = bindingOf(dialect);
        await mount.hold('unanswered');
        await expect(measure(binding, root, { stallTimeoutMs: 300 })).rejects.toMatchObject({
          code: 'METRICS_TIMED_OUT',
          path: root,
        });
        await expect(measure(binding, root)).rejects.toMatchObject({
          code: 'METRICS_TIMED_OUT',
          path: root,
          stuckSince: expect.any(Date) as Date,
        });
        await mount.release();
        await expect
          .poll(() => measure(binding, root).catch(() => undefined), { timeout: 20_000 })
          .toMatchObject({ inodesUsed: 1n });
      });

      test('a path that never answers is stuck, and the processes on it do not pile up', async () => {
        await using own = new FuseServer();
        const mount = await own.mount();
        await mount.hold('unanswered');
        const calls = new PathCalls({ stuckAfterMs: 200 });
        const binding = createCommandBinding({
          directories: [directories[dialect]],
          inFlight: { ...newInFlight(), calls },
        });
        const stuck = { code: 'METRICS_TIMED_OUT', path: mount.path, stuckSince: expect.any(Date) as Date };
        const waiting = [
          binding.statFs(mount.path),
          binding.statFs(mount.path),
          binding.pathInfo(mount.path),
        ];
        for (const { answer } of waiting) await expect(answer).rejects.toMatchObject(stuck);
        const onMount = (): string[] =>
          [...ownChildren()]
            .filter(([, line]) => line.includes(mount.path))
            .sort()
            .map(([pid]) => pid);
        const held = onMount();
        expect(held.length).toBeGreaterThan(0);
        for (let call = 0; call < 20; call += 1) {
          await expect(binding.statFs(mount.path).answer).rejects.toMatchObject(stuck);
          await expect(measure(binding, mount.path)).rejects.toMatchObject(stuck);
        }
        expect(onMount()).toEqual(held);
        expect(await binding.pathInfo(folder).answer).toMatchObject({ kind: 'directory' });
        await mount.release();
        await expect
          .poll(() => binding.pathInfo(mount.path).answer.catch(() => undefined), { timeout: 20_000 })
          .toMatchObject({ kind: 'directory' });
      });
    },
  );

  describe.skipIf(skipped(dialect))('walkers', () => {
    let fakes: string;
    /** Small: at the lowest priority, on a machine that is busy, a walk gets little of a processor. */
    let tree: string;
    beforeAll(() => {
      fakes = join(folder, `fakes-${dialect}`);
      tree = join(folder, `walked-${dialect}`);
      for (const name of ['a', 'b', 'c']) {
        mkdirSync(join(tree, name), { recursive: true });
        writeFileSync(join(tree, name, 'file'), name);
      }
    });
    /** In place of du (GNU) and find (BusyBox), whichever runs first. */
    const first = dialect === 'gnu' ? 'du' : 'find';
    const version = dialect === 'gnu' ? 'du (GNU coreutils) 9.1' : 'BusyBox v1.35.0';
    const fake = (name: string, text: string): string => {
      const directory = join(fakes, name);
      script(directory, first, `[ "$1" = --version ] && { echo "${version}"; exit; }\n${text}`);
      return directory;
    };

    test('run with the lowest priority, and are killed when the caller aborts', async () => {
      const ran = join(folder, `ran-${dialect}`);
      const binding = bindingOf(
        dialect,
        fake('sleeps', `echo $$ $(nice) > ${ran}.new; mv ${ran}.new ${ran}; exec sleep 1000`),
      );
      const controller = new AbortController();
      const walk = measure(binding, tree, { signal: controller.signal });
      await expect.poll(() => existsSync(ran), { timeout: 20_000 }).toBe(true);
      const [pid, nice] = execFileSync('cat', [ran], { encoding: 'utf8' }).trim().split(' ');
      expect(nice).toBe('19');
      controller.abort('enough');
      await expect(walk).rejects.toBe('enough');
      await expect.poll(() => existsSync(`/proc/${pid!}`), { timeout: 20_000 }).toBe(false);
    });

    test('that do nothing are given up, those that work silently are not', async () => {
      const stalls = bindingOf(dialect, fake('stalls', 'exec sleep 1000'));
      await expect(measure(stalls, tree, { stallTimeoutMs: 100 })).rejects.toMatchObject({
        code: 'METRICS_TIMED_OUT',
        message: `the walk of ${tree} stalled: no progress for 100 ms`,
        path: tree,
      });
      // It works until it has done so for longer than the limit, however little of a processor it gets
      // meanwhile.
      const enough = join(folder, `enough-${dialect}`);
      const works = bindingOf(
        dialect,
        fake('works', `until [ -e ${enough} ]; do :; done; exec "${directories[dialect]}/${first}" "$@"`),
      );
      const walk = measure(works, tree, { stallTimeoutMs: 1_000 });
      await Promise.race([walk, setTimeout(2_000)]);
      writeFileSync(enough, '');
      expect(await walk).toEqual(modelUsage(tree));
    });

    test.each([
      ['exit 3', 'ended with exit code 3'],
      ['exit 1', 'ended with exit code 1'],
      ['kill -9 $$', 'ended with SIGKILL'],
      ['echo "oh dear" >&2; exit 1', 'oh dear'],
    ])('that end badly (%s) fail the walk', async (text, message) => {
      const binding = bindingOf(dialect, fake(`ends-${text.replace(/\W+/g, '-')}`, text));
      await expect(measure(binding, tree, { allowPartial: true })).rejects.toMatchObject({
        code: 'METRICS_USAGE_FAILED',
        message: expect.stringContaining(message) as string,
        path: tree,
      });
    });

    /** The command itself, long enough after the start that there is something to tell. */
    const slow = (name: string): OsBinding =>
      bindingOf(dialect, fake(name, `sleep 0.2; exec "${directories[dialect]}/${first}" "$@"`));

    test('tell their progress, never more than in the end', async () => {
      const seen: DiskUsage[] = [];
      const result = await measure(slow('progress'), tree, {
        onProgress: (sofar) => seen.push(sofar),
      });
      expect(seen.length).toBeGreaterThan(0);
      for (const [index, { used, inodesUsed }] of seen.entries()) {
        expect(used).toBeGreaterThanOrEqual(seen[index - 1]?.used ?? 0n);
        expect(inodesUsed).toBeGreaterThanOrEqual(seen[index - 1]?.inodesUsed ?? 1n);
        expect(used <= result.used && inodesUsed <= result.inodesUsed).toBe(true);
      }
    });

    test('what an observer throws is ignored', async () => {
      let told = 0;
      const onProgress = (): never => {
        told += 1;
        throw new Error('broken observer');
      };
      await expect(measure(slow('observer'), tree, { onProgress })).resolves.toBeDefined();
      expect(told).toBeGreaterThan(0);
    });
  });
});

describe.skipIf(skipped('gnu'))('GNU', () => {
  test('stat that may not use statx(2) is replaced by find', async () => {
    const odd = join(folder, 'no-statx');
    const refused = 'echo "stat: cannot statx \'$5\': Operation not permitted" >&2; exit 1';
    script(odd, 'stat', `[ "$1" = -L ] && { ${refused}; }; exec /usr/bin/stat "$@"`);
    const root = join(folder, 'without-statx');
    mkdirSync(root);
    writeFileSync(join(root, 'file'), 'x'.repeat(10_000));
    symlinkSync('file', join(root, 'link'));
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const [denied, plain] = [bindingOf('gnu', odd), bindingOf('gnu')];
    for (const path of [root, `${root}/`, ...['file', 'link', 'fifo'].map((name) => join(root, name))]) {
      expect(await denied.pathInfo(path).answer).toEqual(await plain.pathInfo(path).answer);
    }
    expect(await measure(denied, root)).toEqual(modelUsage(root));
    expect(await measure(denied, join(root, 'file'))).toEqual(modelUsage(join(root, 'file')));
    const devices = ['/dev/null', '/dev/full'];
    if (needs({ root: true }) === false) {
      devices.push(join(folder, 'a  block, 7, 8 device\n'));
      execFileSync('mknod', [devices[2]!, 'b', '3000', '1000000']);
    }
    for (const path of devices) {
      expect(await denied.pathInfo(path).answer).toEqual(await plain.pathInfo(path).answer);
    }
  });

  test('du that aborts fails the walk, or leaves it to find', async () => {
    const odd = join(folder, 'aborts');
    script(odd, 'du', '[ "$1" = --version ] && echo "du (GNU coreutils) 9.1" || kill -ABRT $$');
    const root = join(folder, 'aborted');
    mkdirSync(join(root, 'a'), { recursive: true });
    writeFileSync(join(root, 'a', 'file'), 'x'.repeat(10_000));
    await expect(measure(bindingOf('gnu', odd), root)).rejects.toMatchObject({
      code: 'METRICS_USAGE_FAILED',
      message: `failed to measure disk usage: du on ${root} ended with SIGABRT`,
    });
    expect(await measure(bindingOf('gnu', odd), root, { allowPartial: true })).toEqual({
      ...modelUsage(root),
      incomplete: { errors: 1, first: { path: root, code: 'SIGABRT' } },
    });
  });

  test('du that ends without the sum fails the walk', async () => {
    const odd = join(folder, 'no-sum');
    script(odd, 'du', '[ "$1" = --version ] && echo "du (GNU coreutils) 9.1"; exit 0');
    await expect(measure(bindingOf('gnu', odd), folder)).rejects.toMatchObject({
      code: 'METRICS_USAGE_FAILED',
      message: `du ended without a sum for ${folder}`,
    });
  });
});

describe.skipIf(skipped('busybox'))('commands of both dialects side by side', () => {
  test.each(['du', 'find', 'stat'] as const)(
    "BusyBox's %s among GNU's: the numbers are the same",
    async (name) => {
      const mixed = join(folder, `mixed-${name}`);
      mkdirSync(mixed);
      symlinkSync('/bin/busybox', join(mixed, name));
      const root = join(folder, 'mixed-root');
      const outside = new Outside(join(folder, `mixed-outside-${name}`));
      if (!existsSync(root)) makeTree(root, randomFrom(7), outside);
      outside.close();
      const binding = bindingOf('gnu', mixed);
      expect(await measure(binding, root)).toEqual(modelUsage(root));
      expect((await binding.statFs(root).answer).frsize).toBe(
        (await bindingOf('gnu').statFs(root).answer).frsize,
      );
    },
  );

  test.skipIf(needs({ fuse: true }) !== false)(
    "BusyBox's df that does not answer is not waited for",
    async () => {
      await using server = new FuseServer();
      const { path } = await server.mount({ statfs: { bsize: 8192, frsize: 4096 } });
      const odd = join(folder, 'hanging-df');
      script(odd, 'df', 'exec sleep 1000');
      const binding = bindingOf('busybox', odd);
      await expect(binding.statFs(path).answer).rejects.toMatchObject({
        code: 'METRICS_FS_INFO_FAILED',
        message: expect.stringContaining('df gave no answer') as string,
      });
      expect((await binding.statFs(folder).answer).blocks).toBe(statfsSync(folder, { bigint: true }).blocks);
    },
  );
});
