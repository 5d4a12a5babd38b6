import type { handleUnaryCall } from '@grpc/grpc-js';
import { checkedOptions } from '../options.js';
import {
  NodeServiceCapability_RPC_Type,
  type NodeGetVolumeStatsRequest,
  type NodeGetVolumeStatsResponse,
  type NodeServiceCapability,
} from './gen/csi/v1/csi.js';
import { errorToStatus } from './grpc-status.js';
import {
  protoLoader,
  tsProto,
  type ProtoLoaderStatsRequest,
  type ProtoLoaderStatsResponse,
  type StatsCodec,
} from './stats-codec.js';
import { VolumeStats, type VolumeStatsOptions } from './volume-stats.js';

/** Options of {@link nodeGetVolumeStats}. */
export interface NodeGetVolumeStatsOptions<
  Codec extends 'ts-proto' | 'proto-loader' = 'ts-proto' | 'proto-loader',
> extends VolumeStatsOptions {
  /**
   * The form of the server's messages: `'ts-proto'` is this package's generated code, `'proto-loader'` is `@grpc/proto-loader`
   * with `keepCase: true`.
   *
   * @defaultValue `'ts-proto'`
   */
  readonly codec?: Codec | undefined;
}

/** NodeGetVolumeStats of a node service. */
export interface NodeGetVolumeStatsHandler<
  Request = NodeGetVolumeStatsRequest,
  Response = NodeGetVolumeStatsResponse,
> extends handleUnaryCall<Request, Response> {
  /**
   * Forgets what is known of a volume, at one path or at all of them: to be called when it is unpublished.
   *
   * @param volumeId - the volume
   * @param volumePath - the path it is gone from
   */
  forget(volumeId: string, volumePath?: string): void;
}

/** What NodeGetCapabilities must list for anybody to ask NodeGetVolumeStats: without it the kubelet has no metrics of the driver's volumes. */
export const statsCapability: NodeServiceCapability = {
  rpc: { type: NodeServiceCapability_RPC_Type.GET_VOLUME_STATS },
};

/** What NodeGetCapabilities lists when the handler's `condition` is on. CSI 1.13 took it out; older clients read it. */
export const conditionCapability: NodeServiceCapability = {
  rpc: { type: NodeServiceCapability_RPC_Type.VOLUME_CONDITION },
};

/**
 * NodeGetVolumeStats for a grpc-js server: `{ nodeGetVolumeStats: nodeGetVolumeStats() }` in the node service, and
 * {@link statsCapability} in NodeGetCapabilities.
 *
 * Volumes that hang cost others nothing and are answered in time, calls for the same volume and path share one measurement, and every failure
 * has the code that the specification asks for.
 *
 * @param options - hooks and limits
 * @returns the handler
 * @throws TypeError for an option that is none
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
  const { codec = 'ts-proto' } = checkedOptions(options, [
    'codec',
    'knownVolume',
    'providerFor',
    'requireMount',
    'condition',
    'maxAgeMs',
    'timeoutMs',
    'onError',
  ]);
  const stats = new VolumeStats(options);
  if (codec === 'ts-proto') return handlerOf(stats, tsProto);
  if (codec === 'proto-loader') return handlerOf(stats, protoLoader);
  throw new TypeError(`Expected codec to be 'ts-proto' or 'proto-loader', got ${String(codec)}`);
}

function handlerOf<Request, Response>(
  stats: VolumeStats,
  codec: StatsCodec<Request, Response>,
): NodeGetVolumeStatsHandler<Request, Response> {
  const handler: handleUnaryCall<Request, Response> = (call, callback) => {
    const callerMs = Number(call.getDeadline()) - Date.now();
    stats.answer(codec.volume(call.request), callerMs).then(
      (answer) => {
        callback(null, codec.response(answer));
      },
      (error: unknown) => {
        callback(errorToStatus(error));
      },
    );
  };
  return Object.assign(handler, {
    forget: (volumeId: string, volumePath?: string) => {
      stats.forget(volumeId, volumePath);
    },
  });
}
