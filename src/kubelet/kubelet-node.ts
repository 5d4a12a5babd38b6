import { MetricsError } from '../errors.js';
import type { GetMetricsOptions, Metrics } from '../metrics.js';
import { checkedFunction, checkedObject, checkedOptions, checkedText, openSignal } from '../options.js';
import { MetricsDu } from '../providers/metrics-du.js';
import { show } from '../reading.js';
import type { Pod, StatsProvider, VolumeMap } from '../stats/pod.js';
import type { PodVolumeStats } from '../stats/volume-stats.js';
import { describeVolume } from './describe-volume.js';
import type { VolumeDescription } from './described-volume.js';
import { MountReader } from './disk/mount-table.js';
import { readPodFolder } from './disk/pod-folder.js';
import { CsiDrivers } from './drivers/csi-drivers.js';
import type { CsiDriver } from './drivers/registration.js';
import { ContainerUsage, ephemeralSum, type EphemeralStorage, type SummarySource } from './ephemeral-storage.js';
import { findKubeletRoot, resolvedRoot } from './kubelet-root.js';
import type { NodePod } from './node-pod.js';
import { planPod, type HostPathWay, type PodPlan } from './plan-pod.js';
import { PlannedProviders } from './planned-providers.js';
import { podOf } from './pod-of.js';
import type { ClaimSource, PodSource } from './sources.js';

/** Options of {@link KubeletNode}. */
export interface KubeletNodeOptions {
  /**
   * The kubelet's root, its --root-dir. A symlink is resolved once, when the root is first read.
   *
   * @defaultValue the first of {@link KUBELET_ROOTS} that is one
   */
  readonly rootDir?: string | undefined;
  /** Where the pods come from: `kubeletPods`, `apiServerPods`, `podsOnDisk`, or an object of that shape. */
  readonly pods: PodSource;
  /**
   * Where claims come from. It is asked only for what the disk does not tell: which of several claims of a pod
   * a folder belongs to.
   *
   * @defaultValue none: such a volume says that its claim is not known
   */
  readonly claims?: ClaimSource | undefined;
  /**
   * How hostPath volumes are measured. `statfs` shows the filesystem that the path is on, `du` the path itself.
   * The path is looked up in this process's own view of the filesystem, which in a container is not the host's.
   *
   * @defaultValue `'unsupported'`, as in the kubelet
   */
  readonly hostPath?: HostPathWay | undefined;
  /**
   * Whose summary has the usage of containers, for {@link KubeletNode.ephemeralStorage}: a `KubeletClient`.
   *
   * @defaultValue none: the sum is not known
   */
  readonly summary?: SummarySource | undefined;
}

const OPTIONS = ['rootDir', 'pods', 'claims', 'hostPath', 'summary'] as const;
const HOST_PATH_WAYS: readonly unknown[] = ['unsupported', 'statfs', 'du'] satisfies HostPathWay[];

/** Pods are listed one after the other; so long may they share a reading of the mounts, in milliseconds. */
const MOUNTS_SHARED_MS = 1_000;

