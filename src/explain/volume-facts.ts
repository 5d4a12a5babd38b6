import { escapedStart } from '../escape.js';
import type { VolumeDescription } from '../kubelet/described-volume.js';
import type { KubeletPodSummary } from '../kubelet/kubelet-summary.js';
import type { NodePod, NodeVolume } from '../kubelet/node-pod.js';
import type { Claim } from '../kubelet/sources.js';
import type { VolumeSummary } from '../stats/stats-summary.js';
import type { VolumeStats } from '../stats/volume-stats.js';
import { notAsked, valueOf, type Answer } from './answer.js';
import type { Facts, KubeletPlace } from './facts.js';
import type { ExportedNumbers } from './kubelet-exposition.js';
import type { PrometheusSample } from './prometheus-api/prometheus-client.js';

/** A volume that is asked about, as it was found in the list of pods or on disk. */
export interface Subject {
  readonly namespace: string;
  readonly claimName?: string;
  /** Absent if no pod uses the claim, or none that is known. */
  readonly pod?: NodePod;
  /** Whether the pod is one of this node's. */
  readonly isHere: boolean;
  /** Its name in the pod, or that of its folder. */
  readonly volumeName?: string;
  /** Its entry in the pod's spec. */
  readonly volume?: NodeVolume;
}

/** All that is known of one volume. */
export interface VolumeFacts extends Subject {
  /** Whose number it is: this node, or that of the pod. */
  readonly place: KubeletPlace;
  readonly claim: Answer<Claim | undefined>;
  readonly description: VolumeDescription | undefined;
  /** Our own reading. */
  readonly stats: VolumeStats | undefined;
  /** The other volumes of the pod that give no answer here. */
  readonly stuckSiblings: readonly string[];
  /** How many other volumes of the node are on the same filesystem. */
  readonly sharedWith: number;
  readonly podSummary: KubeletPodSummary | undefined;
  /** The kubelet's own numbers. */
  readonly summary: VolumeSummary | undefined;
  /** What the kubelet's /metrics has for the claim. */
  readonly exported: ExportedNumbers | undefined;
  /** What Prometheus has for a claim of this name, of any job and under any label for its namespace. */
  readonly series: readonly PrometheusSample[];
}

/** Picks what concerns one volume. */
export function factsOf(subject: Subject, facts: Facts): VolumeFacts {
  const { namespace, claimName, pod, isHere, volumeName } = subject;
  const key = `${namespace}/${claimName ?? ''}`;
  const disk = valueOf(facts.disk);
  const uid = isHere ? pod?.folderUid : undefined;
  const described = uid === undefined ? undefined : disk?.described.get(uid);
  const stats = uid === undefined ? undefined : disk?.stats.get(uid);
  const description = described?.find(({ name }) => name === volumeName);
  const podSummary = isHere ? summaryOfPod(subject, facts) : undefined;
  const series = facts.prometheus === undefined ? undefined : valueOf(facts.prometheus.series);
  return {
    ...subject,
    place: placeOf(subject, facts),
    claim:
      claimName === undefined
        ? notAsked('the volume has no claim')
        : (facts.claims.get(key) ?? notAsked('the API server was not asked')),
    description,
    stats: volumeName === undefined ? undefined : stats?.get(volumeName),
    stuckSiblings: [...(stats ?? [])].flatMap(([name, { state }]) =>
      state === 'stuck' && name !== volumeName ? [name] : [],
    ),
    sharedWith: sharing(description, disk?.described),
    podSummary,
    summary: podSummary?.volume?.find(({ name }) => name === volumeName),
    exported: claimName === undefined ? undefined : valueOf(facts.metrics)?.claims.get(key),
    series: claimName === undefined || series === undefined ? [] : seriesOf(series, namespace, claimName),
  };
}

/** The pod in the kubelet's summary; by the claim if the pods themselves are not known. */
function summaryOfPod(
  { namespace, claimName, pod }: Subject,
  { summary }: Facts,
): KubeletPodSummary | undefined {
  return valueOf(summary)?.pods.find(({ podRef, volume = [] }) =>
    pod === undefined
      ? volume.some(({ pvcRef }) => pvcRef?.name === claimName && pvcRef?.namespace === namespace)
      : podRef.uid === pod.apiUid || podRef.uid === pod.folderUid,
  );
}

/** The node that a volume is on, and its kubelet if that is the one that was asked. */
export function placeOf({ isHere, pod }: Subject, { nodeName, kubeletEndpoint }: KubeletPlace): KubeletPlace {
  if (isHere || pod?.nodeName === undefined) return { nodeName, kubeletEndpoint };
  return { nodeName: pod.nodeName, kubeletEndpoint: undefined };
}

