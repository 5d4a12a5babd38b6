import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { Metrics, MetricsProvider } from '../src/metrics.js';
import { VolumeStatsCollector } from '../src/prometheus/index.js';
import { FsResourceAnalyzer } from '../src/stats/fs-resource-analyzer.js';
import { statsSummary } from '../src/stats/stats-summary.js';
import { stringify } from '../src/stringify.js';
import { FakeStatsProvider } from '../src/testing/fake-stats-provider.js';

interface RecordedVolume {
  readonly time: string;
  readonly availableBytes: number;
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly inodesFree: number;
  readonly inodes: number;
  readonly inodesUsed: number;
  readonly name: string;
  readonly pvcRef?: { readonly name: string; readonly namespace: string };
  readonly volumeHealthStats?: { readonly abnormal: boolean };
}

interface RecordedPod {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly volume?: readonly RecordedVolume[];
}

function recorded(version: string, file: string): string {
  return readFileSync(join(import.meta.dirname, `record/kubelet-${version}`, file), 'utf8');
}

/** A provider that answers the recorded numbers. The kubelet writes 0 for a number that it does not know. */
function providerOf(volume: RecordedVolume, time: Date): MetricsProvider {
  const known = (value: number): bigint | undefined => (value === 0 ? undefined : BigInt(value));
  const numbers = {
    available: known(volume.availableBytes),
    capacity: known(volume.capacityBytes),
    used: known(volume.usedBytes),
    inodesFree: known(volume.inodesFree),
    inodes: known(volume.inodes),
    inodesUsed: known(volume.inodesUsed),
  };
  const reading = {
    time,
    source: 'recorded',
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)),
    ...(volume.volumeHealthStats && {
      condition: { abnormal: volume.volumeHealthStats.abnormal, message: 'as recorded' },
    }),
  } as Metrics;
  return { name: 'recorded', getMetrics: () => Promise.resolve(reading) };
}

async function replayed(pods: readonly RecordedPod[]): Promise<FsResourceAnalyzer> {
  const time = new Date();
  const node = new FakeStatsProvider(
    pods.map(({ podRef, volume = [] }) => ({
      ...podRef,
      volumes: Object.fromEntries(
        volume.map((each) => [
          each.name,
          {
            provider: providerOf(each, time),
            ...(each.pvcRef && { spec: { persistentVolumeClaim: { claimName: each.pvcRef.name } } }),
          },
        ]),
      ),
    })),
  );
  const analyzer = new FsResourceAnalyzer(node);
  await analyzer.calculate();
  return analyzer;
}

/** Entries of `volume[]` as text, in order, without the time. */
function entriesOf(pods: readonly { readonly volume?: readonly object[] }[]): string[] {
  return pods
    .flatMap(({ volume = [] }) => volume.map((each) => stringify({ ...each, time: '' })))
    .sort((one, other) => (one < other ? -1 : 1));
}

/** The lines of `kubelet_volume_stats_*`, comments too, in order, with each number in one notation. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => /^(# \w+ )?kubelet_volume_stats_/.test(line))
    .map((line) => (line.startsWith('#') ? line : line.replace(/[^ ]+$/, (number) => String(Number(number)))))
    .sort();
}

describe.each(['1.26', '1.37'])('what a kubelet %s answered, replayed', (version) => {
  const { pods } = JSON.parse(recorded(version, 'stats-summary.json')) as { pods: RecordedPod[] };

  test('gives its /stats/summary', async () => {
    const analyzer = await replayed(pods);
    const summary = statsSummary(analyzer.podVolumeStats(), { zeroFill: true, kubeletVersion: version });
    expect(entriesOf(summary.pods)).toEqual(entriesOf(pods));
    expect(entriesOf(pods).length).toBeGreaterThanOrEqual(30);
  });

  test('gives its kubelet_volume_stats_*, with help, type, labels and values', async () => {
    const registry = new Registry();
    new VolumeStatsCollector(await replayed(pods), { registry, zeroFill: true });
    const lines = linesOf(await registry.metrics());
    const wanted = linesOf(recorded(version, 'volume-metrics.txt'));
    // prom-client writes the head of a metric that has no sample; the kubelet does not.
    const withSamples = lines.filter((line) => {
      const [, , name] = line.split(' ');
      return !line.startsWith('#') || lines.some((each) => each.startsWith(`${String(name)}{`));
    });
    expect(withSamples).toEqual(wanted);
    expect(wanted.length).toBeGreaterThanOrEqual(60);
  });

  test('gives the head of its histogram of durations', async () => {
    const registry = new Registry();
    new VolumeStatsCollector(await replayed(pods), { registry });
    const head = (text: string): string[] =>
      text.split('\n').filter((line) => /^# \w+ kubelet_volume_metric_collection/.test(line));
    expect(head(await registry.metrics())).toEqual(head(recorded(version, 'volume-metrics.txt')));
  });
});

test('the times of a summary are written as the kubelet writes them', async () => {
  const { pods } = JSON.parse(recorded('1.37', 'stats-summary.json')) as { pods: RecordedPod[] };
  const summary = statsSummary((await replayed(pods)).podVolumeStats(), { zeroFill: true });
  const FORM = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
  const times = (list: readonly { readonly volume?: readonly { readonly time?: string }[] }[]): unknown[] =>
    list.flatMap(({ volume = [] }) => volume.map(({ time }) => FORM.test(String(time))));
  expect(new Set(times(summary.pods))).toEqual(new Set([true]));
  expect(new Set(times(pods))).toEqual(new Set([true]));
});
