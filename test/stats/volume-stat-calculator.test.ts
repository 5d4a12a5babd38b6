import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MetricsError } from '../../src/errors.js';
import type { MetricsProvider } from '../../src/metrics.js';
import { VolumeStatCalculator } from '../../src/stats/volume-stat-calculator.js';
import type { CollectionOptions } from '../../src/stats/collection-options.js';
import type { Pod } from '../../src/stats/pod.js';
import type { VolumeStats } from '../../src/stats/volume-stats.js';
import { FakeMetrics } from '../../src/testing/fake-metrics.js';
import { FakeStatsProvider, type FakePod } from '../../src/testing/fake-stats-provider.js';
import { DeafProvider } from './deaf-provider.js';

const START = new Date('2026-01-01T00:00:00Z');
const MINUTE = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  vi.spyOn(Math, 'random').mockReturnValue(0);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A calculator of a pod with these volumes, and what it looks like from outside. */
function calculatorOf(volumes: NonNullable<FakePod['volumes']>, options: CollectionOptions = {}) {
  const statsProvider = new FakeStatsProvider([{ name: 'web-0', namespace: 'shop', volumes }]);
  return { statsProvider, calculator: new VolumeStatCalculator(statsProvider, podOf(volumes), options) };
}

function podOf(volumes: NonNullable<FakePod['volumes']>): Pod {
  return {
    metadata: { uid: 'web-0-uid', name: 'web-0', namespace: 'shop' },
    spec: {
      volumes: Object.entries(volumes).map(([name, volume]) => ({
        name,
        ...('getMetrics' in volume ? { emptyDir: {} } : volume.spec),
      })),
    },
  };
}

function volume(calculator: VolumeStatCalculator, name: string): VolumeStats {
  const latest = calculator.getLatest();
  const found = [...(latest?.ephemeralVolumes ?? []), ...(latest?.persistentVolumes ?? [])].find(
    (each) => each.name === name,
  );
  if (found === undefined) throw new Error(`there is no volume ${name}`);
  return found;
}