/**
 * The pods and volumes of a node, found as the kubelet finds them: `new FsResourceAnalyzer(node)` measures
 * them. It reads names in the kubelet's folders, the kernel's list of mounts and the kubelet's notes about CSI
 * volumes, and never touches a volume; the providers do.
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
  #pods: ReadonlyMap<string, NodePod> = new Map();
  #podProblems: readonly string[] = [];
  readonly #diskProblems = new Map<string, readonly string[]>();

  /**
   * @param options - where the kubelet's root is, and who knows pods and claims
   * @throws TypeError for an option that is missing, unknown or wrong
   */
  constructor(options: KubeletNodeOptions) {
    const { rootDir, pods, claims, hostPath, summary } = checkedOptions(options, OPTIONS);
    if (rootDir !== undefined && checkedText('rootDir', rootDir) === '') {
      throw new TypeError('Expected rootDir to be a path, got an empty text');
    }
    checkedFunction('pods.pods', checkedObject('pods', pods).pods) ?? missing('pods', 'pods');
    if (claims !== undefined) {
      checkedFunction('claims.claim', checkedObject('claims', claims).claim) ?? missing('claims', 'claim');
    }
    if (summary !== undefined) {
      const { statsSummary } = checkedObject('summary', summary);
      checkedFunction('summary.statsSummary', statsSummary) ?? missing('summary', 'statsSummary');
      this.#usage = new ContainerUsage(summary);
    }
    if (hostPath !== undefined && !HOST_PATH_WAYS.includes(hostPath)) {
      throw new TypeError(`Expected hostPath to be 'unsupported', 'statfs' or 'du', got ${show(hostPath)}`);
    }
    this.#options = { rootDir, pods, claims, hostPath, summary };
  }

  /**
   * Lists the pods, and looks at the drivers' registrations. The uid of a static pod is the kubelet's.
   *
   * @throws MetricsError METRICS_NOT_FOUND, METRICS_PROVIDER_FAILED if the root is not a kubelet's or cannot be
   * read; what the source of pods rejects with
   */
  async getPods(): Promise<readonly Pod[]> {
    this.#resolveRoot();
    this.#mounts.read();
    this.#drivers.look();
    const { pods, problems } = await this.#options.pods.pods();
    const usable = pods.filter(({ folderUid }) => isPathComponent(folderUid));
    const unusable = pods.length - usable.length;
    this.#podProblems =
      unusable === 0 ? problems : [...problems, `${String(unusable)} pods have a uid that no folder can have`];
    this.#pods = new Map(usable.map((pod) => [pod.folderUid, pod]));
    const uids = new Set(this.#pods.keys());
    this.#providers.keep(uids);
    for (const uid of this.#diskProblems.keys()) if (!uids.has(uid)) this.#diskProblems.delete(uid);
    return usable.map(podOf);
  }

  /**
   * The providers of a pod's volumes. Those of volumes that cannot be measured say why. The same volume has the
   * same provider as long as it is measured in the same way.
   *
   * @param uid - of a pod that the last `getPods` listed
   * @returns undefined for any other pod
   */
  async listVolumesForPod(uid: string): Promise<VolumeMap | undefined> {
    const plan = await this.#plan(uid);
    return plan && this.#providers.of(uid, plan.volumes);
  }

  /**
   * What is known of each volume of a pod, without measuring it: where it is, who measures it, its claim, or
   * what is not known and why.
   *
   * @param uid - of a pod that the last `getPods` listed
   * @returns undefined for any other pod
   */
  async describe(uid: string): Promise<readonly VolumeDescription[] | undefined> {
    const pod = this.#pods.get(uid);
    const plan = await this.#plan(uid);
    if (pod === undefined || plan === undefined) return undefined;
    const providers = this.#providers.of(uid, plan.volumes);
    const place = { root: this.#resolveRoot(), uid, mounts: this.#mounts.read(MOUNTS_SHARED_MS) };
    return plan.volumes.map((each) => describeVolume(each, pod, place, providers.get(each.name)!.name));
  }

  /**
   * What the `/etc/hosts` of a pod's containers uses on the node's disk.
   *
   * @returns undefined if the kubelet made none, as for a pod in the host's network, or the pod is gone
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
   * What is wrong with the node as a whole, a text for people each: mounts that do not reach this process, pods
   * that were left out, folders that cannot be read, sockets that gave no valid answer.
   */
  warnings(): readonly string[] {
    const root = this.#root;
    const isPrivate = root !== undefined && this.#mounts.read(MOUNTS_SHARED_MS).isPrivate(root);
    return [
      ...(isPrivate ? [`volumes that are mounted from now on will seem not mounted: ${PRIVATE}`] : []),
      ...this.#podProblems,
      ...[...this.#diskProblems.values()].flat(),
      ...this.#drivers.problems(),
    ];
  }

  /** Closes the clients of the drivers: calls in flight and later ones reject. */
  close(): void {
    this.#drivers.close();
  }

  async #plan(uid: string): Promise<PodPlan | undefined> {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return undefined;
    const root = this.#resolveRoot();
    const mounts = this.#mounts.read(MOUNTS_SHARED_MS);
    const { claims, hostPath = 'unsupported' } = this.#options;
    const plan = await planPod(pod, readPodFolder(root, uid, mounts), { root, uid, mounts, claims, hostPath });
    if (plan.problems.length > 0) this.#diskProblems.set(uid, plan.problems);
    else this.#diskProblems.delete(uid);
    return plan;
  }

  #resolveRoot(): string {
    return (this.#root ??= resolvedRoot(this.#options.rootDir ?? findKubeletRoot()));
  }
}

const PRIVATE =
  'the mount that the kubelet\'s root is on is private. In a pod, mount it with "mountPropagation: HostToContainer"';

function isPathComponent(uid: string): boolean {
  return uid !== '' && uid !== '.' && uid !== '..' && !/[/\0]/.test(uid);
}

function missing(option: string, method: string): never {
  throw new TypeError(`Expected ${option} to have the method ${method}`);
}
