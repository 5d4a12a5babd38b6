import { onAbort } from './abort.js';
import type { Deadline, EndTimer } from './deadline.js';
import { keepOne } from './kept.js';

/** How long one caller waits for an answer. */
export interface Waiting {
  /** A {@link Deadline}, or another limit of its shape. */
  readonly deadline?: Pick<Deadline, 'onEnd'> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of a caller whose time is up. */
  readonly late: () => unknown;
  /** Told that this caller gives up, before `late` is asked. */
  readonly leave?: () => void;
}

/**
 * Waits for an answer until this caller's deadline passes or its signal is aborted. Giving up ends the
 * waiting and nothing else.
 *
 * @throws what `answer` rejects with, what `late` gives, or the signal's reason, unwrapped; what a signal of
 * foreign code throws when it is listened to
 */
export function waitFor<T>(answer: Promise<T>, waiting: Waiting): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    new Caller(waiting, resolve, reject).wait(answer);
  });
}

/** A class, because one is made for each call: closures over all of this cost more. */
class Caller<T> {
  readonly #waiting: Waiting;
  readonly #resolve: (value: T) => void;
  readonly #reject: (reason: unknown) => void;
  #timer: EndTimer | undefined = undefined;
  #stopListening: (() => void) | undefined = undefined;
  #isOver = false;

  constructor(waiting: Waiting, resolve: (value: T) => void, reject: (reason: unknown) => void) {
    this.#waiting = waiting;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  wait(answer: Promise<T>): void {
    const { signal, deadline } = this.#waiting;
    if (signal !== undefined) this.#listen(signal);
    if (this.#isOver) {
      this.#stopListening?.();
      // Nobody looks at the answer any more.
      answer.catch(() => undefined);
      return;
    }
    this.#timer = deadline?.onEnd(() => {
      if (this.#leaves()) this.#reject(this.#waiting.late());
    });
    answer.then(
      (value) => {
        this.#settle();
        this.#resolve(value);
      },
      (error: unknown) => {
        this.#settle();
        this.#reject(error);
      },
    );
  }

  #listen(signal: AbortSignal): void {
    try {
      this.#stopListening = onAbort(signal, (reason) => {
        if (this.#leaves()) this.#reject(reason);
      });
    } catch (error) {
      if (this.#leaves()) this.#reject(error);
    }
  }

  /** Gives up, unless it is over. */
  #leaves(): boolean {
    if (this.#isOver) return false;
    this.#settle();
    this.#waiting.leave?.();
    return true;
  }

  #settle(): void {
    this.#isOver = true;
    this.#timer?.stop();
    this.#stopListening?.();
  }
}

keepOne(
  new Caller(
    { late: () => undefined },
    () => undefined,
    () => undefined,
  ),
);

/**
 * One call that several callers wait for, each until its own deadline or abort. When the last of them has
 * given up, the call's own signal is aborted.
 */
export class JoinedCall<T> {
  readonly answer: Promise<T>;
  readonly #controller = new AbortController();
  #callers = 0;

  /** @param start - starts the call; the signal ends it */
  constructor(start: (signal: AbortSignal) => Promise<T>) {
    this.answer = start(this.#controller.signal);
    // All callers may have given up by the time it fails.
    this.answer.catch(() => undefined);
  }

  /** Whether the last caller has given up: nobody may join it any more, and its answer is not to be kept. */
  get isAbandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  /** The call's answer, within the limits of one more caller. */
  join(waiting: Omit<Waiting, 'leave'>): Promise<T> {
    this.#callers += 1;
    return waitFor(this.answer, {
      ...waiting,
      leave: () => {
        this.#callers -= 1;
        if (this.#callers === 0) this.#controller.abort(waiting.signal?.reason);
      },
    });
  }
}
