import type { MethodDefinition } from '@grpc/grpc-js';
import { checkedMs, checkedOptions, checkedSignal } from '../options.js';
import type { CallLimits, CsiCall, NodeCapabilities } from './connection.js';
import { checkedVolume, type CsiVolume } from './csi-volume.js';
import { DriverConnection } from './driver-connection.js';
import {
  IdentityService,
  NodeService,
  NodeServiceCapability_RPC_Type as Capability,
  type GetPluginCapabilitiesResponse,
  type GetPluginInfoResponse,
  type NodeGetInfoResponse,
  type NodeGetVolumeHealthResponse,
  type NodeGetVolumeStatsResponse,
} from './gen/csi/v1/csi.js';
import { statusToMetricsError } from './grpc-status.js';
import { socketPath } from './socket-path.js';

/** Options of {@link CsiNodeClient}. */
export interface CsiNodeClientOptions {
  /**
   * Milliseconds for all calls of one reading together, and for any other call. More than 0, at most 2147483647.
   *
   * @defaultValue 120000, the kubelet's
   */
  readonly timeoutMs?: number | undefined;
  /** Told of each call that has ended, retries too. What it throws is ignored. */
  readonly onCall?: ((call: CsiCall) => void) | undefined;
}

/** Options of one call of {@link CsiNodeClient}. */
export interface CsiCallOptions {
  /** Ends the call: it rejects with `signal.reason`, unwrapped. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for this call, instead of the client's. */
  readonly timeoutMs?: number | undefined;
}

/** What a driver says of a volume. */
export interface CsiVolumeAnswer {
  /** What the driver says it can do. */
  readonly capabilities: NodeCapabilities;
  /** Absent when the driver does not advertise GET_VOLUME_STATS. */
  readonly stats?: NodeGetVolumeStatsResponse;
  /** Absent when the driver does not advertise GET_VOLUME_HEALTH, and when asking failed. */
  readonly health?: NodeGetVolumeHealthResponse;
  /** Why there is no health although the driver advertises it. */
  readonly healthError?: unknown;
}

/** The kubelet's csiTimeout. */
const DEFAULT_TIMEOUT_MS = 120_000;

/** The numbers are there already when a driver is asked for the volume's health; they are not kept waiting for longer. */
const HEALTH_TIMEOUT_MS = 5_000;

/**
 * Talks to the node service of one CSI driver, over one connection, which is made at the first call; a thousand readings at once have
 * a second one. Meant to live as long as the driver is of interest; an idle one does not keep the process alive.
 *
 * A driver that was restarted is connected anew by the next call, and so is one that answered nothing while a call ran out of time. A call whose connection proves to be lost is made once more, on a
 * new one: all of these calls only read.
 */
export class CsiNodeClient {
  /** The driver's socket: an absolute path. */
  readonly endpoint: string;
  readonly #timeoutMs: number;
  readonly #driver: DriverConnection;

  /**
   * @param endpoint - the driver's socket: `/abs`, `unix:/abs` or `unix:///abs`, the scheme in any case
   * @param options - limits
   * @throws TypeError for an endpoint or option that is none
   */
  constructor(endpoint: string, options: CsiNodeClientOptions = {}) {
    const { onCall, timeoutMs } = checkedOptions(options, ['timeoutMs', 'onCall']);
    if (onCall !== undefined && typeof onCall !== 'function') {
      throw new TypeError(`Expected onCall to be a function, got ${typeof onCall}`);
    }
    this.endpoint = socketPath(endpoint);
    this.#timeoutMs = checkedMs('timeoutMs', timeoutMs, DEFAULT_TIMEOUT_MS);
    this.#driver = new DriverConnection(this.endpoint, (call) => {
      try {
        onCall?.(call);
      } catch {
        // A listener's fault is no reason to fail a call that has its answer.
      }
    });
  }

  /** Ends everything in flight: it rejects with METRICS_CSI_FAILED at once, as does every later call. */
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
   * What the driver as a whole offers beside its node service.
   *
   * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async getPluginCapabilities(options: CsiCallOptions = {}): Promise<GetPluginCapabilitiesResponse> {
    return await this.#call(IdentityService.getPluginCapabilities, {}, options);
  }

  /**
   * Whether the driver is ready: true when it says so or says nothing, false while it is starting.
   *
   * @throws MetricsError METRICS_CSI_FAILED when it is unhealthy, METRICS_TIMED_OUT
   */
  async probe(options: CsiCallOptions = {}): Promise<boolean> {
    const { ready } = await this.#call(IdentityService.probe, {}, options);
    return ready ?? true;
  }

  /**
   * Where the driver runs.
   *
   * @throws MetricsError METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async nodeGetInfo(options: CsiCallOptions = {}): Promise<NodeGetInfoResponse> {
    return await this.#call(NodeService.nodeGetInfo, {}, options);
  }

  /**
   * What the node service says it can do: asked once per connection, and again after a failure or on a new connection. Entries without
   * a type are left out; types that have no name here are kept as numbers.
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
   * The driver's own answer about a volume's numbers, whatever it advertises. `MetricsCsi` makes a reading of it.
   *
   * @throws MetricsError METRICS_NO_PATH_DEFINED for an empty id or path, METRICS_NOT_FOUND, METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async nodeGetVolumeStats(
    volume: CsiVolume,
    options: CsiCallOptions = {},
  ): Promise<NodeGetVolumeStatsResponse> {
    const { volumeId, volumePath, stagingTargetPath } = checkedVolume(volume);
    const request = { volumeId, volumePath, stagingTargetPath };
    return await this.#call(NodeService.nodeGetVolumeStats, request, options, volumePath);
  }

  /**
   * The driver's own answer about a volume's health (CSI 1.13), whatever it advertises.
   *
   * @throws MetricsError METRICS_NO_PATH_DEFINED for an empty id or path, METRICS_NOT_FOUND, METRICS_CSI_FAILED, METRICS_TIMED_OUT
   */
  async nodeGetVolumeHealth(
    volume: CsiVolume,
    options: CsiCallOptions = {},
  ): Promise<NodeGetVolumeHealthResponse> {
    const { volumeId, volumePath, stagingTargetPath } = checkedVolume(volume);
    const request = { volumeId, volumePublishPath: volumePath, stagingTargetPath };
    return await this.#call(NodeService.nodeGetVolumeHealth, request, options, volumePath);
  }

  /**
   * All that the driver says of a volume: its capabilities, then the numbers if it advertises them, then the health if it
   * advertises that, one after the other under one deadline. Health that cannot be had costs nothing but itself, and 5 s at most.
   *
   * @throws MetricsError METRICS_NO_PATH_DEFINED for an empty id or path, METRICS_NOT_FOUND, METRICS_CSI_FAILED, METRICS_TIMED_OUT
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
      try {
        const health = await connection.call(
          NodeService.nodeGetVolumeHealth,
          { volumeId, volumePublishPath: volumePath, stagingTargetPath },
          { ...limits, deadlineMs: Math.min(limits.deadlineMs, Date.now() + HEALTH_TIMEOUT_MS) },
        );
        return { capabilities, stats, health };
      } catch (error) {
        limits.signal?.throwIfAborted();
        if (this.#driver.isClosed) throw error;
        const failed = { rpc: 'NodeGetVolumeHealth', driver: this.endpoint, path: volumePath };
        return { capabilities, stats, healthError: statusToMetricsError(error, failed) };
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
    const ms = checkedMs('timeoutMs', timeoutMs, this.#timeoutMs);
    return { deadlineMs: Date.now() + ms, signal: checkedSignal(signal) };
  }
}
