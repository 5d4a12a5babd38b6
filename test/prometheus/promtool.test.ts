import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { VolumeStatsCollector } from '../../src/prometheus/index.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import { FakeMetrics } from '../../src/testing/fake-metrics.js';
import { FakeStatsProvider } from '../../src/testing/fake-stats-provider.js';
import { needs } from '../support/needs.js';
import { SAMPLE } from './volumes.js';

const ROOT = resolve(import.meta.dirname, '../..');
const ALERTS = resolve(ROOT, 'docs/prometheus-alerts.yml');

function promtool(args: readonly string[], input = ''): string {
  return execFileSync('promtool', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}

describe.skipIf(needs({ programs: ['promtool'] }))('promtool', () => {
  test('finds nothing to complain of in what is exported, whatever the labels hold', async () => {
    const provider = new FakeMetrics({
      name: 'odd "name"\\',
      script: [{ ...SAMPLE, condition: { abnormal: false, message: '' } }],
    });
    const analyzer = new FsResourceAnalyzer(
      new FakeStatsProvider([
        {
          name: 'web\n"quoted"',
          namespace: 'back\\slash',
          volumes: {
            'a\nb': { provider, spec: { persistentVolumeClaim: { claimName: 'claim "x" \\ \n' } } },
            cache: provider,
            failing: new FakeMetrics({ script: [new Error('x')] }),
          },
        },
      ]),
    );
    await analyzer.calculate();
    const registry = new Registry();
    new VolumeStatsCollector(analyzer, { registry, podVolumes: true });
    const text = await registry.metrics();
    expect(text).toContain('claim \\"x\\" \\\\ \\n');
    expect(promtool(['check', 'metrics'], text)).toBe('');
    // It does complain of what is wrong.
    expect(() => promtool(['check', 'metrics'], text.replaceAll('\\"', '"'))).toThrow('error while linting');
  });

  test('accepts the alerts', () => {
    expect(promtool(['check', 'rules', ALERTS])).toContain('SUCCESS: 10 rules found');
  });

  test('sees each alert fire when it should, and not before', () => {
    expect(promtool(['test', 'rules', resolve(import.meta.dirname, 'alerts.promtool.yml')])).toContain(
      'SUCCESS',
    );
  });
});

test('every alert has a case that lets it fire', () => {
  const names = (file: string): string[] =>
    [...readFileSync(file, 'utf8').matchAll(/(?:alert|alertname): (\w+)/g)].map(([, name]) => name ?? '');
  const tried = names(resolve(import.meta.dirname, 'alerts.promtool.yml'));
  expect(names(ALERTS).filter((name) => !tried.includes(name))).toEqual([]);
});

test('alerts ask only for metrics that are exported', () => {
  const registry = new Registry();
  new VolumeStatsCollector(new FsResourceAnalyzer(new FakeStatsProvider()), { registry });
  const exported = registry.getMetricsAsArray().map(({ name }) => name);
  const asked = [...readFileSync(ALERTS, 'utf8').matchAll(/\bkube(?:let)?_volume_\w+/g)].map(
    ([name]) => name,
  );
  expect(asked.length).toBeGreaterThan(10);
  expect(asked.filter((name) => !exported.includes(name))).toEqual([]);
});
