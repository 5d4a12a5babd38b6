import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MetricsError } from '../../src/errors.js';
import type { Metrics, MetricsProvider } from '../../src/metrics.js';
import type { CollectionOptions } from '../../src/stats/collection-options.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { VolumeStats } from '../../src/stats/volume-stats.js';
import { onAbort } from '../../src/waiting/abort.js';
import { FakeMetrics } from '../../src/testing/fake-metrics.js';
import { FakeStatsProvider } from '../../src/testing/fake-stats-provider.js';
import { DeafProvider } from './deaf-provider.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A tree that takes so long to walk; notes when it was walked to its end, and when until its signal. */
class Walk implements MetricsProvider {
  readonly walks: { readonly from: number; readonly to: number }[] = [];
  readonly stopped: { readonly from: number; readonly to: number }[] = [];
  readonly #delayMs: number;

  constructor(
    delayMs: number,
    readonly name = 'du',
    readonly source = name,
  ) {
    this.#delayMs = delayMs;
  }

  async getMetrics({ signal }: { signal?: AbortSignal } = {}): Promise<Metrics> {
    const time = new Date();
    await new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, this.#delayMs);
      onAbort(signal, (reason) => {
        clearTimeout(timer);
        this.stopped.push({ from: +time, to: Date.now() });
        reject(reason);
      });
    });
    this.walks.push({ from: +time, to: Date.now() });
    return { time, source: this.source };
  }

  /** Milliseconds of walking that lie within a span of time. */
  within(from: number, to: number): number {
    return [...this.walks, ...this.stopped]
      .map((each) => Math.max(0, Math.min(to, each.to) - Math.max(from, each.from)))
      .reduce((sum, ms) => sum + ms, 0);
  }
}

/** Runs an analyzer over one pod for each tree. */
async function run(
  walks: readonly Walk[],
  ms: number,
  options: CollectionOptions = {},
): Promise<{ from: number; to: number }> {
  const pods = walks.map((walk, index) => ({ name: `p${String(index)}`, volumes: { tree: walk } }));
  await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider(pods), options);
  const from = Date.now();
  analyzer.start();
  await vi.advanceTimersByTimeAsync(ms);
  return { from, to: Date.now() };
}

const total = (walks: readonly Walk[], from: number, to: number): number =>
  walks.map((walk) => walk.within(from, to)).reduce((sum, ms) => sum + ms, 0);

/** The longest time between two walks, or from the last one to the end. */
const longestGap = ({ walks }: Walk, to: number): number =>
  Math.max(...walks.map((each, index) => (walks[index + 1]?.from ?? to) - each.to));

describe('all walks together', () => {
  test('take their share of wall time and no more, however many trees there are', async () => {
    const walks = Array.from({ length: 60 }, () => new Walk(500));
    const { from, to } = await run(walks, 2 * HOUR);
    const share = total(walks, from, to) / (to - from);
    expect(share).toBeLessThanOrEqual(0.0501);
    expect(share).toBeGreaterThan(0.04);
    expect(Math.min(...walks.map((each) => each.walks.length))).toBeGreaterThan(8);
  });

  test('never overlap if short, from the start on (kubernetes#103728)', async () => {
    const walks = Array.from({ length: 30 }, () => new Walk(100));
    await run(walks, 5 * MINUTE);
    const all = walks.flatMap((each) => each.walks).sort((one, other) => one.from - other.from);
    expect(all.length).toBeGreaterThan(60);
    expect(all.filter((each, index) => each.from < (all[index - 1]?.to ?? 0))).toEqual([]);
  });

  test('first give each tree a reading, one after the other, and pause after that', async () => {
    const walks = Array.from({ length: 30 }, () => new Walk(100));
    const { from } = await run(walks, 5 * MINUTE);
    const all = walks.flatMap((each) => each.walks).sort((one, other) => one.from - other.from);
    expect(all.slice(0, 30).map((each) => each.to - from)).toEqual(
      Array.from({ length: 30 }, (_, index) => (index + 1) * 100),
    );
    expect(walks.map((each) => each.walks[0])).toEqual(all.slice(0, 30));
    // 100 ms are 5 % of 2 s. Those that take less are found in the tests of the lane.
    const pauses = all.slice(31).map((each, index) => each.from - all[index + 30]!.to);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1_900);
  });

  test('follow each other at once with a share of 1', async () => {
    const walks = Array.from({ length: 30 }, () => new Walk(100));
    const { from } = await run(walks, MINUTE, { walkShare: 1 });
    expect(Math.max(...walks.map((each) => each.walks[0]!.to)) - from).toBeLessThan(5_000);
  });
});

