import { MetricsError } from '../errors.js';
import type { GetMetricsOptions, Metrics } from '../metrics.js';
import { openSignal } from '../options.js';
import { MetricsDu } from '../providers/metrics-du.js';
import type { Pod, StatsProvider, VolumeMap } from '../stats/pod.js';
import type { EphemeralStorage } from '../stats/stats-summary.js';
import type { PodVolumeStats } from '../stats/volume-stats.js';
import { isPathComponent, objectOf, quoted, textOf } from './checked-json.js';
import { describeVolume } from './describe-volume.js';
import type { VolumeDescription } from './described-volume.js';
import { MountReader, type MountTable } from './disk/mount-table.js';
import { readPodFolder, type PodFolder } from './disk/pod-folder.js';
import { CsiDrivers } from './drivers/csi-drivers.js';
import type { CsiDriver } from './drivers/registration.js';
import { ContainerUsage, ephemeralSum } from './ephemeral-storage.js';
import { checkedNodeOptions, type KubeletNodeOptions } from './kubelet-node-options.js';
import { findKubeletRoot, resolvedRoot } from './kubelet-root.js';
import type { NodePod } from './node-pod.js';
import { isSameWith } from './plan-entry.js';
import { planPod, type PodPlan } from './plan-pod.js';
import { PlannedProviders } from './planned-providers.js';
import { podOf } from './pod-of.js';
import type { PodListing, PodSource } from './sources.js';

/** Pods are listed one after the other; so long may they share a reading of the mounts, in milliseconds. */
const MOUNTS_SHARED_MS = 1_000;

/**
 * The pods and volumes of a node, found as the kubelet finds them: `new FsResourceAnalyzer(node)` measures
 * them. It reads names in the kubelet's folders, the kernel's list of mounts and the kubelet's notes about
 * CSI volumes, and never touches a volume; the providers do.
 *
 * The kubelet's folders are read with synchronous calls: they are on the node's own disk.
 */
export class KubeletNode implements StatsProvider {
  readonly #options: KubeletNodeOptions;
  readonly #mounts = new MountReader();
  readonly #drivers = new CsiDrivers(() => this.#resolveRoot());
  readonly #providers = new PlannedProviders(this.#drivers, () => this.#resolveRoot());
  readonly #usage: ContainerUsage | undefined;
  #root: string | undefined;
  #pods: ReadonlyMap<string, ListedPod> = new Map();
  #podProblems: readonly string[] = [];
  readonly #plans = new Map<string, KeptPlan>();

  /**
   * @param options - where the kubelet's root is, and who knows pods and claims
   * @throws TypeError for an option that is missing, unknown or wrong
   */
  constructor(options: KubeletNodeOptions) {
    this.#options = checkedNodeOptions(options);
    if (options.summary !== undefined) this.#usage = new ContainerUsage(options.summary);
  }

