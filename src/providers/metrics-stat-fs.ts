import { MetricsError } from '../errors.js';
import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { fsInfo } from '../os/fs-info.js';
import {
  checkedFlag,
  checkedLimits,
  checkedText,
  openSignal,
  type Binding,
  type Limits,
} from '../os/limits.js';
import { mountAt } from '../os/mount-at.js';
import { sharedLimits } from '../os/share.js';
import type { FsInfo } from '../os/statfs.js';
import { filesystemReading } from './filesystem-reading.js';

/** Options of {@link MetricsStatFs}. */
export interface MetricsStatFsOptions extends Omit<Limits, 'signal'> {
  /**
   * Whether something must be mounted right at the path. Otherwise a volume that is not mounted (yet, or any more) reads as the
   * filesystem that its empty directory lies on: the host's.
   *
   * @defaultValue `false`
   */
  readonly requireMount?: boolean | undefined;
}

/**
 * Measures a volume that is a filesystem of its own, with one system call: all six quantities, and whether it is read-only.
 */
export class MetricsStatFs implements MetricsProvider {
  readonly name = 'statfs';
  readonly #path: string;
  readonly #limits: { readonly timeoutMs: number; readonly binding: Binding };
  readonly #requireMount: boolean;

  /**
   * @param path - anything on the volume: absolute, or relative to the current directory; symlinks are followed
   * @param options - limits of each call, and whether a mount is required
   * @throws TypeError for an argument of another type, or an option that is none
   */
  constructor(path: string, options: MetricsStatFsOptions = {}) {
    this.#path = checkedText('path', path);
    const { timeoutMs, binding } = checkedLimits(options);
    this.#limits = { timeoutMs, binding };
    this.#requireMount = checkedFlag('requireMount', options.requireMount);
  }

  /**
   * @returns the reading, with source `statfs`
   * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_NOT_MOUNTED, METRICS_FS_INFO_FAILED,
   * METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    const time = new Date();
    const limits = { ...this.#limits, signal };
    const info = await (this.#requireMount ? fsInfoOfMount(this.#path, limits) : fsInfo(this.#path, limits));
    return { time, source: this.name, ...filesystemReading(info) };
  }
}

/**
 * Like `fsInfo`, of what is mounted right at the path. The numbers count only between two looks that find the same mount
 * there: it may come or go at any moment, and the host's numbers must never be taken for the volume's. (A mount
 * that the kernel makes on access, autofs, is found by the second look.) One time limit covers it all.
 */
async function fsInfoOfMount(path: string, limits: Limits): Promise<FsInfo> {
  const rest = sharedLimits(path, limits);
  let before = await mountAt(path, rest());
  for (;;) {
    if (before === undefined) {
      throw new MetricsError('METRICS_NOT_MOUNTED', `nothing is mounted on ${path}`, { path });
    }
    const info = await fsInfo(path, rest());
    const after = await mountAt(path, rest());
    if (after === before) return info;
    before = after;
  }
}