describe('a long walk', () => {
  test('runs beside short ones, and not beside other long ones', async () => {
    const long = Array.from({ length: 6 }, () => new Walk(8_000));
    const short = Array.from({ length: 6 }, () => new Walk(900));
    const { to } = await run([...long, ...short], 20 * MINUTE, { walkShare: 1 });
    const spans = (walks: readonly Walk[]) => walks.flatMap((each) => [...each.walks, ...each.stopped]);
    const all = spans([...long, ...short]).sort((one, other) => one.from - other.from);
    const beside = all.map(({ from }) => all.filter((each) => each.from <= from && from < each.to).length);
    expect(Math.max(...beside)).toBe(2);
    expect(long.map((each) => each.walks.length > 1)).toEqual(Array(6).fill(true));
    const known = spans(long)
      .filter(({ from }) => from > to - 15 * MINUTE)
      .sort((one, other) => one.from - other.from);
    expect(known.length).toBeGreaterThan(10);
    expect(known.filter((each, index) => each.from < (known[index - 1]?.to ?? 0))).toEqual([]);
    expect(Math.max(...short.map((each) => longestGap(each, to)))).toBeLessThan(2 * MINUTE + 6_000);
  });

  test('lengthens its own period, and not that of short ones', async () => {
    const long = new Walk(60_000);
    const short = Array.from({ length: 20 }, () => new Walk(20));
    const { from, to } = await run([long, ...short], 6 * HOUR);
    const gap = longestGap(long, to);
    expect(long.walks.length).toBeGreaterThan(5);
    // 60 s at a bit less than 5 % of the time.
    expect(gap).toBeGreaterThan(19 * MINUTE);
    expect(gap).toBeLessThan(35 * MINUTE);
    // Those who wait, wait for a place, not for the debt of the long one.
    expect(Math.max(...short.map((each) => longestGap(each, to)))).toBeLessThan(3 * MINUTE);
    // In the long run: the one that began it all is not yet made up for by the rest after the last.
    expect((total([long, ...short], from, to) - 60_000) / (to - from)).toBeLessThanOrEqual(0.0501);
  });

  test('divides its share among the trees that are still there', async () => {
    const [stays, goes] = [new Walk(60_000), new Walk(60_000)];
    const statsProvider = new FakeStatsProvider([
      { name: 'stays', volumes: { tree: stays } },
      { name: 'goes', volumes: { tree: goes } },
    ]);
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect(goes.walks).toHaveLength(1);
    statsProvider.removePod('goes-uid');
    await vi.advanceTimersByTimeAsync(6 * HOUR);
    const gaps = stays.walks.slice(2).map(({ from }, index) => from - stays.walks[index + 1]!.to);
    expect(Math.max(...gaps)).toBeLessThan(25 * MINUTE);
  });

  test('is not stuck while it walks, and holds up neither its pod nor other walks', async () => {
    const long = new Walk(5 * MINUTE);
    const short = new Walk(10);
    const data = new FakeMetrics();
    const statsProvider = new FakeStatsProvider([
      { name: 'a', volumes: { long, data } },
      { name: 'b', volumes: { short } },
    ]);
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    const state = (pod: string, index: number): string | undefined =>
      analyzer.getPodVolumeStats(pod)?.ephemeralVolumes[index]?.state;
    analyzer.start();
    await vi.advanceTimersByTimeAsync(4 * MINUTE);
    expect([state('a-uid', 0), state('a-uid', 1), state('b-uid', 0)]).toEqual(['pending', 'ok', 'ok']);
    expect(data.calls).toBeGreaterThanOrEqual(2);
    await vi.advanceTimersByTimeAsync(MINUTE + 1);
    expect(state('a-uid', 0)).toBe('ok');
  });

  test('that never ends is stuck after its own limit', async () => {
    const deaf = new DeafProvider('du');
    const analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'a', volumes: { deaf } }]), {
      walkTimeoutMs: 10 * MINUTE,
    });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(10 * MINUTE - 1);
    expect(analyzer.podVolumeStats()).toMatchObject([{ ephemeralVolumes: [{ state: 'pending' }] }]);
    await vi.advanceTimersByTimeAsync(1);
    expect(analyzer.podVolumeStats()).toMatchObject([{ ephemeralVolumes: [{ state: 'stuck' }] }]);
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(deaf.calls).toHaveLength(1);
    await analyzer.stop();
  });
});

