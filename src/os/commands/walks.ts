import { stuck, tooManyStuck } from '../share.js';
import { atMost } from './at-most.js';
import type { Child } from './run.js';

/** A killed walker that is not known to be gone. */
interface Late {
  readonly path: string;
  readonly since: Date;
  readonly gone: Promise<void>;
}

/** How long a killed walker usually takes to be gone, and much more. */
const GRACE_MS = 1_000;

/** More killed walkers that do not end, each on a path of its own, are not risked. */
const MOST_LATE = 512;

/** The walks of this process: few at once, the others in the order in which they came. */
export class Walks {
  readonly #atOnce: number;
  readonly #waiting = new Set<() => void>();
  readonly #late = new Set<Late>();
  #running = 0;

  constructor(atOnce = 2) {
    this.#atOnce = atOnce;
  }

  /**
   * Does some walking when its turn comes.
   *
   * @throws the signal's reason when it is aborted while waiting
   */
  async inTurn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (this.#running >= this.#atOnce) await this.#turn(signal);
    else this.#running += 1;
    try {
      return await work();
    } finally {
      // The turn passes on to the next, who does not count again.
      const [next] = this.#waiting;
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(next);
        signal?.removeEventListener('abort', onAbort);
      };
      const next = (): void => {
        leave();
        resolve();
      };
      const onAbort = (): void => {
        leave();
        reject(signal?.reason as Error);
      };
      this.#waiting.add(next);
      signal?.addEventListener('abort', onAbort);
    });
  }

  /** Remembers a walker that was killed until it is gone. */
  abandoned(path: string, child: Child, since: Date): void {
    const late: Late = { path, since, gone: child.gone };
    this.#late.add(late);
    void child.gone.then(() => this.#late.delete(late));
  }

  /**
   * Refuses a path on which a killed walker still hangs: another one would hang there too.
   *
   * @throws MetricsError METRICS_TIMED_OUT with `stuckSince`; a system error EAGAIN when too many hang on other
   * paths
   */
  async checkFree(path: string): Promise<void> {
    const hanging = (): Late | undefined => [...this.#late].find((each) => each.path === path);
    const first = hanging();
    if (first !== undefined) await atMost(GRACE_MS, first.gone, true);
    const late = hanging();
    if (late !== undefined) throw stuck(path, late.since);
    if (this.#late.size >= MOST_LATE) throw tooManyStuck('fork', path);
  }
}
