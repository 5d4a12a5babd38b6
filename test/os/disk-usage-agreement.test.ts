import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activeBinding } from '../../src/os/choose-binding.js';
import { diskUsage } from '../../src/os/disk-usage.js';
import type { Binding } from '../../src/os/volume-call.js';
import { needs } from '../support/needs.js';
import { makeTree, modelUsage, Outside, randomFrom } from '../support/random-tree.js';

const MISSING = needs({ programs: ['du', 'find', 'mkfifo'] });

/** How many trees on each filesystem. A failure names its seed, which alone makes the same tree again. */
const TREES = Number(process.env['KVM_TREES'] ?? 25);
/**
 * So many stand together in a directory that is measured as a whole as well: a process for each would take
 * the most of the time.
 */
const GROVE = 20;
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

/** Whether all who can count say the same of one tree. A failure names the seed. */
async function expectAgreement(root: string, seed: number, bindings: readonly Binding[]): Promise<void> {
  const model = modelUsage(root);
  for (const binding of bindings) {
    const usage = await diskUsage(root, { binding, threads: 1 + (seed % 4) });
    expect({ seed, binding, ...usage }).toEqual({ seed, binding, ...model });
  }
  const inodes = bindings.includes('command') ? gnuInodes(root) : undefined;
  if (inodes !== undefined) expect({ seed, inodes }).toEqual({ seed, inodes: model.inodesUsed });
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
      for (let first = SEED; first < SEED + TREES; first += GROVE) {
        const seeds = Array.from(
          { length: Math.min(GROVE, SEED + TREES - first) },
          (_, index) => first + index,
        );
        const grove = join(folder, `grove-${String(first)}`);
        const treeOf = (seed: number): string => join(grove, `tree-${String(seed)}`);
        mkdirSync(grove);
        for (const seed of seeds) makeTree(treeOf(seed), randomFrom(seed), outside);
        // The native walk is tried on each tree, the commands, a process each, on the first one and on all
        // together.
        for (const seed of seeds)
          await expectAgreement(treeOf(seed), seed, seed === first ? BINDINGS : BINDINGS.slice(0, 1));
        try {
          await expectAgreement(grove, first, BINDINGS);
        } catch (error) {
          for (const seed of seeds) await expectAgreement(treeOf(seed), seed, BINDINGS);
          throw error;
        }
        execFileSync('rm', ['-rf', grove]);
      }
    },
    60_000 + TREES * 500,
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
