import { Client, credentials, type ClientUnaryCall, type ServiceError, type status } from '@grpc/grpc-js';
import { ControllerService, IdentityService, NodeService } from '../../csi/gen/csi/v1/csi.js';
import { socketPath } from '../../csi/messages/socket-path.js';
import { checkedMs, checkedOptions } from '../../options.js';

const RPCS = { ...IdentityService, ...ControllerService, ...NodeService };
type Rpcs = typeof RPCS;

/** The name of an RPC of CSI, as in the generated code: `nodeStageVolume`. */
export type CsiRpc = keyof Rpcs;

/** The request of an RPC. */
export type CsiRequest<Rpc extends CsiRpc> = ReturnType<Rpcs[Rpc]['requestDeserialize']>;

/** The response of an RPC. */
export type CsiResponse<Rpc extends CsiRpc> = ReturnType<Rpcs[Rpc]['responseDeserialize']>;

/** Options of {@link CsiTestClient}, and of one call. */
export interface CsiTestClientOptions {
  /**
   * Milliseconds after which a call fails with DEADLINE_EXCEEDED.
   *
   * @defaultValue 20000
   */
  readonly timeoutMs?: number;
}

const OPTIONS = ['timeoutMs'] as const;
const DEFAULT_TIMEOUT_MS = 20_000;

/**
 * An orchestrator for tests of a driver: calls any RPC of Identity, Controller and Node over the driver's
 * socket. Unlike `CsiNodeClient`, it shows requests, responses and failures as they are on the wire.
 */
export class CsiTestClient {
  readonly #client: Client;
  readonly #timeoutMs: number;
  readonly #inFlight = new Set<ClientUnaryCall>();

  /**
   * @param endpoint - the driver's socket: `/abs`, `unix:/abs` or `unix:///abs`
   * @param options - the time limit of all calls
   * @throws TypeError for an invalid endpoint or option
   */
  constructor(endpoint: string, options: CsiTestClientOptions = {}) {
    this.#timeoutMs = checkedMs('timeoutMs', checkedOptions(options, OPTIONS).timeoutMs, DEFAULT_TIMEOUT_MS);
    this.#client = new Client(`unix:${socketPath(endpoint)}`, credentials.createInsecure());
  }

  /**
   * Makes one call.
   *
   * @param rpc - its name, such as `nodeStageVolume`
   * @param request - a field left out is empty
   * @param options - a time limit of its own
   * @returns the response
   * @throws ServiceError of grpc-js, with `code` and `details`; TypeError for an unknown RPC or option
   */
  async call<Rpc extends CsiRpc>(
    rpc: Rpc,
    request: Partial<CsiRequest<Rpc>> = {},
    options: CsiTestClientOptions = {},
  ): Promise<CsiResponse<Rpc>> {
    if (!Object.hasOwn(RPCS, rpc)) {
      throw new TypeError(`Unknown RPC ${JSON.stringify(rpc)}: the RPCs are ${Object.keys(RPCS).join(', ')}`);
    }
    const timeoutMs = checkedMs('timeoutMs', checkedOptions(options, OPTIONS).timeoutMs, this.#timeoutMs);
    const { path, requestSerialize, requestDeserialize, responseDeserialize } = RPCS[rpc];
    return await new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize as (value: object) => Buffer,
        responseDeserialize as (value: Buffer) => CsiResponse<Rpc>,
        { ...requestDeserialize(Buffer.alloc(0)), ...request },
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          this.#inFlight.delete(call);
          if (response === undefined) reject(error ?? new Error(`${rpc} was answered with nothing`));
          else resolve(response);
        },
      );
      this.#inFlight.add(call);
    });
  }

  /**
   * The status of a call that must fail.
   *
   * @param rpc - its name
   * @param request - a field left out is empty
   * @param options - a time limit of its own
   * @returns the status
   * @throws Error if it succeeds
   */
  async failure<Rpc extends CsiRpc>(
    rpc: Rpc,
    request: Partial<CsiRequest<Rpc>> = {},
    options: CsiTestClientOptions = {},
  ): Promise<{ readonly code: status; readonly details: string }> {
    try {
      await this.call(rpc, request, options);
    } catch (error) {
      if (!(error instanceof Error) || !('details' in error)) throw error;
      const { code, details } = error as ServiceError;
      return { code, details };
    }
    throw new Error(`${rpc} succeeded`);
  }

  /** Closes the connection; calls in flight fail with CANCELLED. */
  close(): void {
    for (const call of this.#inFlight) call.cancel();
    this.#client.close();
  }
}
