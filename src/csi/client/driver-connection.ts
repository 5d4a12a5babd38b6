import { status } from '@grpc/grpc-js';
import { MetricsError } from '../../errors.js';
import { pathInfo } from '../../os/path-info.js';
import { isServiceError, statusToMetricsError } from '../messages/grpc-status.js';
import { Connection, type CallLimits, type CsiCall } from './connection.js';

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
type Attempt<T> = { readonly answer: T } | { readonly error: unknown; readonly isOutdated: boolean };

/** Milliseconds for finding out what is at the path of a socket that refuses connections. */
const LOOK_MS = 1_000;

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
    signal?.throwIfAborted();
    const first = await this.#attempt(make);
    if ('answer' in first) return first.answer;
    signal?.throwIfAborted();
    const last = first.isOutdated && !deadline.isOver ? await this.#attempt(make) : first;
    if ('answer' in last) return last.answer;
    throw await this.explain(last.error, call, limits);
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
        return { error, isOutdated: isLost && isOlder };
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
   * @throws `signal.reason` if the signal is aborted
   */
  async explain(error: unknown, call: CallSubject, { deadline, signal }: CallLimits): Promise<unknown> {
    signal?.throwIfAborted();
    if (this.#isClosed) return this.#closed();
    const why = deadline.isOver
      ? whyLate(error, deadline.limitMs)
      : await this.#whyUnreachable(error, signal);
    signal?.throwIfAborted();
    return statusToMetricsError(error, { ...call, driver: this.#path, why });
  }

  #closed(): MetricsError {
    return new MetricsError('METRICS_CSI_FAILED', `the client of ${this.#path} is closed`);
  }

  /** Why the socket could not be connected to, if that is what failed. */
  async #whyUnreachable(error: unknown, signal: AbortSignal | undefined): Promise<string | undefined> {
    const errno = connectErrno(error, this.#path);
    if (errno === undefined) return undefined;
    if (errno === 'EACCES' || errno === 'EPERM') {
      return 'this process may not use the socket. Run it as root, or as a user who may write to the socket';
    }
    if (errno === 'EPROTOTYPE') return 'the socket takes no connections. Check where the driver listens';
    // connect(2) refuses a connection to a file in the same way as one to a socket that nothing listens on.
    const kind = errno === 'ECONNREFUSED' ? await this.#kind(signal) : undefined;
    if (kind !== undefined && kind !== 'other') {
      return `this is a ${kind === 'block' ? 'block device' : kind}, not a socket. Check where the driver listens`;
    }
    const reason = REASONS[errno] ?? `connecting failed with ${errno}`;
    return `the driver may not be running on this node: ${reason}. Check the driver's pod on this node, and the path`;
  }

  async #kind(signal: AbortSignal | undefined): Promise<string | undefined> {
    try {
      return (await pathInfo(this.#path, { timeoutMs: LOOK_MS, signal })).kind;
    } catch {
      return undefined;
    }
  }
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

function whyLate(error: unknown, limitMs: number): string | undefined {
  if (!isServiceError(error) || error.code !== status.DEADLINE_EXCEEDED) return undefined;
  return `no answer within ${String(Math.ceil(limitMs))} ms. The socket takes connections, so the driver runs but may hang. Check its log`;
}
