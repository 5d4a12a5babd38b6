import type { VolumeDescription } from '../kubelet/described-volume.js';
import type { KubeletSummary } from '../kubelet/kubelet-summary.js';
import type { NodePod } from '../kubelet/node-pod.js';
import type { Claim, PodListing } from '../kubelet/sources.js';
import type { VolumeStats } from '../stats/volume-stats.js';
import type { Answer } from './answer.js';
import type { KubeletMetrics } from './kubelet-exposition.js';
import type { Labels, PrometheusSample, PrometheusTarget } from './prometheus-api/prometheus-client.js';

/** A node and its kubelet, as far as they are known. */
export interface KubeletPlace {
  readonly nodeName: string | undefined;
  readonly kubeletEndpoint: string | undefined;
}

/** What is known of a node as a whole: each door was asked once. The place is that of kubelet and disk. */
export interface Facts extends KubeletPlace {
  readonly nowMs: number;
  /** The pods of the node, from the first of the kubelet, the API server and the disk that answered. */
  readonly pods: Answer<PodListing>;
  readonly podsFrom: 'kubelet' | 'API server' | 'disk' | undefined;
  readonly summary: Answer<KubeletSummary>;
  readonly metrics: Answer<KubeletMetrics>;
  readonly config: Answer<KubeletConfig>;
  readonly disk: Answer<DiskFacts>;
  /** By `namespace/name`; undefined inside an answer if there is no such claim. */
  readonly claims: ReadonlyMap<string, Answer<Claim | undefined>>;
  /** The pods of all nodes in the namespace of a claim that no pod of this node uses. */
  readonly elsewhere: Answer<readonly NodePod[]>;
  /** Of the node that the volumes are on. */
  readonly csiNode: Answer<CsiNode | undefined>;
  readonly events: Answer<readonly StorageEvent[]>;
  /** Undefined without Prometheus. */
  readonly prometheus: PrometheusFacts | undefined;
}

/** The part of a kubelet's configuration that counts here. */
export interface KubeletConfig {
  /** Milliseconds between two rounds of measuring; 0 or less turns it off. */
  readonly periodMs: number | undefined;
}

/** What the disk says, and what was measured here. Pods are named by their folders. */
export interface DiskFacts {
  readonly described: ReadonlyMap<string, readonly VolumeDescription[]>;
  /** Of the volumes that were asked about, and others of their pods; by name. */
  readonly stats: ReadonlyMap<string, ReadonlyMap<string, VolumeStats>>;
  readonly warnings: readonly string[];
}

/** The CSI drivers that the API server knows to be on the node. */
export interface CsiNode {
  readonly drivers: readonly string[];
  /** What drivers reported about their storage (Kubernetes 1.37, gate CSIVolumeHealth). */
  readonly health: readonly { readonly driver: string; readonly text: string }[];
}

/** An event about the storage of a pod or a claim: how Kubernetes before 1.37 reports it. */
export interface StorageEvent {
  readonly kind: 'Pod' | 'PersistentVolumeClaim';
  readonly namespace: string;
  readonly name: string;
  readonly message: string;
}

/** What Prometheus was asked, once for all volumes. */
export interface PrometheusFacts {
  /** What a dashboard's queries select by. */
  readonly dashboardLabels: Labels;
  /** The dashboard's expression for used space. */
  readonly dashboard: Answer<readonly PrometheusSample[]>;
  /** `kubelet_volume_stats_capacity_bytes` of any job. */
  readonly series: Answer<readonly PrometheusSample[]>;
  /** How many there are for all claims, by job, metrics_path, node, instance and cluster. */
  readonly counts: Answer<readonly PrometheusSample[]>;
  /** Those of the kubelets of the volumes. */
  readonly active: Answer<readonly PrometheusTarget[]>;
  /** How many active targets there are in all. */
  readonly targetCount: number;
  /** The same of those that relabelling dropped; asked only if a volume's kubelet is no active target. */
  readonly dropped: Answer<readonly PrometheusTarget[]>;
  /** The targets that offer the metric. */
  readonly offering: Answer<readonly Labels[]>;
}
