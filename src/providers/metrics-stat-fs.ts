import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedFlag, checkedText, openSignal } from '../options.js';
import { filesystemReading, fsInfoOf } from '../os/fs-info.js';
import { mountedFsInfoOf } from '../os/mount-at.js';
import { checkedLimits, volumeCall, type CheckedLimits, type Limits } from '../os/volume-call.js';

/** Options of {@link MetricsStatFs}. */
export interface MetricsStatFsOptions extends Omit<Limits, 'signal'> {
  /**
   * Whether something must be mounted right at the path. While a volume is not mounted, its empty directory
   * belongs to the host's filesystem; without this option the reading is the host's.
   *
   * @defaultValue `false`
   */
  readonly requireMount?: boolean | undefined;
}

const OPTIONS = ['timeoutMs', 'binding', 'requireMount'] as const;

/**
 * Measures a volume that is a filesystem of its own, with one system call: all six quantities, and whether it
 * is read-only.
 */
export class MetricsStatFs implements MetricsProvider {
  readonly name = 'statfs';
  readonly #path: string;
  readonly #limits: CheckedLimits;
  readonly #requireMount: boolean;

  /**
   * @param path - anything on the volume: absolute, or relative to the current directory; symlinks are
   * followed
   * @param options - limits of each call, and whether a mount is required
   * @throws TypeError for an argument of another type, or an option that is unknown or wrong
   */
  constructor(path: string, options: MetricsStatFsOptions = {}) {
    this.#path = checkedText('path', path);
    this.#limits = checkedLimits(options, OPTIONS);
    this.#requireMount = checkedFlag('requireMount', options.requireMount);
  }

  /**
   * @returns the reading, with source `statfs`
   * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_NOT_MOUNTED,
   * METRICS_FS_INFO_FAILED, METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    const time = new Date();
    const call = volumeCall(this.#path, this.#limits, signal);
    const info = await (this.#requireMount ? mountedFsInfoOf(call) : fsInfoOf(call));
    return filesystemReading(time, this.name, info);
  }
}
