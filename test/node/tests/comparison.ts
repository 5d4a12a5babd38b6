import { Registry } from 'prom-client';
import {
  FsResourceAnalyzer,
  isMetricsError,
  statsSummary,
  stringify,
  type Metrics,
  type Pod,
} from '../../../src/index.js';
import { VolumeStatsCollector } from '../../../src/prometheus/index.js';
import type { Difference } from './differences.js';
import { kubeletText } from '../doors.mjs';
import { familiesIn, type Family } from './exposition.js';
import type { NodeVolumes } from './node-volumes.js';
import { NODE_NAME } from '../place.mjs';

/** One entry of `volume[]` in the kubelet's summary. */
interface SummaryVolume {
  readonly name: string;
  readonly time: string;
  readonly [field: string]: unknown;
}

interface Summary {
  readonly pods: readonly {
    readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string };
    readonly volume?: readonly SummaryVolume[];
  }[];
}

/** Both sides at one moment. */
export interface Comparison {
  readonly differences: readonly Difference[];
  /** The kubelet's time of each volume. */
  readonly times: ReadonlyMap<string, string>;
  /** What each side said of each volume, but for the times. */
  readonly state: ReadonlyMap<string, string>;
}

const NUMBERS = [
  ['availableBytes', 'available'],
  ['capacityBytes', 'capacity'],
  ['usedBytes', 'used'],
  ['inodesFree', 'inodesFree'],
  ['inodes', 'inodes'],
  ['inodesUsed', 'inodesUsed'],
] as const satisfies readonly (readonly [string, keyof Metrics])[];

const HISTOGRAM = 'kubelet_volume_metric_collection_duration_seconds';

/** A node's volumes as this package measures and exports them, beside what the kubelet says. */
export class NodeComparison {
  readonly #volumes: NodeVolumes;
  readonly #analyzer: FsResourceAnalyzer;
  readonly #registry = new Registry();

