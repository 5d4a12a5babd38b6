import { Counter, Gauge, Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  VolumeStatsCollector,
  type VolumeStatsCollectorOptions,
  type VolumeStatsSource,
} from '../../src/prometheus/index.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { PodVolumeStats } from '../../src/stats/volume-stats.js';
import { FakeMetrics } from '../../src/testing/fake-metrics.js';
import { FakeStatsProvider } from '../../src/testing/fake-stats-provider.js';
import { claimed, pod, reading, SAMPLE, volume } from './volumes.js';

const NOW = new Date('2026-01-01T00:00:00Z');

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

type Options = Omit<VolumeStatsCollectorOptions, 'registry'>;

function registryOf(source: VolumeStatsSource | readonly PodVolumeStats[], options: Options = {}): Registry {
  const registry = new Registry();
  const given = 'podVolumeStats' in source ? source : { podVolumeStats: () => source };
  new VolumeStatsCollector(given, { registry, ...options });
  return registry;
}

/** The lines of what a scrape gives, without comments. */
async function samples(registry: Registry, start = ''): Promise<string[]> {
  const text = await registry.metrics();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#') && line.startsWith(start));
}

describe("the kubelet's metrics", () => {
  test('have its names, help texts, labels and values', async () => {
    const registry = registryOf([
      pod('testpod', [
        claimed('testpvc', reading({ ...SAMPLE, condition: { abnormal: true, message: 'm' } })),
      ]),
    ]);
    const text = (await registry.metrics()).split('\n\n').filter((block) => block.includes('kubelet_'));
    const labels = '{namespace="testns",persistentvolumeclaim="testpvc"}';
    expect(text).toEqual(
      [
        ['capacity_bytes', '[ALPHA] Capacity in bytes of the volume', 1.0434699264e10],
        ['available_bytes', '[ALPHA] Number of available bytes in the volume', 5.663154176e9],
        ['used_bytes', '[ALPHA] Number of used bytes in the volume', 4.21789696e9],
        ['inodes', '[ALPHA] Maximum number of inodes in the volume', 655360],
        ['inodes_free', '[ALPHA] Number of free inodes in the volume', 655344],
        ['inodes_used', '[ALPHA] Number of used inodes in the volume', 16],
        [
          'health_status_abnormal',
          '[ALPHA] Abnormal volume health status. The count is either 1 or 0. 1 indicates the volume is unhealthy, 0 indicates volume is healthy',
          1,
        ],
      ].map(([end, help, value]) => {
        const name = `kubelet_volume_stats_${String(end)}`;
        return `# HELP ${name} ${String(help)}\n# TYPE ${name} gauge\n${name}${labels} ${String(value)}`;
      }),
    );
  });

  test('with zeroFill have all six numbers for each claim with a reading, 0 if unknown', async () => {
    const pods = [
      pod('a', [
        claimed('block', reading({ capacity: 7n })),
        claimed('no-limit', reading({ capacity: 7n, inodes: 0n, inodesFree: 0n, inodesUsed: 0n })),
        volume('unread', { pvcRef: { namespace: 'testns', name: 'unread' } }),
      ]),
    ];
    const named = (claim: string, values: readonly number[]): string[] =>
      ['capacity_bytes', 'available_bytes', 'used_bytes', 'inodes', 'inodes_free', 'inodes_used'].map(
        (end, at) =>
          `kubelet_volume_stats_${end}{namespace="testns",persistentvolumeclaim="${claim}"} ${String(values[at])}`,
      );
    const lines = await samples(registryOf(pods, { zeroFill: true }), 'kubelet_volume_stats_');
    expect(lines.sort()).toEqual(
      [...named('block', [7, 0, 0, 0, 0, 0]), ...named('no-limit', [7, 0, 0, 0, 0, 0])].sort(),
    );
    expect(await samples(registryOf(pods), 'kubelet_volume_stats_')).toHaveLength(2);
    expect(() => registryOf(pods, { zeroFill: 1 as never })).toThrow(
      new TypeError('Expected zeroFill to be a boolean, got number'),
    );
  });

  test('health is 1 or 0 by claim, and absent if unknown', async () => {
    const registry = registryOf([
      pod('a', [
        claimed('sick', reading({ condition: { abnormal: true, message: '' } })),
        claimed('well', reading({ condition: { abnormal: false, message: '' } })),
        claimed('mute', reading()),
      ]),
      pod('none', []),
    ]);
    expect(await samples(registry, 'kubelet_')).toEqual([
      'kubelet_volume_stats_health_status_abnormal{namespace="testns",persistentvolumeclaim="sick"} 1',
      'kubelet_volume_stats_health_status_abnormal{namespace="testns",persistentvolumeclaim="well"} 0',
    ]);
  });

  test('one series for a claim that pods share: the freshest good reading', async () => {
    const at = (seconds: number): Date => new Date(+NOW - seconds * 1000);
    const registry = registryOf([
      pod('old', [claimed('shared', reading({ time: at(60), used: 1n }))]),
      pod('fresh', [claimed('shared', reading({ time: at(5), used: 2n }))]),
      pod('older', [claimed('shared', reading({ time: at(90), used: 3n }))]),
      pod('never', [claimed('shared', undefined)]),
      pod('elsewhere', [claimed('shared', reading({ used: 4n }), 'other')], 'other'),
    ]);
    expect(await samples(registry, 'kubelet_')).toEqual([
      'kubelet_volume_stats_used_bytes{namespace="testns",persistentvolumeclaim="shared"} 2',
      'kubelet_volume_stats_used_bytes{namespace="other",persistentvolumeclaim="shared"} 4',
    ]);
  });

  test('pods of the same name, an old and a new one, have no series twice: the newest attempt counts', async () => {
    const at = (seconds: number): Date => new Date(+NOW - seconds * 1000);
    const cache = (used: bigint, seconds: number) =>
      volume('cache', { attemptedAt: at(seconds), metrics: reading({ time: at(seconds), used }) });
    const data = claimed('data', reading({ time: at(70), used: 3n }));
    const { pvcRef } = data;
    const going = pod('web-0', [cache(1n, 60), { ...data, attemptedAt: at(70) }, volume('logs')]);
    const coming = pod('web-0', [
      cache(2n, 5),
      { ...volume('data', { state: 'stuck', attemptedAt: at(10) }), ...(pvcRef && { pvcRef }) },
    ]);
    for (const pods of [
      [going, coming],
      [coming, going],
    ]) {
      const registry = registryOf(pods, { podVolumes: true });
      const found = (await samples(registry)).filter(
        (line) => !line.startsWith('kube_volume_metrics_source'),
      );
      expect(found.sort()).toEqual([
        'kube_volume_metrics_reading_age_seconds{namespace="testns",pod="web-0",volume_name="cache"} 5',
        'kube_volume_metrics_volume_state{state="ok",namespace="testns",pod="web-0",volume_name="cache"} 1',
        'kube_volume_metrics_volume_state{state="ok",namespace="testns",pod="web-0",volume_name="logs"} 1',
        'kube_volume_metrics_volume_state{state="stuck",namespace="testns",pod="web-0",volume_name="data",persistentvolumeclaim="data"} 1',
        'kubelet_volume_stats_pod_used_bytes{namespace="testns",pod="web-0",volume_name="cache"} 2',
        'kubelet_volume_stats_used_bytes{namespace="testns",persistentvolumeclaim="data"} 3',
      ]);
    }
  });

  test('a volume without a claim has none', async () => {
    const registry = registryOf([pod('web', [volume('cache', { metrics: reading({ ...SAMPLE }) })])]);
    expect(await samples(registry, 'kubelet_')).toEqual([]);
  });

  test('an unknown number is absent, a zero is 0', async () => {
    const registry = registryOf([
      pod('db', [claimed('raw', reading({ source: 'block', capacity: 10n, used: 0n }))]),
    ]);
    expect(await samples(registry, 'kubelet_')).toEqual([
      'kubelet_volume_stats_capacity_bytes{namespace="testns",persistentvolumeclaim="raw"} 10',
      'kubelet_volume_stats_used_bytes{namespace="testns",persistentvolumeclaim="raw"} 0',
    ]);
  });

  test.each([
    ['a capacity of 0, by which dashboards divide', { capacity: 0n, used: 5n }, ['used_bytes 5']],
    [
      'inodes of a filesystem that says 0',
      { used: 5n, inodes: 0n, inodesFree: 0n, inodesUsed: 0n },
      ['used_bytes 5'],
    ],
    ['inodes without a limit, 2^63-1', { inodes: 2n ** 63n - 1n, inodesFree: 1n, inodesUsed: 9n }, []],
    ['inodes_free of 2^64-1 (CephFS)', { inodes: 9n, inodesFree: 2n ** 64n - 1n, inodesUsed: 9n }, []],
  ])('left out: %s', async (_title, numbers, expected) => {
    const registry = registryOf([pod('db', [claimed('c', reading(numbers))])]);
    expect(
      (await samples(registry, 'kubelet_')).map((line) => line.replace(/kubelet_volume_stats_|\{.*\}/g, '')),
    ).toEqual(expected);
  });

  test('inodes that a walk counted stay if the filesystem says nothing about inodes', async () => {
    const registry = registryOf([pod('db', [claimed('c', reading({ inodesUsed: 12n }))])]);
    expect(await samples(registry, 'kubelet_')).toEqual([
      'kubelet_volume_stats_inodes_used{namespace="testns",persistentvolumeclaim="c"} 12',
    ]);
  });

  test('numbers beyond 2^53 are rounded only here', async () => {
    const registry = registryOf([
      pod('db', [claimed('c', reading({ capacity: 9223372036854775807n, used: 2n ** 53n }))]),
    ]);
    expect((await samples(registry, 'kubelet_')).map((line) => line.split('} ')[1])).toEqual([
      '9223372036854776000',
      '9007199254740992',
    ]);
  });

  test('label values are escaped', async () => {
    const registry = registryOf([pod('db', [claimed('a"b\\c\nd', reading({ used: 1n }), 'n\n"\\')])]);
    expect(await samples(registry, 'kubelet_')).toEqual([
      'kubelet_volume_stats_used_bytes{namespace="n\\n\\"\\\\",persistentvolumeclaim="a\\"b\\\\c\\nd"} 1',
    ]);
  });
});