  /**
   * Lists the pods, and looks at the drivers' registrations. The uid of a static pod is the kubelet's.
   *
   * @throws MetricsError METRICS_NOT_FOUND, METRICS_PROVIDER_FAILED if the root is not a kubelet's or cannot
   * be read; what the source of pods rejects with
   */
  async getPods(): Promise<readonly Pod[]> {
    this.#resolveRoot();
    this.#mounts.read();
    this.#drivers.look();
    const source = this.#options.pods;
    const { pods, problems } = checkedListing(source, await source.pods());
    const usable = pods.filter(({ folderUid }) => isPathComponent(textOf(folderUid)));
    const unusable = pods.length - usable.length;
    this.#podProblems =
      unusable === 0
        ? problems
        : [...problems, `${String(unusable)} pods have a uid that no folder can have`];
    this.#pods = new Map(usable.map((pod) => [pod.folderUid, sameOr(pod, this.#pods.get(pod.folderUid))]));
    for (const uid of this.#plans.keys()) if (!this.#pods.has(uid)) this.#plans.delete(uid);
    return usable.map(podOf);
  }

  /**
   * The providers of a pod's volumes. Those of volumes that cannot be measured say why. The same volume has
   * the same provider as long as it is measured in the same way.
   *
   * @param uid - of a pod that the last `getPods` listed
   * @returns undefined for any other pod
   */
  async listVolumesForPod(uid: string): Promise<VolumeMap | undefined> {
    return (await this.#plan(uid))?.providers;
  }

  /**
   * What is known of each volume of a pod, without measuring it: where it is, who measures it, its claim, or
   * what is not known and why.
   *
   * @param uid - of a pod that the last `getPods` listed
   * @returns undefined for any other pod
   */
  async describe(uid: string): Promise<readonly VolumeDescription[] | undefined> {
    const kept = await this.#plan(uid);
    if (kept === undefined) return undefined;
    const { pod, plan, providers, mounts } = kept;
    const place = { root: this.#resolveRoot(), uid, mounts };
    return plan.volumes.map((each) =>
      describeVolume(each, pod, place, providers.get(each.name)?.name ?? 'unknown'),
    );
  }

  /**
   * What the `/etc/hosts` of a pod's containers uses on the node's disk.
   *
   * @returns undefined if the kubelet made none, as for a pod without an address, or the pod is gone
   * @throws what `MetricsDu` rejects with, but for a file that is gone
   */
  async etcHosts(uid: string, options: GetMetricsOptions = {}): Promise<Metrics | undefined> {
    openSignal(options);
    if (!this.#pods.has(uid)) return undefined;
    const root = this.#resolveRoot();
    const folder = readPodFolder(root, uid, this.#mounts.read(MOUNTS_SHARED_MS));
    if (!folder.hasEtcHosts) return undefined;
    try {
      return await new MetricsDu(`${folder.path}/etc-hosts`).getMetrics(options);
    } catch (error) {
      if (error instanceof MetricsError && error.code === 'METRICS_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /**
   * What a pod uses of the node's disk, as the kubelet adds it up: its containers' writable layers and logs,
   * its ephemeral volumes, its `etc-hosts`. The containers' part comes from the kubelet's summary.
   *
   * @param stats - the pod's volumes, as an analyzer of this node knows them
   * @returns undefined if a part is not known: no `summary`, a pod without a running container, a volume
   * without a reading
   * @throws what the summary's source rejects with
   */
  async ephemeralStorage(
    stats: PodVolumeStats,
    options: GetMetricsOptions = {},
  ): Promise<EphemeralStorage | undefined> {
    const containers = await this.#usage?.of(stats.podRef.uid, options);
    if (containers === undefined) return undefined;
    return ephemeralSum(containers, stats.ephemeralVolumes, await this.etcHosts(stats.podRef.uid, options));
  }

  /** The CSI drivers that are registered on this node, as far as their sockets have answered. */
  drivers(): readonly CsiDriver[] {
    return this.#drivers.registered();
  }

  /**
   * What is wrong with the node as a whole, a text for people each: mounts that do not reach this process,
   * pods that were left out, folders that cannot be read, sockets that gave no valid answer.
   */
  warnings(): readonly string[] {
    const root = this.#root;
    const isPrivate = root !== undefined && this.#mounts.read(MOUNTS_SHARED_MS).isPrivate(root);
    return [
      ...(isPrivate ? [`volumes that are mounted from now on will seem not mounted: ${PRIVATE}`] : []),
      ...this.#podProblems,
      ...[...this.#plans.values()].flatMap(({ plan }) => plan.problems),
      ...this.#drivers.problems(),
    ];
  }

  /** Closes the clients of the drivers: calls in flight and later ones reject. */
  close(): void {
    this.#drivers.close();
  }

  async #plan(uid: string): Promise<KeptPlan | undefined> {
    const pod = this.#pods.get(uid)?.pod;
    if (pod === undefined) return undefined;
    const root = this.#resolveRoot();
    const mounts = this.#mounts.read(MOUNTS_SHARED_MS);
    const kept = this.#plans.get(uid);
    const folder = readPodFolder(root, uid, mounts, kept?.folder);
    if (kept?.pod === pod && kept.folder === folder && kept.plan.isSettled) {
      if (kept.mounts === mounts) return kept;
      if (kept.plan.volumes.every(({ measure }) => isSameWith(measure, mounts))) {
        kept.mounts = mounts;
        return kept;
      }
    }
    const { claims, hostPath = 'unsupported' } = this.#options;
    const plan = await planPod(pod, folder, { root, uid, mounts, claims, hostPath });
    const providers = this.#providers.of(plan.volumes, this.#plans.get(uid)?.providers);
    const made = { pod, folder, mounts, plan, providers };
    // The pod may have gone while its claims were looked up.
    if (this.#pods.has(uid)) this.#plans.set(uid, made);
    return made;
  }

  #resolveRoot(): string {
    return (this.#root ??= resolvedRoot(this.#options.rootDir ?? findKubeletRoot()));
  }
}

/** @throws MetricsError METRICS_PROVIDER_FAILED unless it has the lists of a listing: a plug-in gave it */
function checkedListing({ name }: PodSource, listing: PodListing): PodListing {
  const { pods, problems }: Partial<Record<keyof PodListing, unknown>> = objectOf(listing) ?? {};
  if (Array.isArray(pods) && Array.isArray(problems) && !pods.some((each) => objectOf(each) === undefined)) {
    return listing;
  }
  throw new MetricsError(
    'METRICS_PROVIDER_FAILED',
    `the source of pods ${quoted(name)} gave something that is not a listing with pods and problems`,
  );
}

/** What was found out about a pod, and from what. */
interface KeptPlan {
  readonly pod: NodePod;
  readonly folder: PodFolder;
  /** The newest mounts with which the plan is the same. */
  mounts: MountTable;
  readonly plan: PodPlan;
  readonly providers: VolumeMap;
}

/** A pod, and all that is known of it as one text. */
interface ListedPod {
  readonly pod: NodePod;
  readonly text: string;
}

/** The pod as it was, if it is the same: each listing makes new objects. */
function sameOr(pod: NodePod, before: ListedPod | undefined): ListedPod {
  const text = JSON.stringify(pod);
  return text === before?.text ? before : { pod, text };
}

const PRIVATE =
  'the mount that the kubelet\'s root is on is private. In a pod, mount it with "mountPropagation: HostToContainer"';
