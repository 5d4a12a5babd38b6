import { isMetricsError, MetricsError } from '../../errors.js';
import type { GetMetricsOptions, Metrics, MetricsProvider, VolumeCondition } from '../../metrics.js';
import { checkedOptions, checkedText, openSignal } from '../../options.js';
import { waitFor } from '../../waiting/joined-call.js';
import { NodeServiceCapability_RPC_Type as Capability } from '../gen/csi/v1/csi.js';
import type { CsiVolume } from '../messages/csi-volume.js';
import { healthToCondition } from '../messages/health.js';
import { isKnownUnit, usageToMetrics } from '../messages/usage.js';
import { volumeTexts, type CsiNodeClient } from './csi-node-client.js';
import type { CsiVolumeAnswer } from './driver-connection.js';

/** Options of {@link MetricsCsi}. */
export interface MetricsCsiOptions extends CsiVolume {
  /** Talks to the volume's driver. All volumes of that driver share it; its maker closes it. */
  readonly client: Pick<CsiNodeClient, 'readVolume'>;
  /**
   * The driver's name, for `name` and `source`.
   *
   * @defaultValue `'csi'`
   */
  readonly driverName?: string | undefined;
}

const OPTIONS = ['client', 'driverName', 'volumeId', 'volumePath', 'stagingTargetPath'] as const;

/**
 * Measures a volume by asking its CSI driver, which also gives a verdict on the volume's health if it
 * advertises one.
 */
export class MetricsCsi implements MetricsProvider {
  /** The driver's name. */
  readonly name: string;
  readonly #client: Pick<CsiNodeClient, 'readVolume'>;
  readonly #volume: CsiVolume;

  /**
   * @param options - the client and the volume
   * @throws TypeError for an invalid or unknown option
   */
  constructor(options: MetricsCsiOptions) {
    const { client, driverName = 'csi' } = checkedOptions(options, OPTIONS);
    if (typeof (client as Partial<CsiNodeClient> | undefined)?.readVolume !== 'function') {
      throw new TypeError('Expected client to be a CsiNodeClient');
    }
    this.name = checkedText('driverName', driverName);
    this.#client = client;
    this.#volume = volumeTexts(options);
  }

  /**
   * Asks the driver, within the client's time limit.
   *
   * @returns the reading, with the driver's name as source; `time` is when the call began, as in the kubelet
   * @throws MetricsError METRICS_NOT_SUPPORTED if the driver does not advertise GET_VOLUME_STATS,
   * METRICS_NO_PATH_DEFINED for an empty id or path, METRICS_NOT_FOUND, METRICS_TIMED_OUT, METRICS_CSI_FAILED
   * with the gRPC error in `cause`
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    const time = new Date();
    const asked = (async () => await this.#client.readVolume(this.#volume, { signal }))();
    // A client of foreign code may ignore its signal. Without a deadline nobody is late.
    const answer = await (signal === undefined ? asked : waitFor(asked, { signal, late: () => undefined }));
    try {
      return { time, source: this.name, ...toReading(answer, this.#volume, this.name) };
    } catch (error) {
      if (isMetricsError(error)) throw error;
      const text = `the client of ${this.name} gave no answer that can be read`;
      throw new MetricsError('METRICS_CSI_FAILED', text, { cause: error, path: this.#volume.volumePath });
    }
  }
}

/** Turns a driver's answer into a reading. */
function toReading(
  { capabilities, stats, health, healthError }: CsiVolumeAnswer,
  { volumeId, volumePath }: CsiVolume,
  driverName: string,
): Omit<Metrics, 'time' | 'source'> {
  if (typeof (capabilities as Partial<typeof capabilities> | undefined)?.has !== 'function') {
    throw new TypeError('the answer has no set of capabilities');
  }
  if (stats === undefined) {
    // The kubelet's text, kubernetes pkg/volume/metrics_errors.go.
    throw new MetricsError('METRICS_NOT_SUPPORTED', `metrics are not supported for ${driverName} volumes`);
  }
  const warnings: string[] = [];
  const verdicts = [
    capabilities.has(Capability.GET_VOLUME_HEALTH) &&
      conditionOfHealth(health, healthError, volumeId, warnings),
    capabilities.has(Capability.VOLUME_CONDITION) && conditionOfStats(stats.volumeCondition, warnings),
  ];
  const condition = verdicts.find((each) => typeof each === 'object');
  if (condition === undefined && !stats.usage.some(isKnownUnit)) {
    const message =
      stats.usage.length === 0
        ? // The kubelet's text, kubernetes pkg/volume/csi/csi_client.go.
          'failed to get usage from response. usage is nil'
        : `${driverName} has no numbers for this volume yet: its usage is of unknown unit`;
    throw new MetricsError('METRICS_CSI_FAILED', message, { path: volumePath });
  }
  const reading = usageToMetrics(stats.usage);
  warnings.unshift(...(reading.warnings ?? []));
  return {
    ...reading,
    ...(condition !== undefined && { condition }),
    ...(warnings.length > 0 && { warnings }),
  };
}

function conditionOfHealth(
  response: CsiVolumeAnswer['health'],
  error: unknown,
  volumeId: string,
  warnings: string[],
): VolumeCondition | undefined {
  const health = response?.volumeHealth;
  if (health?.volumeId === volumeId || health?.volumeId === '') return healthToCondition(health);
  const why =
    error instanceof Error ? error.message : health && `the driver answered for '${health.volumeId}'`;
  warnings.push(`health not known: ${why ?? 'the driver advertises it but sent nothing'}`);
  return undefined;
}

function conditionOfStats(
  condition: VolumeCondition | undefined,
  warnings: string[],
): VolumeCondition | undefined {
  if (condition === undefined)
    warnings.push('condition not known: the driver advertises it but sent nothing');
  return condition;
}
