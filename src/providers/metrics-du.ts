import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedText, openSignal } from '../options.js';
import { checkedWalk, diskUsageOf, type DiskUsageOptions } from '../os/disk-usage.js';
import { filesystemReading, fsInfoOf } from '../os/fs-info.js';
import type { Walk } from '../os/os-binding.js';
import { checkedLimits, volumeCall, type CheckedLimits, type Limits } from '../os/volume-call.js';

/** Options of {@link MetricsDu}: those of a walk, and the limit of the look at the filesystem that comes before it. */
export interface MetricsDuOptions extends Omit<DiskUsageOptions, 'signal'>, Pick<Limits, 'timeoutMs'> {}

const OPTIONS = ['timeoutMs', 'binding', 'threads', 'allowPartial', 'stallTimeoutMs', 'onProgress'] as const;

/**
 * Measures a volume that is a directory on a shared filesystem, by walking it. `used` and `inodesUsed` are those of the tree. The
 * other quantities are the filesystem's, shared with everything else on it. A reading costs time per inode; keep it with
 * `CachedMetrics`.
 */
export class MetricsDu implements MetricsProvider {
  readonly name = 'du';
  readonly #path: string;
  readonly #limits: CheckedLimits;
  readonly #walk: Walk;

  /**
   * @param path - the directory, or a single file: absolute, or relative to the current directory; a path that is a symlink is
   * followed
   * @param options - limits and manner of each walk
   * @throws TypeError for an argument of another type, or an option that is unknown or wrong
   */
  constructor(path: string, options: MetricsDuOptions = {}) {
    this.#path = checkedText('path', path);
    this.#limits = checkedLimits(options, OPTIONS);
    this.#walk = checkedWalk(options);
  }

  /**
   * @returns the reading, with source `du`
   * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_FS_INFO_FAILED, METRICS_USAGE_FAILED with the entry
   * in `path`, METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    const time = new Date();
    const call = volumeCall(this.#path, { ...this.#limits, signal });
    // First, because on a stuck filesystem this costs only the time limit, and no walk is started there.
    const info = await fsInfoOf(call);
    const { used, inodesUsed, incomplete } = await diskUsageOf(call.path, call.binding, {
      ...this.#walk,
      signal,
    });
    return {
      time,
      source: this.name,
      ...filesystemReading(info),
      used,
      inodesUsed,
      ...(incomplete !== undefined && { incomplete }),
    };
  }
}
