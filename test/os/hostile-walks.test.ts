import { execFile, spawn } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTransient } from '../../src/errors.js';
import { diskUsage, type DiskUsage } from '../../src/os/disk-usage.js';
import { FuseServer } from '../support/fuse.mjs';
import { needs } from '../support/needs.js';
import { randomFrom } from '../support/random-tree.js';
import { compiled } from '../support/programs.js';

const run = promisify(execFile);
const DIST = join(import.meta.dirname, '../../dist/index.js');
const NATIVE = { binding: 'native' } as const;

/** Prints the usage of a tree and the state of its root, measured in a process of its own. */
const PROGRAM = `
  import { diskUsage, fsInfo } from ${JSON.stringify(DIST)};
  const path = process.argv[1];
  const { used, inodesUsed } = await diskUsage(path, { binding: 'native' });
  const { inodes } = await fsInfo(path, { binding: 'native' });
  console.log(JSON.stringify({ used: Number(used), inodesUsed: Number(inodesUsed), inodes: Number(inodes) }));`;

async function measuredBy(program: string, args: readonly string[], path: string): Promise<unknown> {
  const node = [process.execPath, '--input-type=module', '-e', PROGRAM, path];
  return JSON.parse((await run(program, [...args, ...node])).stdout) as unknown;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvm-hostile-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.skipIf(needs({ native: true, programs: ['cc'] }))(
  'a tree whose owner moves it under the walk',
  () => {
    const SEEDS = [11, 12, 13, 14];
    /** How often a walk may come before the owner gets to move anything. */
    const MOST_WALKS = 200;
    let program: string;
    beforeAll(() => {
      program = compiled('fighting-owner');
    });

    /** What walks of such a tree give, until one is as `isWanted` says. */
    async function fought(
      seed: number,
      allowPartial: boolean,
      isWanted: (result: DiskUsage | Error) => boolean,
    ): Promise<{ results: (DiskUsage | Error)[]; all: DiskUsage }> {
      const root = join(folder, `fought-${String(seed)}-${String(allowPartial)}`);
      mkdirSync(root);
      const owner = spawn(program, [root, String(5 + ((seed * 7) % 40)), String(seed)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const ended = new Promise((resolve) => owner.once('exit', resolve));
      const results: (DiskUsage | Error)[] = [];
      await new Promise((resolve, reject) => {
        owner.stdout.once('data', resolve);
        owner.once('exit', () => {
          reject(new Error('the owner has gone'));
        });
      });
      // What was made in the same tick of the clock as the walk begins may as well have been made after it.
      await new Promise((resolve) => setTimeout(resolve, 50));
      const options = { ...NATIVE, allowPartial, threads: 1 + (seed % 4) };
      do {
        const result = await diskUsage(root, options).catch((error: unknown) => error as Error);
        results.push(result);
      } while (!isWanted(results.at(-1)!) && results.length < MOST_WALKS);
      owner.stdin.end();
      await ended;
      return { results, all: await diskUsage(root, NATIVE) };
    }

    test.each(SEEDS)('ends, and the error says that it was moved (%i)', async (seed) => {
      const { results } = await fought(seed, false, (result) => result instanceof Error);
      expect(results.at(-1)).toMatchObject({
        code: 'METRICS_USAGE_FAILED',
        message: expect.stringMatching(
          /^failed to measure disk usage: (ELOOP: the directory was entered a second time, because it was moved|EAGAIN)/,
        ) as string,
        cause: { code: expect.stringMatching(/^(ELOOP|EAGAIN)$/) as string },
      });
      // The owner may have been honest, and be done.
      expect(isTransient(results.at(-1))).toBe(true);
    });

    test.each(SEEDS)(
      'counts nothing twice with allowPartial, and says that it is incomplete (%i)',
      async (seed) => {
        const isIncomplete = (result: DiskUsage | Error): boolean =>
          'incomplete' in result && result.incomplete?.first.code === 'ELOOP';
        const { results, all } = await fought(seed, true, isIncomplete);
        expect(results.at(-1)).toSatisfy(isIncomplete);
        for (const result of results) {
          const { used, inodesUsed } = result as DiskUsage;
          expect(inodesUsed).toBeLessThanOrEqual(all.inodesUsed);
          expect(used).toBeLessThanOrEqual(all.used);
        }
      },
    );
  },
);

describe.skipIf(needs({ native: true, root: true, programs: ['cc'] }))(
  'a mount point deep below a root',
  () => {
    test.each([3_217, 100_000])('is left out, and the rest counted (%i)', async (depth) => {
      const root = join(folder, `deep-${String(depth)}`);
      mkdirSync(root);
      const counted = await measuredBy(compiled('deep-mount'), [root, String(depth)], root);
      expect(counted).toMatchObject({ used: 0, inodesUsed: depth + 1 });
    });
  },
);

describe.skipIf(needs({ native: true, root: true, programs: ['cc', 'du', 'find', 'stat', 'mknod'] }))(
  'where system calls are denied',
  () => {
    const CALLS = ['statx', 'openat2', 'ioprio_set', 'setpriority'];
    const COMBINATIONS = Array.from({ length: 2 ** CALLS.length - 1 }, (_, index) =>
      CALLS.filter((_call, bit) => ((index + 1) >> bit) % 2 === 1),
    );
    /** Prints what each binding says of each path, as far as it stays the same. */
    const ASK = `
      import { diskUsage, fsInfo, pathInfo } from ${JSON.stringify(DIST)};
      const paths = process.argv.slice(1);
      const said = await Promise.all(['native', 'command'].map(async (binding) => {
        const usage = await diskUsage(paths[0], { binding });
        const about = await Promise.all(paths.map(async (path) => {
          const { capacity, inodes, readOnly, blockSize, type } = await fsInfo(path, { binding });
          const { mountId, mountRoot, uniqueMountId, ...info } = await pathInfo(path, { binding });
          return { capacity, inodes, readOnly, blockSize, type, info };
        }));
        return { usage, about };
      }));
      console.log(JSON.stringify(said, (_, value) => (typeof value === 'bigint' ? String(value) : value)));`;
    const random = randomFrom(2025);
    let program: string;
    let paths: string[];
    let open: unknown[];

    async function askedBy(command: string, args: readonly string[]): Promise<unknown[]> {
      const node = [process.execPath, '--input-type=module', '-e', ASK, ...paths];
      return JSON.parse((await run(command, [...args, ...node])).stdout) as unknown[];
    }

    beforeAll(async () => {
      program = compiled('deny-calls');
      const tree = join(folder, 'denied');
      paths = [
        tree,
        join(tree, 'a/file'),
        join(tree, 'symlink'),
        join(folder, 'block'),
        join(folder, 'character'),
      ];
      mkdirSync(join(tree, 'a/b'), { recursive: true });
      writeFileSync(join(tree, 'a/file'), Buffer.alloc(70_000));
      linkSync(join(tree, 'a/file'), join(tree, 'a/b/link'));
      symlinkSync('/', join(tree, 'symlink'));
      await run('mknod', [join(folder, 'block'), 'b', '259', '70001']);
      await run('mknod', [join(folder, 'character'), 'c', '1', '3']);
      open = await askedBy('env', []);
    });

    test('both bindings say the same with all of them', () => {
      expect(open[1]).toEqual(open[0]);
      expect(open[0]).toMatchObject({
        usage: { inodesUsed: '5' },
        about: [{}, {}, {}, { info: { kind: 'block' } }, { info: { kind: 'other' } }],
      });
    });

    test.each(
      ['EPERM', 'ENOSYS'].flatMap((errno) => COMBINATIONS.map((calls) => [errno, calls.join()] as const)),
    )('and without (%s of %s)', async (errno, calls) => {
      const more = random() < 0.5 ? ',name_to_handle_at' : '';
      const said = await askedBy(program, [errno, calls + more]);
      expect(said).toEqual(open);
    });
  },
);

describe.skipIf(needs({ native: true, fuse: true }))('a FUSE server', () => {
  test('may give several directories one inode number: each counts', async () => {
    await using server = new FuseServer();
    const same = { kind: 'directory', inode: 77n, entries: { file: { blocks: 8 } } } as const;
    const { path } = await server.mount({
      entries: { a: same, b: { ...same, entries: { c: same } }, d: same },
    });
    const { used, inodesUsed } = await diskUsage(path, NATIVE);
    expect({ used, inodesUsed }).toEqual({ used: 3n * 4096n, inodesUsed: 1n + 4n + 3n });
  });

  test('that never answers loses its place when its walk is aborted', async () => {
    await using server = new FuseServer();
    const mounts = await server.mountMany(2, {}, 'unread');
    const abort = new AbortController();
    const options = { ...NATIVE, signal: abort.signal, stallTimeoutMs: 3_600_000 };
    const stuck = mounts.map(({ path }) => diskUsage(path, options).catch((error: unknown) => error));
    const healthy = diskUsage(join(import.meta.dirname, '..'), { ...NATIVE, stallTimeoutMs: 3_600_000 });
    const reason = new Error('overdue');
    abort.abort(reason);
    expect(await Promise.all(stuck)).toEqual([reason, reason]);
    expect((await healthy).inodesUsed).toBeGreaterThan(1n);
  });
});
