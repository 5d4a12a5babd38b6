// The contract: a reading, a provider and an error.
export type { GetMetricsOptions, Incomplete, Metrics, MetricsProvider, VolumeCondition } from './metrics.js';
export { isMetricsError, isNotSupported, isTransient, MetricsError } from './errors.js';
export type { MetricsErrorCode, MetricsErrorDetails, MetricsErrorJson } from './errors.js';
export { stringify } from './stringify.js';
export { escapeControls } from './escape.js';

// The providers, to measure volumes.
export { MetricsNil } from './providers/metrics-nil.js';
export { MetricsStatFs } from './providers/metrics-stat-fs.js';
export type { MetricsStatFsOptions } from './providers/metrics-stat-fs.js';
export { MetricsDu } from './providers/metrics-du.js';
export type { MetricsDuOptions } from './providers/metrics-du.js';
export { MetricsBlock } from './providers/metrics-block.js';
export type { MetricsBlockOptions } from './providers/metrics-block.js';
export { CachedMetrics } from './providers/cached-metrics.js';
export type { CachedMetricsOptions } from './providers/cached-metrics.js';

// To write a provider of your own: the bounded calls that the providers above are made of.
export { fsInfo } from './os/fs-info.js';
export type { FsInfo } from './os/fs-info.js';
export { pathInfo } from './os/path-info.js';
export type { PathInfo } from './os/path-info.js';
export { diskUsage } from './os/disk-usage.js';
export type { DiskUsage, DiskUsageOptions } from './os/disk-usage.js';
export { mountAt } from './os/mount-at.js';
export { mounts } from './os/mounts.js';
export type { Mount } from './os/mounts.js';
export type { SystemError } from './os/system-error.js';
export type { Binding, Limits } from './os/volume-call.js';

// To find out why it is slow or unsupported here: which code measures.
export { activeBinding } from './os/choose-binding.js';
export type { ActiveBinding } from './os/choose-binding.js';

// For exporters and node agents: all volumes of a node, measured in the background.
export { FsResourceAnalyzer } from './stats/fs-resource-analyzer.js';
export { VolumeStatCalculator } from './stats/volume-stat-calculator.js';
export { statsSummary } from './stats/stats-summary.js';
export type {
  EphemeralStorage,
  EphemeralStorageSummary,
  PodSummary,
  StatsSummary,
  StatsSummaryOptions,
  VolumeSummary,
} from './stats/stats-summary.js';
export type { CollectionOptions } from './stats/collection-options.js';
export type { CollectionDurations, CollectMessage } from './stats/collection.js';
export type { ConditionChange } from './stats/condition-change.js';
export type { PersistentVolumeClaimRef, Pod, PodVolume, StatsProvider, VolumeMap } from './stats/pod.js';
export type { PodVolumeStats, VolumeState, VolumeStats } from './stats/volume-stats.js';
