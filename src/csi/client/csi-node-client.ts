import type { MethodDefinition } from '@grpc/grpc-js';
import { MetricsError } from '../../errors.js';
import {
  callListener,
  checkedFunction,
  checkedMs,
  checkedObject,
  checkedOptions,
  checkedSignal,
  checkedText,
} from '../../options.js';
import { Deadline } from '../../waiting/deadline.js';
import {
  IdentityService,
  NodeService,
  NodeServiceCapability_RPC_Type as Capability,
  type GetPluginCapabilitiesResponse,
  type GetPluginInfoResponse,
  type NodeGetInfoResponse,
  type NodeGetStorageHealthResponse,
  type NodeGetVolumeHealthResponse,
  type NodeGetVolumeStatsResponse,
} from '../gen/csi/v1/csi.js';
import type { CsiVolume } from '../messages/csi-volume.js';
import { socketPath } from '../messages/socket-path.js';
import type { CallLimits, CsiCall, NodeCapabilities } from './connection.js';
import { DriverConnection, type CsiVolumeAnswer } from './driver-connection.js';

/** Options of {@link CsiNodeClient}. */
export interface CsiNodeClientOptions {
  /**
   * Milliseconds for all calls of one reading together, and for any other call. More than 0, at most
   * 2147483647.
   *
   * @defaultValue 120000, as in the kubelet
   */
  readonly timeoutMs?: number | undefined;
  /** Told of each call that has ended, including retries. What it throws is ignored. */
  readonly onCall?: ((call: CsiCall) => void) | undefined;
}

/** Options of one call of {@link CsiNodeClient}. */
export interface CsiCallOptions {
  /** Ends the call: it rejects with `signal.reason`, unwrapped. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for this call, instead of the client's. */
  readonly timeoutMs?: number | undefined;
}

/** The kubelet's csiTimeout, kubernetes pkg/volume/csi/csi_util.go. */
const DEFAULT_TIMEOUT_MS = 120_000;

/** The numbers are known when the driver is asked for the health. They wait no longer than this. */
const HEALTH_TIMEOUT_MS = 5_000;

/**
 * Talks to the node service of one CSI driver over one connection, made at the first call. A thousand
 * readings at once use a second one. Keep the client while you need the driver; an idle one keeps no process
 * alive.
 *
 * A call after the driver was restarted, or after one that ran out of time while the driver answered nothing,
 * makes a new connection. A call that loses its connection is made once more on a new one: it only reads.
 */
export class CsiNodeClient {
  /** The driver's socket: an absolute path. */
  readonly endpoint: string;
  readonly #timeoutMs: number;
  readonly #driver: DriverConnection;

  /**
   * @param endpoint - the driver's socket: `/abs`, `unix:/abs` or `unix:///abs`, the scheme in any case
   * @param options - limits
   * @throws TypeError for an invalid endpoint or option
   */
  constructor(endpoint: string, options: CsiNodeClientOptions = {}) {
    const { onCall, timeoutMs } = checkedOptions(options, ['timeoutMs', 'onCall']);
    checkedFunction('onCall', onCall);
    this.endpoint = socketPath(endpoint);
    this.#timeoutMs = checkedMs('timeoutMs', timeoutMs, DEFAULT_TIMEOUT_MS);
    // A listener that fails must not fail a call that has its answer.
    this.#driver = new DriverConnection(this.endpoint, (call) => void callListener(onCall, [call]));
  }

  /** Closes the connection. Calls in flight and all later ones reject with METRICS_CSI_FAILED at once. */
  close(): void {
    this.#driver.close();
  }

  /**
   * The driver's name and version.
   *
   * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async getPluginInfo(options: CsiCallOptions = {}): Promise<GetPluginInfoResponse> {
    return await this.#call(IdentityService.getPluginInfo, {}, options);
  }

  /**
   * What the driver as a whole offers besides its node service.
   *
   * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async getPluginCapabilities(options: CsiCallOptions = {}): Promise<GetPluginCapabilitiesResponse> {
    return await this.#call(IdentityService.getPluginCapabilities, {}, options);
  }

  /**
   * Whether the driver is ready: true if it says so or says nothing, false while it is starting.
   *
   * @throws MetricsError METRICS_CSI_FAILED if it is unhealthy, METRICS_TIMED_OUT
   */
  async probe(options: CsiCallOptions = {}): Promise<boolean> {
    const { ready } = await this.#call(IdentityService.probe, {}, options);
    return ready ?? true;
  }

