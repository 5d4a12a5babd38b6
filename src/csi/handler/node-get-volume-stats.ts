import type { handleUnaryCall } from '@grpc/grpc-js';
import { checkedOptions } from '../../options.js';
import {
  NodeServiceCapability_RPC_Type,
  type NodeGetVolumeStatsRequest,
  type NodeGetVolumeStatsResponse,
  type NodeServiceCapability,
} from '../gen/csi/v1/csi.js';
import type { CsiVolume } from '../messages/csi-volume.js';
import { OPTION_NAMES, type NodeGetVolumeStatsOptions } from './driver-hooks.js';
import { StatsResponder, type VolumeStatsAnswer } from './stats-responder.js';
import { checkedCodec, unaryHandler } from './unary-handler.js';

/** NodeGetVolumeStats of a node service. */
export interface NodeGetVolumeStatsHandler<
  Request = NodeGetVolumeStatsRequest,
  Response = NodeGetVolumeStatsResponse,
> extends handleUnaryCall<Request, Response> {
  /**
   * Forgets what is known about a volume, at one path or at all of them. Call it when the volume is
   * unpublished.
   *
   * @param volumeId - the volume
   * @param volumePath - the path that the volume was unpublished from
   */
  forget(volumeId: string, volumePath?: string): void;
}

/**
 * The entry of NodeGetCapabilities that makes callers ask NodeGetVolumeStats. Without it the kubelet has no
 * metrics of the driver's volumes.
 */
export const statsCapability: NodeServiceCapability = {
  rpc: { type: NodeServiceCapability_RPC_Type.GET_VOLUME_STATS },
};

/**
 * The entry of NodeGetCapabilities for a handler with `health`. CSI 1.13 removed it; kubelets up to 1.36 read
 * it.
 */
export const conditionCapability: NodeServiceCapability = {
  rpc: { type: NodeServiceCapability_RPC_Type.VOLUME_CONDITION },
};

/**
 * NodeGetVolumeStats for a grpc-js server: `{ nodeGetVolumeStats: nodeGetVolumeStats() }` in the node
 * service, and {@link statsCapability} in NodeGetCapabilities.
 *
 * A volume that hangs is answered in time and does not delay the others. Calls for the same volume and path
 * share one measurement. Every failure has the code that the specification asks for.
 *
 * @param options - hooks and limits
 * @returns the handler
 * @throws TypeError for an invalid or unknown option
 */
export function nodeGetVolumeStats(
  options?: NodeGetVolumeStatsOptions<'ts-proto'>,
): NodeGetVolumeStatsHandler;
export function nodeGetVolumeStats(
  options: NodeGetVolumeStatsOptions<'proto-loader'> & { codec: 'proto-loader' },
): NodeGetVolumeStatsHandler<ProtoLoaderStatsRequest, ProtoLoaderStatsResponse>;
export function nodeGetVolumeStats(
  options: NodeGetVolumeStatsOptions = {},
): NodeGetVolumeStatsHandler | NodeGetVolumeStatsHandler<ProtoLoaderStatsRequest, ProtoLoaderStatsResponse> {
  const codec = checkedCodec(checkedOptions(options, OPTION_NAMES).codec);
  const responder = new StatsResponder(options);
  return codec === 'ts-proto' ? handlerOf(responder, tsProto) : handlerOf(responder, protoLoader);
}

function handlerOf<Request, Response>(
  responder: StatsResponder,
  codec: StatsCodec<Request, Response>,
): NodeGetVolumeStatsHandler<Request, Response> {
  const handler = unaryHandler(
    async (request: Request, callerMs) =>
      codec.response(await responder.answer(codec.volume(request), callerMs)),
    'the driver failed to measure the volume',
  );
  return Object.assign(handler, {
    forget: (volumeId: string, volumePath?: string) => {
      responder.forget(volumeId, volumePath);
    },
  });
}

/**
 * NodeGetVolumeStatsRequest as `@grpc/proto-loader` gives it with `keepCase: true`. A field that was not sent
 * is `''`, or absent without `defaults`.
 */
export interface ProtoLoaderStatsRequest {
  readonly volume_id?: string;
  readonly volume_path?: string;
  readonly staging_target_path?: string;
}

/**
 * NodeGetVolumeStatsResponse as `@grpc/proto-loader` takes it with `keepCase: true`, whatever `longs` and
 * `enums` are.
 */
export interface ProtoLoaderStatsResponse {
  readonly usage: readonly ProtoLoaderUsage[];
  readonly volume_condition?: { readonly abnormal?: true; readonly message?: string };
}

/** Quantities as decimal texts: there, no other form keeps all 64 bits. */
export interface ProtoLoaderUsage {
  readonly available?: string;
  readonly total?: string;
  readonly used?: string;
  readonly unit: number;
}

/** Converts between a server's form of messages and the handler's. */
interface StatsCodec<Request, Response> {
  volume(request: Request): CsiVolume;
  response(answer: VolumeStatsAnswer): Response;
}

/** For servers of code that ts-proto generated with `forceLong=bigint`, such as this package's own. */
const tsProto: StatsCodec<NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse> = {
  volume: (request) => request,
  response: ({ usage, condition }) => ({
    usage: [...usage],
    ...(condition && { volumeCondition: { abnormal: condition.abnormal, message: condition.message } }),
  }),
};

/**
 * For servers of `@grpc/proto-loader`, which writes every field that is present, even a 0. Leaving zeros out
 * gives the same bytes as ts-proto does.
 */
const protoLoader: StatsCodec<ProtoLoaderStatsRequest, ProtoLoaderStatsResponse> = {
  volume: ({ volume_id = '', volume_path = '', staging_target_path = '' }) => ({
    volumeId: volume_id,
    volumePath: volume_path,
    stagingTargetPath: staging_target_path,
  }),
  response: ({ usage, condition }) => ({
    usage: usage.map(({ available, total, used, unit }) => ({
      ...(available !== 0n && { available: String(available) }),
      ...(total !== 0n && { total: String(total) }),
      ...(used !== 0n && { used: String(used) }),
      unit,
    })),
    ...(condition && {
      volume_condition: {
        ...(condition.abnormal && { abnormal: true as const }),
        ...(condition.message !== '' && { message: condition.message }),
      },
    }),
  }),
};
