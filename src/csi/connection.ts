import {
  Client,
  connectivityState,
  Metadata,
  status,
  type MethodDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { setImmediate } from 'node:timers/promises';
import { NodeService, type NodeServiceCapability_RPC_Type } from './gen/csi/v1/csi.js';
import { knownStatus, serviceError } from './grpc-status.js';
import { OneConnection } from './one-connection.js';
import { SharedCall } from './shared-call.js';

/** Limits of one call. */
export interface CallLimits {
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A call that has ended. */
export interface CsiCall {
  /** The method's full name, such as `/csi.v1.Node/NodeGetVolumeStats`. */
  readonly method: string;
  /** The gRPC status; 0 is OK. */
  readonly code: status;
  readonly durationMs: number;
}

/** What a driver's node service says it can do. */
export type NodeCapabilities = ReadonlySet<NodeServiceCapability_RPC_Type>;

const CHANNEL_OPTIONS = {
  // Two clients of one socket would share a subchannel, and with it each other's reconnect delays.
  'grpc.use_local_subchannel_pool': 1,
  // It keeps data of each call and channel, for nobody.
  'grpc.enable_channelz': 0,
  // The one retry that is right here, on a new connection, is made by the client.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
};

/** As many uses as one connection has at a time. Over thousands of calls at once one of Node's may stop for good, with both ends alive. */
const MOST_USES = 1_000;

/** Statuses that a connection's end shows as, whatever the driver meant: a write to it fails as INTERNAL, its reset as CANCELLED. */
const OF_A_LOST_CONNECTION: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.UNKNOWN,
  status.INTERNAL,
  status.UNAVAILABLE,
]);

/**
 * One connection to a driver and what was learnt over it. When it is lost it stays lost: a channel of grpc-js would connect again, but
 * only when its delay of up to two minutes allows, and fail every call until then.
 */
export class Connection {
  readonly #path: string;
  readonly #socket = new OneConnection();
  readonly #client: Client;
  readonly #onCall: (call: CsiCall) => void;
  readonly #onClose: () => void;
  readonly #inFlight = new Set<(error: Error) => void>();
  #capabilities: SharedCall<NodeCapabilities> | undefined;
  #established = false;
  #uses = 0;
  #isLeft = false;
  #isClosed = false;
  /** When the driver last answered a call, whatever it said; by `performance.now()`. */
  #answeredMs = -Infinity;

  /**
   * @param path - the driver's socket
   * @param onCall - told of each call that has ended
   * @param onClose - told when it is closed
   */
  constructor(path: string, onCall: (call: CsiCall) => void, onClose: () => void) {
    this.#path = path;
    this.#client = new Client(`unix:${path}`, this.#socket, CHANNEL_OPTIONS);
    this.#onCall = onCall;
    this.#onClose = onClose;
  }

  /** Whether whoever comes next may use it. */
  get isUsable(): boolean {
    return !this.#isLeft && this.#isAlive;
  }

  /** Whether it is connected, or has not been tried to the end. */
  get #isAlive(): boolean {
    if (this.#isClosed) return false;
    const state = this.#client.getChannel().getConnectivityState(false);
    if (state === connectivityState.READY) this.#established = true;
    else if (this.#established || state === connectivityState.TRANSIENT_FAILURE) return false;
    return true;
  }

  /** Stays open while calls are made over it. When it is used by as many as may, it is left. */
  async use<T>(make: () => Promise<T>): Promise<T> {
    this.#uses += 1;
    if (this.#uses === MOST_USES) this.#isLeft = true;
    try {
      return await make();
    } finally {
      this.#uses -= 1;
      this.#closeIfDone();
    }
  }

  /** Is for nobody new; those who use it go on, and the last of them closes it. */
  leave(): void {
    this.#isLeft = true;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#isLeft && this.#uses === 0) this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#client.close();
    this.#socket.end();
    this.#onClose();
  }

  /** Ends the calls in flight with an error, and itself. */
  end(error: Error): void {
    for (const reject of [...this.#inFlight]) reject(error);
    this.#close();
  }

  /**
   * Whether a call failed because the connection is gone, and not because the driver said so. One that is still not made when the call's
   * time is up counts as gone too, and so does one over which nothing was answered in that time: the next call may find a driver that
   * takes it.
   *
   * @param sinceMs - when the call began, by `performance.now()`
   */
  async isLostBy(error: unknown, sinceMs: number): Promise<boolean> {
    const { code } = error as Partial<ServiceError>;
    if (code === status.DEADLINE_EXCEEDED) {
      return !this.#isAlive || !this.#established || this.#answeredMs < sinceMs;
    }
    if (code === undefined || !OF_A_LOST_CONNECTION.has(code)) return false;
    // The streams of a connection close before it does.
    await setImmediate();
    return !this.#isAlive;
  }

  /** What the driver says it can do: asked once, and again when asking failed. */
  async capabilities({ deadlineMs, signal }: CallLimits): Promise<NodeCapabilities> {
    if (this.#capabilities === undefined || this.#capabilities.isAbandoned) {
      this.#capabilities = this.#askCapabilities();
    }
    const late = (): Error => serviceError(status.DEADLINE_EXCEEDED, 'Deadline exceeded');
    return await this.#capabilities.join(deadlineMs, late, signal);
  }

  #askCapabilities(): SharedCall<NodeCapabilities> {
    const shared = new SharedCall(async (signal): Promise<NodeCapabilities> => {
      try {
        const limits = { deadlineMs: Infinity, signal };
        const { capabilities } = await this.call(NodeService.nodeGetCapabilities, {}, limits);
        return new Set(capabilities.flatMap(({ rpc }) => (rpc ? [rpc.type] : [])));
      } catch (error) {
        if (this.#capabilities === shared) this.#capabilities = undefined;
        throw error;
      }
    });
    return shared;
  }

  /**
   * One call.
   *
   * @returns the driver's answer
   * @throws ServiceError, or `signal.reason`
   */
  call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { deadlineMs, signal }: CallLimits,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      if (this.#isClosed) {
        reject(serviceError(status.UNAVAILABLE, `The connection to ${this.#path} is closed`));
        return;
      }
      const startMs = performance.now();
      const settle = (code: status): void => {
        this.#inFlight.delete(giveUp);
        signal?.removeEventListener('abort', onAbort);
        this.#onCall({ method: method.path, code, durationMs: performance.now() - startMs });
      };
      const giveUp = (error: unknown): void => {
        if (!this.#inFlight.has(giveUp)) return;
        call.cancel();
        settle(status.CANCELLED);
        reject(error);
      };
      const onAbort = (): void => {
        giveUp(signal?.reason);
      };
      this.#inFlight.add(giveUp);
      signal?.addEventListener('abort', onAbort);
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        deadlineMs === Infinity ? {} : { deadline: deadlineMs },
        (failure, response) => {
          if (!this.#inFlight.has(giveUp)) return;
          const error = failure && knownStatus(failure);
          // Not the driver's word, but the end of this call's time, at which a timer may be early by a moment.
          const isLate = error?.code === status.DEADLINE_EXCEEDED && Date.now() + 10 >= deadlineMs;
          if (!isLate) this.#answeredMs = performance.now();
          settle(error?.code ?? status.OK);
          if (error !== null) {
            reject(error);
            return;
          }
          this.#established = true;
          resolve(response as Response);
        },
      );
    });
  }
}