describe('a reading that lacks numbers', () => {
  const time = NOW;
  const unknownSpace = { inodes: 9n, inodesFree: 4n, inodesUsed: 5n };

  test('of a filesystem that does not know its size gives no series for them', async () => {
    const registry = registryOf(
      [
        pod('db', [
          claimed('c', reading({ time, ...unknownSpace })),
          volume('v', { metrics: reading(unknownSpace) }),
        ]),
      ],
      { podVolumes: true },
    );
    expect(
      (await samples(registry, 'kubelet_')).map((line) => line.replace(/kubelet_volume_stats_|\{.*\}/g, '')),
    ).toEqual([
      'inodes 9',
      'inodes_free 4',
      'inodes_used 5',
      'pod_inodes 9',
      'pod_inodes_free 4',
      'pod_inodes_used 5',
    ]);
  });

  test('and more available than its capacity is passed on as it is', async () => {
    const metrics = reading({
      capacity: 10n,
      available: 25n,
      used: 1n,
      warnings: ['available is above capacity'],
    });
    const registry = registryOf([pod('db', [claimed('c', metrics)])]);
    expect(
      (await samples(registry, 'kubelet_')).map((line) => line.replace(/kubelet_volume_stats_|\{.*\}/g, '')),
    ).toEqual(['capacity_bytes 10', 'available_bytes 25', 'used_bytes 1']);
  });
});

