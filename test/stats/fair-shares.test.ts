import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MetricsError } from '../../src/errors.js';
import type { Metrics, MetricsProvider } from '../../src/metrics.js';
import type { CollectionOptions } from '../../src/stats/collection-options.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { VolumeStats } from '../../src/stats/volume-stats.js';
import { FakeStatsProvider } from '../../src/testing/fake-stats-provider.js';
import { onAbort } from '../../src/waiting/abort.js';
import { noteWork } from '../../src/waiting/work.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What happened, in order: `begin h3`, `end h3`, `stop h3`. */
let events: string[];

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') });
  events = [];
});
afterEach(() => {
  vi.useRealTimers();
});

interface TreeOptions {
  /** Milliseconds that a walk takes, at work or not. */
  readonly ms: number;
  /** Milliseconds of work in each 100 ms, which it notes. */
  readonly workMs?: number;
  /** Whether a walk goes on when its signal is aborted. */
  readonly isDeaf?: boolean;
}

/** A tree whose walks are written to the list of events. */
function tree(name: string, { ms, workMs, isDeaf = false }: TreeOptions): MetricsProvider {
  return {
    name: 'du',
    getMetrics: ({ signal } = {}): Promise<Metrics> => {
      const time = new Date();
      events.push(`begin ${name}`);
      return new Promise((resolve, reject) => {
        const note = (): void => {
          noteWork(signal, workMs ?? 0);
        };
        const work = workMs === undefined ? undefined : setInterval(note, 100);
        const timer =
          ms === Infinity
            ? undefined
            : setTimeout(() => {
                clearInterval(work);
                events.push(`end ${name}`);
                resolve({ time, source: 'du' });
              }, ms);
        onAbort(signal, (reason) => {
          if (isDeaf) return;
          clearInterval(work);
          clearTimeout(timer);
          events.push(`stop ${name}`);
          reject(reason);
        });
      });
    },
  };
}

const HOSTILE: Readonly<Record<string, TreeOptions>> = {
  endless: { ms: Infinity },
  'endless, deaf to its signal': { ms: Infinity, isDeaf: true },
  slow: { ms: 20 * SECOND },
  huge: { ms: 20 * SECOND, workMs: 100 },
  'endless, noting its work': { ms: Infinity, workMs: 200 },
};

/** An analyzer of so many volumes, in pods of their own; the hostile ones come first. */
function node(hostile: number, kind: TreeOptions, options: CollectionOptions = {}): FsResourceAnalyzer {
  const pods = Array.from({ length: 100 }, (_, index) => {
    const name = index < hostile ? `hostile${String(index)}` : `healthy${String(index)}`;
    return { name, volumes: { tree: tree(name, index < hostile ? kind : { ms: 20 }) } };
  });
  return new FsResourceAnalyzer(new FakeStatsProvider(pods), options);
}

function volumes(analyzer: FsResourceAnalyzer, name: string): VolumeStats[] {
  return analyzer
    .podVolumeStats()
    .filter(({ podRef }) => podRef.name.startsWith(name))
    .flatMap(({ ephemeralVolumes }) => ephemeralVolumes);
}

/** Where in the list the n-th walk of a volume begins; Infinity if there is none. */
function nthWalk(name: string, n: number): number {
  const places = events.flatMap((event, index) => (event === `begin ${name}` ? [index] : []));
  return places[n - 1] ?? Infinity;
}

describe.each([2, 8, 64])('%i hostile volumes among 100', (k) => {
  test.each(Object.entries(HOSTILE))('%s: the healthy ones are read before', async (_title, kind) => {
    await using analyzer = node(k, kind, { walkTimeoutMs: 2 * MINUTE });
    const all = analyzer.calculate();
    await vi.advanceTimersByTimeAsync(3 * k * SECOND + 10 * SECOND);
    expect(new Set(volumes(analyzer, 'healthy').map(({ state }) => state))).toEqual(new Set(['ok']));
    const lastRead = events.findLastIndex((event) => event.startsWith('end healthy'));
    const third = Array.from({ length: k }, (_, index) => nthWalk(`hostile${String(index)}`, 3));
    expect(lastRead).toBeLessThan(Math.min(...third));
    // All of them are tried to the end, which calculate() waits for.
    await vi.advanceTimersByTimeAsync(k * 6 * MINUTE);
    const states = new Set((await all).flatMap((pod) => pod.ephemeralVolumes).map(({ state }) => state));
    expect(states).toEqual(new Set(['ok', ...(kind.ms === Infinity ? ['stuck'] : [])]));
    for (const { state, error } of volumes(analyzer, 'hostile')) {
      if (state === 'ok') expect(error).toBeUndefined();
      else expect(error?.message).toContain('took longer than walkTimeoutMs (120000 ms) and was aborted');
    }
  });

  test('do not hold up the healthy ones in later rounds', async () => {
    await using analyzer = node(k, { ms: Infinity }, { walkTimeoutMs: 20 * MINUTE });
    analyzer.start();
    await vi.advanceTimersByTimeAsync(5 * MINUTE);
    for (let minute = 0; minute < 20; minute += 1) {
      await vi.advanceTimersByTimeAsync(MINUTE);
      const ages = volumes(analyzer, 'healthy').map(({ metrics }) => Date.now() - +metrics!.time);
      expect(Math.max(...ages)).toBeLessThan(2 * MINUTE + 15 * SECOND);
    }
  });
});

