import { status, type handleUnaryCall } from '@grpc/grpc-js';
import { isMetricsError, propertyOf } from '../../errors.js';
import { checkedAge, checkedOptions } from '../../options.js';
import { Deadline } from '../../waiting/deadline.js';
import {
  NodeServiceCapability_RPC_Type,
  type NodeGetVolumeHealthRequest,
  type NodeGetVolumeHealthResponse,
  type NodeServiceCapability,
  type VolumeHealth,
  type VolumeHealth_VolumeHealthEntry as Entry,
} from '../gen/csi/v1/csi.js';
import { checkHealthRequest, type CsiVolume } from '../messages/csi-volume.js';
import { isServiceError, serviceError } from '../messages/grpc-status.js';
import { volumeEntries, type VolumeProblem } from '../messages/health.js';
import { DriverHooks, OPTION_NAMES, type NodeGetVolumeStatsOptions } from './driver-hooks.js';
import { measureAtPath } from './measure-at-path.js';
import { checkedCodec, limitFor, unaryHandler } from './unary-handler.js';
import { problemOn, problemsAt } from './volume-health.js';

/**
 * The entry of NodeGetCapabilities that makes callers of CSI 1.13 ask NodeGetVolumeHealth: kubelet 1.37 and
 * newer, with the gate CSIVolumeHealth. Older ones read {@link conditionCapability}.
 */
export const healthCapability: NodeServiceCapability = {
  rpc: { type: NodeServiceCapability_RPC_Type.GET_VOLUME_HEALTH },
};

/**
 * NodeGetVolumeHealth for a grpc-js server, from the same options as `nodeGetVolumeStats`: `{
 * nodeGetVolumeHealth: nodeGetVolumeHealth(options) }` in the node service, and {@link healthCapability} in
 * NodeGetCapabilities.
 *
 * Without a `health` function, what is at the publish path and at the staging path decides. A volume that is
 * not there, because it was only attempted to be mounted, has no problem, and neither has a block volume. A
 * volume that hangs is answered in time and delays no other.
 *
 * @param options - hooks and limits
 * @returns the handler
 * @throws TypeError for an invalid or unknown option
 */
export function nodeGetVolumeHealth(
  options?: NodeGetVolumeStatsOptions<'ts-proto'>,
): handleUnaryCall<NodeGetVolumeHealthRequest, NodeGetVolumeHealthResponse>;
export function nodeGetVolumeHealth(
  options: NodeGetVolumeStatsOptions<'proto-loader'> & { codec: 'proto-loader' },
): handleUnaryCall<ProtoLoaderHealthRequest, ProtoLoaderHealthResponse>;
export function nodeGetVolumeHealth(
  options: NodeGetVolumeStatsOptions = {},
):
  | handleUnaryCall<NodeGetVolumeHealthRequest, NodeGetVolumeHealthResponse>
  | handleUnaryCall<ProtoLoaderHealthRequest, ProtoLoaderHealthResponse> {
  const codec = checkedCodec(checkedOptions(options, OPTION_NAMES).codec);
  const responder = new HealthResponder(options);
  const untold = 'the driver failed to find out the health of the volume';
  if (codec === 'ts-proto') {
    return unaryHandler(async (request: NodeGetVolumeHealthRequest, callerMs) => {
      return { volumeHealth: await responder.answer(request, callerMs) };
    }, untold);
  }
  return unaryHandler(async (request: ProtoLoaderHealthRequest, callerMs) => {
    const { volume_id = '', volume_publish_path = '', staging_target_path = '' } = request;
    const asked = {
      volumeId: volume_id,
      volumePublishPath: volume_publish_path,
      stagingTargetPath: staging_target_path,
    };
    return protoLoaderResponse(await responder.answer(asked, callerMs));
  }, untold);
}

/**
 * The kubelet's folder of a block volume's device files. It asks for the health of a block volume with this
 * as the staging path, and without a publish path. The folder is on the node's own filesystem, which says
 * nothing about the volume. Kubernetes pkg/volume/csi/csi_block.go.
 */
const DEVICE_FOLDER = /\/kubernetes\.io\/csi\/volumeDevices\/[^/]+\/dev\/*$/;

/** Answers NodeGetVolumeHealth in any form of messages. */
class HealthResponder {
  readonly #hooks: DriverHooks;

