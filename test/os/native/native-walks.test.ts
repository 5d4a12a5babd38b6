import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diskUsage } from '../../../src/os/disk-usage.js';
import { workOf } from '../../../src/waiting/work.js';
import { needs } from '../../support/needs.js';

describe.skipIf(needs({ native: true }))('a walk by the addon', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvm-native-walks-'));
    for (let dir = 0; dir < 60; dir += 1) {
      mkdirSync(join(folder, String(dir)));
      for (let file = 0; file < 50; file += 1) writeFileSync(join(folder, String(dir), String(file)), 'x');
    }
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test('notes the work that its threads did for the signal of the call', async () => {
    const { signal } = new AbortController();
    const beginMs = performance.now();
    await diskUsage(folder, { signal, binding: 'native', threads: 2 });
    const wallMs = performance.now() - beginMs;
    const once = workOf(signal) ?? 0;
    // More than 3,000 system calls.
    expect(once).toBeGreaterThan(0.3);
    expect(once).toBeLessThan(2 * wallMs);
    await diskUsage(folder, { signal, binding: 'native' });
    expect(workOf(signal)).toBeGreaterThan(once);
  });

  test('notes the work of one that fails', async () => {
    const { signal } = new AbortController();
    const missing = join(folder, 'missing');
    await expect(diskUsage(missing, { signal, binding: 'native' })).rejects.toThrow(/ENOENT/);
    expect(workOf(signal)).toBeGreaterThan(0);
  });

  test('has noted the work of one that was aborted by the time the caller learns of it', async () => {
    let noted = 0;
    // It may end before it is aborted, or be aborted before it begins: then again.
    for (let attempt = 0; attempt < 100 && noted === 0; attempt += 1) {
      const controller = new AbortController();
      const walk = diskUsage(folder, { signal: controller.signal, binding: 'native' });
      await new Promise((later) => setTimeout(later, 1));
      controller.abort();
      const ended = await walk.then(
        () => 'done',
        () => 'aborted',
      );
      if (ended === 'aborted') noted = workOf(controller.signal) ?? 0;
    }
    expect(noted).toBeGreaterThan(0);
  });

  test('a thousand at once each give their own result', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 1000 }, (_, index) =>
        diskUsage(
          index % 2 === 0 ? join(folder, String(index % 60)) : join(folder, `missing-${String(index)}`),
          {
            binding: 'native',
          },
        ),
      ),
    );
    for (const [index, result] of results.entries()) {
      if (index % 2 === 0) expect(result).toMatchObject({ value: { inodesUsed: 51n } });
      else expect(String((result as PromiseRejectedResult).reason)).toContain(`missing-${String(index)}'`);
    }
  });
});
