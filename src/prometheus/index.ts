// For whoever writes an exporter: the kubelet's metrics in a registry of theirs.
export { VolumeStatsCollector } from './volume-stats-collector.js';
export type { VolumeStatsCollectorOptions, VolumeStatsSource } from './volume-stats-collector.js';
export type { PrometheusRegistry } from './registry.js';