  /** @throws TypeError for an invalid option */
  constructor(options: NodeGetVolumeStatsOptions) {
    this.#hooks = new DriverHooks(options, 1);
    checkedAge('maxAgeMs', options.maxAgeMs, 0);
  }

  /** @throws MetricsError, ServiceError, or what a hook threw; `onError` has been told */
  async answer(request: NodeGetVolumeHealthRequest, callerMs: number): Promise<VolumeHealth> {
    const { volumeId, volumePublishPath, stagingTargetPath } = request;
    const volume = { volumeId, volumePath: volumePublishPath || stagingTargetPath, stagingTargetPath };
    try {
      checkHealthRequest(request);
      const deadline = new Deadline(limitFor(this.#hooks.timeoutMs, callerMs));
      await this.#hooks.requireKnown(volume, deadline);
      const healthStatuses = await deadline.wait(this.#problems(volume), () => {
        throw serviceError(status.DEADLINE_EXCEEDED, `no verdict on volume ${volumeId} in time`);
      });
      return { volumeId, healthStatuses: [...healthStatuses] };
    } catch (error) {
      this.#hooks.tell(error, volume);
      throw error;
    }
  }

  async #problems(volume: CsiVolume): Promise<readonly Entry[]> {
    try {
      const entries = await this.#hooks.problems(volume);
      if (entries !== undefined) return entries;
    } catch (error) {
      const problem = problemOf(error);
      if (problem === undefined) throw error;
      this.#hooks.tell(error, volume);
      return volumeEntries([problem]);
    }
    const paths = new Set([volume.volumePath, volume.stagingTargetPath ?? '']);
    const looks = await Promise.allSettled(Array.from(paths, (path) => this.#look(path)));
    const found = looks.flatMap((look) => (look.status === 'fulfilled' ? look.value : []));
    const failed = looks.find((look) => look.status === 'rejected');
    // What is known to be wrong counts more than what is not known.
    if (found.length === 0 && failed !== undefined) throw failed.reason;
    return volumeEntries(found);
  }

  /** What is wrong at a path; nothing if no volume is there. */
  async #look(path: string): Promise<readonly VolumeProblem[]> {
    if (path === '' || DEVICE_FOLDER.test(path)) return [];
    const { requireMount, timeoutMs } = this.#hooks;
    try {
      await measureAtPath(path, { provider: undefined, requireMount, timeoutMs });
      return await problemsAt(path, timeoutMs);
    } catch (error) {
      const problem = problemOf(error);
      if (problem !== undefined) return [problem];
      if (isNothing(error)) return [];
      throw error;
    }
  }
}

/** A call that was slow says nothing about the volume. One that has been out for 5 s does. */
function problemOf(error: unknown): VolumeProblem | undefined {
  const isJustLate =
    propertyOf(error, 'code') === 'METRICS_TIMED_OUT' && propertyOf(error, 'stuckSince') === undefined;
  return isJustLate ? undefined : problemOn(error);
}

/** Nothing is there, nothing is mounted there, or it can be no volume: a file in place of a mount point. */
function isNothing(error: unknown): boolean {
  if (isServiceError(error)) return error.code === status.INVALID_ARGUMENT;
  const code = isMetricsError(error) && propertyOf(error, 'code');
  return code === 'METRICS_NOT_FOUND' || code === 'METRICS_NOT_MOUNTED';
}

/** NodeGetVolumeHealthRequest as `@grpc/proto-loader` gives it with `keepCase: true`. */
export interface ProtoLoaderHealthRequest {
  readonly volume_id?: string;
  readonly volume_publish_path?: string;
  readonly staging_target_path?: string;
}

/** NodeGetVolumeHealthResponse as `@grpc/proto-loader` takes it with `keepCase: true`. */
export interface ProtoLoaderHealthResponse {
  readonly volume_health: {
    readonly volume_id: string;
    readonly health_statuses: readonly {
      readonly status: number;
      readonly reason: string;
      readonly message?: string;
    }[];
  };
}

/** It writes every field that is present, even an empty one, so that empty ones are left out. */
function protoLoaderResponse({ volumeId, healthStatuses }: VolumeHealth): ProtoLoaderHealthResponse {
  return {
    volume_health: {
      volume_id: volumeId,
      health_statuses: healthStatuses.map(({ status: number, reason, message }) => ({
        status: number,
        reason,
        ...(message !== '' && { message }),
      })),
    },
  };
}
