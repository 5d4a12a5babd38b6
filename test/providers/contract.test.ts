import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import {
  CachedMetrics,
  MetricsBlock,
  MetricsDu,
  MetricsNil,
  MetricsStatFs,
  type MetricsProvider,
} from '../../src/index.js';
import { metricsProviderTests, type ProviderReports } from '../../src/testing/index.js';
import { needs } from '../support/needs.js';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kvm-contract-'));
  mkdirSync(join(directory, 'tree/sub'), { recursive: true });
  writeFileSync(join(directory, 'tree/sub/file'), 'x');
  writeFileSync(join(directory, 'image'), 'x'.repeat(4096));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** The suite over a provider, and over `CachedMetrics` around it. */
function contractOf(
  name: string,
  reports: ProviderReports,
  create: () => MetricsProvider,
  createFailing?: () => MetricsProvider,
): void {
  metricsProviderTests({ test, name, reports, create, ...(createFailing && { createFailing }) });
  metricsProviderTests({
    test,
    name: `CachedMetrics around ${name}`,
    reports,
    create: () => new CachedMetrics(create()),
    ...(createFailing && { createFailing: () => new CachedMetrics(createFailing()) }),
  });
  metricsProviderTests({
    test,
    name: `CachedMetrics without keeping, around ${name}`,
    reports,
    create: () => new CachedMetrics(create(), { maxAgeMs: 0 }),
  });
}

const NOTHING_ELSE = ['condition', 'incomplete', 'warnings'] as const;

contractOf('MetricsNil', { rejects: 'METRICS_NOT_SUPPORTED' }, () => new MetricsNil('not measured here'));

for (const binding of ['native', 'command'] as const) {
  describe.skipIf(needs({ native: binding === 'native' }))(`through the ${binding} binding`, () => {
    const missing = (): string => join(directory, 'missing');
    const filesystem = {
      always: ['capacity', 'available', 'used', 'readOnly'],
      never: NOTHING_ELSE,
    } as const;

    contractOf(
      'MetricsStatFs',
      filesystem,
      () => new MetricsStatFs(directory, { binding }),
      () => new MetricsStatFs(missing(), { binding }),
    );
    contractOf(
      'MetricsStatFs of a mount',
      filesystem,
      () => new MetricsStatFs('/', { binding, requireMount: true }),
      () => new MetricsStatFs(directory, { binding, requireMount: true }),
    );
    contractOf(
      'MetricsDu',
      { ...filesystem, always: [...filesystem.always, 'inodesUsed'] },
      () => new MetricsDu(join(directory, 'tree'), { binding }),
      () => new MetricsDu(missing(), { binding }),
    );
    contractOf(
      'MetricsBlock',
      {
        always: ['capacity'],
        never: ['available', 'used', 'inodes', 'inodesFree', 'inodesUsed', 'readOnly', ...NOTHING_ELSE],
      },
      () => new MetricsBlock(join(directory, 'image'), { binding }),
      () => new MetricsBlock(missing(), { binding }),
    );
  });
}
