import { execFile, execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activeBinding } from '../../src/os/choose-binding.js';
import { diskUsage } from '../../src/os/disk-usage.js';
import { mounts } from '../../src/os/mounts.js';
import { pathInfo } from '../../src/os/path-info.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { type Binding } from '../../src/os/volume-call.js';
import { fsInfo, toFsInfo } from '../../src/os/fs-info.js';
import type { StatFs } from '../../src/os/os-binding.js';

const NONE = process.platform !== 'linux';
const BINDINGS = (['native', 'command'] as const).filter(
  (binding) => binding === 'command' || activeBinding().binding === 'native',
);
const CALLS = [
  ['fsInfo', fsInfo],
  ['pathInfo', pathInfo],
] as const;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvm-fs-info-'));
  mkdirSync(join(folder, 'directory'));
  writeFileSync(join(folder, 'file'), 'eleven byte');
  symlinkSync('directory', join(folder, 'link'));
  symlinkSync('loop', join(folder, 'loop'));
  mkdirSync(join(folder, "odd \n name '\u{1f600}"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.skipIf(NONE).each(BINDINGS)('%s binding', (binding) => {
  test('fsInfo says what statfs says, in fragments', async () => {
    const info = await fsInfo(folder, { binding });
    const node = statfsSync(folder, { bigint: true });
    expect(info.capacity).toBe(node.blocks * info.blockSize);
    expect(info.inodes).toBe(node.files === 0n ? undefined : node.files);
    expect(info.readOnly).toBe(false);
    expect(info.used).toBeGreaterThan(0n);
    expect(info.available).toBeLessThanOrEqual(info.capacity! - info.used!);
    expect(Object.values(info)).not.toContain(undefined);
  });

  test.each(['directory', 'file', 'link', "odd \n name '\u{1f600}"])('asks about %j', async (name) => {
    const path = join(folder, name);
    expect((await fsInfo(path, { binding })).capacity).toBe((await fsInfo(folder, { binding })).capacity);
    const stat = statSync(path, { bigint: true });
    expect(await pathInfo(path, { binding })).toMatchObject({
      kind: stat.isDirectory() ? 'directory' : 'file',
      size: stat.size,
      device: stat.dev,
      inode: stat.ino,
      rdev: stat.rdev,
    });
  });

  test('knows a device that is no block device', async () => {
    expect(await pathInfo('/dev/null', { binding })).toMatchObject({
      kind: 'other',
      rdev: statSync('/dev/null', { bigint: true }).rdev,
    });
  });

  test('resolves a relative path against the current directory', async () => {
    const path = relative(process.cwd(), folder);
    expect((await pathInfo(path, { binding })).inode).toBe(statSync(folder, { bigint: true }).ino);
  });

  describe.each(CALLS)('%s', (_name, call: (path: string, options: object) => Promise<unknown>) => {
    test.each([
      ['what is missing', 'METRICS_NOT_FOUND', 'ENOENT', 'missing'],
      ['what is below a file', 'METRICS_NOT_FOUND', 'ENOTDIR', 'file/below'],
      ['a file as a directory', 'METRICS_NOT_FOUND', 'ENOTDIR', 'file/'],
      ['a loop of symlinks', 'METRICS_FS_INFO_FAILED', 'ELOOP', 'loop'],
      ['a name of 256 bytes', 'METRICS_FS_INFO_FAILED', 'ENAMETOOLONG', 'x'.repeat(256)],
      ['a path of 5000 bytes', 'METRICS_FS_INFO_FAILED', 'ENAMETOOLONG', 'x/'.repeat(2500)],
    ])('rejects for %s with %s, caused by %s', async (_what, code, errno, name) => {
      const path = `${folder}/${name}`;
      await expect(call(path, { binding })).rejects.toMatchObject({
        name: 'MetricsError',
        code,
        path,
        cause: { code: errno, path },
      });
    });

    test('rejects for an empty path', async () => {
      await expect(call('', { binding })).rejects.toMatchObject({
        code: 'METRICS_NO_PATH_DEFINED',
        message: 'no path defined for disk usage metrics.',
      });
    });

    test('rejects for a NUL in the path', async () => {
      await expect(call('/a\0b', { binding })).rejects.toMatchObject({
        code: 'METRICS_FS_INFO_FAILED',
        cause: { code: 'EINVAL' },
      });
    });

    test.each([-1, 0, NaN, Infinity, 2 ** 31, '5' as unknown as number])(
      'rejects a timeout of %s',
      async (timeoutMs) => {
        await expect(call(folder, { binding, timeoutMs })).rejects.toThrow(
          `Expected timeoutMs to be a number of milliseconds above 0 and at most 2147483647, got ${typeof timeoutMs === 'string' ? JSON.stringify(timeoutMs) : String(timeoutMs)}`,
        );
      },
    );

    test('takes the longest timeout there is', async () => {
      await expect(call(folder, { binding, timeoutMs: 2 ** 31 - 1 })).resolves.toBeDefined();
    });

    test('rejects with the reason of a signal that was aborted before, and starts nothing', async () => {
      const reason = new Error('changed my mind');
      await expect(call(folder, { binding, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    });

    test('rejects with the reason of a signal that is aborted meanwhile', async () => {
      const controller = new AbortController();
      const call1 = call(folder, { binding, signal: controller.signal });
      const reason = Symbol('any value');
      controller.abort(reason);
      await expect(call1).rejects.toBe(reason);
    });

    test('many callers at once each get their answer', async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => call(folder, { binding })));
      expect(new Set(answers).size).toBe(50);
      // Other programs write to this filesystem too, so that its free space may change between two answers.
      const namesOf = (answer: unknown): string[] => Object.keys(answer as object);
      for (const answer of answers) expect(namesOf(answer)).toEqual(namesOf(answers[0]));
    });
  });
});

/** FS_IOC_SHUTDOWN, which Node has no call for; ext4 and XFS share its number and its flags. */
const SHUT_DOWN =
  'import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587d,struct.pack("I",int(sys.argv[2])))';

/** A filesystem in a directory of its own, and a second mount: of a directory in it, elsewhere. */
function mountedTwice(place: TestMounts, type: 'ext4' | 'xfs'): readonly [string, string] {
  const path = place.onLoop(type);
  mkdirSync(join(path, 'inside'));
  return [path, place.bind(join(path, 'inside'), place.newDirectory())];
}

/** Whether the kernel lists one of these options for the filesystem; older ones list none of them. */
async function lists(path: string, option: string): Promise<boolean> {
  return (await mounts()).some(({ mountPoint, options }) => mountPoint === path && options.includes(option));
}

describe
  .skipIf(needs({ loop: true, mkfs: ['ext4', 'xfs'], programs: ['python3', 'findmnt'] }))
  .each(BINDINGS)('%s binding', (binding) => {
  const readOnly = (paths: readonly string[]): Promise<unknown[]> =>
    Promise.all(paths.map(async (path) => (await fsInfo(path, { binding })).readOnly));

  test('knows that a filesystem stopped writing after an error', async (context) => {
    using place = new TestMounts();
    const paths = mountedTwice(place, 'ext4');
    const healthy = place.onLoop('ext4');
    expect(await readOnly(paths)).toEqual([false, false]);
    execFileSync('mount', ['-o', 'remount,errors=remount-ro', paths[0]]);
    const device = execFileSync('findmnt', ['-no', 'SOURCE', paths[0]], { encoding: 'utf8' }).trim();
    try {
      writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'broken');
    } catch {
      context.skip();
    }
    await expect.poll(() => readOnly(paths), { timeout: 20_000 }).toEqual([true, true]);
    expect(await readOnly([healthy])).toEqual([false]);
  });

  // The flags: 0 flushes everything first, 1 the log, 2 nothing.
  test.for((['ext4', 'xfs'] as const).flatMap((type) => ['0', '1', '2'].map((flag) => ({ type, flag }))))(
    'knows that $type was shut down, with flag $flag',
    async ({ type, flag }, context) => {
      using place = new TestMounts();
      const paths = mountedTwice(place, type);
      const healthy = place.onLoop(type);
      const before = await fsInfo(paths[0], { binding });
      expect(await readOnly(paths)).toEqual([false, false]);
      execFileSync('python3', ['-c', SHUT_DOWN, paths[0], flag]);
      if (type === 'ext4' && !(await lists(paths[0], 'shutdown'))) context.skip();
      await expect.poll(() => readOnly(paths), { timeout: 20_000 }).toEqual([true, true]);
      // The rest is what statfs(2) still says.
      expect(await fsInfo(paths[0], { binding })).toMatchObject({ capacity: before.capacity, type });
      expect(await readOnly([healthy])).toEqual([false]);
    },
  );
});

/**
 * Runs a program against the built package, whose every thread of Node's pool is stuck opening a fifo that
 * nobody writes to.
 */
async function withoutPool(program: string): Promise<string> {
  const fifo = join(folder, 'fifo');
  if (!existsSync(fifo)) execFileSync('mkfifo', [fifo]);
  const text = `
    import fs from 'node:fs';
    import * as kvm from 'kube-volume-metrics';
    for (let n = 0; n < 8; n++) fs.open(${JSON.stringify(fifo)}, 'r', () => {});
    ${program}
    process.kill(process.pid, 'SIGKILL'); // process.exit would wait for the pool for ever`;
  const root = join(import.meta.dirname, '../..');
  const args = ['--input-type=module', '-e', text];
  return await new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: root, timeout: 30_000 }, (_error, stdout) => {
      resolve(stdout.trim());
    });
  });
}