/** What a scrape without honorLabels makes of the kubelet's label. */
export const EXPORTED_NAMESPACE = 'exported_namespace';

function seriesOf(
  all: readonly PrometheusSample[],
  namespace: string,
  claim: string,
): readonly PrometheusSample[] {
  return all.filter(
    ({ labels }) =>
      labels['persistentvolumeclaim'] === claim &&
      (labels[EXPORTED_NAMESPACE] ?? labels['namespace']) === namespace,
  );
}

function sharing(
  description: VolumeDescription | undefined,
  all: ReadonlyMap<string, readonly VolumeDescription[]> | undefined,
): number {
  const device = filesystemOf(description);
  if (device === undefined || all === undefined) return 0;
  const { persistentVolume } = description ?? {};
  let count = 0;
  for (const volumes of all.values()) {
    for (const each of volumes) {
      // A claim that several pods use is one volume.
      const isSame =
        each === description ||
        (persistentVolume !== undefined && each.persistentVolume === persistentVolume);
      if (!isSame && filesystemOf(each) === device) count += 1;
    }
  }
  return count;
}

/** The device number of the filesystem that a volume is on. A block volume's file is on /dev, as all are. */
function filesystemOf(description: VolumeDescription | undefined): string | undefined {
  return description?.mode === 'Block' ? undefined : description?.mount?.device;
}

/** Whether the kubelet's /metrics has the claim; undefined if that is not known. */
export function isExported({ exported, isHere }: VolumeFacts, { metrics }: Facts): boolean | undefined {
  if (exported?.['capacity_bytes'] !== undefined) return true;
  return metrics.state === 'answered' && isHere ? false : undefined;
}

/** Whether the kubelet itself has numbers of the volume, in its summary or its /metrics. */
export function isMeasuredByKubelet({ summary, exported }: VolumeFacts): boolean {
  return summary?.capacityBytes !== undefined || exported !== undefined;
}

/** The key of its source: of the PersistentVolume, or else of the pod's entry, such as `csi`. */
export function kindOf({ claim, volume }: VolumeFacts): string | undefined {
  return valueOf(claim)?.volume?.kind ?? volume?.kind;
}

/** Whether the volume could be measured here; undefined if it was not tried. */
export function isMeasured({ stats }: VolumeFacts): boolean | undefined {
  return stats === undefined || stats.state === 'pending' ? undefined : stats.state === 'ok';
}

/** The kubelet's default of volumeStatsAggPeriod. */
const DEFAULT_PERIOD_MS = 60_000;

/** The time in which the kubelet measures every volume once: it adds up to a period at random. */
export function roundMs({ config }: Facts): number {
  return 2 * (valueOf(config)?.periodMs ?? DEFAULT_PERIOD_MS);
}

/** Since when the kubelet may have measured: since it or the pod started, whichever was later. */
export interface MeasuredSince {
  readonly ageMs: number;
  /** The kubelet's start, if the pod is older. */
  readonly restartedAtMs: number | undefined;
  /** Whether the first round may still be underway. */
  readonly isFirstRound: boolean;
}

/** Undefined if the pod's start is not known. */
export function measuredSince({ pod }: VolumeFacts, facts: Facts): MeasuredSince | undefined {
  const podMs = Date.parse(pod?.startTime ?? '');
  if (Number.isNaN(podMs)) return undefined;
  const kubeletMs = valueOf(facts.metrics)?.startedAtMs;
  const restartedAtMs = kubeletMs !== undefined && kubeletMs > podMs ? kubeletMs : undefined;
  const ageMs = Math.max(0, facts.nowMs - (restartedAtMs ?? podMs));
  return { ageMs, restartedAtMs, isFirstRound: ageMs < roundMs(facts) };
}

/** The CSI driver, as the disk, the PersistentVolume or the pod says. */
export function driverOf({ description, claim, volume }: VolumeFacts): string | undefined {
  const persistent = valueOf(claim)?.volume;
  return description?.driver ?? persistent?.csi?.driver ?? persistent?.migratedTo ?? volume?.csi?.driver;
}

/** No name of Kubernetes is longer. */
const LONGEST_NAME = 253;

/** A text of a stranger as it is shown in a sentence: escaped, and cut where it is long. */
export function shown(text: string, most = LONGEST_NAME): string {
  return escapedStart(text, most);
}

/** How sentences call the volume. */
export function titleOf({ namespace, claimName, pod, volumeName }: Subject): string {
  if (claimName !== undefined) return `claim ${shown(`${namespace}/${claimName}`)}`;
  return `volume ${shown(volumeName ?? '?')} of pod ${shown(`${namespace}/${pod?.name ?? '?'}`)}`;
}