describe('timing', () => {
  test.each([
    [0, 60_000],
    [0.5, 90_000],
    [0.999, 119_940],
  ])(
    'the first round comes at once, the next one after its end by a period and %d of one',
    async (random, waitMs) => {
      vi.mocked(Math.random).mockReturnValue(random);
      const slow = new FakeMetrics({ script: [{ delayMs: 5_000 }] });
      const { calculator } = calculatorOf({ data: slow });
      calculator.start();
      await vi.advanceTimersByTimeAsync(0);
      expect(slow.calls).toBe(1);
      await vi.advanceTimersByTimeAsync(5_000 + waitMs - 1);
      expect(slow.calls).toBe(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(slow.calls).toBe(2);
    },
  );

  test.each([0, -1, -0.5])('a period of %d disables the rounds', async (periodMs) => {
    const provider = new FakeMetrics();
    const { calculator } = calculatorOf({ data: provider }, { periodMs });
    calculator.start();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(provider.calls).toBe(0);
    await calculator.calculate();
    expect(provider.calls).toBe(1);
  });

  test.each([NaN, Infinity, -Infinity, 2 ** 31, '60000', null])('a period of %s is refused', (periodMs) => {
    expect(() => calculatorOf({}, { periodMs: periodMs as number })).toThrow(
      new TypeError(
        `Expected periodMs to be a number of milliseconds of at most 2147483647, 0 or less for no rounds, got ${periodMs === '60000' ? '"60000"' : String(periodMs)}`,
      ),
    );
  });

  test('the longest period, when stretched, is still one that a timer can wait', async () => {
    vi.mocked(Math.random).mockReturnValue(0.999);
    const provider = new FakeMetrics();
    const { calculator } = calculatorOf({ data: provider }, { periodMs: 2 ** 31 - 1 });
    calculator.start();
    await vi.advanceTimersByTimeAsync(2 ** 31 - 2);
    expect(provider.calls).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(provider.calls).toBe(2);
  });

  test('timers do not keep the process alive', async () => {
    const { calculator } = calculatorOf({
      stuck: new DeafProvider(),
      walk: new DeafProvider('du'),
      data: new FakeMetrics(),
    });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    calculator.start();
    await vi.advanceTimersByTimeAsync(MINUTE);
    const made = timers.mock.results.map(({ value }) => value as NodeJS.Timeout);
    expect(made.length).toBeGreaterThan(3);
    expect(made.filter((timer) => timer.hasRef())).toEqual([]);
  });

  test('a second start, and a calculation during a round, measure nothing twice', async () => {
    const provider = new FakeMetrics({ script: [{ delayMs: 1_000 }] });
    const { calculator, statsProvider } = calculatorOf({ data: provider });
    calculator.start();
    calculator.start();
    const calculation = calculator.calculate();
    await vi.advanceTimersByTimeAsync(1_000);
    expect((await calculation).ephemeralVolumes[0]?.state).toBe('ok');
    expect([provider.calls, statsProvider.volumeCalls]).toEqual([1, 1]);
  });
});

describe('what is known of a volume', () => {
  test('is nothing before the first start, then that every volume is pending', async () => {
    const { calculator } = calculatorOf({ data: new FakeMetrics() });
    expect(calculator.getLatest()).toBeUndefined();
    calculator.start();
    expect(volume(calculator, 'data')).toEqual({
      name: 'data',
      kind: 'emptyDir',
      provider: 'unknown',
      state: 'pending',
    });
    await calculator.stop();
  });

  test('is a reading, when its attempt began and how long it took', async () => {
    const { calculator } = calculatorOf({
      data: new FakeMetrics({ name: 'statfs', script: [{ delayMs: 250, capacity: 5n, used: 0n }] }),
    });
    const calculation = calculator.calculate();
    await vi.advanceTimersByTimeAsync(250);
    await calculation;
    expect(volume(calculator, 'data')).toEqual({
      name: 'data',
      kind: 'emptyDir',
      provider: 'statfs',
      state: 'ok',
      metrics: { time: START, source: 'statfs', capacity: 5n, used: 0n },
      attemptedAt: START,
      durationMs: 250,
    });
  });

  test('the snapshot is the same object until something changes, and does not change itself', async () => {
    const { calculator } = calculatorOf({ data: new FakeMetrics() });
    const first = await calculator.calculate();
    expect(calculator.getLatest()).toBe(first);
    const copy = structuredClone(first);
    await vi.advanceTimersByTimeAsync(MINUTE);
    const second = await calculator.calculate();
    expect(second).not.toBe(first);
    expect(first).toEqual(copy);
  });

  test('volumes are split as the kubelet splits them, and have kinds', async () => {
    const provider = new FakeMetrics();
    const specs = {
      cache: { emptyDir: {} },
      plain: { emptyDir: { medium: '' } },
      memory: { emptyDir: { medium: 'Memory' } },
      huge: { emptyDir: { medium: 'HugePages' } },
      config: { configMap: { name: 'c' } },
      repo: { gitRepo: { repository: 'r' } },
      secret: { secret: { secretName: 's' } },
      token: { projected: { sources: [] } },
      downward: { downwardAPI: {} },
      data: { persistentVolumeClaim: { claimName: 'data' } },
      scratch: { ephemeral: { volumeClaimTemplate: {} } },
      inline: { csi: { driver: 'd' } },
      logs: { hostPath: { path: '/var/log' } },
      sparse: { emptyDir: undefined, secret: null, nfs: { server: 's', path: '/' } },
    };
    const { calculator } = calculatorOf(
      Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, { provider, spec: spec }])),
    );
    const { ephemeralVolumes, persistentVolumes } = await calculator.calculate();
    expect(ephemeralVolumes.map(({ name, kind }) => [name, kind])).toEqual([
      ['cache', 'emptyDir'],
      ['plain', 'emptyDir'],
      ['config', 'configMap'],
      ['repo', 'gitRepo'],
    ]);
    expect(persistentVolumes.map(({ name, kind }) => [name, kind])).toEqual([
      ['memory', 'emptyDir'],
      ['huge', 'emptyDir'],
      ['secret', 'secret'],
      ['token', 'projected'],
      ['downward', 'downwardAPI'],
      ['data', 'persistentVolumeClaim'],
      ['scratch', 'ephemeral'],
      ['inline', 'csi'],
      ['logs', 'hostPath'],
      ['sparse', 'nfs'],
    ]);
  });

  test('claim volumes and generic ephemeral volumes have a claim, others do not', async () => {
    const provider = new FakeMetrics();
    const { calculator } = calculatorOf({
      cache: provider,
      data: { provider, spec: { persistentVolumeClaim: { claimName: 'claim-7' } } },
      scratch: { provider, spec: { ephemeral: {} } },
    });
    await calculator.calculate();
    expect(volume(calculator, 'cache').pvcRef).toBeUndefined();
    expect(volume(calculator, 'data').pvcRef).toEqual({ namespace: 'shop', name: 'claim-7' });
    expect(volume(calculator, 'scratch').pvcRef).toEqual({ namespace: 'shop', name: 'web-0-scratch' });
  });

  test('a volume that is not listed is pending and says why; a listed one that the spec lacks is shown too', async () => {
    const provider = new FakeMetrics();
    const statsProvider = new FakeStatsProvider([{ name: 'web-0', volumes: { stray: provider } }]);
    const calculator = new VolumeStatCalculator(statsProvider, podOf({ data: provider }));
    const { persistentVolumes } = await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'pending',
      provider: 'unknown',
      error: { code: 'METRICS_NOT_FOUND', message: 'the stats provider does not list volume "data"' },
    });
    expect(persistentVolumes).toMatchObject([
      { name: 'stray', kind: 'unknown', state: 'ok', provider: 'fake' },
    ]);
  });

  test.each([null, undefined])('a map entry that is %s is not mounted', async (entry) => {
    const statsProvider = { getPods: () => [], listVolumesForPod: () => new Map([['data', entry as never]]) };
    const calculator = new VolumeStatCalculator(statsProvider, podOf({ data: new FakeMetrics() }));
    await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'pending',
      error: { code: 'METRICS_NOT_FOUND' },
    });
  });

  test('a volume that is unmounted for a while keeps its reading, and is measured again afterwards', async () => {
    const provider = new FakeMetrics({ name: 'du' });
    const { calculator, statsProvider } = calculatorOf({ data: provider });
    await calculator.calculate();
    statsProvider.addPod({ name: 'web-0' });
    await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({ state: 'pending', metrics: { time: START } });
    statsProvider.addPod({ name: 'web-0', volumes: { data: provider } });
    await vi.advanceTimersByTimeAsync(MINUTE);
    await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'ok',
      metrics: { time: new Date(+START + MINUTE) },
    });
    expect(volume(calculator, 'data').error).toBeUndefined();
  });
});

