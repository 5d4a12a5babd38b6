import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { MetricsProvider } from '../../src/metrics.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
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

function volumesOf(analyzer: FsResourceAnalyzer): VolumeStats[] {
  return analyzer.podVolumeStats().flatMap((each) => [...each.ephemeralVolumes, ...each.persistentVolumes]);
}

/** How old the newest reading of a volume is now. */
function ageMs({ metrics }: VolumeStats): number {
  return metrics === undefined ? Infinity : Date.now() - metrics.time.getTime();
}

/** Counts how many calls are out at once. */
class Gate {
  out = 0;
  most = 0;
  calls = 0;

  provider(delayMs: number, name = 'slow'): MetricsProvider {
    return {
      name,
      getMetrics: async () => {
        this.calls += 1;
        this.out += 1;
        this.most = Math.max(this.most, this.out);
        const time = new Date();
        await new Promise((resolve) => setTimeout(resolve, delayMs));
        this.out -= 1;
        return { time, source: name };
      },
    };
  }
}

describe('pods', () => {
  test('are listed every period, without a random part', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.999);
    const statsProvider = new FakeStatsProvider();
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(statsProvider.calls).toBe(11);
  });

  test('that are listed after a stop are dropped, and the calculation ends at once', async () => {
    const statsProvider = new FakeStatsProvider([{ name: 'late', volumes: { data: new FakeMetrics() } }]);
    statsProvider.listPods('hang');
    const analyzer = new FsResourceAnalyzer(statsProvider);
    const calculated = vi.fn();
    void analyzer.calculate().then(calculated);
    await vi.advanceTimersByTimeAsync(0);
    await analyzer.stop();
    await vi.advanceTimersByTimeAsync(0);
    expect(calculated).toHaveBeenCalledExactlyOnceWith([]);
    statsProvider.listPods(undefined);
    await vi.advanceTimersByTimeAsync(0);
    expect(analyzer.podVolumeStats()).toEqual([]);
  });

  test('are known once they were listed, and no others', async () => {
    const analyzer = new FsResourceAnalyzer(
      new FakeStatsProvider([
        { name: 'web', volumes: { data: new FakeMetrics({ script: [{ used: 7n }] }) } },
      ]),
    );
    expect(analyzer.getPodVolumeStats('web-uid')).toBeUndefined();
    analyzer.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(analyzer.getPodVolumeStats('web-uid')).toEqual({
      podRef: { uid: 'web-uid', namespace: 'default', name: 'web' },
      ephemeralVolumes: [
        {
          name: 'data',
          kind: 'emptyDir',
          provider: 'fake',
          state: 'ok',
          metrics: { time: START, source: 'fake', used: 7n },
          attemptedAt: START,
          durationMs: 0,
        },
      ],
      persistentVolumes: [],
    });
    expect(analyzer.getPodVolumeStats('other')).toBeUndefined();
    await analyzer.stop();
  });

  test('are added, removed, added again and changed between rounds', async () => {
    const data = new FakeMetrics();
    const statsProvider = new FakeStatsProvider([{ name: 'a', volumes: { data } }]);
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(0);
    const names = (): string[] => analyzer.podVolumeStats().map(({ podRef }) => podRef.name);
    expect(names()).toEqual(['a']);

    statsProvider.addPod({ name: 'b', volumes: { data } });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(names()).toEqual(['a', 'b']);

    statsProvider.removePod('a-uid');
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(names()).toEqual(['b']);
    const calls = data.calls;
    statsProvider.removePod('b-uid');
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(analyzer.podVolumeStats()).toEqual([]);
    expect(data.calls).toBeLessThanOrEqual(calls + 1);

    statsProvider.addPod({ name: 'a', volumes: { data } });
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(volumesOf(analyzer)).toMatchObject([{ name: 'data', state: 'ok' }]);

    statsProvider.addPod({ name: 'a', volumes: { fresh: { provider: data, spec: { secret: {} } } } });
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(volumesOf(analyzer)).toMatchObject([{ name: 'fresh', kind: 'secret', state: 'ok' }]);
  });

  test('a volume that leaves the spec and is still listed has no kind and no claim any more', async () => {
    const metadata = { uid: '1', name: 'a', namespace: 'n' };
    let volumes: Pod['spec']['volumes'] = [{ name: 'data', persistentVolumeClaim: { claimName: 'c' } }];
    const analyzer = new FsResourceAnalyzer({
      getPods: () => [{ metadata, spec: { volumes } }],
      listVolumesForPod: () => new Map([['data', new FakeMetrics()]]),
    });
    await analyzer.calculate();
    expect(volumesOf(analyzer)).toMatchObject([{ kind: 'persistentVolumeClaim', pvcRef: { name: 'c' } }]);
    volumes = [];
    await analyzer.calculate();
    expect(volumesOf(analyzer)).toMatchObject([{ name: 'data', kind: 'unknown', state: 'ok' }]);
    expect(volumesOf(analyzer)[0]).not.toHaveProperty('pvcRef');
  });

  test('a pod that is removed and comes back makes no second call to a volume that hangs', async () => {
    const deaf = new DeafProvider();
    const statsProvider = new FakeStatsProvider([{ name: 'a', volumes: { deaf } }]);
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(0);
    for (let round = 0; round < 5; round += 1) {
      statsProvider.removePod('a-uid');
      await vi.advanceTimersByTimeAsync(MINUTE);
      expect(analyzer.podVolumeStats()).toEqual([]);
      statsProvider.addPod({ name: 'a', volumes: { deaf } });
      await vi.advanceTimersByTimeAsync(MINUTE);
      expect(volumesOf(analyzer)).toMatchObject([{ state: 'stuck', error: { stuckSince: START } }]);
    }
    expect(deaf.calls).toHaveLength(1);
    deaf.calls[0]!.resolve({ time: new Date(), source: 'deaf' });
    await vi.advanceTimersByTimeAsync(0);
    expect(volumesOf(analyzer)).toMatchObject([{ state: 'ok' }]);
  });

  test('of one name in two namespaces are kept apart, and so are volumes of one name in two pods', async () => {
    const pods: FakePod[] = ['one', 'two'].map((namespace, index) => ({
      name: 'web',
      namespace,
      uid: namespace,
      volumes: { data: new FakeMetrics({ script: [{ used: BigInt(index) }] }) },
    }));
    const analyzer = new FsResourceAnalyzer(new FakeStatsProvider(pods));
    await analyzer.calculate();
    expect(volumesOf(analyzer).map(({ metrics }) => metrics?.used)).toEqual([0n, 1n]);
  });
});

