import { onAbort } from '../../waiting/abort.js';
import { Deadline } from '../../waiting/deadline.js';
import { waitFor } from '../../waiting/joined-call.js';
import { pathStuck, tooManyStuck } from '../system-error.js';
import type { Child } from './children.js';

/** A killed walking command that may still exist. */
interface Late {
  readonly path: string;
  readonly since: Date;
  readonly gone: Promise<void>;
}

/** Much longer than a killed command takes to be gone. */
const GRACE_MS = 1_000;

/** While more killed commands than this do not end, each on a path of its own, no walk starts. */
const MOST_LATE = 512;

/** Lets a few walks of this process run at once, the others in the order in which they came. */
export class WalkTurns {
  readonly #atOnce: number;
  readonly #waiting = new Set<() => void>();
  readonly #late = new Set<Late>();
  #running = 0;

  constructor(atOnce = 2) {
    this.#atOnce = atOnce;
  }

  /**
   * Runs a walk when its turn comes.
   *
   * @throws the signal's reason if it is aborted during the wait
   */
  async inTurn<T>(signal: AbortSignal | undefined, walk: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (this.#running >= this.#atOnce) await this.#turn(signal);
    else this.#running += 1;
    try {
      return await walk();
    } finally {
      // The turn passes on to the next, who does not count again.
      const [next] = this.#waiting;
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (): void => {
        this.#waiting.delete(next);
        stopListening();
        resolve();
      };
      this.#waiting.add(next);
      const stopListening = onAbort(signal, (reason) => {
        this.#waiting.delete(next);
        reject(reason);
      });
    });
  }

  /** Remembers a walking command that was killed until it is gone. */
  abandoned(path: string, child: Child, since: Date): void {
    const late: Late = { path, since, gone: child.gone };
    this.#late.add(late);
    void child.gone.then(() => this.#late.delete(late));
  }

  /**
   * Refuses a path on which a killed command still hangs: another one would hang there too.
   *
   * @throws MetricsError METRICS_TIMED_OUT with `stuckSince`; a system error EAGAIN if too many hang on other
   * paths
   */
  async checkFree(path: string): Promise<void> {
    const hanging = (): Late | undefined => [...this.#late].find((each) => each.path === path);
    const first = hanging();
    if (first !== undefined) {
      const late = (): Error => pathStuck(path, first.since);
      await waitFor(first.gone, { deadline: new Deadline(GRACE_MS), late });
    }
    const other = hanging();
    if (other !== undefined) throw pathStuck(path, other.since);
    if (this.#late.size >= MOST_LATE) throw tooManyStuck('fork', path);
  }
}