test('the answer for a volume that was unmounted during the call is dropped', async () => {
  const deaf = new DeafProvider();
  const { calculator, statsProvider } = calculatorOf({ deaf });
  calculator.start();
  await vi.advanceTimersByTimeAsync(MINUTE);
  statsProvider.addPod({ name: 'web-0' });
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(deaf.calls[0]!.signal.aborted).toBe(true);
  deaf.calls[0]!.resolve({ time: new Date(), source: 'deaf', used: 1n });
  await vi.advanceTimersByTimeAsync(0);
  expect(volume(calculator, 'deaf')).toMatchObject({
    state: 'pending',
    error: { code: 'METRICS_NOT_FOUND' },
  });
  expect(volume(calculator, 'deaf').metrics).toBeUndefined();
  statsProvider.addPod({ name: 'web-0', volumes: { deaf } });
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(deaf.calls).toHaveLength(2);
});

describe('a volume that fails', () => {
  const notSupported = Object.assign(new Error('none'), { code: 'METRICS_NOT_SUPPORTED' });
  const timedOut = Object.assign(new Error('late'), { code: 'METRICS_TIMED_OUT' });

  test.each([
    ['unsupported', notSupported],
    ['unsupported', new MetricsError('METRICS_PROVIDER_FAILED', 'wrapped', { cause: notSupported })],
    ['stuck', timedOut],
    ['failed', Object.assign(new Error('io'), { code: 'METRICS_FS_INFO_FAILED' })],
  ] as const)(
    'is %s, keeps its place and its last reading, and does not affect the others',
    async (state, error) => {
      const { calculator } = calculatorOf({
        bad: new FakeMetrics({ script: [{ used: 1n }, error] }),
        good: new FakeMetrics(),
      });
      await calculator.calculate();
      await vi.advanceTimersByTimeAsync(MINUTE);
      await calculator.calculate();
      expect(volume(calculator, 'bad')).toMatchObject({ state, error, metrics: { time: START, used: 1n } });
      expect(volume(calculator, 'good')).toMatchObject({
        state: 'ok',
        metrics: { time: new Date(+START + MINUTE) },
      });
    },
  );

  test('may say itself that its backend failed, and the error stays as it is', async () => {
    const backend = new MetricsError('METRICS_PROVIDER_FAILED', 'the array is rebuilding', {
      cause: new Error('503'),
    });
    // Not from this copy of the package: only its code tells.
    const foreign = Object.assign(new Error('quota service is down'), { code: 'METRICS_PROVIDER_FAILED' });
    const { calculator } = calculatorOf({
      own: new FakeMetrics({ script: [backend] }),
      foreign: new FakeMetrics({ script: [foreign] }),
    });
    await calculator.calculate();
    expect(volume(calculator, 'own').state).toBe('failed');
    expect(volume(calculator, 'own').error).toBe(backend);
    expect(volume(calculator, 'foreign').state).toBe('failed');
    expect(volume(calculator, 'foreign').error).toBe(foreign);
  });

  test('is ok again after a good reading', async () => {
    const { calculator } = calculatorOf({ bad: new FakeMetrics({ script: [new Error('x'), { used: 1n }] }) });
    await calculator.calculate();
    expect(volume(calculator, 'bad').state).toBe('failed');
    await calculator.calculate();
    expect(volume(calculator, 'bad')).toMatchObject({ state: 'ok', metrics: { used: 1n } });
    expect(volume(calculator, 'bad')).not.toHaveProperty('error');
  });

  const time = START;
  test.each<[string, unknown]>([
    ['it is undefined', undefined],
    ['it is null', null],
    ['it is the number 7', 7],
    ['its time is undefined, not a date', { source: 's' }],
    ['its time is a string, not a date', { time: '2026-01-01', source: 's' }],
    ['its time is an invalid date', { time: new Date(NaN), source: 's' }],
    [
      `its time is in the future (${new Date(+time + 60_001).toISOString()})`,
      { time: new Date(+time + 60_001), source: 's' },
    ],
    ['its source is undefined, not a name', { time }],
    ['its used is negative (-1)', { time, source: 's', used: -1n }],
    ['its capacity is the number 10, not a bigint', { time, source: 's', capacity: 10 }],
    ['its inodes is null, not a bigint', { time, source: 's', inodes: null }],
    ['its inodesFree is a string, not a bigint', { time, source: 's', inodes: 1n, inodesFree: '1' }],
    ['its readOnly is the number 0, not a boolean', { time, source: 's', readOnly: 0 }],
    [
      'its condition lacks a boolean "abnormal" or a text "message"',
      { time, source: 's', condition: { abnormal: true } },
    ],
    ...[null, 'broken', [null], [{ status: 'DEGRADED', reason: 'Copies', message: 2n }]].map(
      (problems): [string, unknown] => [
        'the problems of its condition are not a list with the texts "status", "reason" and "message"',
        { time, source: 's', condition: { abnormal: true, message: 'm', problems } },
      ],
    ),
    ['its incomplete lacks a whole number "errors" of at least 1', { time, source: 's', incomplete: true }],
    [
      'its incomplete lacks a whole number "errors" of at least 1',
      { time, source: 's', incomplete: { errors: NaN } },
    ],
    [
      'the first of its incomplete lacks a text "path" or "code"',
      { time, source: 's', incomplete: { errors: 1 } },
    ],
    ['its warnings are an array, not texts', { time, source: 's', warnings: [1] }],
  ])('an invalid reading is refused: %s', async (problem, reading) => {
    const provider = { name: 'odd', getMetrics: () => Promise.resolve(reading) } as MetricsProvider;
    const { calculator } = calculatorOf({ odd: provider, good: new FakeMetrics() });
    await calculator.calculate();
    expect(volume(calculator, 'odd')).toMatchObject({
      state: 'failed',
      error: {
        code: 'METRICS_PROVIDER_FAILED',
        message: `provider "odd" gave no reading: ${problem}`,
        cause: reading,
      },
    });
    expect(volume(calculator, 'odd').metrics).toBeUndefined();
    expect(volume(calculator, 'good').state).toBe('ok');
  });

  test('an error that it throws instead of rejecting, or that is not a MetricsError, becomes the cause', async () => {
    const thrown = new RangeError('boom');
    const throwing = {
      name: 'throwing',
      getMetrics: () => {
        throw thrown;
      },
    };
    const { calculator } = calculatorOf({
      throwing,
      rejecting: new FakeMetrics({ name: 'rejecting', script: [{ error: 'a text' }] }),
    });
    await calculator.calculate();
    expect(volume(calculator, 'throwing')).toMatchObject({
      state: 'failed',
      error: {
        code: 'METRICS_PROVIDER_FAILED',
        message: 'provider "throwing" threw instead of rejecting: boom',
        cause: thrown,
      },
    });
    expect(volume(calculator, 'rejecting')).toMatchObject({
      state: 'failed',
      error: {
        code: 'METRICS_PROVIDER_FAILED',
        message: 'provider "rejecting" failed: a text',
        cause: 'a text',
      },
    });
  });

  test.each([
    [Object.create(null), 'it threw an object that is not an Error'],
    [Symbol('s'), 'Symbol(s)'],
    [undefined, 'undefined'],
    [
      Object.assign(new Error(), { message: Object.create(null) as string }),
      'it threw an Error without a readable message',
    ],
  ])('every rejection has a text: %#', async (error, text) => {
    const { calculator } = calculatorOf({ odd: new FakeMetrics({ script: [{ error: error as unknown }] }) });
    await calculator.calculate();
    expect(volume(calculator, 'odd').error?.message).toBe(`provider "fake" failed: ${text}`);
  });

  test('a name that cannot be read is unknown, and does not affect other volumes', async () => {
    const nameless: MetricsProvider = {
      get name(): string {
        throw new Error('no name yet');
      },
      getMetrics: () => Promise.resolve({ time: START, source: 's' }),
    };
    const { calculator } = calculatorOf({ nameless, good: new FakeMetrics() });
    await calculator.calculate();
    expect(volume(calculator, 'nameless')).toMatchObject({ state: 'ok', provider: 'unknown' });
    expect(volume(calculator, 'good').state).toBe('ok');
  });

  test.each([{}, 'du', 7])('a map entry that is %s instead of a provider', async (entry) => {
    const statsProvider = {
      getPods: () => [],
      listVolumesForPod: () => new Map([['data', entry as MetricsProvider]]),
    };
    const calculator = new VolumeStatCalculator(statsProvider, podOf({ data: new FakeMetrics() }));
    await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'failed',
      provider: 'unknown',
      error: { code: 'METRICS_PROVIDER_FAILED' },
    });
  });
});