describe('a walk that others wait for', () => {
  test('ends after a second, then after two, four and so on, and its volume says so', async () => {
    await using analyzer = node(2, { ms: Infinity });
    analyzer.start();
    const spans: number[] = [];
    const known = (): number => events.filter((event) => event === 'begin hostile0').length;
    const begun: number[] = [];
    for (let tenth = 0; tenth < 1_500; tenth += 1) {
      await vi.advanceTimersByTimeAsync(100);
      if (known() > begun.length) begun.push(tenth);
      const stops = events.filter((event) => event === 'stop hostile0').length;
      if (stops > spans.length) spans.push(Math.round((tenth - begun.at(-1)!) / 10));
    }
    expect(spans.slice(0, 5)).toEqual([1, 2, 4, 8, 16]);
    const [volume] = volumes(analyzer, 'hostile');
    expect(volume).toMatchObject({ state: 'pending', error: { code: 'METRICS_TIMED_OUT', transient: true } });
    expect(volume!.error!.message).toMatch(
      /^the walk of provider "du" was stopped after \d+ s so that other volumes are measured first; the next attempt may take \d+ s$/,
    );
    expect(volume).not.toHaveProperty('attemptedAt');
  });

  test('is not ended while none waits', async () => {
    const statsProvider = new FakeStatsProvider([
      { name: 'a', volumes: { tree: tree('alone', { ms: 5 * MINUTE }) } },
    ]);
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(6 * MINUTE);
    expect(events).toEqual(['begin alone', 'end alone']);
  });

  test('leaves an earlier reading as it is', async () => {
    let ms = 10;
    const grown: MetricsProvider = {
      name: 'du',
      getMetrics: (options) => tree('grown', { ms }).getMetrics(options),
    };
    const statsProvider = new FakeStatsProvider([
      { name: 'a', volumes: { grown } },
      ...Array.from({ length: 5 }, (_, index) => ({
        name: `p${String(index)}`,
        volumes: { tree: tree('other', { ms: 400 }) },
      })),
    ]);
    await using analyzer = new FsResourceAnalyzer(statsProvider, { walkShare: 1 });
    await Promise.all([analyzer.calculate(), vi.advanceTimersByTimeAsync(10 * SECOND)]);
    ms = Infinity;
    const calculation = analyzer.calculate();
    await vi.advanceTimersByTimeAsync(1_500);
    expect(events).toContain('stop grown');
    expect(volumes(analyzer, 'a')[0]).toMatchObject({ state: 'ok', metrics: { source: 'du' } });
    expect(volumes(analyzer, 'a')[0]).not.toHaveProperty('error');
    await analyzer.stop();
    await calculation;
  });

  test('goes on if it has worked little, because others use the processors', async () => {
    const busy = { ms: 5 * SECOND, workMs: 2 };
    await using analyzer = node(8, busy);
    await Promise.all([analyzer.calculate(), vi.advanceTimersByTimeAsync(2 * MINUTE)]);
    expect(events.filter((event) => event.startsWith('stop'))).toEqual([]);
    expect(events).toHaveLength(200);
  });

  test('may still bring its reading, and news of a volume that got stuck', async () => {
    const answers = ['reading', 'stuck'].map((name) => ({
      name,
      volumes: {
        tree: {
          name: 'du',
          getMetrics: async (): Promise<Metrics> => {
            const time = new Date();
            await new Promise((resolve) => setTimeout(resolve, 3 * SECOND));
            if (name === 'stuck') throw new MetricsError('METRICS_TIMED_OUT', 'hangs', { stuckSince: time });
            return { time, source: 'du' };
          },
        },
      },
    }));
    const others = Array.from({ length: 50 }, (_, index) => ({
      name: `p${String(index)}`,
      volumes: { tree: tree(`p${String(index)}`, { ms: 100 }) },
    }));
    await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider([...answers, ...others]));
    analyzer.start();
    await vi.advanceTimersByTimeAsync(6 * SECOND);
    expect(volumes(analyzer, 'reading')[0]).toMatchObject({ state: 'ok', durationMs: 3 * SECOND });
    expect(volumes(analyzer, 'stuck')[0]).toMatchObject({ state: 'stuck', error: { message: 'hangs' } });
  });
});

describe('a walk is charged', () => {
  /** How often a tree is walked in an hour, whose walks take 9 s each. */
  async function walksInAnHour(workMs?: number): Promise<number> {
    const options = { ms: 9 * SECOND, ...(workMs !== undefined && { workMs }) };
    const statsProvider = new FakeStatsProvider([{ name: 'a', volumes: { tree: tree('a', options) } }]);
    await using analyzer = new FsResourceAnalyzer(statsProvider);
    analyzer.start();
    await vi.advanceTimersByTimeAsync(HOUR);
    return events.filter((event) => event === 'end a').length;
  }

  test('its time, if it notes no work', async () => {
    // At 5 % once in three minutes.
    expect(await walksInAnHour()).toBeLessThanOrEqual(21);
  });

  test('its work, if that is less', async () => {
    expect(await walksInAnHour(1)).toBeGreaterThanOrEqual(27);
  });

  test('its work, if that is more, as that of several threads may be', async () => {
    expect(await walksInAnHour(200)).toBeLessThanOrEqual(11);
  });
});

test('walks that note their work are handed on together, as they wait in the queue of the process', async () => {
  const pods = Array.from({ length: 60 }, (_, index) => ({
    name: `p${String(index)}`,
    volumes: { tree: tree(`p${String(index)}`, { ms: 100, workMs: 1 }) },
  }));
  await using analyzer = new FsResourceAnalyzer(new FakeStatsProvider(pods));
  await Promise.all([analyzer.calculate(), vi.advanceTimersByTimeAsync(5 * SECOND)]);
  let out = 0;
  const most = Math.max(...events.map((event) => (out += event.startsWith('begin') ? 1 : -1)));
  expect(most).toBe(32);
});
