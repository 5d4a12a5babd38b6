import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CachedMetrics } from '../../src/providers/cached-metrics.js';
import { MetricsNil } from '../../src/providers/metrics-nil.js';
import type { CollectionOptions } from '../../src/stats/collection-options.js';
import type { CollectMessage } from '../../src/stats/collection.js';
import { conditionChange, type ConditionChange } from '../../src/stats/condition-change.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { PodVolumeStats } from '../../src/stats/volume-stats.js';
import { FakeMetrics, type FakeStep } from '../../src/testing/fake-metrics.js';
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

function analyzerOf(
  volumes: NonNullable<FakePod['volumes']>,
  options: CollectionOptions,
): FsResourceAnalyzer {
  return new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'web', volumes }]), options);
}

describe('onConditionChange', () => {
  const abnormal = (message: string): FakeStep => ({ condition: { abnormal: true, message } });
  const healthy: FakeStep = { condition: { abnormal: false, message: 'fine' } };

  /** What is told of a volume with these readings, one a round. */
  async function told(script: readonly FakeStep[]): Promise<ConditionChange[]> {
    const changes: ConditionChange[] = [];
    const analyzer = analyzerOf(
      { vol0: new FakeMetrics({ script }) },
      { onConditionChange: (each) => changes.push(each) },
    );
    let rounds = script.length;
    while (rounds-- > 0) await analyzer.calculate();
    return changes;
  }

  test('is called once at the onset and once at recovery, not in between', async () => {
    const changes = await told([abnormal('M'), abnormal('M'), abnormal('M'), healthy, healthy]);
    expect(changes).toMatchObject([
      {
        type: 'onset',
        podRef: { uid: 'web-uid', namespace: 'default', name: 'web' },
        volume: { name: 'vol0', state: 'ok', metrics: { condition: { abnormal: true } } },
        condition: { abnormal: true, message: 'M' },
        message: 'Volume vol0: M',
      },
      {
        type: 'recovery',
        condition: { abnormal: false, message: 'fine' },
        previous: { abnormal: true, message: 'M' },
        message: 'Volume vol0: fine',
      },
    ]);
    expect(changes[0]).not.toHaveProperty('previous');
  });

  test('a failure, or a reading without a verdict, does not take the verdict back', async () => {
    const changes = await told([
      abnormal('M'),
      new Error('rpc'),
      { used: 1n },
      abnormal('M'),
      new Error('rpc'),
      healthy,
    ]);
    expect(changes.map(({ type }) => type)).toEqual(['onset', 'recovery']);
  });

  test('another reason is a change, and a volume that is healthy from the start is not', async () => {
    expect(
      (await told([healthy, abnormal('A'), abnormal('B'), healthy, abnormal('A')])).map(
        ({ type, message }) => [type, message],
      ),
    ).toEqual([
      ['onset', 'Volume vol0: A'],
      ['change', 'Volume vol0: B'],
      ['recovery', 'Volume vol0: fine'],
      ['onset', 'Volume vol0: A'],
    ]);
    expect(await told([healthy, healthy, { used: 1n }])).toEqual([]);
  });

  test('problems are compared as a set', () => {
    const condition = (...reasons: string[]) => ({
      abnormal: true,
      message: 'm',
      problems: reasons.map((reason) => ({ status: 'DEGRADED', reason, message: '' })),
    });
    expect(conditionChange(condition('a', 'b'), condition('b', 'a'))).toBeUndefined();
    expect(conditionChange(condition('a', 'b'), condition('a'))).toBe('change');
    expect(conditionChange(undefined, condition('a'))).toBe('onset');
  });

  test('a volume that replaces another one has no earlier verdict', async () => {
    const changes: string[] = [];
    const statsProvider = new FakeStatsProvider([
      { name: 'web', volumes: { vol0: new FakeMetrics({ script: [abnormal('M')] }) } },
    ]);
    const analyzer = new FsResourceAnalyzer(statsProvider, {
      onConditionChange: ({ type }) => changes.push(type),
    });
    await analyzer.calculate();
    statsProvider.removePod('web-uid');
    await analyzer.calculate();
    statsProvider.addPod({ name: 'web', volumes: { vol0: new FakeMetrics({ script: [healthy] }) } });
    await analyzer.calculate();
    expect(changes).toEqual(['onset']);
  });
});

