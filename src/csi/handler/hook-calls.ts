import { MetricsError } from '../../errors.js';
import { Deadline } from '../../waiting/deadline.js';

/**
 * Calls of one of the driver's functions, at most one at a time for each subject. Later callers join a call
 * that has not ended, however long ago it was given up: otherwise a function that hangs would be called again
 * and again.
 */
export class JoinedHook<T> {
  readonly #inFlight = new Map<string, Promise<T>>();

  /** @param key - tells subjects apart */
  join(key: string, start: () => Promise<T>): Promise<T> {
    const there = this.#inFlight.get(key);
    if (there !== undefined) return there;
    const answer = start();
    this.#inFlight.set(key, answer);
    const ended = (): void => void this.#inFlight.delete(key);
    answer.then(ended, ended);
    return answer;
  }
}

/** The same, of a function that has a time limit and is told when it is over. */
export class HookCalls<T> {
  readonly #timeoutMs: number;
  readonly #joined = new JoinedHook<T>();

  /** @param timeoutMs - milliseconds after which a call's signal is aborted, and its caller released */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * @param key - tells subjects apart
   * @param subject - what the call is about, for the message if it is late
   * @throws MetricsError METRICS_TIMED_OUT; what the function throws
   */
  async call(key: string, subject: string, hook: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
    const answer = this.#joined.join(key, () => this.#start(subject, hook));
    return await new Deadline(this.#timeoutMs).wait(answer, () => {
      throw late(subject);
    });
  }

  async #start(subject: string, hook: (signal: AbortSignal) => T | Promise<T>): Promise<T> {
    const controller = new AbortController();
    const abort = (): void => {
      controller.abort(late(subject));
    };
    const timer = new Deadline(this.#timeoutMs).onEnd(abort, { keepsAlive: false });
    try {
      return await hook(controller.signal);
    } finally {
      timer.stop();
    }
  }
}

function late(subject: string): MetricsError {
  return new MetricsError('METRICS_TIMED_OUT', `no verdict on ${subject} in time`);
}
