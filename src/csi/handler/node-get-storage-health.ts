import { status, type handleUnaryCall } from '@grpc/grpc-js';
import { callListener, checkedFunction, checkedMs, checkedOptions } from '../../options.js';
import { Deadline } from '../../waiting/deadline.js';
import {
  NodeServiceCapability_RPC_Type,
  type NodeGetStorageHealthRequest,
  type NodeGetStorageHealthResponse,
  type NodeServiceCapability,
  type VolumeCapability,
} from '../gen/csi/v1/csi.js';
import { serviceError } from '../messages/grpc-status.js';
import { storageEntries, type StorageProblem } from '../messages/health.js';
import { DEFAULT_TIMEOUT_MS } from './driver-hooks.js';
import { HookCalls } from './hook-calls.js';
import { checkedCodec, limitFor, unaryHandler, type Codec } from './unary-handler.js';

/** Options of {@link nodeGetStorageHealth}. */
export interface NodeGetStorageHealthOptions<Form extends Codec = Codec> {
  /**
   * What is wrong with the storage behind the driver, as this node sees it: a list of problems; empty or
   * undefined if nothing is. Callers at the same time share one call. Never log the secrets; the kubelet
   * sends none.
   */
  readonly health: (options: {
    signal: AbortSignal;
    secrets: Readonly<Record<string, string>>;
  }) => readonly StorageProblem[] | undefined | Promise<readonly StorageProblem[] | undefined>;
  /**
   * Milliseconds after which a caller is answered with DEADLINE_EXCEEDED, and the function's signal is
   * aborted. A caller with an earlier deadline is answered shortly before it.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /** Told of each failure, for the driver's log: clients only see a status. What it throws is ignored. */
  readonly onError?: ((error: unknown) => void) | undefined;
  /**
   * The form of the server's messages, as in `nodeGetVolumeStats`.
   *
   * @defaultValue `'ts-proto'`
   */
  readonly codec?: Form | undefined;
}

/**
 * The entry of NodeGetCapabilities that makes callers of CSI 1.13 ask NodeGetStorageHealth: kubelet 1.37 and
 * newer, with the gate CSIVolumeHealth, which shows the answer in the status of the node's CSINode.
 */
export const storageHealthCapability: NodeServiceCapability = {
  rpc: { type: NodeServiceCapability_RPC_Type.GET_STORAGE_HEALTH },
};

/**
 * NodeGetStorageHealth for a grpc-js server: `{ nodeGetStorageHealth: nodeGetStorageHealth({ health }) }` in
 * the node service, and {@link storageHealthCapability} in NodeGetCapabilities. A function that hangs is
 * answered in time, and is not called again while it hangs.
 *
 * @param options - the driver's function, and limits
 * @returns the handler
 * @throws TypeError for an invalid or unknown option
 */
export function nodeGetStorageHealth(
  options: NodeGetStorageHealthOptions<'ts-proto'>,
): handleUnaryCall<NodeGetStorageHealthRequest, NodeGetStorageHealthResponse>;
export function nodeGetStorageHealth(
  options: NodeGetStorageHealthOptions<'proto-loader'> & { codec: 'proto-loader' },
): handleUnaryCall<ProtoLoaderStorageHealthRequest, ProtoLoaderStorageHealthResponse>;
export function nodeGetStorageHealth(
  options: NodeGetStorageHealthOptions,
):
  | handleUnaryCall<NodeGetStorageHealthRequest, NodeGetStorageHealthResponse>
  | handleUnaryCall<ProtoLoaderStorageHealthRequest, ProtoLoaderStorageHealthResponse> {
  const known = ['health', 'timeoutMs', 'onError', 'codec'] as const;
  const { health, onError, timeoutMs, codec } = checkedOptions(options, known);
  if (typeof health !== 'function')
    throw new TypeError(`Expected health to be a function, got ${typeof health}`);
  checkedFunction('onError', onError);
  const form = checkedCodec(codec);
  const limitMs = checkedMs('timeoutMs', timeoutMs, DEFAULT_TIMEOUT_MS);
  const calls = new HookCalls<readonly StorageProblem[] | undefined>(limitMs);

  const answer = async (
    secrets: Readonly<Record<string, string>>,
    callerMs: number,
  ): Promise<NodeGetStorageHealthResponse> => {
    try {
      const key = JSON.stringify(Object.entries(secrets).sort());
      const asked = calls.call(key, 'the storage', (signal) => health({ signal, secrets }));
      const problems = await new Deadline(limitFor(limitMs, callerMs)).wait(asked, () => {
        throw serviceError(status.DEADLINE_EXCEEDED, 'no verdict on the storage in time');
      });
      return { backendHealth: storageEntries(problems ?? []) };
    } catch (error) {
      void callListener(onError, [error]);
      throw error;
    }
  };
  const untold = 'the driver failed to find out the health of the storage';
  if (form === 'ts-proto') {
    return unaryHandler(
      async (request: NodeGetStorageHealthRequest, callerMs) => await answer(request.secrets, callerMs),
      untold,
    );
  }
  return unaryHandler(
    async ({ secrets = {} }: ProtoLoaderStorageHealthRequest, callerMs) =>
      protoLoaderResponse(await answer(secrets, callerMs)),
    untold,
  );
}

/** NodeGetStorageHealthRequest as `@grpc/proto-loader` gives it with `keepCase: true`. */
export interface ProtoLoaderStorageHealthRequest {
  readonly secrets?: Readonly<Record<string, string>>;
}

/** NodeGetStorageHealthResponse as `@grpc/proto-loader` takes it with `keepCase: true`. */
export interface ProtoLoaderStorageHealthResponse {
  readonly backend_health: readonly {
    readonly status: number;
    readonly reason: string;
    readonly message?: string;
    readonly volume_capability?: object;
  }[];
}

/** It writes every field that is present, even an empty one, so that empty ones are left out. */
function protoLoaderResponse({
  backendHealth,
}: NodeGetStorageHealthResponse): ProtoLoaderStorageHealthResponse {
  return {
    backend_health: backendHealth.map(({ status: number, reason, message, volumeCapability }) => ({
      status: number,
      reason,
      ...(message !== '' && { message }),
      ...(volumeCapability && { volume_capability: protoLoaderCapability(volumeCapability) }),
    })),
  };
}

function protoLoaderCapability({ block, mount, accessMode }: VolumeCapability): object {
  const { fsType = '', mountFlags = [], volumeMountGroup = '' } = mount ?? {};
  return {
    ...(block && { block: {} }),
    ...(mount && {
      mount: {
        ...(fsType !== '' && { fs_type: fsType }),
        mount_flags: mountFlags,
        ...(volumeMountGroup !== '' && { volume_mount_group: volumeMountGroup }),
      },
    }),
    ...(accessMode && { access_mode: { mode: accessMode.mode } }),
  };
}