describe('an overdue walk', () => {
  const LIMIT = 20_000;
  const text = (name = 'du'): string =>
    `the walk of provider "${name}" took longer than walkTimeoutMs (20000 ms) and was aborted`;
  const hostile = (tree: MetricsProvider) => ['h1', 'h2'].map((name) => ({ name, volumes: { tree } }));
  const volumeOf = (analyzer: FsResourceAnalyzer, pod: string): VolumeStats =>
    analyzer.getPodVolumeStats(`${pod}-uid`)!.ephemeralVolumes[0]!;

  test('is aborted, and its volume is stuck with the reason', async () => {
    const tree = new FakeMetrics({ name: 'du', script: ['hang'] });
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'h', volumes: { tree } }]), {
      walkTimeoutMs: LIMIT,
    });
    analyzer.start();
    const since = new Date();
    await vi.advanceTimersByTimeAsync(LIMIT - 1);
    expect([volumeOf(analyzer, 'h').state, tree.hanging]).toEqual(['pending', 1]);
    await vi.advanceTimersByTimeAsync(1);
    expect(tree.hanging).toBe(0);
    expect(volumeOf(analyzer, 'h')).toMatchObject({
      state: 'stuck',
      error: { code: 'METRICS_TIMED_OUT', message: text() },
      attemptedAt: since,
      durationMs: LIMIT,
    });
    // Its walk was long, which does not mean that its volume does not answer.
    expect(volumeOf(analyzer, 'h').error).not.toHaveProperty('stuckSince');
  });

  test('gives its place to others at once, also if its provider ignores the signal', async () => {
    // Less than a walk may take while others wait.
    const limit = 600;
    for (const tree of [new FakeMetrics({ name: 'du', script: ['hang'] }), new DeafProvider('du')]) {
      const walks = Array.from({ length: 5 }, () => new Walk(10));
      const healthy = walks.map((walk, index) => ({ name: `p${String(index)}`, volumes: { walk } }));
      // With this share there are no pauses.
      await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([...hostile(tree), ...healthy]), {
        walkShare: 1,
        timeoutMs: 10 * MINUTE,
        walkTimeoutMs: limit,
      });
      const from = Date.now();
      analyzer.start();
      await vi.advanceTimersByTimeAsync(2 * limit - 1);
      expect(walks.flatMap((walk) => walk.walks)).toEqual([]);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(walks.map((walk) => walk.walks.length)).toEqual([1, 1, 1, 1, 1]);
      expect(walks[0]!.walks[0]!.from - from).toBe(2 * limit);
      expect(healthy.map(({ name }) => volumeOf(analyzer, name).state)).toEqual(Array(5).fill('ok'));
      expect(['h1', 'h2'].map((name) => volumeOf(analyzer, name).state)).toEqual(['stuck', 'stuck']);
    }
  });

  test('is followed by another one in a later round, within the share of all walks', async () => {
    const tree = new FakeMetrics({ name: 'du', script: ['hang', { used: 7n }] });
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'h', volumes: { tree } }]), {
      walkTimeoutMs: LIMIT,
    });
    analyzer.start();
    // 20 s are 5 % of 400 s.
    await vi.advanceTimersByTimeAsync(400_000 - 1);
    expect([tree.calls, volumeOf(analyzer, 'h').state]).toEqual([1, 'stuck']);
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(volumeOf(analyzer, 'h')).toMatchObject({ state: 'ok', metrics: { used: 7n } });
    expect(volumeOf(analyzer, 'h')).not.toHaveProperty('error');
  });

  test('that ends with another error than its abort keeps the reason', async () => {
    const deaf = new DeafProvider('du');
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'h', volumes: { deaf } }]), {
      walkTimeoutMs: LIMIT,
    });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(LIMIT);
    expect(deaf.calls[0]!.signal.reason).toMatchObject({ code: 'METRICS_TIMED_OUT', message: text() });
    deaf.calls[0]!.reject(new MetricsError('METRICS_USAGE_FAILED', 'du was killed'));
    await vi.advanceTimersByTimeAsync(0);
    expect(volumeOf(analyzer, 'h')).toMatchObject({
      state: 'stuck',
      error: { code: 'METRICS_TIMED_OUT', message: text() },
      durationMs: LIMIT,
    });
  });

  test('that ignores its signal costs no second call, and its late reading is taken', async () => {
    const deaf = new DeafProvider('du');
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'h', volumes: { deaf } }]), {
      walkTimeoutMs: LIMIT,
      walkShare: 1,
    });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(deaf.calls).toHaveLength(1);
    expect(volumeOf(analyzer, 'h').state).toBe('stuck');
    deaf.calls[0]!.resolve({ time: new Date(), source: 'du', used: 3n });
    await vi.advanceTimersByTimeAsync(0);
    expect(volumeOf(analyzer, 'h')).toMatchObject({ state: 'ok', metrics: { used: 3n }, durationMs: HOUR });
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(deaf.calls).toHaveLength(2);
  });

  test('that is still out after a stop and a start is still overdue, and is not made a second time', async () => {
    const deaf = new DeafProvider('du');
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'h', volumes: { deaf } }]), {
      walkTimeoutMs: LIMIT,
    });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(LIMIT);
    await analyzer.stop();
    analyzer.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(volumeOf(analyzer, 'h')).toMatchObject({ state: 'stuck', error: { message: text() } });
    deaf.calls[0]!.reject(deaf.calls[0]!.signal.reason);
    await vi.advanceTimersByTimeAsync(0);
    expect(volumeOf(analyzer, 'h')).toMatchObject({ state: 'stuck', error: { message: text() } });
    expect(deaf.calls).toHaveLength(1);
  });

  test('is not one that ends within walkTimeoutMs, however short timeoutMs is', async () => {
    const tree = new Walk(LIMIT - 1);
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'h', volumes: { tree } }]), {
      timeoutMs: 10,
      walkTimeoutMs: LIMIT,
    });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(LIMIT);
    expect(volumeOf(analyzer, 'h').state).toBe('ok');
  });
});