describe('a stats provider that fails', () => {
  const web: FakePod = { name: 'web', volumes: { data: new FakeMetrics() } };

  test('to list the pods: the known pods go on, and onError is called once per outage', async () => {
    const onError = vi.fn<(error: Error) => void>();
    const statsProvider = new FakeStatsProvider([web]);
    await using analyzer = new FsResourceAnalyzer(statsProvider, { onError });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(0);
    const down = new Error('api is down');
    statsProvider.listPods({ error: down });
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(onError.mock.calls).toMatchObject([
      [{ code: 'METRICS_PROVIDER_FAILED', message: 'getPods failed: api is down', cause: down }],
    ]);
    expect(volumesOf(analyzer).map(ageMs)[0]).toBeLessThanOrEqual(MINUTE);
    statsProvider.listPods(undefined);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    statsProvider.listPods({ error: down });
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(onError).toHaveBeenCalledTimes(2);
  });

  test('by hanging: asked once, reported once, the known pods go on, the late answer is used', async () => {
    const onError = vi.fn<(error: Error) => void>();
    const statsProvider = new FakeStatsProvider([web]);
    await using analyzer = new FsResourceAnalyzer(statsProvider, { onError });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(30_000);
    statsProvider.listPods('hang');
    statsProvider.addPod({ name: 'new', volumes: { data: new FakeMetrics() } });
    await vi.advanceTimersByTimeAsync(20 * MINUTE);
    expect(statsProvider.calls).toBe(2);
    expect(onError.mock.calls).toMatchObject([
      [{ code: 'METRICS_TIMED_OUT', message: 'getPods has not answered since 2026-01-01T00:01:00.000Z' }],
    ]);
    expect(volumesOf(analyzer).map(ageMs)[0]).toBeLessThanOrEqual(MINUTE);
    statsProvider.listPods(undefined);
    await vi.advanceTimersByTimeAsync(100);
    expect(volumesOf(analyzer)).toHaveLength(2);
  });

  test.each([undefined, null, {}, 'pods', new Map()])('by giving no array: %s', async (value) => {
    const analyzer = new FsResourceAnalyzer(
      { getPods: () => value as never, listVolumesForPod: () => undefined },
      { onError: () => undefined },
    );
    await expect(analyzer.calculate()).rejects.toMatchObject({
      code: 'METRICS_PROVIDER_FAILED',
      message: 'getPods did not give an array of pods',
      cause: value,
    });
  });

  test('by throwing', async () => {
    const thrown = new Error('sync');
    const getPods = (): never => {
      throw thrown;
    };
    const analyzer = new FsResourceAnalyzer(
      { getPods, listVolumesForPod: () => undefined },
      { onError: () => undefined },
    );
    await expect(analyzer.calculate()).rejects.toMatchObject({
      code: 'METRICS_PROVIDER_FAILED',
      cause: thrown,
    });
  });

  test('by giving invalid or duplicate pods: the others are measured, and it is reported once', async () => {
    const onError = vi.fn<(error: Error) => void>();
    const good: Pod = {
      metadata: { uid: '1', name: 'good', namespace: 'n' },
      spec: { volumes: [{ name: 'v' }] },
    };
    const again: Pod = { metadata: { uid: '1', name: 'again', namespace: 'n' }, spec: {} };
    const odd = { metadata: Object.create(null) as object, spec: { volumes: 7 } };
    const pods = [null, { metadata: { name: 'x', namespace: 'n' }, spec: {} }, good, again, odd, 7];
    await using analyzer = new FsResourceAnalyzer(
      { getPods: () => pods as never, listVolumesForPod: () => new Map([['v', new FakeMetrics()]]) },
      { onError },
    );
    analyzer.start();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(analyzer.podVolumeStats()).toMatchObject([
      { podRef: { name: 'good' }, persistentVolumes: [{ name: 'v', state: 'ok' }] },
    ]);
    expect(onError.mock.calls.map(([error]) => error.message)).toEqual([
      'getPods gave a pod that is null, a pod without uid (n/x), two pods with the uid 1 and 2 more; left out',
    ]);
  });

  test('by giving pods that throw when read: the others are measured', async () => {
    const onError = vi.fn<(error: Error) => void>();
    const { proxy, revoke } = Proxy.revocable<Pod>({} as Pod, {});
    revoke();
    const good: Pod = {
      metadata: { uid: '1', name: 'good', namespace: 'n' },
      spec: { volumes: [{ name: 'v' }] },
    };
    const analyzer = new FsResourceAnalyzer(
      { getPods: () => [proxy, good], listVolumesForPod: () => new Map([['v', new FakeMetrics()]]) },
      { onError },
    );
    expect(await analyzer.calculate()).toMatchObject([
      { podRef: { name: 'good' }, persistentVolumes: [{ name: 'v', state: 'ok' }] },
    ]);
    expect(onError.mock.calls.map(([error]) => error.message)).toEqual([
      expect.stringMatching(/^getPods gave a pod that cannot be read \(.*revoked.*\); left out$/),
    ]);
  });

  test('without onError becomes a warning of the process', async () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const statsProvider = new FakeStatsProvider();
    statsProvider.listPods({ error: new Error('api is down') });
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(5 * MINUTE);
    expect(emitWarning.mock.calls).toEqual([['getPods failed: api is down', 'KubeVolumeMetricsWarning']]);
  });

  test('becomes a warning whose control characters are escaped', async () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const statsProvider = new FakeStatsProvider();
    statsProvider.listPods({ error: new Error('no\u202e api\n\u001b[31mforged line') });
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(emitWarning.mock.calls).toEqual([
      [String.raw`getPods failed: no\u202e api\n\x1b[31mforged line`, 'KubeVolumeMetricsWarning'],
    ]);
  });

  test('makes a calculation reject if the pods are not listed in time', async () => {
    const statsProvider = new FakeStatsProvider();
    statsProvider.listPods('hang');
    const analyzer = new FsResourceAnalyzer(statsProvider, { onError: () => undefined });
    const calculation = expect(analyzer.calculate()).rejects.toMatchObject({ code: 'METRICS_TIMED_OUT' });
    await vi.advanceTimersByTimeAsync(10_000);
    await calculation;
  });
});