describe('read-only volumes', () => {
  const name = 'kube_volume_metrics_volume_read_only';

  test('have a gauge of 1, writable ones 0, and others none', async () => {
    const registry = registryOf([
      pod('db', [
        claimed('archive', reading({ readOnly: true })),
        claimed('data', reading({ readOnly: false })),
        claimed('unknown', reading()),
        claimed('never', undefined),
        volume('config', { metrics: reading({ readOnly: true }) }),
      ]),
      pod('web', [claimed('archive', reading({ readOnly: false }))]),
    ]);
    const of = (pod: string, volume: string): string =>
      `${name}{namespace="testns",pod="${pod}",volume_name="${volume}"`;
    expect(await samples(registry, name)).toEqual([
      `${of('db', 'config')}} 1`,
      `${of('db', 'archive')},persistentvolumeclaim="archive"} 1`,
      `${of('db', 'data')},persistentvolumeclaim="data"} 0`,
      // The same claim, mounted by another pod in another way.
      `${of('web', 'archive')},persistentvolumeclaim="archive"} 0`,
    ]);
  });

  test('lose it with their other numbers when the reading is too old', async () => {
    const registry = registryOf([pod('db', [claimed('c', reading({ readOnly: true, used: 1n }))])]);
    vi.setSystemTime(+NOW + 900_000);
    expect(await samples(registry, name)).toHaveLength(1);
    vi.setSystemTime(+NOW + 900_001);
    expect(await samples(registry, name)).toEqual([]);
  });
});