  constructor(volumes: NodeVolumes) {
    this.#volumes = volumes;
    this.#analyzer = new FsResourceAnalyzer(volumes, { periodMs: 0 });
    new VolumeStatsCollector(this.#analyzer, { registry: this.#registry });
  }

  async compare(): Promise<Comparison> {
    const pods = await this.#volumes.getPods();
    const readings = await this.#readings(pods);
    await this.#analyzer.calculate();
    const ours = {
      metrics: familiesIn(await this.#registry.metrics()),
      summary: JSON.parse(
        stringify(statsSummary(this.#analyzer.podVolumeStats(), { nodeName: NODE_NAME, zeroFill: true })),
      ) as Summary,
    };
    const kubelet = {
      metrics: familiesIn(await kubeletText('/metrics')),
      summary: JSON.parse(await kubeletText('/stats/summary')) as Summary,
    };
    const plugins = this.#pluginsOf(pods);
    return {
      differences: [
        ...differentReadings(kubelet.summary, readings, plugins),
        ...differentFamilies(kubelet.metrics, ours.metrics, plugins),
        ...differentSummaries(kubelet.summary, ours.summary, plugins),
      ],
      times: timesOf(kubelet.summary),
      state: new Map([
        ...entriesOf(kubelet.summary).map(([title, text]) => [`kubelet: ${title}`, text] as const),
        ...Array.from(readings, ([title, numbers]) => [`here: ${title}`, JSON.stringify(numbers)] as const),
      ]),
    };
  }

  /** The numbers of each volume; undefined if it has none. */
  async #readings(pods: readonly Pod[]): Promise<ReadonlyMap<string, Numbers | undefined>> {
    const all = pods.flatMap(({ metadata: { namespace, name, uid } }) =>
      Array.from(this.#volumes.volumesOf(uid), async ([volume, { provider }]) => {
        const title = titleOf({ namespace, name, uid }, volume);
        try {
          const metrics = await provider.getMetrics();
          return [title, numbersOf((name) => metrics[name]?.toString())] as const;
        } catch (error) {
          // No other error may come of a provider.
          if (!isMetricsError(error)) throw error;
          return [title, undefined] as const;
        }
      }),
    );
    return new Map(await Promise.all(all));
  }

  /** The plugin of each volume, and of each claim. */
  #pluginsOf(pods: readonly Pod[]): ReadonlyMap<string, string> {
    const plugins = new Map<string, string>();
    for (const { metadata, spec } of pods) {
      for (const [volume, { plugin }] of this.#volumes.volumesOf(metadata.uid)) {
        plugins.set(titleOf(metadata, volume), plugin);
        const { persistentVolumeClaim, ephemeral } = spec.volumes?.find(({ name }) => name === volume) ?? {};
        const claim =
          persistentVolumeClaim?.claimName ?? (ephemeral ? `${metadata.name}-${volume}` : undefined);
        if (claim !== undefined) plugins.set(seriesOf(metadata.namespace, claim), plugin);
      }
    }
    return plugins;
  }
}

/** The six numbers by the names they have in the summary. */
type Numbers = Readonly<Record<string, string | undefined>>;

function numbersOf(numberOf: (name: (typeof NUMBERS)[number][1]) => string | undefined): Numbers {
  return Object.fromEntries(NUMBERS.map(([field, name]) => [field, numberOf(name)]));
}

function titleOf({ namespace, name, uid }: Summary['pods'][number]['podRef'], volume: string): string {
  return `${namespace}/${name} (${uid}) ${volume}`;
}

function seriesOf(namespace: string, claim: string): string {
  return `namespace="${namespace}",persistentvolumeclaim="${claim}"`;
}

function volumesIn(summary: Summary): ReadonlyMap<string, SummaryVolume> {
  return new Map(
    summary.pods.flatMap(({ podRef, volume = [] }) =>
      volume.map((each) => [titleOf(podRef, each.name), each] as const),
    ),
  );
}

function timesOf(summary: Summary): ReadonlyMap<string, string> {
  return new Map(Array.from(volumesIn(summary), ([title, { time }]) => [title, time]));
}

/** The entries as JSON by volume, with their keys in the order that they have, without the times. */
function entriesOf(summary: Summary): readonly (readonly [string, string])[] {
  return Array.from(volumesIn(summary), ([title, entry]) => [title, textOf(entry)] as const).sort();
}

function textOf(entry: SummaryVolume): string {
  return JSON.stringify(entry, (key, value: unknown) => (key === 'time' ? undefined : value));
}

/** The keys of both whose values differ. */
export function changed(
  one: ReadonlyMap<string, string>,
  other: ReadonlyMap<string, string>,
): readonly string[] {
  return both(one, other).filter((key) => one.get(key) !== other.get(key));
}

/** The keys of both, in the order of the first. */
function both(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): readonly string[] {
  return [...new Set([...one.keys(), ...other.keys()])];
}

function differentReadings(
  summary: Summary,
  ours: ReadonlyMap<string, Numbers | undefined>,
  plugins: ReadonlyMap<string, string>,
): Difference[] {
  const kubelets = volumesIn(summary);
  return both(kubelets, ours).flatMap((title) => {
    const entry = kubelets.get(title);
    const reading = ours.get(title);
    const about = { view: 'provider', plugin: plugins.get(title) ?? 'unknown', where: title } as const;
    if (entry === undefined || reading === undefined) {
      const [kubelet, our] = [entry, reading].map((each) => each && JSON.stringify(each));
      return kubelet === our ? [] : [{ ...about, field: 'reading', kubelet, ours: our }];
    }
    return NUMBERS.flatMap(([field]) => {
      const kubelet = entry[field] === undefined ? undefined : JSON.stringify(entry[field]);
      return kubelet === reading[field] ? [] : [{ ...about, field, kubelet, ours: reading[field] }];
    });
  });
}

function differentSummaries(
  kubelet: Summary,
  ours: Summary,
  plugins: ReadonlyMap<string, string>,
): Difference[] {
  const [theirs, own] = [kubelet, ours].map((each) => new Map(entriesOf(each))) as [
    Map<string, string>,
    Map<string, string>,
  ];
  return both(theirs, own).flatMap((title) => {
    const [their, our] = [theirs.get(title), own.get(title)];
    const about = { view: 'summary', plugin: plugins.get(title) ?? 'unknown', where: title } as const;
    return their === our ? [] : [{ ...about, field: 'entry', kubelet: their, ours: our }];
  });
}

function differentFamilies(
  kubelet: ReadonlyMap<string, Family>,
  ours: ReadonlyMap<string, Family>,
  plugins: ReadonlyMap<string, string>,
): Difference[] {
  const names = both(kubelet, ours).filter((name) => name.startsWith('kubelet_volume_'));
  return names.flatMap((name) => {
    const [their, our] = [kubelet.get(name), ours.get(name)];
    const about = { view: 'metrics', where: name } as const;
    if (their === undefined || our === undefined) {
      const [one, other] = [their, our].map((family) => family?.type);
      return [{ ...about, field: name, plugin: '-', kubelet: one, ours: other }];
    }
    const heads = (['help', 'type'] as const).flatMap((field) =>
      their[field] === our[field]
        ? []
        : [{ ...about, field: `${name} ${field}`, plugin: '-', kubelet: their[field], ours: our[field] }],
    );
    const samples = both(their.samples, our.samples).flatMap((series) => {
      const [one, other] = [their, our].map(({ samples }) => samples.get(series)?.toString());
      const plugin = plugins.get(series.replace(/^\w+\{(.*)\}$/, '$1')) ?? '-';
      // Which series there are is one thing, what they say another.
      const isSeries = name === HISTOGRAM && (one === undefined || other === undefined);
      const field = isSeries ? `${name} series` : name;
      return one === other ? [] : [{ ...about, field, plugin, where: series, kubelet: one, ours: other }];
    });
    return [...heads, ...samples];
  });
}
