import { describe, expect, test } from 'vitest';
import {
  CachedMetrics,
  MetricsBlock,
  MetricsDu,
  MetricsNil,
  MetricsStatFs,
  type MetricsProvider,
} from '../../src/index.js';

const CLASSES = [MetricsStatFs, MetricsDu, MetricsBlock] as const;

describe.each(CLASSES.map((provider) => [provider.name, provider] as const))('%s', (_, Provider) => {
  test.each([undefined, null, 7, Buffer.from('/'), new URL('file:///')])('refuses the path %s', (path) => {
    expect(() => new Provider(path as never)).toThrow(TypeError);
    expect(() => new Provider(path as never)).toThrow(/^Expected (path|device) to be a string, got /);
  });

  test.each([0, -1, Number.NaN, Infinity, 2 ** 31, '5s'])('refuses the timeout %s', (timeoutMs) => {
    expect(() => new Provider('/', { timeoutMs: timeoutMs as never })).toThrow(TypeError);
    expect(() => new Provider('/', { timeoutMs: timeoutMs as never })).toThrow(/^Expected timeoutMs to be /);
  });

  test('refuses a binding that there is not', () => {
    expect(() => new Provider('/', { binding: 'addon' as never })).toThrow(/^Expected binding to be /);
  });

  test('takes options that are undefined for those that are not there', () => {
    expect(() => new Provider('/', { timeoutMs: undefined, binding: undefined })).not.toThrow();
  });

  // Golden case E9: an empty path is for the call to refuse, in the kubelet's words.
  test('rejects a call on an empty path', async () => {
    const call = new Provider('').getMetrics();
    await expect(call).rejects.toMatchObject({
      code: 'METRICS_NO_PATH_DEFINED',
      message: 'no path defined for disk usage metrics.',
    });
    await expect(new CachedMetrics(new Provider('')).getMetrics()).rejects.toMatchObject({
      code: 'METRICS_NO_PATH_DEFINED',
    });
  });

  test('rejects a call on a path with a NUL', async () => {
    await expect(new Provider('/a\0b').getMetrics()).rejects.toMatchObject({
      code: 'METRICS_FS_INFO_FAILED',
      cause: { code: 'EINVAL' },
    });
  });

  test('rejects a call on a path that is too long', async () => {
    await expect(new Provider(`/${'a/'.repeat(2500)}`).getMetrics()).rejects.toMatchObject({
      code: 'METRICS_FS_INFO_FAILED',
      cause: { code: 'ENAMETOOLONG' },
    });
  });
});

describe('MetricsDu', () => {
  test.each([0, -1, 1.5, 65, Number.NaN])('refuses %s threads', (threads) => {
    expect(() => new MetricsDu('/', { threads })).toThrow(
      /^Expected threads to be a whole number from 1 to 64/,
    );
  });

  test.each([0, -1, Number.NaN])('refuses the stall limit %s', (stallTimeoutMs) => {
    expect(() => new MetricsDu('/', { stallTimeoutMs })).toThrow(/^Expected stallTimeoutMs to be /);
  });

  test('refuses a listener that is none', () => {
    expect(() => new MetricsDu('/', { onProgress: 'log' as never })).toThrow(/^Expected onProgress to be /);
  });
});

describe('CachedMetrics', () => {
  test.each([undefined, null, {}, { name: 'x' }, { getMetrics: () => undefined }])(
    'refuses the provider %s',
    (provider) => {
      expect(() => new CachedMetrics(provider as unknown as MetricsProvider)).toThrow(TypeError);
    },
  );

  test.each([-1, Number.NaN, '5s'])('refuses the age %s', (maxAgeMs) => {
    expect(() => new CachedMetrics(new MetricsNil(), { maxAgeMs: maxAgeMs as never })).toThrow(
      /^Expected maxAgeMs to be a number of milliseconds of at least 0, got /,
    );
  });
});
