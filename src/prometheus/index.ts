// For exporters: the kubelet's metrics in a registry of your own.
export { VolumeStatsCollector } from './volume-stats-collector.js';
export type { VolumeStatsCollectorOptions, VolumeStatsSource } from './volume-stats-collector.js';
export type { PrometheusRegistry } from './registry.js';