describe('onCollected', () => {
  test('is called for each round of a pod, and for each later answer', async () => {
    const collected: PodVolumeStats[] = [];
    const deaf = new DeafProvider();
    await using analyzer = analyzerOf(
      { data: new FakeMetrics(), deaf },
      { onCollected: (stats) => collected.push(stats) },
    );
    analyzer.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(collected.map(states)).toEqual([{ data: 'ok', deaf: 'stuck' }]);
    expect(collected[0]).toBe(analyzer.getPodVolumeStats('web-uid'));
    await vi.advanceTimersByTimeAsync(20_000);
    deaf.calls[0]!.resolve({ time: new Date(), source: 'deaf' });
    await vi.advanceTimersByTimeAsync(0);
    expect(collected.map(states)).toEqual([
      { data: 'ok', deaf: 'stuck' },
      { data: 'ok', deaf: 'ok' },
    ]);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(collected.length).toBeGreaterThan(2);
  });

  test('is called for a walk that outlives its round when the walk ends', async () => {
    const collected: PodVolumeStats[] = [];
    const walk = new FakeMetrics({ name: 'du', script: [{ delayMs: 30_000 }] });
    await using analyzer = analyzerOf(
      { data: new FakeMetrics(), walk },
      { onCollected: (stats) => collected.push(stats) },
    );
    analyzer.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(collected.map(states)).toEqual([{ data: 'ok', walk: 'pending' }]);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(collected.map(states)).toEqual([
      { data: 'ok', walk: 'pending' },
      { data: 'ok', walk: 'ok' },
    ]);
  });

  function states({ ephemeralVolumes }: PodVolumeStats): Record<string, string> {
    return Object.fromEntries(ephemeralVolumes.map(({ name, state }) => [name, state]));
  }
});

describe('a callback that fails', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('mine');
      },
    ],
    ['rejects', () => Promise.reject(new Error('mine'))],
  ])('and %s becomes a warning, once, and breaks nothing', async (_how, callback) => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const step: FakeStep = { condition: { abnormal: true, message: 'M' } };
    const statsProvider = new FakeStatsProvider([
      { name: 'web', volumes: { data: new FakeMetrics({ script: [step] }) } },
    ]);
    const failing = callback as () => void;
    const analyzer = new FsResourceAnalyzer(statsProvider, {
      onCollected: failing,
      onConditionChange: failing,
      onError: failing,
    });
    for (let round = 0; round < 3; round += 1) {
      expect(await analyzer.calculate()).toMatchObject([{ ephemeralVolumes: [{ state: 'ok' }] }]);
    }
    statsProvider.listPods({ error: new Error('down') });
    await expect(analyzer.calculate()).rejects.toThrow('down');
    await vi.advanceTimersByTimeAsync(0);
    expect(emitWarning.mock.calls).toEqual([
      ['onConditionChange failed: mine', 'KubeVolumeMetricsWarning'],
      ['onCollected failed: mine', 'KubeVolumeMetricsWarning'],
      ['onError failed: mine', 'KubeVolumeMetricsWarning'],
    ]);
  });

  test('isWalk too, and then the volume does not count as a walk', async () => {
    const errors: string[] = [];
    const analyzer = analyzerOf(
      { data: new FakeMetrics() },
      {
        isWalk: () => {
          throw new Error('mine');
        },
        onError: ({ message }) => errors.push(message),
      },
    );
    expect(await analyzer.calculate()).toMatchObject([{ ephemeralVolumes: [{ state: 'ok' }] }]);
    expect(errors).toEqual(['isWalk failed: mine']);
  });
});

