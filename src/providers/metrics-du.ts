import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedWalk, diskUsage, type DiskUsageOptions } from '../os/disk-usage.js';
import { fsInfo } from '../os/fs-info.js';
import { checkedLimits, checkedText, openSignal, type Limits } from '../os/limits.js';
import { filesystemReading } from './filesystem-reading.js';

/** Options of {@link MetricsDu}: those of a walk, and the limit of the look at the filesystem that comes before it. */
export interface MetricsDuOptions extends Omit<DiskUsageOptions, 'signal'>, Pick<Limits, 'timeoutMs'> {}

/**
 * Measures a volume that is a directory on a shared filesystem, by walking it: `used` and `inodesUsed` are those of the tree, the rest
 * is the filesystem's, shared with whatever else lies on it. Costs time per inode; keep a reading with `CachedMetrics`.
 */
export class MetricsDu implements MetricsProvider {
  readonly name = 'du';
  readonly #path: string;
  readonly #limits: Pick<Limits, 'timeoutMs' | 'binding'>;
  readonly #walk: DiskUsageOptions;

  /**
   * @param path - the directory, or a single file: absolute, or relative to the current directory; a path that is a symlink is
   * followed
   * @param options - limits and manner of each walk
   * @throws TypeError for an argument of another type, or an option that is none
   */
  constructor(path: string, options: MetricsDuOptions = {}) {
    this.#path = checkedText('path', path);
    const { timeoutMs, binding } = checkedLimits(options);
    this.#limits = { timeoutMs, binding };
    this.#walk = { ...checkedWalk(options), binding };
  }

  /**
   * @returns the reading, with source `du`
   * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_FS_INFO_FAILED, METRICS_USAGE_FAILED with the entry
   * in `path`, METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    const time = new Date();
    // First, because a stuck filesystem costs no more than the time limit here, and no walk is begun on it.
    const info = await fsInfo(this.#path, { ...this.#limits, signal });
    const { used, inodesUsed, incomplete } = await diskUsage(this.#path, { ...this.#walk, signal });
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