describe('start and stop', () => {
  test.each([0, -5])(
    'a period of %d disables the rounds, and a calculation still measures',
    async (periodMs) => {
      const statsProvider = new FakeStatsProvider([{ name: 'web', volumes: { data: new FakeMetrics() } }]);
      const analyzer = new FsResourceAnalyzer(statsProvider, { periodMs });
      analyzer.start();
      await vi.advanceTimersByTimeAsync(10 * MINUTE);
      expect(statsProvider.calls).toBe(0);
      expect(await analyzer.calculate()).toMatchObject([{ ephemeralVolumes: [{ state: 'ok' }] }]);
      await vi.advanceTimersByTimeAsync(10 * MINUTE);
      expect(statsProvider.calls).toBe(1);
    },
  );

  test.each([NaN, Infinity, 2 ** 31])('a period of %d is refused', (periodMs) => {
    expect(() => new FsResourceAnalyzer(new FakeStatsProvider(), { periodMs })).toThrow(TypeError);
  });

  test('a stop does not wait and may come twice, and nothing is stored after it', async () => {
    const deaf = new DeafProvider();
    const onCollected = vi.fn();
    const statsProvider = new FakeStatsProvider([
      { name: 'web', volumes: { deaf, data: new FakeMetrics({ script: [{ delayMs: 500 }] }) } },
    ]);
    const analyzer = new FsResourceAnalyzer(statsProvider, { onCollected });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(100);
    await Promise.all([analyzer.stop(), analyzer.stop()]);
    const after = analyzer.podVolumeStats();
    deaf.calls[0]!.resolve({ time: new Date(), source: 'deaf' });
    await vi.advanceTimersByTimeAsync(60 * MINUTE);
    expect(analyzer.podVolumeStats()).toEqual(after);
    expect(volumesOf(analyzer).map(({ state }) => state)).toEqual(['pending', 'pending']);
    expect([onCollected.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0]);
  });

  test('a stop while the pods are listed ends a calculation without measuring', async () => {
    const data = new FakeMetrics();
    const statsProvider = new FakeStatsProvider([{ name: 'web', volumes: { data } }]);
    const analyzer = new FsResourceAnalyzer(statsProvider);
    await analyzer.calculate();
    statsProvider.listPods('hang');
    const calculation = analyzer.calculate();
    await vi.advanceTimersByTimeAsync(100);
    await analyzer.stop();
    statsProvider.listPods(undefined);
    await calculation;
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(data.calls).toBe(1);
  });

  test('a provider that is asked may stop the analyzer: then its answer is not stored', async () => {
    const stopping: MetricsProvider = {
      name: 'stopping',
      getMetrics: () => {
        void analyzer.stop();
        return Promise.resolve({ time: new Date(), source: 'stopping' });
      },
    };
    const statsProvider = new FakeStatsProvider([{ name: 'web', volumes: { stopping } }]);
    const pods = vi.spyOn(statsProvider, 'getPods').mockImplementationOnce(() => {
      void analyzer.stop();
      return Promise.resolve([]);
    });
    const analyzer = new FsResourceAnalyzer(statsProvider);
    await analyzer.calculate();
    analyzer.start();
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(pods).toHaveBeenCalledTimes(2);
    expect(volumesOf(analyzer).map(({ state }) => state)).toEqual(['pending']);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('it can be started again, and a second start does nothing', async () => {
    const data = new FakeMetrics();
    const analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'web', volumes: { data } }]));
    analyzer.start();
    await vi.advanceTimersByTimeAsync(MINUTE - 1);
    await analyzer.stop();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(data.calls).toBe(1);
    analyzer.start();
    analyzer.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(data.calls).toBe(2);
    expect(volumesOf(analyzer).map(ageMs)).toEqual([0]);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(data.calls).toBe(3);
    await analyzer[Symbol.asyncDispose]();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(data.calls).toBe(3);
  });
});

