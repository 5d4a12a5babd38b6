import { MetricsError } from '../errors.js';
import { Connection, type CallLimits, type CsiCall } from './connection.js';
import { statusToMetricsError, type FailedCall } from './grpc-status.js';

/** What came of calls: an answer, or why not, and whether that was for a connection that was there before and is lost. */
type Attempt<T> = { readonly answer: T } | { readonly error: unknown; readonly isOutdated: boolean };

/** Keeps one connection to a driver, and makes a new one when it is lost or full. */
export class DriverConnection {
  readonly #path: string;
  readonly #onCall: (call: CsiCall) => void;
  #current: Connection | undefined;
  /** The current one, and lost or full ones with calls that have not ended. */
  readonly #open = new Set<Connection>();
  /** How many connections there have been, so that a call can tell those that are older than itself. */
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

  /** Ends what is in flight, and makes everything later fail. */
  close(): void {
    this.#isClosed = true;
    this.#current = undefined;
    for (const each of [...this.#open]) each.end(this.#closed());
  }

  /**
   * Makes calls over the connection. When that is older than this use and proves to be lost, as it does at the first call after the driver
   * was restarted, they are made once more over a new one.
   *
   * @param call - what to say was called when it fails
   * @throws MetricsError, or `signal.reason`
   */
  async use<T>(
    call: Omit<FailedCall, 'driver'>,
    { deadlineMs, signal }: CallLimits,
    make: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const first = await this.#attempt(make);
    if ('answer' in first) return first.answer;
    signal?.throwIfAborted();
    const last = first.isOutdated && Date.now() < deadlineMs ? await this.#attempt(make) : first;
    if ('answer' in last) return last.answer;
    signal?.throwIfAborted();
    throw this.#explain(last.error, call);
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

  #explain(error: unknown, call: Omit<FailedCall, 'driver'>): unknown {
    return this.#isClosed ? this.#closed() : statusToMetricsError(error, { ...call, driver: this.#path });
  }

  #closed(): MetricsError {
    return new MetricsError('METRICS_CSI_FAILED', `the client of ${this.#path} is closed`);
  }
}
