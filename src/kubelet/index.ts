// The doors to a node: its kubelet, and the API server.
export { KubeletClient } from './kubelet-client.js';
export type { KubeletClientOptions, KubeletHealth } from './kubelet-client.js';
export { ApiClient } from './api-client.js';
export type { ApiClientOptions } from './api-client.js';
export type { KubectlOptions } from './kubectl.js';
export type { DoorAuth, DoorOptions } from './door-options.js';
export { KubeletError } from './kubelet-error.js';
export type {
  CertificateReason,
  DoorProblem,
  KubeletErrorCode,
  KubeletErrorDetails,
} from './kubelet-error.js';
export { summaryThroughApiServer } from './kubelet-summary.js';
export type { ContainerFsSummary, FsSummary, KubeletPodSummary, KubeletSummary } from './kubelet-summary.js';

// Where pods and claims come from.
export { apiServerPods, kubeletPods } from './pod-sources.js';
export { apiServerClaims } from './api-server-claims.js';
export type {
  Claim,
  ClaimOptions,
  ClaimSource,
  PersistentVolume,
  PodListing,
  PodSource,
  SourceOptions,
  VolumeMode,
} from './sources.js';
export type {
  NodeContainer,
  NodeContainerState,
  NodePod,
  NodeVolume,
  NodeVolumeDevice,
  NodeVolumeHealth,
  NodeVolumeMount,
} from './node-pod.js';

// A node: its pods, its volumes and what measures them.
export { KubeletNode } from './kubelet-node.js';
export type { KubeletNodeOptions } from './kubelet-node-options.js';
export { podsOnDisk } from './pods-on-disk.js';
export { findKubeletRoot, KUBELET_ROOTS } from './kubelet-root.js';
export type { VolumeDescription } from './described-volume.js';
export type { CsiDriver } from './drivers/registration.js';
export type { SummarySource } from './ephemeral-storage.js';
export type { EphemeralStorage } from '../stats/stats-summary.js';
export type { HostPathWay } from './plan-pod.js';