describe('many volumes', () => {
  test(
    '1,000 pods started at once never exceed the limit of calls, and all are measured',
    { timeout: 60_000 },
    async () => {
      const gate = new Gate();
      const provider = gate.provider(2_000);
      const pods = Array.from({ length: 1_000 }, (_, index) => ({
        name: `p${String(index)}`,
        volumes: { data: provider },
      }));
      await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider(pods), {
        concurrency: 50,
        periodMs: 10 * MINUTE,
      });
      analyzer.start();
      await vi.advanceTimersByTimeAsync(10_000);
      expect(gate.most).toBe(50);
      await vi.advanceTimersByTimeAsync(50_000);
      expect(volumesOf(analyzer).every(({ state }) => state === 'ok')).toBe(true);
      expect([gate.most, gate.calls]).toEqual([50, 1_000]);
    },
  );

  test('pods that are listed together start one after the other, within a hundredth of the period (kubernetes#103728)', async () => {
    const begun: number[] = [];
    const provider: MetricsProvider = {
      name: 'noting',
      getMetrics: () => {
        begun.push(Date.now() - +START);
        return Promise.resolve({ time: new Date(), source: 'noting' });
      },
    };
    const pods = Array.from({ length: 100 }, (_, index) => ({
      name: `p${String(index)}`,
      volumes: { data: provider },
    }));
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider(pods));
    analyzer.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(begun).toEqual(Array.from({ length: 100 }, (_, index) => index));
    await using quick = new FsResourceAnalyzer(new FakeStatsProvider(pods), { periodMs: 1_000 });
    begun.length = 0;
    quick.start();
    await vi.advanceTimersByTimeAsync(10);
    expect(begun.length).toBeGreaterThanOrEqual(100);
  });

  test(
    '250 pods with 8 volumes, 30 of which never answer: all others are fresh each period',
    { timeout: 60_000 },
    async () => {
      const stuck = new Set(Array.from({ length: 30 }, (_, index) => index * 61));
      const deaf = new DeafProvider();
      const pods = Array.from({ length: 250 }, (_pod, pod) => ({
        name: `p${String(pod)}`,
        volumes: Object.fromEntries(
          Array.from({ length: 8 }, (_volume, index) => [
            `v${String(index)}`,
            stuck.has(pod * 8 + index) ? deaf : new FakeMetrics({ script: [{ delayMs: 20 }] }),
          ]),
        ),
      }));
      vi.mocked(Math.random).mockRestore();
      await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider(pods));
      analyzer.start();
      for (let minute = 0; minute < 5; minute += 1) {
        await vi.advanceTimersByTimeAsync(MINUTE);
        const volumes = volumesOf(analyzer);
        const isDeaf = ({ provider }: VolumeStats): boolean => provider === 'deaf';
        expect(volumes).toHaveLength(2_000);
        expect(volumes.filter((each) => !isDeaf(each) && each.state !== 'ok')).toEqual([]);
        // A period, doubled at most, a spread start, and a moment to get a place.
        expect(Math.max(...volumes.filter((each) => !isDeaf(each)).map(ageMs))).toBeLessThan(
          2 * MINUTE + 11_000,
        );
        expect(volumes.filter((each) => isDeaf(each) && each.state === 'stuck')).toHaveLength(30);
      }
      expect(deaf.calls).toHaveLength(30);
    },
  );

  test('a storage that answers late for all its volumes leaves room for the others', async () => {
    // Each call comes back after its limit: 40 of them would hold the 8 places for 50 seconds of every
    // minute.
    const late = new Gate();
    const pods = Array.from({ length: 40 }, (_, index) => ({
      name: `p${String(index)}`,
      volumes: { late: late.provider(15_000), good: new FakeMetrics() },
    }));
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider(pods), { concurrency: 8 });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(5 * MINUTE);
    for (let minute = 0; minute < 10; minute += 1) {
      await vi.advanceTimersByTimeAsync(MINUTE);
      const good = volumesOf(analyzer).filter(({ name }) => name === 'good');
      expect(Math.max(...good.map(ageMs))).toBeLessThan(2 * MINUTE);
    }
  });

  test(
    'memory is flat over 1,000 rounds with volumes that never answer and pods that come and go',
    { timeout: 60_000 },
    async () => {
      const deaf = new DeafProvider();
      const good = new FakeMetrics();
      const pods = Array.from({ length: 20 }, (_, index) => ({
        name: `p${String(index)}`,
        volumes: { good, other: good, ...(index % 5 === 0 && { deaf }) },
      }));
      const statsProvider = new FakeStatsProvider(pods);
      await using analyzer = new FsResourceAnalyzer(statsProvider);
      analyzer.start();
      // A spy remembers its calls.
      vi.mocked(Math.random).mockRestore();
      const rounds = async (count: number): Promise<number> => {
        for (let round = 0; round < count; round += 1) {
          statsProvider.removePod('guest-uid');
          if (round % 2 === 0) statsProvider.addPod({ name: 'guest', volumes: { deaf, good } });
          await vi.advanceTimersByTimeAsync(MINUTE);
        }
        return heapUsed();
      };
      const before = await rounds(200);
      const after = await rounds(1_000);
      expect(after - before).toBeLessThan(500_000);
      expect(deaf.calls).toHaveLength(5);
    },
  );
});

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** Node has it only with --expose-gc, which can be said later too. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
}
