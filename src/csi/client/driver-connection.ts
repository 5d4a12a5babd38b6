import { status, type ServiceError } from '@grpc/grpc-js';
import { MetricsError, propertyOf } from '../../errors.js';
import { pathInfo } from '../../os/path-info.js';
import { throwIfAborted } from '../../waiting/abort.js';
import type { NodeGetVolumeHealthResponse, NodeGetVolumeStatsResponse } from '../gen/csi/v1/csi.js';
import { isServiceError, statusToMetricsError } from '../messages/grpc-status.js';
import {
  Connection,
  EARLY_MS,
  type CallLimits,
  type CsiCall,
  type NodeCapabilities,
  type Reach,
} from './connection.js';

/** What a driver says about a volume. */
export interface CsiVolumeAnswer {
  /** What the driver's node service can do. */
  readonly capabilities: NodeCapabilities;
  /** Absent if the driver does not advertise GET_VOLUME_STATS. */
  readonly stats?: NodeGetVolumeStatsResponse;
  /** Absent if the driver does not advertise GET_VOLUME_HEALTH, or if asking failed. */
  readonly health?: NodeGetVolumeHealthResponse;
  /** Why there is no health although the driver advertises it. */
  readonly healthError?: unknown;
}

/** What a call was about, for the message if it fails. */
export interface CallSubject {
  /** The method's name, such as `NodeGetVolumeStats`. */
  readonly rpc: string;
  /** The volume's path, if the call had one. */
  readonly path?: string | undefined;
}

/**
 * An answer, or why there is none and whether the fault lies in a connection that was made before the call.
 */
type Attempt<T> =
  { readonly answer: T } | { readonly error: unknown; readonly isOutdated: boolean; readonly reach: Reach };

/** Milliseconds for finding out what is at the path of a socket that took no connection. */
const LOOK_MS = 1_000;

/** The same for a call that is late already. */
const LATE_LOOK_MS = 100;

/** Keeps one connection to a driver, and makes a new one when it is lost or full. */
export class DriverConnection {
  readonly #path: string;
  readonly #onCall: (call: CsiCall) => void;
  #current: Connection | undefined;
  /** The current one, and lost or full ones with calls that have not ended. */
  readonly #open = new Set<Connection>();
  /** How many connections there have been, so that a call can tell which of them are older than itself. */
  #count = 0;
  #isClosed = false;

