import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activeBinding } from '../../src/os/binding.js';
import { diskUsage } from '../../src/os/disk-usage.js';
import { needs } from '../support/needs.js';
import { makeTree, modelUsage, Outside, randomFrom } from '../support/random-tree.js';

const MISSING = needs({ programs: ['du', 'find', 'mkfifo'] });

/** How many trees on each filesystem. A failure names its seed, which alone makes the same tree again. */
const TREES = Number(process.env['KVM_TREES'] ?? 25);
const SEED = Number(process.env['KVM_SEED'] ?? 1);

const BINDINGS = (['native', 'command'] as const).filter(
  (binding) => binding === 'command' || activeBinding().binding === 'native',
);

/** A disk's filesystem and one in memory, which differ in what a directory or a small file uses. */
const PLACES = [tmpdir(), '/dev/shm'].filter((place) => {
  try {
    statfsSync(place);
    return true;
  } catch {
    return false;
  }
});

/** Whether `du` is GNU's, which can count inodes. */
function gnuInodes(root: string): bigint | undefined {
  try {
    return BigInt(
      execFileSync('du', ['-s', '--inodes', '-x', root], { encoding: 'utf8', stdio: 'pipe' }).split('\t')[0]!,
    );
  } catch {
    return undefined;
  }
}

describe.skipIf(MISSING).each(PLACES)('trees on %s', (place) => {
  let folder: string;
  let outside: Outside;
  beforeAll(async () => {
    folder = mkdtempSync(join(place, 'kvm-trees-'));
    outside = new Outside(join(folder, 'outside'));
    await outside.listen();
  });
  afterAll(() => {
    outside.close();
    rmSync(folder, { recursive: true });
  });

  test(
    `both bindings, du --inodes and a plain model agree on ${String(TREES)} random trees`,
    async () => {
      for (let seed = SEED; seed < SEED + TREES; seed++) {
        const root = join(folder, `tree-${String(seed)}`);
        makeTree(root, randomFrom(seed), outside);
        const model = { seed, ...modelUsage(root) };
        for (const binding of BINDINGS) {
          expect({ seed, ...(await diskUsage(root, { binding, threads: 1 + (seed % 4) })) }).toEqual(model);
        }
        // A process each: not for every tree.
        const inodes = seed % 4 === 0 ? gnuInodes(root) : undefined;
        if (inodes !== undefined) expect({ seed, inodes }).toEqual({ seed, inodes: model.inodesUsed });
        rmSync(root, { recursive: true });
      }
    },
    60_000 + TREES * 1_000,
  );

  test.each(BINDINGS)('%s: what comes and goes during a walk is no error', async (binding) => {
    const root = join(folder, `churn-${binding}`);
    for (let number = 0; number < 40; number++) {
      mkdirSync(join(root, String(number)), { recursive: true });
      writeFileSync(join(root, String(number), 'stays'), 'x');
    }
    const least = modelUsage(root);
    const random = randomFrom(7);
    for (let round = 0; round < (binding === 'native' ? 20 : 3); round++) {
      let made = 0n;
      let walking = true;
      const walk = diskUsage(root, { binding }).finally(() => {
        walking = false;
      });
      while (walking) {
        // In one turn of this loop the walk meets everything that is made and removed here.
        const fresh: string[] = [];
        for (let step = 0; step < 30; step++) {
          const path = join(root, String(Math.floor(random() * 40)), `comes-${String(step)}`);
          if (random() < 0.5) {
            mkdirSync(path, { recursive: true });
            writeFileSync(join(path, 'inner'), 'x');
            made += 2n;
          } else {
            writeFileSync(path, 'x', { flag: 'a' });
            made += 1n;
          }
          fresh.push(path);
        }
        for (const path of fresh) rmSync(path, { recursive: true, force: true });
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { used, inodesUsed, incomplete } = await walk;
      expect(incomplete).toBeUndefined();
      expect(inodesUsed).toBeGreaterThanOrEqual(least.inodesUsed);
      expect(inodesUsed).toBeLessThanOrEqual(least.inodesUsed + made);
      expect(used).toBeGreaterThanOrEqual(least.used);
      expect(used).toBeLessThanOrEqual(least.used + made * 4096n + 40n * 65536n);
    }
  });
});