  /**
   * The node that the driver runs on, by the driver's own id.
   *
   * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async nodeGetInfo(options: CsiCallOptions = {}): Promise<NodeGetInfoResponse> {
    return await this.#call(NodeService.nodeGetInfo, {}, options);
  }

  /**
   * What the node service can do: asked once per connection, and again after a failure or on a new
   * connection. Entries without a type are left out; a type without a name is kept as its number.
   *
   * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async nodeGetCapabilities(options: CsiCallOptions = {}): Promise<NodeCapabilities> {
    const limits = this.#limits(options);
    return await this.#driver.use({ rpc: 'NodeGetCapabilities' }, limits, (connection) =>
      connection.capabilities(limits),
    );
  }

  /**
   * The driver's own answer about a volume's numbers, whatever it advertises. `MetricsCsi` turns it into a
   * reading.
   *
   * @throws MetricsError METRICS_NO_PATH_DEFINED for an empty id or path, METRICS_NOT_FOUND,
   * METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async nodeGetVolumeStats(
    volume: CsiVolume,
    options: CsiCallOptions = {},
  ): Promise<NodeGetVolumeStatsResponse> {
    const request = checkedVolume(volume);
    return await this.#call(NodeService.nodeGetVolumeStats, request, options, request.volumePath);
  }

  /**
   * The driver's own answer about a volume's health (CSI 1.13), whatever it advertises. `volumePath` is where
   * the volume is published; it may be empty, as for a block volume.
   *
   * @throws MetricsError METRICS_NO_PATH_DEFINED for an empty id, METRICS_NOT_FOUND, METRICS_CSI_FAILED,
   * METRICS_TIMED_OUT
   */
  async nodeGetVolumeHealth(
    volume: CsiVolume,
    options: CsiCallOptions = {},
  ): Promise<NodeGetVolumeHealthResponse> {
    const { volumeId, volumePath, stagingTargetPath } = checkedVolume(volume, false);
    const request = { volumeId, volumePublishPath: volumePath, stagingTargetPath };
    return await this.#call(NodeService.nodeGetVolumeHealth, request, options, volumePath || undefined);
  }

  /**
   * The driver's own answer about the health of its storage, as this node sees it (CSI 1.13), whatever it
   * advertises. Like the kubelet, it sends no secrets.
   *
   * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async nodeGetStorageHealth(options: CsiCallOptions = {}): Promise<NodeGetStorageHealthResponse> {
    return await this.#call(NodeService.nodeGetStorageHealth, { secrets: {} }, options);
  }

  /**
   * All that the driver says about a volume: its capabilities, then the numbers and the health if it
   * advertises them, under one deadline. Without an answer about the health in 5 s, the numbers are still
   * there.
   *
   * @throws MetricsError METRICS_NO_PATH_DEFINED for an empty id or path, METRICS_NOT_FOUND,
   * METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async readVolume(volume: CsiVolume, options: CsiCallOptions = {}): Promise<CsiVolumeAnswer> {
    const { volumeId, volumePath, stagingTargetPath } = checkedVolume(volume);
    const limits = this.#limits(options);
    const call = { rpc: 'NodeGetCapabilities', path: volumePath };
    return await this.#driver.use(call, limits, async (connection) => {
      call.rpc = 'NodeGetCapabilities';
      const capabilities = await connection.capabilities(limits);
      if (!capabilities.has(Capability.GET_VOLUME_STATS)) return { capabilities };
      call.rpc = 'NodeGetVolumeStats';
      const request = { volumeId, volumePath, stagingTargetPath };
      const stats = await connection.call(NodeService.nodeGetVolumeStats, request, limits);
      if (!capabilities.has(Capability.GET_VOLUME_HEALTH)) return { capabilities, stats };
      const healthMs = Math.min(limits.deadline.leftMs, HEALTH_TIMEOUT_MS);
      const healthLimits = { ...limits, deadline: new Deadline(healthMs) };
      try {
        const about = { volumeId, volumePublishPath: volumePath, stagingTargetPath };
        const health = await connection.call(NodeService.nodeGetVolumeHealth, about, healthLimits);
        return { capabilities, stats, health };
      } catch (error) {
        call.rpc = 'NodeGetVolumeHealth';
        const healthError = await this.#driver.explain(error, call, healthLimits, 'driver');
        if (this.#driver.isClosed) throw healthError;
        return { capabilities, stats, healthError };
      }
    });
  }

  async #call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    options: CsiCallOptions,
    path?: string,
  ): Promise<Response> {
    const limits = this.#limits(options);
    const rpc = method.path.slice(method.path.lastIndexOf('/') + 1);
    return await this.#driver.use({ rpc, path }, limits, (connection) =>
      connection.call(method, request, limits),
    );
  }

  #limits(options: CsiCallOptions): CallLimits {
    const { signal, timeoutMs } = checkedOptions(options, ['signal', 'timeoutMs']);
    const deadline = new Deadline(checkedMs('timeoutMs', timeoutMs, this.#timeoutMs));
    return { deadline, signal: checkedSignal(signal) };
  }
}

/** @throws TypeError naming the field that is not a string */
export function volumeTexts(volume: CsiVolume): Readonly<Record<keyof CsiVolume, string>> {
  const { volumeId, volumePath, stagingTargetPath = '' } = checkedObject('volume', volume);
  checkedText('volumeId', volumeId);
  checkedText('volumePath', volumePath);
  return { volumeId, volumePath, stagingTargetPath: checkedText('stagingTargetPath', stagingTargetPath) };
}

/** @throws TypeError; MetricsError with the kubelet's texts, kubernetes pkg/volume/csi/csi_client.go */
function checkedVolume(volume: CsiVolume, needsPath = true): Readonly<Record<keyof CsiVolume, string>> {
  const texts = volumeTexts(volume);
  if (texts.volumeId === '') throw new MetricsError('METRICS_NO_PATH_DEFINED', 'missing volume id');
  if (needsPath && texts.volumePath === '')
    throw new MetricsError('METRICS_NO_PATH_DEFINED', 'missing target path');
  return texts;
}
