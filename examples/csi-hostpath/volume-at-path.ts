import {
  MetricsBlock,
  MetricsError,
  MetricsStatFs,
  pathInfo,
  type Limits,
  type Metrics,
  type MetricsProvider,
  type PathInfo,
} from 'kube-volume-metrics';
import { loopDevicesOf } from './loop-devices.js';
import { dataOf } from './health.js';
import type { Volume } from './volume-store.js';

/**
 * Measures a volume where it is staged or published, once it is sure that it is there: at any other path it
 * would be the numbers of another volume, or the host's. The path is looked at rather than remembered, since
 * the kubelet links block volumes to places of its own.
 */
export class VolumeAtPath implements MetricsProvider {
  readonly name = 'hostpath';
  readonly #volume: Volume;
  readonly #path: string;
  readonly #limits: Limits;

  constructor(volume: Volume, path: string, limits: Limits) {
    this.#volume = volume;
    this.#path = path;
    this.#limits = limits;
  }

  async getMetrics(): Promise<Metrics> {
    const data = await dataOf(this.#volume, this.#limits);
    // There is nothing to measure; the volume's condition says so.
    if (data === undefined) return { time: new Date(), source: this.name };
    const there = await pathInfo(this.#path, this.#limits);
    if (!(await this.#isVolume(there, data))) {
      throw new MetricsError('METRICS_NOT_FOUND', `${this.#volume.id} is not at ${this.#path}`, {
        path: this.#path,
      });
    }
    const Provider = this.#volume.kind === 'block' ? MetricsBlock : MetricsStatFs;
    return await new Provider(this.#path, { timeoutMs: this.#limits.timeoutMs }).getMetrics();
  }

  async #isVolume(there: PathInfo, data: PathInfo): Promise<boolean> {
    if (this.#volume.kind === 'directory') {
      return there.device === data.device && there.inode === data.inode;
    }
    if (there.kind !== 'block') return false;
    const devices = await loopDevicesOf(this.#volume.dataPath);
    const infos = await Promise.all(devices.map((device) => pathInfo(device, this.#limits)));
    return infos.some(({ rdev }) => rdev === there.rdev);
  }
}
