import type { VolumeCondition } from '../metrics.js';
import type { CsiVolume } from './csi-volume.js';
import type { NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, VolumeUsage } from './gen/csi/v1/csi.js';

/** What a handler answers, before it has a codec's form. */
export interface VolumeStatsAnswer {
  readonly usage: readonly VolumeUsage[];
  readonly condition?: VolumeCondition | undefined;
}

/** NodeGetVolumeStatsRequest as `@grpc/proto-loader` gives it with `keepCase: true`. A field that was not sent is `''`, or absent without `defaults`. */
export interface ProtoLoaderStatsRequest {
  readonly volume_id?: string;
  readonly volume_path?: string;
  readonly staging_target_path?: string;
}

/** NodeGetVolumeStatsResponse as `@grpc/proto-loader` takes it with `keepCase: true`, whatever `longs` and `enums` are. */
export interface ProtoLoaderStatsResponse {
  readonly usage: readonly ProtoLoaderUsage[];
  readonly volume_condition?: { readonly abnormal?: true; readonly message?: string };
}

/** A quantity as a decimal text, the one form that keeps all 64 bits there. */
export interface ProtoLoaderUsage {
  readonly available?: string;
  readonly total?: string;
  readonly used?: string;
  readonly unit: number;
}

/** Between a server's form of messages and the handler's. */
export interface StatsCodec<Request, Response> {
  volume(request: Request): CsiVolume;
  response(answer: VolumeStatsAnswer): Response;
}

/** Servers of code that ts-proto generated with `forceLong=bigint`: this package's own. */
export const tsProto: StatsCodec<NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse> = {
  volume: (request) => request,
  response: ({ usage, condition }) => ({
    usage: [...usage],
    ...(condition && { volumeCondition: { abnormal: condition.abnormal, message: condition.message } }),
  }),
};

/**
 * Servers of `@grpc/proto-loader`. It writes every field that is there, zeros too; left out, they come to the same bytes as
 * with ts-proto.
 */
export const protoLoader: StatsCodec<ProtoLoaderStatsRequest, ProtoLoaderStatsResponse> = {
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
