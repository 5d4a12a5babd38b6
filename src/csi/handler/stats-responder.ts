import { status } from '@grpc/grpc-js';
import { MetricsError } from '../../errors.js';
import type { Metrics, MetricsProvider, VolumeCondition } from '../../metrics.js';
import { callListener, checkedAge, checkedFlag, checkedFunction, checkedMs } from '../../options.js';
import { Deadline } from '../../waiting/deadline.js';
import type { VolumeUsage } from '../gen/csi/v1/csi.js';
import { checkVolumeRequest, type CsiVolume } from '../messages/csi-volume.js';
import { serviceError } from '../messages/grpc-status.js';
import { metricsToUsage } from '../messages/usage.js';
import { measureAtPath } from './measure-at-path.js';
import { VolumeReadings, type VolumeReading } from './volume-readings.js';
import { checkedVerdict, NORMAL, verdictAt, verdictOf, verdictOn } from './volume-verdict.js';

/**
 * Options of `nodeGetVolumeStats`. An error that a hook throws is answered with INTERNAL and without its
 * text, unless it is a MetricsError or has a gRPC `code` and `details`.
 */
export interface NodeGetVolumeStatsOptions<
  Codec extends 'ts-proto' | 'proto-loader' = 'ts-proto' | 'proto-loader',
> {
  /**
   * Whether the driver has such a volume; false or undefined is answered with NOT_FOUND. Without this hook
   * the path alone decides, so that volumes that the driver did not provision have numbers too.
   */
  readonly knownVolume?: ((volume: CsiVolume) => boolean | Promise<boolean>) | undefined;
  /**
   * Gives the provider that measures a volume. Without this hook, or if it gives undefined, a directory is
   * measured by statfs and a block device by its size. With a provider, the path itself is looked at only for
   * `requireMount` and for `condition: true`.
   */
  readonly providerFor?:
    ((volume: CsiVolume) => MetricsProvider | undefined | Promise<MetricsProvider | undefined>) | undefined;
  /**
   * Whether a directory that nothing is mounted on is answered with NOT_FOUND. Set it in a driver whose
   * volumes are mounts: otherwise an unmounted volume reads as the host's filesystem.
   *
   * @defaultValue `false`
   */
  readonly requireMount?: boolean | undefined;
  /**
   * Whether the answer has a verdict on the volume's health; the driver then advertises {@link
   * conditionCapability} too. A volume that does not answer, or whose mount is broken, is then answered as
   * abnormal with its last known numbers instead of an error. With `true`, a volume that can be read is
   * abnormal if the filesystem at its path was shut down or went read-only after an error. A function gives
   * the verdict instead; undefined from it means that nothing is wrong. If it fails or takes more than half
   * of `timeoutMs`, the numbers are sent without a verdict.
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
   * Milliseconds for which later callers get the same reading. With 0, only a measurement in flight is
   * shared. If it is more, call `forget` in NodeUnpublishVolume.
   *
   * @defaultValue 0
   */
  readonly maxAgeMs?: number | undefined;
  /**
   * Milliseconds after which a caller is answered with DEADLINE_EXCEEDED (or an abnormal condition). A caller
   * with an earlier deadline is answered shortly before it, so that it learns the reason. The measurement
   * goes on, and the next call joins it.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /** Told of each failure, for the driver's log: clients only see a status. What it throws is ignored. */
  readonly onError?: ((error: unknown, volume: CsiVolume) => void) | undefined;
  /**
   * The form of the server's messages: `'ts-proto'` is this package's generated code, `'proto-loader'` is
   * `@grpc/proto-loader` with `keepCase: true`.
   *
   * @defaultValue `'ts-proto'`
   */
  readonly codec?: Codec | undefined;
}

/** What the handler answers, before it takes the form of the server's messages. */
export interface VolumeStatsAnswer {
  readonly usage: readonly VolumeUsage[];
  readonly condition?: VolumeCondition | undefined;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * A caller is answered this long before its own deadline; at half of the time if less than twice as much is
 * left.
 */
const MARGIN_MS = 500;

/** Answers NodeGetVolumeStats in any form of messages. */
export class StatsResponder {
  readonly #options: NodeGetVolumeStatsOptions;
  readonly #timeoutMs: number;
  readonly #requireMount: boolean;
  readonly #readings: VolumeReadings;

  /** @throws TypeError for an invalid option */
  constructor(options: NodeGetVolumeStatsOptions) {
    const { knownVolume, providerFor, onError, condition = false } = options;
    for (const [name, hook] of Object.entries({ knownVolume, providerFor, onError }))
      checkedFunction(name, hook);
    if (typeof condition !== 'boolean' && typeof condition !== 'function') {
      throw new TypeError(`Expected condition to be a boolean or a function, got ${typeof condition}`);
    }
    const maxAgeMs = checkedAge('maxAgeMs', options.maxAgeMs, 0);
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
   * @throws MetricsError, ServiceError, or what a hook threw; `onError` has been told
   */
  async answer(volume: CsiVolume, callerMs: number): Promise<VolumeStatsAnswer> {
    const limitMs = Math.min(this.#timeoutMs, callerMs - Math.min(MARGIN_MS, callerMs / 2));
    try {
      checkVolumeRequest(volume);
      return await this.#answerWithin(new Deadline(limitMs), volume);
    } catch (error) {
      this.#tell(error, volume);
      const condition = this.#options.condition ? verdictOn(error) : undefined;
      if (condition === undefined) throw error;
      return { usage: this.#readings.lastUsage(volume), condition };
    }
  }

  async #answerWithin(deadline: Deadline, volume: CsiVolume): Promise<VolumeStatsAnswer> {
    const undecided = (): never => {
      // Says nothing about the volume. A MetricsError could become a verdict on it.
      throw serviceError(
        status.DEADLINE_EXCEEDED,
        `the driver did not find out in time whether volume ${volume.volumeId} exists`,
      );
    };
    if (!(await deadline.wait(this.#isKnown(volume), undecided))) {
      throw serviceError(status.NOT_FOUND, `no volume ${volume.volumeId}`);
    }
    const late = (): never => {
      throw new MetricsError('METRICS_TIMED_OUT', `${volume.volumePath} has not answered in time`, {
        path: volume.volumePath,
      });
    };
    const reading = this.#readings.get(volume);
    const usage = await deadline.wait(reading.usage, late);
    const condition = await deadline.wait(reading.condition, () => undefined);
    if (usage.length === 0 && condition === undefined) {
      throw serviceError(status.INTERNAL, `the capacity of ${volume.volumePath} is not known`);
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

  /** The verdict; undefined, never healthy, if there is none. */
  async #conditionOf(volume: CsiVolume, metrics: Metrics): Promise<VolumeCondition | undefined> {
    const { condition } = this.#options;
    if (condition === undefined || condition === false) return undefined;
    try {
      const limitMs = this.#timeoutMs / 2;
      if (condition === true)
        return checkedVerdict(metrics.condition ?? (await verdictAt(volume.volumePath, limitMs)));
      const verdict = await verdictOf(condition, volume, metrics, limitMs);
      return checkedVerdict(verdict ?? metrics.condition ?? NORMAL);
    } catch (error) {
      this.#tell(error, volume);
      return undefined;
    }
  }

  #tell(error: unknown, volume: CsiVolume): void {
    // A log that fails must not cost a caller its answer.
    void callListener(this.#options.onError, [error, volume]);
  }
}
