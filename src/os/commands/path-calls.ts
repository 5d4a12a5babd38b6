import { Deadline, type EndTimer } from '../../waiting/deadline.js';
import type { PathCall } from '../os-binding.js';
import { pathStuck, tooManyStuck } from '../system-error.js';

/** A call that was started. */
export interface StartedCall<T> {
  readonly answer: Promise<T>;
  /** A text that changes as long as the call makes progress. */
  sign(): string;
  /** Kills the processes that work on it. Resolves once they are gone, which may be never. */
  end(): Promise<void>;
}

/** A caller's part in a call whose progress can be watched. */
export interface WatchedCall<T> extends PathCall<T> {
  /** A text that changes as long as the call makes progress, and while it waits in the queue. */
  sign(): string;
}

/** How many calls run at once, and for how long. */
export interface PathCallsLimits {
  /** Milliseconds that a call may take before its path is stuck. */
  readonly stuckAfterMs?: number;
  /** Calls that run at once, without the slow and the stuck ones. */
  readonly atOnce?: number;
  /** Milliseconds that a call may take before it is slow and gives its place to the next. */
  readonly slowAfterMs?: number;
  /** Stuck paths, each of which may hold a process that cannot be killed. */
  readonly mostStuck?: number;
}

/** One call and its callers. */
interface Flight {
  readonly kind: string;
  readonly path: string;
  readonly start: () => StartedCall<unknown>;
  readonly answer: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  callers: number;
  /** Undefined while it waits in the queue. */
  started?: StartedCall<unknown>;
}

/** A path with calls. At most one of them runs; those of other kinds wait for it. */
interface Known {
  readonly flights: Set<Flight>;
  /** The call that runs. */
  running?: Running | undefined;
  stuckSince?: Date;
}

interface Running {
  readonly late: EndTimer;
  becomeStuck(): void;
}

/**
 * Into how many parts the time until a path is stuck is divided. A call by commands may need several turns of
 * the event loop, because one command follows another; a busy event loop misses all but one of the parts.
 */
const PARTS = 10;

/**
 * Calls on paths that may never answer. Callers who ask the same about a path share one call. A path whose
 * call takes too long is stuck: its callers are rejected, and later callers at once, until the processes of
 * that call are gone.
 */
export class PathCalls {
  readonly #stuckAfterMs: number;
  readonly #atOnce: number;
  readonly #slowAfterMs: number;
  readonly #mostStuck: number;
  readonly #paths = new Map<string, Known>();
  /** In the order of asking. */
  readonly #queue = new Set<Flight>();
  /** Running calls that count among those at once. */
  #placed = 0;
  /** Running calls that do not: the slow and the stuck. */
  #apart = 0;
  #stuck = 0;

  constructor(limits: PathCallsLimits = {}) {
    const { stuckAfterMs = 5_000, atOnce = 8, slowAfterMs = 250, mostStuck = 512 } = limits;
    this.#stuckAfterMs = stuckAfterMs;
    this.#atOnce = atOnce;
    this.#slowAfterMs = slowAfterMs;
    this.#mostStuck = mostStuck;
  }

  /**
   * Joins the call of this kind on this path, or makes it.
   *
   * @param kind - what is asked; the same kind on the same path has the same type of answer
   * @param start - starts the call when its turn comes, unless all callers have left by then
   */
  join<T>(kind: string, path: string, start: () => StartedCall<T>): WatchedCall<T> {
    const known = this.#paths.get(path) ?? { flights: new Set<Flight>() };
    if (known.stuckSince !== undefined) return refused(pathStuck(path, known.stuckSince), known.stuckSince);
    let flight = [...known.flights].find((each) => each.kind === kind);
    if (flight === undefined) {
      if (this.#stuck >= this.#mostStuck) return refused(tooManyStuck('fork', path));
      flight = newFlight(kind, path, start);
      known.flights.add(flight);
      this.#paths.set(path, known);
      this.#queue.add(flight);
      this.#startNext();
    }
    return this.#newCaller(flight, known) as WatchedCall<T>;
  }

  #newCaller(flight: Flight, known: Known): WatchedCall<unknown> {
    flight.callers += 1;
    let left = false;
    return {
      answer: flight.answer,
      sign: () => flight.started?.sign() ?? `queued at ${String(performance.now())}`,
      leave: () => {
        if (!left) {
          left = true;
          flight.callers -= 1;
          if (flight.callers === 0 && this.#queue.delete(flight)) this.#forget(flight, known);
          // A caller with the same limit started its timer first, and should learn that the path is stuck.
          if (known.running?.late.isNearlyOver) known.running.becomeStuck();
        }
        return known.stuckSince;
      },
    };
  }

  #startNext(): void {
    for (const flight of this.#queue) {
      if (this.#placed >= this.#atOnce) return;
      const known = this.#paths.get(flight.path);
      if (known === undefined || known.running !== undefined) continue;
      this.#queue.delete(flight);
      if (this.#stuck >= this.#mostStuck) {
        this.#forget(flight, known);
        flight.reject(tooManyStuck('fork', flight.path));
      } else {
        this.#begin(flight, known);
      }
    }
  }

  #begin(flight: Flight, known: Known): void {
    const since = new Date();
    this.#placed += 1;
    let placed = true;
    const setApart = (): void => {
      if (!placed) return;
      placed = false;
      this.#placed -= 1;
      this.#apart += 1;
      this.#startNext();
    };
    const call = (flight.started = flight.start());
    const slow = setTimeout(() => {
      if (this.#apart < this.#mostStuck) setApart();
    }, this.#slowAfterMs);
    const becomeStuck = (): void => {
      late.stop();
      this.#becomeStuck(known, flight.path, since, call);
      setApart();
    };
    const late = new Deadline(this.#stuckAfterMs).onEnd(becomeStuck, { keepsAlive: false, parts: PARTS });
    known.running = { late, becomeStuck };
    slow.unref();
    const over = (settle: () => void): void => {
      if (known.stuckSince !== undefined) return;
      clearTimeout(slow);
      late.stop();
      if (placed) this.#placed -= 1;
      else this.#apart -= 1;
      known.running = undefined;
      this.#forget(flight, known);
      settle();
      this.#startNext();
    };
    call.answer.then(
      (value) => {
        over(() => {
          flight.resolve(value);
        });
      },
      (error: unknown) => {
        over(() => {
          flight.reject(error);
        });
      },
    );
  }

  #becomeStuck(known: Known, path: string, since: Date, call: StartedCall<unknown>): void {
    known.stuckSince = since;
    known.running = undefined;
    this.#stuck += 1;
    for (const flight of known.flights) {
      this.#queue.delete(flight);
      flight.reject(pathStuck(path, since));
    }
    void call.end().then(() => {
      this.#stuck -= 1;
      this.#apart -= 1;
      this.#paths.delete(path);
    });
  }

  #forget(flight: Flight, known: Known): void {
    known.flights.delete(flight);
    if (known.flights.size === 0) this.#paths.delete(flight.path);
  }
}

function newFlight(kind: string, path: string, start: () => StartedCall<unknown>): Flight {
  let resolve: (value: unknown) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const answer = new Promise<unknown>((...both) => {
    [resolve, reject] = both;
  });
  // All callers may have left by the time it fails.
  answer.catch(() => undefined);
  return { kind, path, start, answer, resolve, reject, callers: 0 };
}

function refused<T>(error: Error, since?: Date): WatchedCall<T> {
  const answer = Promise.reject<T>(error);
  answer.catch(() => undefined);
  return { answer, sign: () => 'refused', leave: () => since };
}
