import { MetricsError } from '../errors.js';
import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { openSignal } from '../options.js';
import { CachedMetrics } from '../providers/cached-metrics.js';
import { MetricsBlock } from '../providers/metrics-block.js';
import { MetricsDu } from '../providers/metrics-du.js';
import { MetricsStatFs } from '../providers/metrics-stat-fs.js';
import { MetricsCsi } from '../csi/index.js';
import type { VolumeMap } from '../stats/pod.js';
import type { Measure, PlannedVolume } from './described-volume.js';
import type { CsiDrivers } from './drivers/csi-drivers.js';
import { stagingOf } from './plan-entry.js';

/**
 * The kubelet keeps the reading of a configMap until it next syncs the pod, about once a minute (kubernetes
 * pkg/volume/metrics_cached.go).
 */
const CACHED_MS = 60_000;

/** A volume of which nothing can be measured now, or ever. */
class NotMeasured implements MetricsProvider {
  readonly name: string;
  readonly #measure: Measure & { readonly way: 'none' };

  constructor(measure: Measure & { readonly way: 'none' }) {
    this.name = measure.code === 'METRICS_NOT_SUPPORTED' ? 'nil' : 'unknown';
    this.#measure = measure;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- async, so that it rejects and never throws
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    openSignal(options);
    const { code, reason, path } = this.#measure;
    throw new MetricsError(code, reason, { path });
  }
}

/**
 * The providers of the volumes that are planned. As long as a volume is measured in the same way its provider
 * stays the same object, and so does what it has learnt.
 */
export class PlannedProviders {
  readonly #drivers: CsiDrivers;
  readonly #root: () => string;
  /** How each measures. */
  readonly #keys = new WeakMap<MetricsProvider, string>();

  /** @param root - gives the kubelet's root, without symlinks */
  constructor(drivers: CsiDrivers, root: () => string) {
    this.#drivers = drivers;
    this.#root = root;
  }

  /**
   * The provider of each volume of a pod, by its name in the plan.
   *
   * @param before - what this gave last for the pod
   */
  of(volumes: readonly PlannedVolume[], before: VolumeMap | undefined): VolumeMap {
    const providers = new Map<string, MetricsProvider>();
    for (const { name, measure } of volumes) {
      const key = keyOf(measure);
      const known = before?.get(name);
      if (known !== undefined && this.#keys.get(known) === key) {
        providers.set(name, known);
      } else {
        const made = this.#make(measure);
        this.#keys.set(made, key);
        providers.set(name, made);
      }
    }
    return providers;
  }

  #make(measure: Measure): MetricsProvider {
    switch (measure.way) {
      case 'own tmpfs':
        return new MetricsDu(measure.path, { requireMount: true, ownTmpfs: 'statfs' });
      case 'statfs':
        return new MetricsStatFs(measure.path, { requireMount: measure.requireMount });
      case 'du':
        return new MetricsDu(measure.path, { requireMount: measure.requireMount });
      case 'cached du':
        return new CachedMetrics(new MetricsDu(measure.path), { maxAgeMs: CACHED_MS });
      case 'block':
        return new MetricsBlock(measure.path);
      case 'csi': {
        const { driver, path, volumeHandle, entry } = measure;
        // The kubelet names none. It may help a driver to find a filesystem; a device is at the path itself.
        const staging = (): string | undefined =>
          entry.mode === 'Block' ? undefined : stagingOf(entry, driver, volumeHandle, this.#root());
        const client = this.#drivers.reader(driver, staging);
        return new MetricsCsi({ client, driverName: driver, volumeId: volumeHandle, volumePath: path });
      }
      case 'none':
        return new NotMeasured(measure);
    }
  }
}

function keyOf(measure: Measure): string {
  switch (measure.way) {
    case 'csi':
      return `csi\n${measure.driver}\n${measure.path}\n${measure.volumeHandle}`;
    case 'none':
      return `${measure.code}\n${measure.path ?? ''}\n${measure.reason}`;
    default:
      return `${measure.way}\n${String(measure.requireMount)}\n${measure.path}`;
  }
}
