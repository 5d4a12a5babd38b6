import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MetricsError } from '../../src/errors.js';
import { activeBinding } from '../../src/os/choose-binding.js';
import { diskUsage, type DiskUsage, type DiskUsageOptions } from '../../src/os/disk-usage.js';
import { fsInfo } from '../../src/os/fs-info.js';
import { FuseServer } from '../support/fuse.mjs';
import { needs } from '../support/needs.js';
import { modelUsage } from '../support/random-tree.js';

const NONE = process.platform !== 'linux';
const BINDINGS = (['native', 'command'] as const).filter(
  (binding) => binding === 'command' || activeBinding().binding === 'native',
);

let folder: string;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-disk-usage-')));
  chmodSync(folder, 0o755);
  for (let directory = 0; directory < 20; directory++) {
    mkdirSync(join(folder, 'tree', String(directory)), { recursive: true });
    for (let file = 0; file < 5; file++) {
      writeFileSync(join(folder, 'tree', String(directory), String(file)), 'x'.repeat(file * 3000));
    }
  }
  writeFileSync(join(folder, 'file'), 'eleven byte');
  symlinkSync('tree', join(folder, 'link'));
  symlinkSync('loop', join(folder, 'loop'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Runs `body` as somebody who may not read everything, which root may. */
async function asOrdinaryUser<T>(body: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return await body();
  process.seteuid!(65534);
  try {
    return await body();
  } finally {
    process.seteuid!(0);
  }
}

describe.skipIf(NONE).each(BINDINGS)('%s binding', (binding) => {
  const measure = (path: string, options: DiskUsageOptions = {}): Promise<DiskUsage> =>
    diskUsage(path, { binding, ...options });

  test('counts a tree, a file, and what a symlink leads to', async () => {
    expect(await measure(join(folder, 'tree'))).toEqual(modelUsage(join(folder, 'tree')));
    expect(await measure(`${folder}/tree/`)).toEqual(modelUsage(join(folder, 'tree')));
    expect(await measure(join(folder, 'link'))).toEqual(modelUsage(join(folder, 'tree')));
    expect(await measure(join(folder, 'file'))).toEqual(modelUsage(join(folder, 'file')));
    expect(await measure(relative(process.cwd(), folder))).toEqual(modelUsage(folder));
  });

  test.each([
    ['what is missing', 'METRICS_NOT_FOUND', 'ENOENT', 'missing'],
    ['what is below a file', 'METRICS_NOT_FOUND', 'ENOTDIR', 'file/below'],
    ['a file as a directory', 'METRICS_NOT_FOUND', 'ENOTDIR', 'file/'],
    ['a loop of symlinks', 'METRICS_USAGE_FAILED', 'ELOOP', 'loop'],
    ['a name of 256 bytes', 'METRICS_USAGE_FAILED', 'ENAMETOOLONG', 'x'.repeat(256)],
    ['a path of 5000 bytes', 'METRICS_USAGE_FAILED', 'ENAMETOOLONG', 'x/'.repeat(2500)],
  ])(
    'rejects for %s with %s, caused by %s, and has no partial reading of it',
    async (_what, code, errno, name) => {
      const path = `${folder}/${name}`;
      const expected = { code, path, cause: { code: errno } };
      await expect(measure(path)).rejects.toMatchObject(expected);
      await expect(measure(path, { allowPartial: true })).rejects.toMatchObject(expected);
    },
  );

  test('rejects for an empty path, and for a NUL in it', async () => {
    await expect(measure('')).rejects.toMatchObject({ code: 'METRICS_NO_PATH_DEFINED' });
    await expect(measure('/a\0b')).rejects.toMatchObject({
      code: 'METRICS_USAGE_FAILED',
      cause: { code: 'EINVAL' },
    });
  });

  test('fails on a directory that may not be read, naming it, or counts it as left out', async () => {
    const root = join(folder, `closed-${binding}`);
    for (const name of ['a', 'open', 'z']) mkdirSync(join(root, name), { recursive: true });
    writeFileSync(join(root, 'open', 'file'), 'x');
    // What cannot be read can still be seen: the directories themselves are counted.
    const model = modelUsage(root);
    try {
      chmodSync(join(root, 'a'), 0o000);
      await expect(asOrdinaryUser(() => measure(root))).rejects.toMatchObject({
        code: 'METRICS_USAGE_FAILED',
        path: join(root, 'a'),
        cause: { code: 'EACCES' },
      });

      chmodSync(join(root, 'z'), 0o000);
      const partial = await asOrdinaryUser(() => measure(root, { allowPartial: true }));
      const { incomplete, ...counted } = partial;
      expect(incomplete?.errors).toBe(2);
      expect(incomplete?.first.code).toBe('EACCES');
      expect([join(root, 'a'), join(root, 'z')]).toContain(incomplete?.first.path);
      expect(counted).toEqual(model);
    } finally {
      // An ordinary user could neither measure nor remove them in the tests that follow.
      for (const name of ['a', 'z']) chmodSync(join(root, name), 0o755);
    }
  });

  test('a whole reading says nothing of being incomplete', async () => {
    expect(await measure(folder, { allowPartial: true })).not.toHaveProperty('incomplete');
  });

  test('rejects with the reason of a signal, aborted before or meanwhile', async () => {
    const reason = new Error('changed my mind');
    await expect(measure(folder, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const walk = measure('/usr', { signal: controller.signal });
    controller.abort(reason);
    await expect(walk).rejects.toBe(reason);
  });

  test('walks wait for each other, and one that waits can be aborted', async () => {
    const controller = new AbortController();
    const walks = Array.from({ length: 6 }, () => measure(folder));
    const waiting = measure(folder, { signal: controller.signal });
    controller.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    for (const usage of await Promise.all(walks)) expect(usage).toEqual(modelUsage(folder));
  });

  test('an observer who throws, or rejects, breaks nothing', async () => {
    const onProgress = (): never => {
      throw new Error('broken observer');
    };
    await expect(measure('/usr/share', { allowPartial: true, onProgress })).resolves.toBeDefined();
    const rejects: unknown = () => Promise.reject(new Error('broken asynchronous observer'));
    await expect(
      measure('/usr/share', { allowPartial: true, onProgress: rejects as () => void }),
    ).resolves.toBeDefined();
  });

  test('many walks that wait for their turn all get their numbers', async () => {
    const model = modelUsage(join(folder, 'file'));
    const walks = Array.from({ length: binding === 'native' ? 2000 : 20 }, () =>
      measure(join(folder, 'file')),
    );
    for (const usage of await Promise.all(walks)) expect(usage).toEqual(model);
  });
});

describe.skipIf(NONE)('options', () => {
  test.each([0, -1, 1.5, 10_000, NaN, '2' as unknown as number])('refuses %s threads', async (threads) => {
    await expect(diskUsage(folder, { threads })).rejects.toThrow(
      `Expected threads to be a whole number from 1 to 64, got ${String(threads)}`,
    );
  });

  test.each([0, -1, NaN, Infinity, 2 ** 31])('refuses a stall limit of %s', async (stallTimeoutMs) => {
    await expect(diskUsage(folder, { stallTimeoutMs })).rejects.toThrow('Expected stallTimeoutMs to be');
  });

  test.each([{}, null, 'signal'])('refuses %j for a signal', async (signal) => {
    await expect(diskUsage(folder, { signal: signal as never })).rejects.toThrow(
      'Expected signal to be an AbortSignal',
    );
  });

  test.each(['no', 0, null])('refuses %j for allowPartial', async (allowPartial) => {
    await expect(diskUsage(folder, { allowPartial: allowPartial as never })).rejects.toThrow(
      'Expected allowPartial to be a boolean',
    );
  });

  test('refuses an onProgress that is no function', async () => {
    await expect(diskUsage(folder, { onProgress: 'log' as never })).rejects.toThrow('onProgress');
  });

  test.each([1, 2, 64])('%i threads count the same', async (threads) => {
    expect(await diskUsage(join(folder, 'tree'), { threads })).toEqual(modelUsage(join(folder, 'tree')));
  });
});

describe.skipIf(needs({ fuse: true }) !== false).each(BINDINGS)(
  '%s binding, a filesystem that answers with errors or nonsense',
  (binding) => {
    let server: FuseServer;
    beforeAll(() => {
      server = new FuseServer();
    });
    afterAll(async () => {
      await server.close();
    });

    test.each([
      ['lookup', 'EIO'],
      ['lookup', 'ESTALE'],
      ['lookup', 'ELOOP'],
      ['opendir', 'EIO'],
      ['opendir', 'ELOOP'],
      ['opendir', 'EMFILE'],
      ['readdir', 'ESTALE'],
    ])('no answer to %s but %s: nothing is left out in silence', async (request, errno) => {
      const entries = { bad: { entries: {}, errors: { [request]: errno } }, good: { blocks: 8 } };
      const mount = await server.mount({ entries });
      await expect(diskUsage(mount.path, { binding })).rejects.toMatchObject({
        code: 'METRICS_USAGE_FAILED',
        path: join(mount.path, 'bad'),
        cause: { code: errno },
      });
      await expect(diskUsage(mount.path, { binding, allowPartial: true })).resolves.toMatchObject({
        used: 4096n,
        incomplete: { errors: 1, first: { path: join(mount.path, 'bad'), code: errno } },
      });
      await mount.unmount();
    });

    test('files whose sizes come to 2^64 bytes are an error, not zero', async () => {
      const mount = await server.mount({ entries: { one: { blocks: 2 ** 54 }, other: { blocks: 2 ** 54 } } });
      await expect(diskUsage(mount.path, { binding, threads: 1 })).rejects.toMatchObject({
        code: 'METRICS_USAGE_FAILED',
        cause: { code: 'EOVERFLOW' },
      });
      await mount.unmount();
    });

    test('what is no directory after all is no verdict on the root', async () => {
      const mount = await server.mount({ entries: { bad: { entries: {}, errors: { readdir: 'ENOTDIR' } } } });
      const measured = diskUsage(mount.path, { binding });
      // By commands it looks as if it had been replaced.
      if (binding === 'command') await expect(measured).resolves.toMatchObject({ inodesUsed: 2n });
      else {
        await expect(measured).rejects.toMatchObject({
          code: 'METRICS_USAGE_FAILED',
          path: join(mount.path, 'bad'),
          cause: { code: 'ENOTDIR' },
        });
      }
      await mount.unmount();
    });
  },
);

describe.skipIf(needs({ fuse: true }) !== false).each(BINDINGS)(
  '%s binding, a filesystem that stops answering',
  (binding) => {
    let server: FuseServer;
    beforeAll(() => {
      server = new FuseServer();
    });
    afterAll(async () => {
      await server.close();
    });

    test('a walk that stalls is given up, its path is stuck until it answers, and others still walk', async () => {
      const mounts = await server.mountMany(3, { entries: { file: { blocks: 8 } } });
      for (const mount of mounts) await mount.hold();
      // Three of them hold more than the two places there are.
      const stalled = mounts.map((mount) => diskUsage(mount.path, { binding, stallTimeoutMs: 300 }));
      const healthy = diskUsage(folder, { binding });
      for (const [index, result] of (await Promise.allSettled(stalled)).entries()) {
        expect(result).toMatchObject({
          status: 'rejected',
          reason: { code: 'METRICS_TIMED_OUT', path: mounts[index]!.path },
        });
      }
      await expect(healthy).resolves.toEqual(modelUsage(folder));
      // By commands the first of the calls on a path stalls, and it is not stuck before it has been out for
      // five seconds.
      if (binding === 'native') {
        await expect(diskUsage(mounts[0]!.path, { binding })).rejects.toMatchObject({
          code: 'METRICS_TIMED_OUT',
          stuckSince: expect.any(Date) as Date,
        });
      }
      for (const mount of mounts) await mount.release();
      await expect
        .poll(() => diskUsage(mounts[0]!.path, { binding }).catch(() => undefined), { timeout: 20_000 })
        .toMatchObject({ inodesUsed: 2n });
      await expect(fsInfo(mounts[0]!.path, { binding })).resolves.toBeDefined();
    });

    test('an aborted walk that is stuck gives its place back', async () => {
      const mounts = await server.mountMany(3);
      for (const mount of mounts) await mount.hold();
      const controller = new AbortController();
      const walks = mounts.map((mount) =>
        diskUsage(mount.path, { binding, stallTimeoutMs: 300, signal: controller.signal }),
      );
      const settled = Promise.allSettled(walks);
      controller.abort('enough');
      for (const result of await settled) expect(result).toEqual({ status: 'rejected', reason: 'enough' });
      await expect(diskUsage(folder, { binding })).resolves.toEqual(modelUsage(folder));
      for (const mount of mounts) await mount.release();
    });

    test('a walk that nobody waits for any more keeps no process alive', async () => {
      const mount = await server.mount();
      await mount.hold();
      const program = `
        import { diskUsage } from ${JSON.stringify(join(import.meta.dirname, '../../dist/index.js'))};
        const options = { binding: '${binding}', stallTimeoutMs: 2_000_000_000, signal: AbortSignal.timeout(500) };
        await diskUsage(${JSON.stringify(mount.path)}, options).catch(({ name }) => console.log(name));`;
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
      expect(stdout).toBe('TimeoutError\n');
      await mount.release();
    });
  },
);

describe.skipIf(needs({ fuse: true, native: true }))('walks that wait for a path', () => {
  test('are told that it is stuck when their turn comes', async () => {
    await using server = new FuseServer();
    const mount = await server.mount();
    await mount.hold();
    const stalled = Array.from({ length: 6 }, () => diskUsage(mount.path, { stallTimeoutMs: 300 }));
    const healthy = diskUsage(folder);
    const reasons = (await Promise.allSettled(stalled)).map(
      (result) => (result as PromiseRejectedResult).reason as MetricsError,
    );
    for (const reason of reasons)
      expect(reason).toMatchObject({ code: 'METRICS_TIMED_OUT', path: mount.path });
    // Those that were not among the first two made no call of their own: they name the moment of one that
    // did.
    const sinces = reasons.map(({ stuckSince }) => stuckSince?.getTime());
    expect(sinces.slice(0, 2)).toEqual(expect.arrayContaining(sinces.slice(2)));
    await expect(healthy).resolves.toEqual(modelUsage(folder));
    await mount.release();
  });
});
