/**
 * A call that several callers wait for, each until its own deadline, and whose answer it then keeps. When all who wait have left
 * before it came, the call is aborted.
 */
export class SharedCall<T> {
  readonly #answer: Promise<T>;
  readonly #controller = new AbortController();
  #callers = 0;

  /** @param start - starts the call; the signal ends it */
  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.#answer = start(this.#controller.signal);
    // Callers may all have left by then.
    this.#answer.catch(() => undefined);
  }

  /** Whether its last caller has left: the answer is not to be waited for any more. */
  get isAbandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  /**
   * The call's answer.
   *
   * @param deadlineMs - when this caller leaves, in milliseconds since the epoch
   * @param late - makes the error that it leaves with
   * @param signal - makes it leave with `signal.reason`
   */
  join(deadlineMs: number, late: () => Error, signal: AbortSignal | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#callers += 1;
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const leave = (reason: unknown): void => {
        settle();
        this.#callers -= 1;
        if (this.#callers === 0) this.#controller.abort();
        reject(reason);
      };
      const onAbort = (): void => {
        leave(signal?.reason);
      };
      const timer = setTimeout(
        () => {
          leave(late());
        },
        Math.max(0, deadlineMs - Date.now()),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#answer.then(
        (value) => {
          settle();
          resolve(value);
        },
        (error: unknown) => {
          settle();
          reject(error);
        },
      );
    });
  }
}