test('stuck volumes are walked again as soon as they answer, and do not hold up others until then', async () => {
  let isHeld = true;
  const held: MetricsProvider = {
    name: 'du',
    getMetrics: async () => {
      const time = new Date();
      if (!isHeld) return { time, source: 'du' };
      await new Promise((resolve) => setTimeout(resolve, 30_000));
      throw new MetricsError('METRICS_TIMED_OUT', 'stuck', { stuckSince: time });
    },
  };
  const pods = (name: string, count: number, tree: MetricsProvider) =>
    Array.from({ length: count }, (_, index) => ({ name: `${name}${String(index)}`, volumes: { tree } }));
  await using analyzer = new FsResourceAnalyzer(
    new FakeStatsProvider([...pods('held', 30, held), ...pods('good', 5, new Walk(10))]),
  );
  const volumes = (name: string): readonly VolumeStats[] =>
    analyzer
      .podVolumeStats()
      .flatMap(({ podRef, ephemeralVolumes }) => (podRef.name.startsWith(name) ? ephemeralVolumes : []));
  analyzer.start();
  // One after the other, they are found out.
  await vi.advanceTimersByTimeAsync(15 * MINUTE);
  for (let minute = 0; minute < 60; minute += 1) {
    await vi.advanceTimersByTimeAsync(MINUTE);
    const ages = volumes('good').map(({ metrics }) => Date.now() - (metrics?.time.getTime() ?? 0));
    expect(Math.max(...ages)).toBeLessThan(3 * MINUTE);
    expect(new Set(volumes('held').map(({ state }) => state))).toEqual(new Set(['stuck']));
  }
  isHeld = false;
  await vi.advanceTimersByTimeAsync(3 * MINUTE);
  expect(new Set(volumes('held').map(({ state }) => state))).toEqual(new Set(['ok']));
});

