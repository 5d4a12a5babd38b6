// For code that asks a driver.
export { CsiNodeClient } from './client/csi-node-client.js';
export type { CsiCallOptions, CsiNodeClientOptions } from './client/csi-node-client.js';
export type { CsiVolumeAnswer } from './client/driver-connection.js';
export type { CsiCall, NodeCapabilities } from './client/connection.js';
export { pluginInfo } from './client/plugin-info.js';
export type { PluginInfo } from './client/plugin-info.js';
export { MetricsCsi } from './client/metrics-csi.js';
export type { MetricsCsiOptions } from './client/metrics-csi.js';

// For authors of drivers.
export { conditionCapability, nodeGetVolumeStats, statsCapability } from './handler/node-get-volume-stats.js';
export type {
  NodeGetVolumeStatsHandler,
  ProtoLoaderStatsRequest,
  ProtoLoaderStatsResponse,
  ProtoLoaderUsage,
} from './handler/node-get-volume-stats.js';
export type { NodeGetVolumeStatsOptions } from './handler/driver-hooks.js';
export { healthCapability, nodeGetVolumeHealth } from './handler/node-get-volume-health.js';
export type {
  ProtoLoaderHealthRequest,
  ProtoLoaderHealthResponse,
} from './handler/node-get-volume-health.js';
export { nodeGetStorageHealth, storageHealthCapability } from './handler/node-get-storage-health.js';
export type {
  NodeGetStorageHealthOptions,
  ProtoLoaderStorageHealthRequest,
  ProtoLoaderStorageHealthResponse,
} from './handler/node-get-storage-health.js';
export { listenOnSocket } from './serving/listen-on-socket.js';
export type { ListeningSocket, ListenOnSocketOptions } from './serving/listen-on-socket.js';
export { registerWithKubelet } from './serving/register-with-kubelet.js';
export type { RegisterWithKubeletOptions } from './serving/register-with-kubelet.js';
export type { KubeletRegistration, KubeletRegistrationStatus } from './serving/kubelet-registration.js';

// For both: a volume, the path of a driver's socket, and this package's terms in those of CSI.
export type { CsiVolume } from './messages/csi-volume.js';
export { socketPath } from './messages/socket-path.js';
export { metricsToUsage } from './messages/usage.js';
export type { StorageProblem, VolumeProblem } from './messages/health.js';
export { errorToStatus } from './messages/grpc-status.js';
export type { FailureStatus } from './messages/grpc-status.js';

// The services, messages and enums of CSI itself are in kube-volume-metrics/csi/v1.