  /**
   * @param path - the driver's socket
   * @param onCall - told of each call that has ended
   */
  constructor(path: string, onCall: (call: CsiCall) => void) {
    this.#path = path;
    this.#onCall = onCall;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Ends what is in flight. Every later call fails. */
  close(): void {
    this.#isClosed = true;
    this.#current = undefined;
    for (const each of [...this.#open]) each.end(this.#closed());
  }

  /**
   * Makes calls over the connection. If the connection is older than this use and proves to be lost, as it
   * does at the first call after the driver was restarted, they are made once more over a new one.
   *
   * @param call - what is called, for the message if it fails
   * @throws MetricsError, or `signal.reason`
   */
  async use<T>(
    call: CallSubject,
    limits: CallLimits,
    make: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const { deadline, signal } = limits;
    throwIfAborted(signal);
    const first = await this.#attempt(make);
    if ('answer' in first) return first.answer;
    throwIfAborted(signal);
    // gRPC may end a call a moment before its time is up; then none is left for another attempt.
    const mayRepeat = first.isOutdated && deadline.leftMs > EARLY_MS;
    const last = mayRepeat ? await this.#attempt(make) : first;
    if ('answer' in last) return last.answer;
    throw await this.explain(last.error, call, limits, last.reach);
  }

  async #attempt<T>(make: (connection: Connection) => Promise<T>): Promise<Attempt<T>> {
    const countBefore = this.#count;
    const connection = this.#usable();
    const isOlder = this.#count === countBefore;
    const sinceMs = performance.now();
    return await connection.use(async () => {
      try {
        return { answer: await make(connection) };
      } catch (error) {
        const isLost = await connection.isLostBy(error, sinceMs);
        if (isLost) this.#drop(connection);
        return { error, isOutdated: isLost && isOlder, reach: connection.reach };
      }
    });
  }

  #usable(): Connection {
    if (this.#isClosed) throw this.#closed();
    if (this.#current?.isUsable === false) this.#drop(this.#current);
    if (this.#current !== undefined) return this.#current;
    this.#count += 1;
    const made = new Connection(this.#path, this.#onCall, () => this.#open.delete(made));
    this.#open.add(made);
    this.#current = made;
    return made;
  }

  #drop(connection: Connection): void {
    connection.leave();
    if (this.#current === connection) this.#current = undefined;
  }

  /**
   * What the caller gets for a call that failed.
   *
   * @param reach - how far the connection got
   * @throws `signal.reason` if the signal is aborted
   */
  async explain(error: unknown, call: CallSubject, limits: CallLimits, reach: Reach): Promise<unknown> {
    throwIfAborted(limits.signal);
    if (this.#isClosed) return this.#closed();
    const why = await this.#why(error, limits, reach);
    throwIfAborted(limits.signal);
    return statusToMetricsError(error, { ...call, driver: this.#path, why });
  }

  #closed(): MetricsError {
    return new MetricsError('METRICS_CSI_FAILED', `the client of ${this.#path} is closed`);
  }

  /** Why a call failed, as far as it is known; undefined if the driver itself said so. */
  async #why(error: unknown, limits: CallLimits, reach: Reach): Promise<string | undefined> {
    if (!isServiceError(error)) return undefined;
    if (error.code === status.UNAVAILABLE) return await this.#whyUnreachable(error, limits, reach);
    const { deadline } = limits;
    if (error.code !== status.DEADLINE_EXCEEDED || deadline.leftMs > EARLY_MS) return undefined;
    const late = `no answer within ${String(Math.ceil(deadline.limitMs))} ms`;
    if (reach !== 'nothing')
      return `${late}. The socket takes connections, so the driver runs but may hang. Check its log`;
    // The time was too short to connect, or the socket takes no more connections.
    const why = await this.#whyNoSocket(limits);
    return why === undefined ? late : `${late}; ${why}`;
  }

  /** Why there is no connection, if that is what failed. */
  async #whyUnreachable(error: ServiceError, limits: CallLimits, reach: Reach): Promise<string | undefined> {
    if (reach === 'driver' || !error.details.startsWith('No connection established.')) return undefined;
    const errno = connectErrno(error, this.#path);
    if (errno === undefined) {
      if (reach === 'nothing') return undefined;
      return 'what listens there is no gRPC server, or it closed the connection. Check where the driver listens';
    }
    if (errno === 'EACCES' || errno === 'EPERM') {
      return 'this process is not permitted to use the socket. Run it as root, or as a user who may write to the socket';
    }
    if (errno === 'EPROTOTYPE') return 'the socket takes no connections. Check where the driver listens';
    // connect(2) refuses a connection to a file in the same way as one to a socket that nothing listens on.
    const why = errno === 'ECONNREFUSED' ? await this.#whyNoSocket(limits) : undefined;
    return why ?? away(REASONS[errno] ?? `connecting failed with ${errno}`);
  }

  /** What is at the path instead of a socket; undefined for a socket, or if it is not known soon. */
  async #whyNoSocket({ deadline, signal }: CallLimits): Promise<string | undefined> {
    try {
      const timeoutMs = deadline.isOver ? LATE_LOOK_MS : LOOK_MS;
      const { kind } = await pathInfo(this.#path, { timeoutMs, signal });
      if (kind === 'other') return undefined;
      return `this is a ${kind === 'block' ? 'block device' : kind}, not a socket. Check where the driver listens`;
    } catch (error) {
      return propertyOf(error, 'code') === 'METRICS_NOT_FOUND' ? away('there is no such socket') : undefined;
    }
  }
}

function away(reason: string): string {
  return `the driver may not be running on this node: ${reason}. Check the driver's pod on this node, and the path`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ENOTDIR: 'there is no such socket',
  ECONNREFUSED: 'nothing listens on this socket',
};

/** The errno of connecting to a path, from the text that grpc-js makes of it. */
function connectErrno(error: unknown, path: string): string | undefined {
  if (!isServiceError(error) || error.code !== status.UNAVAILABLE) return undefined;
  const [, errno, place] =
    /^No connection established\..* connect (E[A-Z0-9]+) (.*)$/.exec(error.details) ?? [];
  return place?.startsWith(path) ? errno : undefined;
}
