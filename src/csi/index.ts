// For whoever asks a driver.
export { CsiNodeClient } from './csi-node-client.js';
export type { CsiCallOptions, CsiNodeClientOptions, CsiVolumeAnswer } from './csi-node-client.js';
export type { CsiVolume } from './csi-volume.js';
export type { CsiCall, NodeCapabilities } from './connection.js';
export { MetricsCsi } from './metrics-csi.js';
export type { MetricsCsiOptions } from './metrics-csi.js';

// For whoever writes one.
export { conditionCapability, nodeGetVolumeStats, statsCapability } from './node-get-volume-stats.js';
export type { NodeGetVolumeStatsHandler, NodeGetVolumeStatsOptions } from './node-get-volume-stats.js';
export type { VolumeStatsOptions } from './volume-stats.js';
export type { ProtoLoaderStatsRequest, ProtoLoaderStatsResponse, ProtoLoaderUsage } from './stats-codec.js';

// Between CSI's terms and this package's, and where a driver listens.
export { metricsToUsage, usageToMetrics } from './volume-usage.js';
export type { UsageReading } from './volume-usage.js';
export { conditionToHealth, healthToCondition } from './volume-health.js';
export { errorToStatus, statusToMetricsError } from './grpc-status.js';
export type { FailedCall, FailureStatus } from './grpc-status.js';
export { socketPath } from './socket-path.js';

// The services and messages, generated from proto/csi/v1/csi.proto.
export * from './gen/csi/v1/csi.js';