describe('a volume that never answers', () => {
  test('is stuck after its limit, keeps its last reading, costs one call, and holds up nothing', async () => {
    const asked: DeafProvider[] = [];
    const good = new FakeMetrics();
    // As natural stats providers do: new provider objects each time.
    const statsProvider = {
      getPods: () => [],
      listVolumesForPod: () => {
        const deaf = new DeafProvider();
        asked.push(deaf);
        return new Map<string, MetricsProvider>([
          ['deaf', deaf],
          ['good', good],
        ]);
      },
    };
    const calculator = new VolumeStatCalculator(statsProvider, podOf({ deaf: good, good }), {
      timeoutMs: 10_000,
    });
    calculator.start();
    await vi.advanceTimersByTimeAsync(1_000);
    asked[0]!.calls[0]!.resolve({ time: new Date(), source: 'deaf', used: 3n });
    await vi.advanceTimersByTimeAsync(60_000 + 9_999);
    expect(volume(calculator, 'deaf').state).toBe('ok');
    await vi.advanceTimersByTimeAsync(1);
    const stuckSince = new Date(+START + 61_000);
    expect(volume(calculator, 'deaf')).toMatchObject({
      state: 'stuck',
      error: {
        code: 'METRICS_TIMED_OUT',
        stuckSince,
        message: `provider "deaf" has not answered since ${stuckSince.toISOString()}`,
      },
      metrics: { time: new Date(+START + 1_000), used: 3n },
      attemptedAt: stuckSince,
    });
    expect(volume(calculator, 'deaf').durationMs).toBeUndefined();

    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(asked.length).toBeGreaterThan(50);
    expect(asked.flatMap(({ calls }) => calls)).toHaveLength(2);
    expect(asked.flatMap(({ calls }) => calls).map(({ signal }) => signal.aborted)).toEqual([false, false]);
    expect(+volume(calculator, 'good').metrics!.time).toBeGreaterThan(Date.now() - 2 * MINUTE);

    asked[1]!.calls[0]!.resolve({ time: new Date(), source: 'deaf', used: 4n });
    await vi.advanceTimersByTimeAsync(0);
    expect(volume(calculator, 'deaf')).toMatchObject({
      state: 'ok',
      metrics: { used: 4n },
      attemptedAt: stuckSince,
    });
    expect(volume(calculator, 'deaf').durationMs).toBeGreaterThan(60 * MINUTE);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(asked.flatMap(({ calls }) => calls)).toHaveLength(3);
  });

  test('a late failure is taken too', async () => {
    const deaf = new DeafProvider();
    const { calculator } = calculatorOf({ deaf });
    calculator.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(volume(calculator, 'deaf').state).toBe('stuck');
    deaf.calls[0]!.reject(new Error('gone'));
    await vi.advanceTimersByTimeAsync(0);
    expect(volume(calculator, 'deaf').state).toBe('failed');
  });

  test('a calculation ends at the limit', async () => {
    const { calculator } = calculatorOf({ deaf: new DeafProvider() }, { timeoutMs: 700 });
    let stats: unknown;
    void calculator.calculate().then((latest) => (stats = latest));
    await vi.advanceTimersByTimeAsync(699);
    expect(stats).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(stats).toMatchObject({ ephemeralVolumes: [{ state: 'stuck' }] });
  });
});

