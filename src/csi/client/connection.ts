import { Client, connectivityState, Metadata, status, type MethodDefinition } from '@grpc/grpc-js';
import { setImmediate } from 'node:timers/promises';
import { onAbort } from '../../waiting/abort.js';
import { Deadline } from '../../waiting/deadline.js';
import { JoinedCall } from '../../waiting/joined-call.js';
import { NodeService, type NodeServiceCapability_RPC_Type } from '../gen/csi/v1/csi.js';
import { isServiceError, knownStatus, serviceError } from '../messages/grpc-status.js';
import { OneConnection } from './one-connection.js';

/** Limits of one call. */
export interface CallLimits {
  readonly deadline: Deadline;
  readonly signal?: AbortSignal | undefined;
}

/** How far a connection got: the socket took it; and what listens there spoke gRPC. */
export type Reach = 'nothing' | 'socket' | 'driver';

/** A call that has ended. */
export interface CsiCall {
  /** The method's full name, such as `/csi.v1.Node/NodeGetVolumeStats`. */
  readonly method: string;
  /** The gRPC status, 0 for OK, and its name, such as `NOT_FOUND`. */
  readonly code: status;
  readonly status: string;
  readonly durationMs: number;
}

/**
 * What a driver's node service can do. The names of the types are `NodeServiceCapability_RPC_Type` of
 * `kube-volume-metrics/csi/v1`; a type without a name comes from a newer CSI.
 */
export type NodeCapabilities = ReadonlySet<NodeServiceCapability_RPC_Type>;

const CHANNEL_OPTIONS = {
  // Two clients of one socket would share a subchannel, and with it each other's reconnect delays.
  'grpc.use_local_subchannel_pool': 1,
  // It keeps data of each call and channel that nothing here reads.
  'grpc.enable_channelz': 0,
  // The client retries once itself, on a new connection.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
};

/**
 * The most uses that one connection has at a time. With thousands of calls at once, HTTP/2 in Node may stall
 * for good.
 */
const MOST_USES = 1_000;

/** A timer may fire so many milliseconds early. */
export const EARLY_MS = 10;

/**
 * Statuses of calls that a lost connection ended: a write to it fails as INTERNAL, its reset as CANCELLED.
 */
const OF_A_LOST_CONNECTION: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.UNKNOWN,
  status.INTERNAL,
  status.UNAVAILABLE,
]);

/**
 * One connection to a driver and what was learnt over it. Once lost, it stays lost: a channel of grpc-js
 * would connect again, but only after a delay of up to two minutes, and would fail every call until then.
 */
export class Connection {
  readonly #path: string;
  readonly #socket = new OneConnection();
  readonly #client: Client;
  readonly #onCall: (call: CsiCall) => void;
  readonly #onClose: () => void;
  readonly #inFlight = new Set<(error: Error) => void>();
  #capabilities: NodeCapabilities | undefined;
  #asking: JoinedCall<NodeCapabilities> | undefined;
  #established = false;
  #uses = 0;
  #isLeft = false;
  #isClosed = false;
  /** When the driver last answered a call, whatever the answer; by `performance.now()`. */
  #answeredMs = -Infinity;

  /**
   * @param path - the driver's socket
   * @param onCall - told of each call that has ended
   * @param onClose - told when the connection is closed
   */
  constructor(path: string, onCall: (call: CsiCall) => void, onClose: () => void) {
    this.#path = path;
    this.#client = new Client(`unix:${path}`, this.#socket, CHANNEL_OPTIONS);
    this.#onCall = onCall;
    this.#onClose = onClose;
  }

  /** Whether the next caller may use it. */
  get isUsable(): boolean {
    return !this.#isLeft && this.#isAlive;
  }

  get reach(): Reach {
    if (this.#established) return 'driver';
    return this.#socket.isConnected ? 'socket' : 'nothing';
  }

  /** Whether it is connected, or its first attempt to connect has not failed yet. */
  get #isAlive(): boolean {
    if (this.#isClosed) return false;
    const state = this.#client.getChannel().getConnectivityState(false);
    if (state === connectivityState.READY) this.#established = true;
    else if (this.#established || state === connectivityState.TRANSIENT_FAILURE) return false;
    return true;
  }

  /** Stays open while `make` runs. Once it has as many uses as it may have, it is left. */
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

  /** Takes no new users. Those that it has go on, and the last of them closes it. */
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

  /** Ends the calls in flight with an error, and closes. */
  end(error: Error): void {
    for (const reject of [...this.#inFlight]) reject(error);
    this.#close();
  }

  /**
   * Whether a call failed because the connection is gone, and not because the driver refused. A connection
   * that is still not established when the call's time is up counts as gone, and so does one over which
   * nothing was answered in that time: over a new one, the next call may reach a driver that answers.
   *
   * @param sinceMs - when the call began, by `performance.now()`
   */
  async isLostBy(error: unknown, sinceMs: number): Promise<boolean> {
    const code = isServiceError(error) ? error.code : undefined;
    if (code === status.DEADLINE_EXCEEDED) {
      return !this.#isAlive || !this.#established || this.#answeredMs < sinceMs;
    }
    if (code === undefined || !OF_A_LOST_CONNECTION.has(code)) return false;
    // The streams of a connection close before it does.
    await setImmediate();
    return !this.#isAlive;
  }

  /** What the driver's node service can do: asked once, and again if asking failed. */
  async capabilities({ deadline, signal }: CallLimits): Promise<NodeCapabilities> {
    if (this.#capabilities !== undefined) return this.#capabilities;
    if (this.#asking === undefined || this.#asking.isAbandoned) this.#asking = this.#askCapabilities();
    const late = (): Error => serviceError(status.DEADLINE_EXCEEDED, 'Deadline exceeded');
    return await this.#asking.join({ deadline, signal, late });
  }

  #askCapabilities(): JoinedCall<NodeCapabilities> {
    const joined = new JoinedCall(async (signal): Promise<NodeCapabilities> => {
      try {
        const limits = { deadline: new Deadline(Infinity), signal };
        const { capabilities } = await this.call(NodeService.nodeGetCapabilities, {}, limits);
        this.#capabilities = new Set(capabilities.flatMap(({ rpc }) => (rpc ? [rpc.type] : [])));
        return this.#capabilities;
      } finally {
        if (this.#asking === joined) this.#asking = undefined;
      }
    });
    return joined;
  }

  /**
   * Makes one call.
   *
   * @returns the driver's answer
   * @throws ServiceError, or `signal.reason`
   */
  call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { deadline, signal }: CallLimits,
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
        stopListening();
        const durationMs = performance.now() - startMs;
        this.#onCall({ method: method.path, code, status: status[code], durationMs });
      };
      const giveUp = (error: unknown): void => {
        if (!this.#inFlight.has(giveUp)) return;
        call.cancel();
        settle(status.CANCELLED);
        reject(error);
      };
      const stopListening = onAbort(signal, giveUp);
      this.#inFlight.add(giveUp);
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        deadline.limitMs === Infinity ? {} : { deadline: Math.ceil(Date.now() + deadline.leftMs) },
        (failure, response) => {
          if (!this.#inFlight.has(giveUp)) return;
          const error = failure && knownStatus(failure);
          // A call that ran out of time is not an answer of the driver.
          const isLate = error?.code === status.DEADLINE_EXCEEDED && deadline.leftMs <= EARLY_MS;
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
