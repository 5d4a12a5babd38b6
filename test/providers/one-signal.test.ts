import { describe, expect, test } from 'vitest';
import { CachedMetrics, MetricsDu, MetricsStatFs, type MetricsProvider } from '../../src/index.js';
import { FakeMetrics } from '../../src/testing/index.js';

/** More than Node takes for no leak. */
const VOLUMES = 20;

describe.each<[string, () => MetricsProvider]>([
  ['MetricsStatFs', () => new MetricsStatFs('/')],
  ['MetricsDu', () => new MetricsDu(import.meta.filename)],
  ['MetricsDu by commands', () => new MetricsDu(import.meta.filename, { binding: 'command' })],
  ['CachedMetrics', () => new CachedMetrics(new FakeMetrics({ script: ['hang'] }))],
  ['FakeMetrics', () => new FakeMetrics({ script: ['hang'] })],
])('one signal for calls of many %s', (_, create) => {
  test('is no leak to Node', async () => {
    const warnings: string[] = [];
    const listen = ({ name }: Error): unknown => warnings.push(name);
    process.on('warning', listen);
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Promise.allSettled(Array.from({ length: VOLUMES }, () => create().getMetrics({ signal })));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await calls;
    process.off('warning', listen);
    expect(warnings.filter((name) => name === 'MaxListenersExceededWarning')).toEqual([]);
  });
});