test('stuck volumes hold up healthy ones only until they are found stuck, two at a time', async () => {
  const stuck: MetricsProvider = {
    name: 'du',
    getMetrics: async () => {
      const stuckSince = new Date();
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      throw new MetricsError('METRICS_TIMED_OUT', 'stuck', { stuckSince });
    },
  };
  const walk = new Walk(10);
  const pods = Array.from({ length: 30 }, (_, index) => ({ name: `p${String(index)}`, volumes: { stuck } }));
  const statsProvider = new FakeStatsProvider([...pods, { name: 'last', volumes: { walk } }]);
  await using analyzer = new FsResourceAnalyzer(statsProvider);
  const start = Date.now();
  analyzer.start();
  await vi.advanceTimersByTimeAsync(2 * MINUTE);
  // 15 times two, of which the second begins a second later.
  expect(walk.walks[0]!.from - start).toBeLessThan(15 * 6_000 + 1_000);
});

test('a walk that ends because its volume got stuck costs only the time before that', async () => {
  const begun: number[] = [];
  const flaky: MetricsProvider = {
    name: 'du',
    getMetrics: async () => {
      begun.push(Date.now());
      await new Promise((resolve) => setTimeout(resolve, 60_000));
      throw new MetricsError('METRICS_TIMED_OUT', 'stuck', { stuckSince: new Date(Date.now() - 30_000) });
    },
  };
  const statsProvider = new FakeStatsProvider([{ name: 'a', volumes: { flaky } }]);
  await using analyzer = new FsResourceAnalyzer(statsProvider);
  analyzer.start();
  await vi.advanceTimersByTimeAsync(HOUR);
  const [first = 0, second = 0] = begun;
  // 30 s are 5 % of 10 minutes.
  expect(second - first).toBeGreaterThanOrEqual(10 * MINUTE);
  expect(second - first).toBeLessThan(13 * MINUTE);
});

describe('what is a walk', () => {
  test.each<[string, string, string, boolean, CollectionOptions]>([
    ['a provider named du', 'du', 'du', true, {}],
    ['one whose readings come from du, from its second call on', 'mine', 'du', true, {}],
    ['no other', 'mine', 'mine', false, {}],
    ['one that a hook says is', 'mine', 'mine', true, { isWalk: ({ name }) => name === 'mine' }],
    ['not one that a hook says is not', 'du', 'du', false, { isWalk: () => false }],
  ])('%s', async (_title, name, source, isWalk, options) => {
    const walk = new Walk(9_000, name, source);
    await run([walk], HOUR, options);
    // 9 s each: at 5 % once in three minutes, otherwise once in two at the least.
    if (isWalk) expect(walk.walks.length).toBeLessThan(HOUR / (3 * MINUTE) + 2);
    else expect(walk.walks.length).toBeGreaterThan(HOUR / (2 * MINUTE + 9_000) - 2);
  });
});
