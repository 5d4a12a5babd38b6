import { describe, expect, test } from 'vitest';
import {
  CachedMetrics,
  diskUsage,
  MetricsBlock,
  MetricsDu,
  MetricsNil,
  MetricsStatFs,
  type MetricsProvider,
} from '../../src/index.js';
import { FakeMetrics } from '../../src/testing/index.js';

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

  test.each([null, 5, 'native'])('refuses %j for options', (options) => {
    expect(() => new Provider('/', options as never)).toThrow(/^Expected options to be an object, got /);
  });

  test.each(['timeout', 'signal', 'requiremount'])('refuses the unknown option %s', (option) => {
    const create = (): unknown => new Provider('/', { [option]: undefined });
    expect(create).toThrow(TypeError);
    expect(create).toThrow(`Unknown option "${option}": the options are timeoutMs, binding`);
  });

  test('takes options that are undefined for those that are not there', () => {
    expect(() => new Provider('/', { timeoutMs: undefined, binding: undefined })).not.toThrow();
  });

  // The call refuses an empty path, in the kubelet's words.
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

describe.each([MetricsStatFs, MetricsDu])('requireMount', (Provider) => {
  test.each(['false', null, 1])('refuses %j for requireMount', (requireMount) => {
    expect(() => new Provider('/', { requireMount: requireMount as never })).toThrow(
      /^Expected requireMount to be a boolean, got /,
    );
  });
});

describe('MetricsDu', () => {
  // Through one binding it would be true, through the other false.
  test.each(['no', null, 1])('refuses %j for allowPartial', async (allowPartial) => {
    const message = /^Expected allowPartial to be a boolean, got /;
    expect(() => new MetricsDu('/', { allowPartial: allowPartial as never })).toThrow(message);
    await expect(diskUsage('/', { allowPartial: allowPartial as never })).rejects.toThrow(message);
  });

  test.each([0, -1, 1.5, 65, Number.NaN])('refuses %s threads', (threads) => {
    expect(() => new MetricsDu('/', { threads })).toThrow(
      /^Expected threads to be a whole number from 1 to 64/,
    );
  });

  test.each([0, -1, Number.NaN])('refuses the stall limit %s', (stallTimeoutMs) => {
    expect(() => new MetricsDu('/', { stallTimeoutMs })).toThrow(/^Expected stallTimeoutMs to be /);
  });

  test.each(['du', null, true, 1])('refuses %j for ownTmpfs', (ownTmpfs) => {
    expect(() => new MetricsDu('/', { ownTmpfs: ownTmpfs as never })).toThrow(
      /^Expected ownTmpfs to be 'walk' or 'statfs', got /,
    );
  });

  test('refuses a listener that is none', () => {
    expect(() => new MetricsDu('/', { onProgress: 'log' as never })).toThrow(/^Expected onProgress to be /);
  });
});

describe.each([
  new MetricsStatFs('/'),
  new MetricsDu('.'),
  new MetricsBlock(import.meta.filename),
  new MetricsNil(),
  new CachedMetrics(new FakeMetrics()),
  new FakeMetrics(),
])('a call', (provider) => {
  test.each([null, 5, 'now'])('rejects %j for options', async (options) => {
    await expect(provider.getMetrics(options as never)).rejects.toThrow(
      /^Expected options to be an object, got /,
    );
  });

  test('rejects a signal in place of options', async () => {
    await expect(provider.getMetrics(new AbortController().signal as never)).rejects.toThrow(
      new TypeError('Expected options to be an object such as { signal }, got an AbortSignal'),
    );
  });

  test('rejects unknown options', async () => {
    await expect(provider.getMetrics({ timeoutMs: 5 } as never)).rejects.toThrow(
      new TypeError('Unknown option "timeoutMs": the options are signal'),
    );
  });

  test.each([null, {}, 'now'])('rejects %j for a signal', async (signal) => {
    await expect(provider.getMetrics({ signal: signal as never })).rejects.toThrow(
      /^Expected signal to be an AbortSignal, got /,
    );
  });
});

describe('CachedMetrics', () => {
  test('refuses an unknown option', () => {
    expect(() => new CachedMetrics(new MetricsNil(), { maxAge: 5 } as object)).toThrow(
      new TypeError('Unknown option "maxAge": the options are maxAgeMs'),
    );
  });

  test.each([null, 5])('refuses %j for options', (options) => {
    expect(() => new CachedMetrics(new MetricsNil(), options as never)).toThrow(
      /^Expected options to be an object, got /,
    );
  });

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
