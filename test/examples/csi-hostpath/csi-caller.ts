import { Client, credentials, type ServiceError, type status } from '@grpc/grpc-js';
import { ControllerService, IdentityService, NodeService } from '../../../src/csi/v1/index.js';

const RPCS = { ...IdentityService, ...ControllerService, ...NodeService };
type Rpcs = typeof RPCS;
type RequestOf<Rpc extends keyof Rpcs> = ReturnType<Rpcs[Rpc]['requestDeserialize']>;
type ResponseOf<Rpc extends keyof Rpcs> = ReturnType<Rpcs[Rpc]['responseDeserialize']>;

const TIMEOUT_MS = 20_000;

/** An orchestrator: calls all services of a driver over its socket. */
export class CsiCaller {
  readonly #client: Client;

  constructor(socket: string) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure());
  }

  /**
   * One call.
   *
   * @param request - a field left out is empty
   * @throws ServiceError
   */
  call<Rpc extends keyof Rpcs>(
    rpc: Rpc,
    request: Partial<RequestOf<Rpc>> = {},
    timeoutMs = TIMEOUT_MS,
  ): Promise<ResponseOf<Rpc>> {
    const { path, requestSerialize, requestDeserialize, responseDeserialize } = RPCS[rpc];
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize as (value: object) => Buffer,
        responseDeserialize as (value: Buffer) => ResponseOf<Rpc>,
        { ...requestDeserialize(Buffer.alloc(0)), ...request },
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null) resolve(response!);
          else reject(error);
        },
      );
    });
  }

  /** The status of a call that must fail. */
  async failure<Rpc extends keyof Rpcs>(
    rpc: Rpc,
    request: Partial<RequestOf<Rpc>> = {},
    timeoutMs = TIMEOUT_MS,
  ): Promise<{ code: status; details: string }> {
    try {
      await this.call(rpc, request, timeoutMs);
    } catch (error) {
      const { code, details } = error as ServiceError;
      return { code, details };
    }
    throw new Error(`${rpc} succeeded`);
  }

  close(): void {
    this.#client.close();
  }
}