describe('age', () => {
  test('a reading older than maxAgeMs is not exported; its state and age are', async () => {
    const metrics = reading({ used: 1n, condition: { abnormal: false, message: '' } });
    const registry = registryOf(
      [pod('db', [claimed('c', metrics), volume('cache', { metrics, state: 'failed' })])],
      { podVolumes: true },
    );
    vi.setSystemTime(+NOW + 900_000);
    expect(await samples(registry, 'kubelet_')).toHaveLength(3);
    vi.setSystemTime(+NOW + 900_001);
    expect(await samples(registry, 'kubelet_')).toEqual([]);
    expect(await samples(registry)).toEqual([
      'kube_volume_metrics_volume_state{state="failed",namespace="testns",pod="db",volume_name="cache"} 1',
      'kube_volume_metrics_volume_state{state="ok",namespace="testns",pod="db",volume_name="c",persistentvolumeclaim="c"} 1',
      'kube_volume_metrics_reading_age_seconds{namespace="testns",pod="db",volume_name="cache"} 900.001',
      'kube_volume_metrics_reading_age_seconds{namespace="testns",pod="db",volume_name="c",persistentvolumeclaim="c"} 900.001',
      'kube_volume_metrics_source_errors_total 0',
    ]);
  });

  test('maxAgeMs can be set, and Infinity means always', async () => {
    const pods = [pod('db', [claimed('c', reading({ used: 1n }))])];
    const [short, forever] = [
      registryOf(pods, { maxAgeMs: 1_000 }),
      registryOf(pods, { maxAgeMs: Infinity }),
    ];
    vi.setSystemTime(+NOW + 1_001);
    expect(await samples(short, 'kubelet_')).toEqual([]);
    vi.setSystemTime(+NOW + 1e12);
    expect(await samples(forever, 'kubelet_')).toHaveLength(1);
  });

  test.each([0, -1, NaN, '900000', null])('a maxAgeMs of %s is refused', (maxAgeMs) => {
    expect(() => registryOf([], { maxAgeMs: maxAgeMs as number })).toThrow(
      new TypeError(
        `Expected maxAgeMs to be a number of milliseconds above 0, got ${typeof maxAgeMs === 'string' ? '"900000"' : String(maxAgeMs)}`,
      ),
    );
  });
});