describe.skipIf(NONE).each(BINDINGS)('%s binding', (binding) => {
  test("needs no thread of Node's pool, which others may hold for ever", async () => {
    const output = await withoutPool(`
      const binding = '${binding}';
      const readings = [
        await kvm.fsInfo('/', { binding }),
        await kvm.mounts(),
        await new kvm.MetricsBlock('/proc/version', { binding }).getMetrics(),
        await new kvm.MetricsStatFs('/', { binding, requireMount: true }).getMetrics(),
        await kvm.diskUsage(${JSON.stringify(folder)}, { binding }),
      ];
      fs.writeSync(1, String(readings.length));`);
    expect(output).toBe('5');
  });
});

describe.skipIf(NONE)('whatever the binding', () => {
  test.each([{}, null, 'signal'])('%j for a signal is refused', async (signal) => {
    for (const [, call] of CALLS) {
      await expect(call(folder, { signal: signal as never })).rejects.toThrow(
        'Expected signal to be an AbortSignal',
      );
    }
  });

  test.each([null, 5, 'native'])('%j for options is refused', async (options) => {
    for (const call of [fsInfo, pathInfo, diskUsage]) {
      await expect(call(folder, options as never)).rejects.toThrow('Expected options to be an object, got ');
    }
  });

  test('an unknown option is refused by name', async () => {
    for (const call of [fsInfo, pathInfo, diskUsage]) {
      await expect(call(folder, { timeout: 5 } as object)).rejects.toThrow('Unknown option "timeout": ');
    }
  });

  test('a binding that there is none of is refused by name', async () => {
    await expect(fsInfo('/', { binding: 'quantum' as Binding })).rejects.toThrow(
      "Expected binding to be 'auto', 'native' or 'command', got quantum",
    );
  });

  test('a path that is no string is refused', async () => {
    await expect(fsInfo(7 as unknown as string)).rejects.toThrow(TypeError);
  });
});

