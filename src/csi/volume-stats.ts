import { status } from '@grpc/grpc-js';
import { MetricsError } from '../errors.js';
import type { Metrics, MetricsProvider, VolumeCondition } from '../metrics.js';
import { checkedFlag, checkedMs } from '../options.js';
import type { CsiVolume } from './csi-volume.js';
import { serviceError } from './grpc-status.js';
import { measureAtPath } from './measure-at-path.js';
import type { VolumeStatsAnswer } from './stats-codec.js';
import { TimeLimit } from './time-limit.js';
import { VolumeReadings, type VolumeReading } from './volume-readings.js';
import { checkVolumeRequest } from './volume-request.js';
import { metricsToUsage } from './volume-usage.js';
import { checkedVerdict, NORMAL, verdictOf, verdictOn } from './volume-verdict.js';

/**
 * What decides how the handler answers, and how long it takes. What a hook throws is answered with INTERNAL and no word of it, unless it is a
 * MetricsError or has a gRPC `code` and `details`.
 */
export interface VolumeStatsOptions {
  /**
   * Whether the driver has such a volume; false, or nothing, is answered with NOT_FOUND. Without it the path alone decides, so that volumes that the driver
   * did not provision itself have numbers too.
   */
  readonly knownVolume?: ((volume: CsiVolume) => boolean | Promise<boolean>) | undefined;
  /**
   * Who measures a volume; without it, or where it gives undefined, a directory is measured by statfs and a block device by its size. The path
   * is then not looked at before, unless `requireMount` is set.
   */
  readonly providerFor?:
    ((volume: CsiVolume) => MetricsProvider | undefined | Promise<MetricsProvider | undefined>) | undefined;
  /**
   * Whether a directory that nothing is mounted on is answered with NOT_FOUND. Set it in a driver whose volumes are mounts:
   * otherwise a volume that is not mounted (yet, or any more) reads as the host's filesystem.
   *
   * @defaultValue `false`
   */
  readonly requireMount?: boolean | undefined;
  /**
   * Whether the answer has a verdict on the volume's health; the driver then advertises {@link conditionCapability} too. A volume that
   * cannot be read because its mount is broken, or that does not answer, is then an abnormal volume with its last known numbers
   * instead of an error. A function gives the verdict on a volume that can be read; undefined from it means nothing is wrong. When it
   * fails or takes more than half of `timeoutMs`, the numbers go out without a verdict.
   *
   * @defaultValue `false`
   */
  readonly condition?:
    | boolean
    | ((
        volume: CsiVolume,
        metrics: Metrics,
        options: { signal: AbortSignal },
      ) => VolumeCondition | undefined | Promise<VolumeCondition | undefined>)
    | undefined;
  /**
   * Milliseconds for which a reading is given to later callers. 0 shares only what is in flight. Call `forget` in
   * NodeUnpublishVolume when it is more.
   *
   * @defaultValue 0
   */
  readonly maxAgeMs?: number | undefined;
  /**
   * Milliseconds after which a caller is answered with DEADLINE_EXCEEDED (or an abnormal condition); sooner where its own deadline
   * is near, so that it hears why. The measurement goes on and is joined by the next call.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /** Told of each failure that a client sees only as a status, for the driver's log. What it throws is ignored. */
  readonly onError?: ((error: unknown, volume: CsiVolume) => void) | undefined;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** A caller is answered so long before its own deadline; sooner where that is near. */
const MARGIN_MS = 500;

/** Answers NodeGetVolumeStats, whatever form the messages have. */
export class VolumeStats {
  readonly #options: VolumeStatsOptions;
  readonly #timeoutMs: number;
  readonly #requireMount: boolean;
  readonly #readings: VolumeReadings;