describe('options', () => {
  test('podVolumes adds series of volumes without a claim (kubernetes#141061)', async () => {
    const registry = registryOf(
      [pod('web', [volume('cache', { metrics: reading({ used: 7n, inodesUsed: 3n }) })])],
      {
        podVolumes: true,
      },
    );
    expect(await samples(registry, 'kubelet_')).toEqual([
      'kubelet_volume_stats_pod_used_bytes{namespace="testns",pod="web",volume_name="cache"} 7',
      'kubelet_volume_stats_pod_inodes_used{namespace="testns",pod="web",volume_name="cache"} 3',
    ]);
  });

  test('prefix and selfPrefix replace the start of the names', async () => {
    const registry = registryOf([pod('web', [claimed('c', reading({ used: 7n }))])], {
      prefix: 'acme_',
      selfPrefix: 'acme_self_',
    });
    expect((await samples(registry)).map((line) => line.replace(/\{.*/, ''))).toEqual([
      'acme_volume_stats_used_bytes',
      'acme_self_volume_state',
      'acme_self_reading_age_seconds',
      'acme_self_source_errors_total 0',
    ]);
  });

  test.each(['1x', 'a-b', 'a b', 7, null])('a prefix of %s is refused', (prefix) => {
    expect(() => registryOf([], { prefix: prefix as string })).toThrow(TypeError);
    expect(() => registryOf([], { selfPrefix: prefix as string })).toThrow(TypeError);
  });

  test('an unknown option is refused by name, and podVolumes must be a boolean', () => {
    expect(() => registryOf([], { perPod: true } as Options)).toThrow(
      new TypeError(
        'Unknown option "perPod": the options are registry, prefix, selfPrefix, podVolumes, maxAgeMs, zeroFill',
      ),
    );
    expect(() => registryOf([], { podVolumes: 'false' as never })).toThrow(
      new TypeError('Expected podVolumes to be a boolean, got string'),
    );
  });

  test('default labels of the registry stand beside ours and never replace them', async () => {
    const registry = registryOf([pod('web', [claimed('c', reading({ used: 7n }))])]);
    registry.setDefaultLabels({ node: 'n1', namespace: 'wrong' });
    expect(await samples(registry, 'kubelet_')).toEqual([
      'kubelet_volume_stats_used_bytes{node="n1",namespace="testns",persistentvolumeclaim="c"} 7',
    ]);
  });
});

describe('a scrape', () => {
  test('reads one snapshot, which scrapes at the same moment share', async () => {
    const podVolumeStats = vi.fn(() => [pod('web', [claimed('c', reading({ ...SAMPLE }))])]);
    const registry = registryOf({ podVolumeStats });
    const texts = await Promise.all([registry.metrics(), registry.metrics(), registry.getMetricsAsJSON()]);
    expect(podVolumeStats).toHaveBeenCalledTimes(1);
    expect(texts[0]).toBe(texts[1]);
    await registry.metrics();
    expect(podVolumeStats).toHaveBeenCalledTimes(2);
  });

  test('never mixes two moments', async () => {
    let used = 0n;
    const podVolumeStats = (): readonly PodVolumeStats[] => {
      used += 1n;
      return [pod('web', [claimed('c', reading({ used, inodesUsed: used }))])];
    };
    const registry = registryOf({ podVolumeStats });
    const texts = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        for (let turn = 0; turn < index % 5; turn += 1) await Promise.resolve();
        return await samples(registry, 'kubelet_');
      }),
    );
    for (const lines of texts) {
      const [bytes, inodes] = lines.map((line) => line.split('} ')[1]);
      expect(bytes).toBe(inodes);
    }
  });

  test('measures nothing, and shows the state of volumes that fail or hang', async () => {
    const providers = {
      good: new FakeMetrics({ script: [{ used: 5n }] }),
      bad: new FakeMetrics({ script: [new Error('x')] }),
      none: new FakeMetrics({ script: [Object.assign(new Error('n'), { code: 'METRICS_NOT_SUPPORTED' })] }),
      hung: new FakeMetrics({ script: ['hang'] }),
    };
    const volumes = Object.fromEntries(
      Object.entries(providers).map(([name, provider]) => [
        name,
        { provider, spec: { persistentVolumeClaim: { claimName: name } } },
      ]),
    );
    const analyzer = new FsResourceAnalyzer(new FakeStatsProvider([{ name: 'web', volumes }]));
    const registry = registryOf(analyzer);
    expect(await samples(registry)).toEqual([
      'kube_volume_metrics_listing_failed 0',
      'kube_volume_metrics_source_errors_total 0',
    ]);
    const calculation = analyzer.calculate();
    await vi.advanceTimersByTimeAsync(10_000);
    await calculation;
    const calls = Object.values(providers).map((each) => each.calls);
    const lines = await samples(registry);
    await registry.metrics();
    expect(Object.values(providers).map((each) => each.calls)).toEqual(calls);
    expect(lines.filter((line) => line.startsWith('kubelet_volume_stats'))).toEqual([
      'kubelet_volume_stats_used_bytes{namespace="default",persistentvolumeclaim="good"} 5',
    ]);
    expect(
      lines
        .filter((line) => line.includes('volume_state'))
        .map((line) => /state="(\w+)".*volume_name="(\w+)"/.exec(line)?.slice(1)),
    ).toEqual([
      ['ok', 'good'],
      ['failed', 'bad'],
      ['unsupported', 'none'],
      ['stuck', 'hung'],
    ]);
    expect(lines.filter((line) => line.includes('age_seconds'))).toHaveLength(1);
    await analyzer.stop();
  });

  test('shows how long the calls took, by source, as a histogram', async () => {
    const analyzer = new FsResourceAnalyzer(
      new FakeStatsProvider([
        { name: 'web', volumes: { data: new FakeMetrics({ name: 'statfs', script: [{ delayMs: 300 }] }) } },
      ]),
    );
    const registry = registryOf(analyzer);
    void analyzer.calculate();
    await vi.advanceTimersByTimeAsync(300);
    const name = 'kubelet_volume_metric_collection_duration_seconds';
    expect(await samples(registry, name)).toEqual([
      ...['0.005', '0.01', '0.025', '0.05', '0.1', '0.25'].map(
        (le) => `${name}_bucket{le="${le}",metric_source="statfs"} 0`,
      ),
      ...['0.5', '1', '2.5', '5', '10', '+Inf'].map(
        (le) => `${name}_bucket{le="${le}",metric_source="statfs"} 1`,
      ),
      `${name}_sum{metric_source="statfs"} 0.3`,
      `${name}_count{metric_source="statfs"} 1`,
    ]);
  });

  test('counts failures of its source instead of failing itself', async () => {
    let fails = true;
    const source = {
      podVolumeStats: () => {
        if (fails) throw new Error('x');
        return [pod('web', [claimed('c', reading({ used: 1n }))])];
      },
    };
    const registry = registryOf(source);
    expect(await samples(registry)).toEqual(['kube_volume_metrics_source_errors_total 1']);
    expect(await samples(registry)).toEqual(['kube_volume_metrics_source_errors_total 2']);
    const listing = registryOf({ ...source, listingError: () => undefined });
    const failed = (): Promise<string[]> => samples(listing, 'kube_volume_metrics_listing_failed');
    expect(await failed()).toEqual(['kube_volume_metrics_listing_failed 1']);
    fails = false;
    expect(await failed()).toEqual(['kube_volume_metrics_listing_failed 0']);
    expect(await samples(registry)).toContain('kube_volume_metrics_source_errors_total 2');
    expect(await samples(registry, 'kubelet_')).toHaveLength(1);
  });

  test('shows that the pods could not be listed', async () => {
    const statsProvider = new FakeStatsProvider([{ name: 'web', volumes: { data: new FakeMetrics() } }]);
    const analyzer = new FsResourceAnalyzer(statsProvider, { onError: () => undefined });
    const registry = registryOf(analyzer);
    const failed = (): Promise<string[]> => samples(registry, 'kube_volume_metrics_listing_failed');
    await analyzer.calculate();
    expect(await failed()).toEqual(['kube_volume_metrics_listing_failed 0']);
    statsProvider.listPods({ error: new Error('api is down') });
    await expect(analyzer.calculate()).rejects.toThrow('api is down');
    expect(analyzer.listingError()?.message).toBe('getPods failed: api is down');
    expect(await failed()).toEqual(['kube_volume_metrics_listing_failed 1']);
    expect(await samples(registry, 'kube_volume_metrics_volume_state')).toHaveLength(1);
    statsProvider.listPods(undefined);
    await analyzer.calculate();
    expect(await failed()).toEqual(['kube_volume_metrics_listing_failed 0']);
  });

  test('leaves out what is no number, no date or no label of a source of foreign code', async () => {
    const odd = (fields: object): never => ({ ...reading(), ...fields }) as never;
    const good = claimed('good', reading({ used: 1n }));
    const claims = [
      good,
      claimed('c', odd({ used: NaN, available: -1n, capacity: '5', inodes: Symbol('s'), inodesFree: 2.5 })),
      claimed('verdict', odd({ condition: { abnormal: 'no' }, readOnly: 'x' })),
      claimed('dateless', odd({ time: 'now', used: 5n })),
      claimed('invalid', odd({ time: new Date(NaN), used: 5n })),
      { ...good, pvcRef: { namespace: 'testns', name: undefined } } as never,
      { ...good, name: 7 } as never,
      { ...good, name: 'stateless', state: undefined } as never,
    ];
    const mine = pod('web', claims);
    const nameless = { ...mine, podRef: { uid: 'u', namespace: 'n' } } as never;
    const durations = { count: NaN, sumSeconds: 1, buckets: [] };
    const text = await samples(
      registryOf({
        podVolumeStats: () => [mine, nameless],
        collectionDurations: () => new Map([['odd', durations]]),
      }),
    );
    expect(text.filter((line) => !line.includes('volume_state'))).toEqual([
      'kubelet_volume_stats_used_bytes{namespace="testns",persistentvolumeclaim="good"} 1',
      ...['good', 'c', 'verdict'].map(
        (name) =>
          `kube_volume_metrics_reading_age_seconds{namespace="testns",pod="web",volume_name="${name}",persistentvolumeclaim="${name}"} 0`,
      ),
      'kube_volume_metrics_source_errors_total 0',
    ]);
    expect(text.filter((line) => line.includes('volume_state'))).toHaveLength(5);
  });

  test('does not fail for a source that gives nonsense', async () => {
    for (const nonsense of [undefined, null, 7, [null], [{ podRef: {} }]]) {
      const registry = registryOf({ podVolumeStats: () => nonsense as never });
      expect(await samples(registry)).toEqual(['kube_volume_metrics_source_errors_total 1']);
    }
  });

  test('as JSON has whole label sets, and the registry may write into them', async () => {
    const registry = registryOf([pod('web', [claimed('c', reading({ used: 7n }))])]);
    registry.setDefaultLabels({ node: 'n1' });
    for (const node of ['n1', 'n2']) {
      registry.setDefaultLabels({ node });
      const found = (await registry.getMetricsAsJSON()).find(
        ({ name }) => name === 'kubelet_volume_stats_used_bytes',
      );
      expect(found).toMatchObject({
        type: 'gauge',
        help: '[ALPHA] Number of used bytes in the volume',
        values: [{ value: 7, labels: { node, namespace: 'testns', persistentvolumeclaim: 'c' } }],
      });
    }
  });

  test('in the OpenMetrics format ends the name of a counter in _total', async () => {
    const registry = new Registry();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
    new VolumeStatsCollector({ podVolumeStats: () => [] }, { registry });
    for (let scrape = 0; scrape < 2; scrape += 1) {
      expect(await registry.metrics()).toContain('kube_volume_metrics_source_errors_total 0\n');
    }
  });

  test('has the new claim of a volume whose claim changes', async () => {
    const podRef = { uid: 'u', namespace: 'n', name: 'web' };
    let claim = 'one';
    const registry = registryOf({
      podVolumeStats: () => [
        {
          podRef,
          ephemeralVolumes: [],
          persistentVolumes: [
            volume('data', { pvcRef: { namespace: 'n', name: claim }, metrics: reading({ used: 1n }) }),
          ],
        },
      ],
    });
    await registry.metrics();
    claim = 'two';
    const lines = (await samples(registry)).filter((line) => line.includes('persistentvolumeclaim'));
    expect(lines).toHaveLength(3);
    expect(lines.filter((line) => !line.includes('persistentvolumeclaim="two"'))).toEqual([]);
  });
});