describe('a stats provider that fails', () => {
  test('leaves the readings if it does not know the pod', async () => {
    const { calculator, statsProvider } = calculatorOf({ data: new FakeMetrics() });
    const before = await calculator.calculate();
    statsProvider.removePod('web-0-uid');
    expect(await calculator.calculate()).toBe(before);
  });

  test.each([
    ['METRICS_PROVIDER_FAILED', { error: new Error('api is down') }, 'listVolumesForPod failed: api is down'],
    [
      'METRICS_NOT_FOUND',
      { error: Object.assign(new Error('no such pod'), { code: 'METRICS_NOT_FOUND' }) },
      'no such pod',
    ],
  ])('shows at each volume as %s, until it works again', async (code, failure, message) => {
    const walk = new FakeMetrics({ name: 'du' });
    const { calculator, statsProvider } = calculatorOf({ data: new FakeMetrics(), walk });
    await calculator.calculate();
    statsProvider.listVolumes('web-0-uid', failure);
    await calculator.calculate();
    for (const name of ['data', 'walk']) {
      expect(volume(calculator, name)).toMatchObject({
        state: 'failed',
        error: { code, message },
        metrics: { time: START },
      });
    }
    statsProvider.listVolumes('web-0-uid', undefined);
    await calculator.calculate();
    expect([volume(calculator, 'data').state, volume(calculator, 'walk').state]).toEqual(['ok', 'ok']);
  });

  test('is asked once while it hangs, which makes its volumes stuck; its late answer is used', async () => {
    const provider = new FakeMetrics();
    const { calculator, statsProvider } = calculatorOf({ data: provider });
    statsProvider.listVolumes('web-0-uid', 'hang');
    calculator.start();
    await vi.advanceTimersByTimeAsync(20 * MINUTE);
    expect(statsProvider.volumeCalls).toBe(1);
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'stuck',
      error: {
        code: 'METRICS_TIMED_OUT',
        stuckSince: START,
        message: `listVolumesForPod has not answered since ${START.toISOString()}`,
      },
    });
    statsProvider.listVolumes('web-0-uid', undefined);
    await vi.advanceTimersByTimeAsync(0);
    expect(volume(calculator, 'data').state).toBe('ok');
  });

  test.each([7, {}, [], 'map', new Set()])('gives something else than a map: %s', async (value) => {
    const statsProvider = { getPods: () => [], listVolumesForPod: () => value as never };
    const calculator = new VolumeStatCalculator(statsProvider, podOf({ data: new FakeMetrics() }));
    await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'failed',
      error: {
        code: 'METRICS_PROVIDER_FAILED',
        message: 'listVolumesForPod did not give a map of providers by volume name',
        cause: value,
      },
    });
  });

  test('gives a map that throws when it is read', async () => {
    const broken = {
      ...{ has: () => true, keys: () => ['data'] },
      get: () => {
        throw new Error('revoked');
      },
    };
    const statsProvider = { getPods: () => [], listVolumesForPod: () => broken as never };
    const calculator = new VolumeStatCalculator(statsProvider, podOf({ data: new FakeMetrics() }));
    await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'failed',
      error: {
        code: 'METRICS_PROVIDER_FAILED',
        message: 'the map of listVolumesForPod failed: revoked',
      },
    });
  });

  test('throws', async () => {
    const statsProvider = {
      getPods: () => [],
      listVolumesForPod: () => {
        throw new Error('sync');
      },
    };
    const calculator = new VolumeStatCalculator(statsProvider, podOf({ data: new FakeMetrics() }));
    await calculator.calculate();
    expect(volume(calculator, 'data')).toMatchObject({
      state: 'failed',
      error: { code: 'METRICS_PROVIDER_FAILED' },
    });
  });
});

