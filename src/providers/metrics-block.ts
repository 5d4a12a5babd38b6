import { isMetricsError, MetricsError } from '../errors.js';
import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedText, openSignal } from '../options.js';
import { blockDeviceSize } from '../os/devices.js';
import { pathInfoOf, type PathInfo } from '../os/path-info.js';
import { checkedLimits, volumeCall, type CheckedLimits, type Limits } from '../os/volume-call.js';

/** Options of {@link MetricsBlock}: limits of each call. */
export type MetricsBlockOptions = Omit<Limits, 'signal'>;

const OPTIONS = ['timeoutMs', 'binding'] as const;

/**
 * Measures a raw block volume: its capacity and nothing else, because only its user knows what is used in it.
 * A regular file counts as the image of one.
 */
export class MetricsBlock implements MetricsProvider {
  readonly name = 'block';
  readonly #device: string;
  readonly #limits: CheckedLimits;

  /**
   * @param device - a block device or a regular file: absolute, or relative to the current directory;
   * symlinks are followed
   * @param options - limits of each call
   * @throws TypeError for an argument of another type, or an option that is unknown or wrong
   */
  constructor(device: string, options: MetricsBlockOptions = {}) {
    this.#device = checkedText('device', device);
    this.#limits = checkedLimits(options, OPTIONS);
  }

  /**
   * @returns the reading, with source `block` and only `capacity`
   * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_FS_INFO_FAILED,
   * METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    const time = new Date();
    const capacity = this.#size(await this.#lookUp(signal));
    return { time, source: this.name, capacity };
  }

  async #lookUp(signal: AbortSignal | undefined): Promise<PathInfo> {
    const call = volumeCall(this.#device, { ...this.#limits, signal });
    try {
      return await pathInfoOf(call);
    } catch (error) {
      if (!isMetricsError(error) || !(error.cause instanceof Error)) throw error;
      // The kubelet's text, kubernetes pkg/volume/metrics_block.go. It opens the device; this does not.
      throw this.#failure(
        `unable to open device "${this.#device}": ${error.cause.message}`,
        error.cause,
        error.code,
      );
    }
  }

  #size({ kind, size, rdev }: PathInfo): bigint {
    if (kind === 'file') return size;
    const failed = `failed to detect size of "${this.#device}": `;
    if (kind !== 'block') {
      const what = kind === 'directory' ? 'a directory' : 'a character device, a fifo or a socket';
      throw this.#failure(`${failed}it is ${what}, not a block device or a regular file`);
    }
    try {
      return blockDeviceSize(rdev);
    } catch (error) {
      throw this.#failure(failed + (error instanceof Error ? error.message : String(error)), error);
    }
  }

  #failure(
    message: string,
    cause?: unknown,
    code: MetricsError['code'] = 'METRICS_FS_INFO_FAILED',
  ): MetricsError {
    return new MetricsError(code, message, { path: this.#device, ...(cause !== undefined && { cause }) });
  }
}
