import { Patience } from './patience.js';
import { stuck, tooManyStuck, type Share } from './share.js';

/** A call that was started: what it will answer, and the way to end what works on it. */
export interface StartedCall<T> {
  readonly answer: Promise<T>;
  /** Kills what works on it. Resolves when that is really gone, which may be never. */
  end(): Promise<void>;
}

/** How many calls there may be. */
export interface SharedCallsLimits {
  /** How long a call may be out before its path is stuck. */
  readonly stuckAfterMs?: number;
  /** Calls that run at once; one that is slow or stuck is not counted. */
  readonly atOnce?: number;
  /**
   * How long a call may be out before it is slow, so that it may get stuck, and gives its place to the next.
   */
  readonly slowAfterMs?: number;
  /** Stuck paths, each of which may hold a process that cannot be killed. */
  readonly mostStuck?: number;
}

/** One call with everybody who waits for it. */
interface Flight {
  readonly kind: string;
  readonly path: string;
  readonly start: () => StartedCall<unknown>;
  readonly answer: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  waiting: number;
}

/**
 * What is known of a path that somebody asks about. At most one of its calls runs; those of other kinds wait
 * for it.
 */
interface Known {
  readonly flights: Set<Flight>;
  /** The call that runs. */
  running?: Running | undefined;
  stuckSince?: Date;
}

interface Running {
  readonly late: Patience;
  becomeStuck(): void;
}

/**
 * Calls on paths that may never answer, shared by everybody who asks the same meanwhile. A path whose call is
 * out for too long is stuck: all who wait for it are rejected, later callers too and at once, until what worked
 * on that call is gone.
 */
export class SharedCalls {
  readonly #stuckAfterMs: number;
  readonly #atOnce: number;
  readonly #slowAfterMs: number;
  readonly #mostStuck: number;
  readonly #paths = new Map<string, Known>();
  /** In the order of asking. */
  readonly #queue = new Set<Flight>();
  /** Calls with a place among those that run at once. */
  #placed = 0;
  /** Calls without one: the slow and the stuck. */
  #apart = 0;
  #stuck = 0;

  constructor(limits: SharedCallsLimits = {}) {
    const { stuckAfterMs = 5_000, atOnce = 8, slowAfterMs = 250, mostStuck = 512 } = limits;
    this.#stuckAfterMs = stuckAfterMs;
    this.#atOnce = atOnce;
    this.#slowAfterMs = slowAfterMs;
    this.#mostStuck = mostStuck;
  }

  /**
   * A share in the call of this kind on this path: the one in flight, or a new one.
   *
   * @param kind - what is asked; the same kind on the same path has the same type of answer
   * @param start - begins the call, when its turn comes and somebody still waits
   */
  share<T>(kind: string, path: string, start: () => StartedCall<T>): Share<T> {
    const known = this.#paths.get(path) ?? { flights: new Set<Flight>() };
    if (known.stuckSince !== undefined) return refused(stuck(path, known.stuckSince), known.stuckSince);
    let flight = [...known.flights].find((each) => each.kind === kind);
    if (flight === undefined) {
      if (this.#stuck >= this.#mostStuck) return refused(tooManyStuck('fork', path));
      flight = newFlight(kind, path, start);
      known.flights.add(flight);
      this.#paths.set(path, known);
      this.#queue.add(flight);
      this.#startNext();
    }
    return this.#join(flight, known) as Share<T>;
  }

  #join(flight: Flight, known: Known): Share<unknown> {
    flight.waiting += 1;
    let left = false;
    return {
      answer: flight.answer,
      leave: () => {
        if (!left) {
          left = true;
          flight.waiting -= 1;
          if (flight.waiting === 0 && this.#queue.delete(flight)) this.#forget(flight, known);
          // Whose own limit is the same began to count before the call did, and is to learn that it is stuck.
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
        this.#run(flight, known);
      }
    }
  }

  #run(flight: Flight, known: Known): void {
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
    const call = flight.start();
    const slow = setTimeout(() => {
      if (this.#apart < this.#mostStuck) setApart();
    }, this.#slowAfterMs);
    const becomeStuck = (): void => {
      late.stop();
      this.#becomeStuck(known, flight.path, since, call);
      setApart();
    };
    const late = new Patience(this.#stuckAfterMs, becomeStuck);
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
      flight.reject(stuck(path, since));
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
  // Everybody may have left by then.
  answer.catch(() => undefined);
  return { kind, path, start, answer, resolve, reject, waiting: 0 };
}

function refused<T>(error: Error, since?: Date): Share<T> {
  const answer = Promise.reject<T>(error);
  answer.catch(() => undefined);
  return { answer, leave: () => since };
}
