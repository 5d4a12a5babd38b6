import type { CsiDriver } from '../kubelet/drivers/registration.js';
import type { VolumeDescription } from '../kubelet/described-volume.js';
import type { KubeletSummary } from '../kubelet/kubelet-summary.js';
import type { NodePod } from '../kubelet/node-pod.js';
import type { Claim, PodListing } from '../kubelet/sources.js';
import type { VolumeStats } from '../stats/volume-stats.js';
import type { Answer } from './answer.js';
import type { KubeletMetrics } from './kubelet-exposition.js';
import type { Labels, PrometheusSample, PrometheusTarget } from './prometheus-api/prometheus-client.js';

/** What is known of a node as a whole: each door was asked once. */
export interface Facts {
  readonly nowMs: number;
  /** The node that the kubelet and the disk are of; undefined if nobody said. */
  readonly nodeName: string | undefined;
  readonly kubeletEndpoint: string | undefined;
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
  readonly csiNode: Answer<CsiNode | undefined>;
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
  readonly drivers: readonly CsiDriver[];
  readonly warnings: readonly string[];
}

/** The CSI drivers that the API server knows to be on the node. */
export interface CsiNode {
  readonly drivers: readonly string[];
  /** What drivers reported about their storage (Kubernetes 1.37, gate CSIVolumeHealth). */
  readonly health: readonly { readonly driver: string; readonly text: string }[];
}

/** What Prometheus was asked, once for all volumes. */
export interface PrometheusFacts {
  readonly name: string;
  /** What a dashboard's queries select by. */
  readonly dashboardLabels: Labels;
  /** The dashboard's expression for used space. */
  readonly dashboard: Answer<readonly PrometheusSample[]>;
  /** `kubelet_volume_stats_capacity_bytes` of any job. */
  readonly series: Answer<readonly PrometheusSample[]>;
  /** How many there are for all claims, by job, metrics_path, node, instance and cluster. */
  readonly counts: Answer<readonly PrometheusSample[]>;
  readonly active: Answer<readonly PrometheusTarget[]>;
  /** Asked only if no active target is the kubelet's. */
  readonly dropped: Answer<readonly PrometheusTarget[]>;
  /** The targets that offer the metric. */
  readonly offering: Answer<readonly Labels[]>;
}

/** The metric by which Grafana finds claims. */
export const CAPACITY = 'kubelet_volume_stats_capacity_bytes';