describe('the registry', () => {
  test.each([undefined, null, {}, 'registry', { registerMetric: () => undefined }])(
    'an invalid one is refused: %s',
    (registry) => {
      expect(
        () => new VolumeStatsCollector({ podVolumeStats: () => [] }, { registry: registry as never }),
      ).toThrow(
        new TypeError(
          'Expected registry to be a Registry of prom-client or @prometheus-io/client: it has no registerMetric and getSingleMetric',
        ),
      );
    },
  );

  test('missing options and an invalid source are refused', () => {
    expect(() => new VolumeStatsCollector({ podVolumeStats: () => [] }, undefined as never)).toThrow(
      TypeError,
    );
    expect(() => new VolumeStatsCollector({} as never, { registry: new Registry() })).toThrow(
      new TypeError('Expected source to have the method podVolumeStats'),
    );
  });

  test('a second collector on it is refused with a clear error, and changes nothing', async () => {
    const registry = registryOf([pod('web', [claimed('c', reading({ used: 7n }))])]);
    const before = await registry.metrics();
    const second = (options: Options = {}): VolumeStatsCollector =>
      new VolumeStatsCollector({ podVolumeStats: () => [] }, { registry, ...options });
    expect(() => second()).toThrow(
      new TypeError(
        'The registry already has a metric kubelet_volume_stats_capacity_bytes: a second collector needs its own registry, or its own prefix and selfPrefix',
      ),
    );
    expect(() => second({ prefix: 'acme_' })).toThrow(
      'already has a metric kube_volume_metrics_volume_state',
    );
    expect(await registry.metrics()).toBe(before);
    second({ prefix: 'acme_', selfPrefix: 'acme_self_' });
  });

  test('it serves other metrics beside ours, and can remove ours', async () => {
    const registry = registryOf([pod('web', [claimed('c', reading({ used: 7n }))])]);
    new Gauge({ name: 'mine', help: 'mine', registers: [registry] }).set(3);
    new Counter({ name: 'mine_total', help: 'mine', registers: [registry] }).inc();
    registry.resetMetrics();
    const lines = await samples(registry);
    expect(lines).toContain('mine 0');
    expect(lines).toContain(
      'kubelet_volume_stats_used_bytes{namespace="testns",persistentvolumeclaim="c"} 7',
    );
    registry.removeSingleMetric('kubelet_volume_stats_used_bytes');
    expect(await samples(registry, 'kubelet_')).toEqual([]);
  });
});