describe('the diagnostics channel', () => {
  test('carries each attempt, and each overdue call', async () => {
    const messages: CollectMessage[] = [];
    const listener = (message: unknown): void => void messages.push(message as CollectMessage);
    subscribe('kube-volume-metrics:collect', listener);
    try {
      const deaf = new DeafProvider();
      const analyzer = analyzerOf(
        {
          data: new FakeMetrics({ script: [{ delayMs: 100 }] }),
          bad: new FakeMetrics({ script: [new Error('x')] }),
          deaf,
        },
        {},
      );
      void analyzer.calculate();
      await vi.advanceTimersByTimeAsync(10_000);
      deaf.calls[0]!.resolve({ time: new Date(), source: 'deaf' });
      await vi.advanceTimersByTimeAsync(0);
    } finally {
      unsubscribe('kube-volume-metrics:collect', listener);
    }
    const podRef = { uid: 'web-uid', namespace: 'default', name: 'web' };
    expect(messages).toMatchObject([
      { podRef, volume: { name: 'bad', state: 'failed' } },
      { podRef, volume: { name: 'data', state: 'ok', durationMs: 100 } },
      { podRef, volume: { name: 'deaf', state: 'stuck' } },
      { podRef, volume: { name: 'deaf', state: 'ok', durationMs: 10_000 } },
    ]);
  });
});

test('durations are added up by the name of the provider, also those of failures', async () => {
  const analyzer = analyzerOf(
    {
      quick: new FakeMetrics({ name: 'statfs', script: [{ delayMs: 5 }] }),
      slower: new FakeMetrics({ name: 'statfs', script: [{ delayMs: 200 }] }),
      failing: new FakeMetrics({ name: 'csi', script: [{ error: new Error('x'), delayMs: 8_000 }] }),
      long: new FakeMetrics({ name: 'du', script: [{ delayMs: 12_000 }] }),
    },
    {},
  );
  void analyzer.calculate();
  await vi.advanceTimersByTimeAsync(MINUTE);
  const durations = analyzer.collectionDurations();
  expect([...durations.keys()].sort()).toEqual(['csi', 'du', 'statfs']);
  expect(durations.get('statfs')).toMatchObject({ count: 2, sumSeconds: expect.closeTo(0.205) as number });
  expect(durations.get('statfs')?.buckets.map(({ leSeconds, count }) => [leSeconds, count])).toEqual([
    [0.005, 1],
    [0.01, 1],
    [0.025, 1],
    [0.05, 1],
    [0.1, 1],
    [0.25, 2],
    [0.5, 2],
    [1, 2],
    [2.5, 2],
    [5, 2],
    [10, 2],
  ]);
  expect(
    durations
      .get('csi')
      ?.buckets.slice(-2)
      .map(({ count }) => count),
  ).toEqual([0, 1]);
  expect(durations.get('du')).toMatchObject({ count: 1, sumSeconds: 12 });
  expect(durations.get('du')?.buckets.at(-1)?.count).toBe(0);
});

test('durations are those of calls that measured: not of cached answers, nor of volumes without metrics', async () => {
  const measured = new FakeMetrics({ name: 'du', script: [{ delayMs: 20 }] });
  const analyzer = analyzerOf({ cached: new CachedMetrics(measured), none: new MetricsNil() }, {});
  void analyzer.calculate();
  await vi.advanceTimersByTimeAsync(MINUTE);
  void analyzer.calculate();
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(analyzer.getPodVolumeStats('web-uid')?.ephemeralVolumes.map(({ state }) => state)).toEqual([
    'ok',
    'unsupported',
  ]);
  expect([...analyzer.collectionDurations()].map(([name, { count }]) => [name, count])).toEqual([['du', 1]]);
});
