import { MetricsError } from '../errors.js';
import { Connection, type CallLimits, type CsiCall } from './connection.js';
import { statusToMetricsError, type FailedCall } from './grpc-status.js';

/** Keeps one connection to a driver, and makes a new one when it is lost. */
export class DriverConnection {
  readonly #path: string;
  readonly #onCall: (call: CsiCall) => void;
  #current: Connection | undefined;
  /** The current one, and lost ones with calls that have not ended. */
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
    const countBefore = this.#count;
    const first = this.#usable();
    const isOlder = this.#count === countBefore;
    try {
      return await make(first);
    } catch (error) {
      const isLost = await this.#dropIfLost(first, error);
      signal?.throwIfAborted();
      if (!isLost || !isOlder || Date.now() >= deadlineMs) throw this.#explain(error, call);
    }
    const second = this.#usable();
    try {
      return await make(second);
    } catch (error) {
      await this.#dropIfLost(second, error);
      signal?.throwIfAborted();
      throw this.#explain(error, call);
    }
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

  async #dropIfLost(connection: Connection, error: unknown): Promise<boolean> {
    const isLost = await connection.isLostBy(error);
    if (isLost) this.#drop(connection);
    return isLost;
  }

  #drop(connection: Connection): void {
    connection.retire();
    if (this.#current === connection) this.#current = undefined;
  }

  #explain(error: unknown, call: Omit<FailedCall, 'driver'>): unknown {
    return this.#isClosed ? this.#closed() : statusToMetricsError(error, { ...call, driver: this.#path });
  }

  #closed(): MetricsError {
    return new MetricsError('METRICS_CSI_FAILED', `the client of ${this.#path} is closed`);
  }
}