  /** @throws TypeError for an option that is none */
  constructor(options: VolumeStatsOptions) {
    const { maxAgeMs = 0, condition = false } = options;
    for (const name of ['knownVolume', 'providerFor', 'onError'] as const) {
      const given: unknown = options[name];
      if (given === undefined || typeof given === 'function') continue;
      throw new TypeError(`Expected ${name} to be a function, got ${typeof given}`);
    }
    if (typeof condition !== 'boolean' && typeof condition !== 'function') {
      throw new TypeError(`Expected condition to be a boolean or a function, got ${typeof condition}`);
    }
    if (typeof maxAgeMs !== 'number' || !(maxAgeMs >= 0)) {
      throw new TypeError(
        `Expected maxAgeMs to be a number of milliseconds of at least 0, got ${String(maxAgeMs)}`,
      );
    }
    this.#options = options;
    this.#timeoutMs = checkedMs('timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS);
    this.#requireMount = checkedFlag('requireMount', options.requireMount);
    this.#readings = new VolumeReadings((volume) => this.#measure(volume), maxAgeMs, condition !== false);
  }

  forget(volumeId: string, volumePath?: string): void {
    this.#readings.forget(volumeId, volumePath);
  }

  /**
   * @param callerMs - milliseconds until the caller gives up; may be Infinity
   * @returns the answer, some time before that
   * @throws MetricsError, ServiceError, or whatever a hook threw; `onError` has been told
   */
  async answer(volume: CsiVolume, callerMs: number): Promise<VolumeStatsAnswer> {
    const limit = new TimeLimit(Math.min(this.#timeoutMs, callerMs - Math.min(MARGIN_MS, callerMs / 2)));
    try {
      checkVolumeRequest(volume);
      return await this.#answerWithin(limit, volume);
    } catch (error) {
      this.#tell(error, volume);
      const condition = this.#options.condition ? verdictOn(error) : undefined;
      if (condition === undefined) throw error;
      return { usage: this.#readings.lastUsage(volume), condition };
    } finally {
      limit.end();
    }
  }

  async #answerWithin(limit: TimeLimit, volume: CsiVolume): Promise<VolumeStatsAnswer> {
    const undecided = (): never => {
      // No word on the volume, so it is no MetricsError, which could become a verdict on it.
      throw serviceError(status.DEADLINE_EXCEEDED, `not known in time whether there is ${volume.volumeId}`);
    };
    if (!(await limit.wait(this.#isKnown(volume), undecided))) {
      throw serviceError(status.NOT_FOUND, `no volume ${volume.volumeId}`);
    }
    const late = (): never => {
      throw new MetricsError('METRICS_TIMED_OUT', `${volume.volumePath} has not answered in time`, {
        path: volume.volumePath,
      });
    };
    const reading = this.#readings.get(volume);
    const usage = await limit.wait(reading.usage, late);
    const condition = await limit.wait(reading.condition, () => undefined);
    if (usage.length === 0 && condition === undefined) {
      throw serviceError(status.INTERNAL, `the reading of ${volume.volumePath} has no capacity`);
    }
    return { usage, condition };
  }

  async #isKnown(volume: CsiVolume): Promise<boolean> {
    const { knownVolume } = this.#options;
    return knownVolume === undefined || (await knownVolume(volume));
  }

  #measure(volume: CsiVolume): VolumeReading {
    const metrics = this.#metrics(volume);
    const usage = metrics.then(metricsToUsage);
    const condition = usage.then(
      async () => await this.#conditionOf(volume, await metrics),
      () => undefined,
    );
    return { usage, condition };
  }

  async #metrics(volume: CsiVolume): Promise<Metrics> {
    const provider = await this.#options.providerFor?.(volume);
    return await measureAtPath(volume.volumePath, {
      provider,
      requireMount: this.#requireMount,
      timeoutMs: this.#timeoutMs,
    });
  }

  /** What cannot be told is left out, never called healthy. */
  async #conditionOf(volume: CsiVolume, metrics: Metrics): Promise<VolumeCondition | undefined> {
    const { condition } = this.#options;
    if (condition === undefined || condition === false) return undefined;
    try {
      const verdict =
        condition === true ? undefined : await verdictOf(condition, volume, metrics, this.#timeoutMs / 2);
      return checkedVerdict(verdict ?? metrics.condition ?? NORMAL);
    } catch (error) {
      this.#tell(error, volume);
      return undefined;
    }
  }

  #tell(error: unknown, volume: CsiVolume): void {
    try {
      this.#options.onError?.(error, volume);
    } catch {
      // A log that fails is no reason to leave a caller without its answer.
    }
  }
}
