// For code that asks a driver.
export { CsiNodeClient } from './client/csi-node-client.js';
export type { CsiCallOptions, CsiNodeClientOptions, CsiVolumeAnswer } from './client/csi-node-client.js';
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
export type { NodeGetVolumeStatsOptions } from './handler/stats-responder.js';

// For both: a volume, the path of a driver's socket, and this package's terms in those of CSI.
export type { CsiVolume } from './messages/csi-volume.js';
export { socketPath } from './messages/socket-path.js';
export { metricsToUsage } from './messages/usage.js';
export { conditionToHealth } from './messages/health.js';
export { errorToStatus } from './messages/grpc-status.js';
export type { FailureStatus } from './messages/grpc-status.js';

// The services, messages and enums of CSI itself are in kube-volume-metrics/csi/v1.