/** A plain filesystem, to vary. */
const PLAIN: StatFs = {
  magic: 0xef53,
  frsize: 4096n,
  blocks: 1000n,
  bfree: 400n,
  bavail: 350n,
  files: 100n,
  ffree: 60n,
  readOnly: false,
};

describe('toFsInfo', () => {
  test('multiplies blocks by the fragment size, and tells free from available', () => {
    expect(toFsInfo(PLAIN)).toEqual({
      capacity: 4096000n,
      available: 1433600n,
      used: 2457600n,
      inodes: 100n,
      inodesFree: 60n,
      inodesUsed: 40n,
      readOnly: false,
      blockSize: 4096n,
      type: 'ext4',
    });
  });

  test('is exact past 2^53', () => {
    const info = toFsInfo({ ...PLAIN, blocks: 2n ** 60n + 1n, bfree: 1n, bavail: 1n });
    expect(info.capacity).toBe((2n ** 60n + 1n) * 4096n);
    expect(info.used).toBe(2n ** 60n * 4096n);
  });

  test.each([0n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n])(
    'leaves the inodes out where the filesystem says %s of them',
    (files) => {
      const info = toFsInfo({ ...PLAIN, files, ffree: files });
      expect(info).not.toHaveProperty('inodes');
      expect(info).not.toHaveProperty('inodesFree');
      expect(info).not.toHaveProperty('inodesUsed');
      expect(info).not.toHaveProperty('warnings');
    },
  );

  test('leaves the inodes out, with a warning, where more are free than there are', () => {
    const info = toFsInfo({ ...PLAIN, files: 100n, ffree: 2n ** 64n - 1n });
    expect(info).not.toHaveProperty('inodes');
    expect(info).not.toHaveProperty('inodesFree');
    expect(info.warnings).toEqual(['inodes left out: 18446744073709551615 free of 100 cannot be true']);
  });

  test('takes a wrapped negative as nothing available, with a warning', () => {
    const info = toFsInfo({ ...PLAIN, bavail: 2n ** 64n - 5n });
    expect(info.available).toBe(0n);
    expect(info.warnings).toEqual([
      'available taken as 0: 18446744073709551611 available blocks of 1000 is a wrapped negative',
    ]);
  });

  test.each([1001n, 2n ** 40n])('passes %s available blocks of 1000 on, with a warning', (bavail) => {
    const info = toFsInfo({ ...PLAIN, bavail });
    expect(info).toMatchObject({ capacity: 4096000n, available: bavail * 4096n, used: 2457600n });
    expect(info.warnings).toEqual([
      `available is more than the capacity: ${String(bavail)} available blocks of 1000`,
    ]);
  });

  test.each([0n, 7n])('knows no bytes of a filesystem of 0 blocks, %s of them free', (bfree) => {
    const info = toFsInfo({ ...PLAIN, blocks: 0n, bfree, bavail: bfree });
    expect(info).toEqual({
      inodes: 100n,
      inodesFree: 60n,
      inodesUsed: 40n,
      readOnly: false,
      blockSize: 4096n,
      type: 'ext4',
    });
  });

  test('leaves used out, with a warning, where more blocks are free than there are', () => {
    const info = toFsInfo({ ...PLAIN, bfree: 1001n });
    expect(info).not.toHaveProperty('used');
    expect(info.warnings).toHaveLength(1);
  });

  test('an empty filesystem has a measured zero of used bytes and inodes, and nothing odd', () => {
    const info = toFsInfo({ ...PLAIN, bfree: 1000n, bavail: 1000n, ffree: 100n });
    expect(info).toMatchObject({ used: 0n, available: 4096000n, inodesUsed: 0n });
    expect(info).not.toHaveProperty('warnings');
  });

  test('names an unknown filesystem by its number, and leaves an unknown read-only state out', () => {
    const { readOnly, ...rest } = PLAIN;
    expect(readOnly).toBe(false);
    const info = toFsInfo({ ...rest, magic: 0xabcdef });
    expect(info.type).toBe('0xabcdef');
    expect(info).not.toHaveProperty('readOnly');
  });
});