describe('stop', () => {
  test('nothing is stored after it, and what is out is aborted', async () => {
    const slow = new FakeMetrics({ script: [{ delayMs: 5_000 }] });
    const deaf = new DeafProvider();
    const { calculator } = calculatorOf({ slow, deaf });
    const onCollected = vi.fn();
    calculator.start();
    await vi.advanceTimersByTimeAsync(1_000);
    await calculator.stop();
    const after = calculator.getLatest();
    expect(deaf.calls[0]!.signal.aborted).toBe(true);
    deaf.calls[0]!.resolve({ time: new Date(), source: 'deaf' });
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(calculator.getLatest()).toBe(after);
    expect(volume(calculator, 'slow').state).toBe('pending');
    expect([slow.calls, deaf.calls.length, onCollected.mock.calls.length]).toEqual([1, 1, 0]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('ends a calculation, may come twice and before a start', async () => {
    const { calculator } = calculatorOf({ deaf: new DeafProvider() });
    await calculator.stop();
    const calculation = calculator.calculate();
    await vi.advanceTimersByTimeAsync(10);
    await calculator.stop();
    await calculator.stop();
    expect((await calculation).ephemeralVolumes).toMatchObject([{ state: 'pending' }]);
  });

  test('ends a calculation whose stats provider hangs', async () => {
    const { calculator, statsProvider } = calculatorOf({ data: new FakeMetrics() });
    statsProvider.listVolumes('web-0-uid', 'hang');
    const calculation = calculator.calculate();
    await vi.advanceTimersByTimeAsync(10);
    await calculator.stop();
    await calculation;
    expect(volume(calculator, 'data').state).toBe('pending');
  });

  test('can be followed by a start, which makes no second call while the old one is out', async () => {
    const deaf = new DeafProvider();
    const obedient = new FakeMetrics({ script: ['hang', { used: 1n }] });
    const { calculator } = calculatorOf({ deaf, obedient });
    calculator.start();
    await vi.advanceTimersByTimeAsync(4_000);
    await calculator.stop();
    calculator.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(volume(calculator, 'obedient')).toMatchObject({ state: 'ok', metrics: { used: 1n } });
    await vi.advanceTimersByTimeAsync(5_999);
    expect(volume(calculator, 'deaf').state).toBe('pending');
    await vi.advanceTimersByTimeAsync(1);
    // Ten seconds after the call was made, not after the start.
    expect(volume(calculator, 'deaf')).toMatchObject({ state: 'stuck', error: { stuckSince: START } });
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(deaf.calls).toHaveLength(1);
    deaf.calls[0]!.resolve({ time: new Date(), source: 'deaf', used: 2n });
    await vi.advanceTimersByTimeAsync(0);
    expect(volume(calculator, 'deaf')).toMatchObject({ state: 'ok', metrics: { used: 2n } });
  });

  test('a call that fails because of a stop does not count as a failure: another one is made', async () => {
    const deaf = new DeafProvider();
    const { calculator } = calculatorOf({ deaf });
    calculator.start();
    await vi.advanceTimersByTimeAsync(0);
    await calculator.stop();
    calculator.start();
    await vi.advanceTimersByTimeAsync(0);
    deaf.calls[0]!.reject(deaf.calls[0]!.signal.reason);
    await vi.advanceTimersByTimeAsync(0);
    expect(deaf.calls).toHaveLength(2);
    expect(volume(calculator, 'deaf').state).toBe('pending');
    deaf.calls[1]!.resolve({ time: new Date(), source: 'deaf' });
    await vi.advanceTimersByTimeAsync(0);
    expect(volume(calculator, 'deaf').state).toBe('ok');
  });

  test('is what `await using` does', async () => {
    const provider = new FakeMetrics();
    const { calculator } = calculatorOf({ data: provider });
    calculator.start();
    await vi.advanceTimersByTimeAsync(0);
    await calculator[Symbol.asyncDispose]();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(provider.calls).toBe(1);
  });
});

describe('bad input', () => {
  test.each([undefined, null, {}, { getPods: () => [] }])('an invalid stats provider: %s', (value) => {
    expect(() => new VolumeStatCalculator(value as never, podOf({}))).toThrow(
      new TypeError('Expected statsProvider to have the methods getPods and listVolumesForPod'),
    );
  });

  test.each([
    ['a pod that is null', null],
    ['a pod that is undefined', undefined],
    ['a pod without uid (?/?)', {}],
    ['a pod without uid (a/b)', { metadata: { namespace: 'a', name: 'b', uid: '' }, spec: {} }],
    ['a pod without name or namespace (a/?, uid 1)', { metadata: { namespace: 'a', uid: '1' }, spec: {} }],
  ])('%s', (problem, pod) => {
    expect(() => new VolumeStatCalculator(new FakeStatsProvider(), pod as never)).toThrow(
      new TypeError(`Expected a valid pod, got ${problem}`),
    );
  });

  test('a pod whose volumes are not a list', () => {
    const pod = { metadata: { uid: '1', name: 'b', namespace: 'a' }, spec: { volumes: {} } };
    expect(() => new VolumeStatCalculator(new FakeStatsProvider(), pod as never)).toThrow(
      new TypeError('Expected a valid pod, got a pod whose volumes are not a list (a/b)'),
    );
  });

  test('a pod without a spec, or with invalid volumes, has no volumes', async () => {
    const metadata = { uid: 'u', name: 'n', namespace: 's' };
    for (const spec of [undefined, {}, { volumes: null }, { volumes: [null, {}] }]) {
      const calculator = new VolumeStatCalculator(new FakeStatsProvider(), { metadata, spec } as never);
      expect(await calculator.calculate()).toEqual({
        podRef: metadata,
        ephemeralVolumes: [],
        persistentVolumes: [],
      });
    }
  });

  test.each([
    [
      { timeoutMs: 0 },
      'Expected timeoutMs to be a number of milliseconds above 0 and at most 2147483647, got 0',
    ],
    [
      { walkTimeoutMs: NaN },
      'Expected walkTimeoutMs to be a number of milliseconds above 0 and at most 2147483647, got NaN',
    ],
    [{ concurrency: 0 }, 'Expected concurrency to be a whole number of at least 1, got 0'],
    [{ concurrency: 1.5 }, 'Expected concurrency to be a whole number of at least 1, got 1.5'],
    [{ walkShare: 0 }, 'Expected walkShare to be a number above 0 and at most 1, got 0'],
    [{ walkShare: 1.01 }, 'Expected walkShare to be a number above 0 and at most 1, got 1.01'],
    [{ isWalk: true as never }, 'Expected isWalk to be a function, got boolean'],
    [{ onCollected: 'x' as never }, 'Expected onCollected to be a function, got string'],
    [null as never, 'Expected options to be an object, got null'],
    [
      { timeout: 5 } as never,
      'Unknown option "timeout": the options are periodMs, timeoutMs, walkTimeoutMs, concurrency, walkShare, isWalk, onCollected, onConditionChange, onError',
    ],
  ])('options %o', (options, message) => {
    expect(() => new VolumeStatCalculator(new FakeStatsProvider(), podOf({}), options)).toThrow(
      new TypeError(message),
    );
  });
});
