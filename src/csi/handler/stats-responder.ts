import { status } from '@grpc/grpc-js';
import { MetricsError } from '../../errors.js';
import type { Metrics, VolumeCondition } from '../../metrics.js';
import { checkedAge } from '../../options.js';
import { Deadline } from '../../waiting/deadline.js';
import type { VolumeUsage } from '../gen/csi/v1/csi.js';
import { checkVolumeRequest, type CsiVolume } from '../messages/csi-volume.js';
import { serviceError } from '../messages/grpc-status.js';
import { entriesToCondition, volumeEntries } from '../messages/health.js';
import { metricsToUsage } from '../messages/usage.js';
import { DriverHooks, type NodeGetVolumeStatsOptions } from './driver-hooks.js';
import { measureAtPath } from './measure-at-path.js';
import { limitFor } from './unary-handler.js';
import { checkedVerdict, problemOn, problemsAt } from './volume-health.js';
import { VolumeReadings, type VolumeReading } from './volume-readings.js';

/** What the handler answers, before it takes the form of the server's messages. */
export interface VolumeStatsAnswer {
  readonly usage: readonly VolumeUsage[];
  readonly condition?: VolumeCondition | undefined;
}

/** Numbers never wait longer for the verdict than this part of the time limit. */
const HEALTH_SHARE = 1 / 2;

/** Answers NodeGetVolumeStats in any form of messages. */
export class StatsResponder {
  readonly #hooks: DriverHooks;
  readonly #providerFor: NodeGetVolumeStatsOptions['providerFor'];
  readonly #hasCondition: boolean;
  readonly #readings: VolumeReadings;

  /** @throws TypeError for an invalid option */
  constructor(options: NodeGetVolumeStatsOptions) {
    this.#hooks = new DriverHooks(options, HEALTH_SHARE);
    const { health = false, providerFor, maxAgeMs } = options;
    this.#providerFor = providerFor;
    this.#hasCondition = health !== false;
    const keptMs = checkedAge('maxAgeMs', maxAgeMs, 0);
    this.#readings = new VolumeReadings((volume) => this.#measure(volume), keptMs, this.#hasCondition);
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
    try {
      checkVolumeRequest(volume);
      return await this.#answerWithin(new Deadline(limitFor(this.#hooks.timeoutMs, callerMs)), volume);
    } catch (error) {
      this.#hooks.tell(error, volume);
      const problem = this.#hasCondition ? problemOn(error) : undefined;
      if (problem === undefined) throw error;
      const usage = this.#readings.lastUsage(volume);
      return { usage, condition: entriesToCondition(volumeEntries([problem])) };
    }
  }

  async #answerWithin(deadline: Deadline, volume: CsiVolume): Promise<VolumeStatsAnswer> {
    await this.#hooks.requireKnown(volume, deadline);
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
    const { requireMount, timeoutMs } = this.#hooks;
    const provider = await this.#providerFor?.(volume);
    return await measureAtPath(volume.volumePath, { provider, requireMount, timeoutMs });
  }

  /** The verdict; undefined, never healthy, if there is none. */
  async #conditionOf(volume: CsiVolume, metrics: Metrics): Promise<VolumeCondition | undefined> {
    if (!this.#hasCondition) return undefined;
    try {
      const entries = await this.#hooks.problems(volume);
      if (entries !== undefined) return entriesToCondition(entries);
      if (metrics.condition !== undefined) return checkedVerdict(metrics.condition);
      const limitMs = this.#hooks.timeoutMs * HEALTH_SHARE;
      return entriesToCondition(volumeEntries(await problemsAt(volume.volumePath, limitMs)));
    } catch (error) {
      this.#hooks.tell(error, volume);
      return undefined;
    }
  }
}
