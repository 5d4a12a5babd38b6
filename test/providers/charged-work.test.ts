import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CachedMetrics, MetricsDu } from '../../src/index.js';
import { FakeMetrics } from '../../src/testing/index.js';
import { workOf } from '../../src/waiting/work.js';
import { needs } from '../support/needs.js';

describe.skipIf(needs({ native: true }))('the work of a walk', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'kvm-work-'));
    for (let index = 0; index < 50; index += 1) {
      mkdirSync(join(folder, `d${String(index)}`));
      writeFileSync(join(folder, `d${String(index)}`, 'file'), 'x');
    }
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test('is noted for the call of MetricsDu that made it', async () => {
    const { signal } = new AbortController();
    await new MetricsDu(folder).getMetrics({ signal });
    expect(workOf(signal)).toBeGreaterThan(0);
  });

  test('reaches the caller of CachedMetrics who started it, and no other', async () => {
    const cached = new CachedMetrics(new MetricsDu(folder));
    const [first, joined, later] = Array.from({ length: 3 }, () => new AbortController().signal);
    await Promise.all([cached.getMetrics({ signal: first! }), cached.getMetrics({ signal: joined! })]);
    await cached.getMetrics({ signal: later! });
    expect(workOf(first!)).toBeGreaterThan(0);
    expect(workOf(joined!)).toBe(0);
    expect(workOf(later!)).toBeUndefined();
  });
});

test('a provider that walks in its own way notes nothing', async () => {
  const { signal } = new AbortController();
  await new CachedMetrics(new FakeMetrics()).getMetrics({ signal });
  expect(workOf(signal)).toBeUndefined();
});
