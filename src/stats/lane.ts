import { Queue } from './queue.js';

/** Where calls wait for their turn. */
export interface Lane {
  /**
   * Runs `go` when there is a place, perhaps at once.
   *
   * @param doubtful - whether the last such call did not come back in time
   * @returns takes it out of the queue again, if it still is in there
   */
  enter(go: (place: Place) => void, doubtful: boolean): () => void;
}

/** A place in a lane. */
export interface Place {
  /**
   * Lets the next one in; more than once does nothing.
   *
   * @param costMs - milliseconds of work that were done in it, if not all of the time
   */
  giveBack(costMs?: number): void;
}

/**
 * A lane with so many places, first come first served. Those whose last call did not come back hold at most a quarter of the
 * places and come after the others: a storage that hangs, with all its volumes, leaves room for the healthy ones.
 */
export class SharedLane implements Lane {
  readonly #doubtfulPlaces: number;
  readonly #queue = new Queue<() => void>();
  readonly #doubtful = new Queue<() => void>();
  #free: number;
  #doubtfulOut = 0;

  constructor(places: number) {
    this.#free = places;
    this.#doubtfulPlaces = Math.ceil(places / 4);
  }

  enter(go: (place: Place) => void, doubtful: boolean): () => void {
    const queue = doubtful ? this.#doubtful : this.#queue;
    const leave = queue.push(() => {
      go(this.#take(doubtful));
    });
    this.#next();
    return leave;
  }

  #take(doubtful: boolean): Place {
    this.#free -= 1;
    if (doubtful) this.#doubtfulOut += 1;
    let isTaken = true;
    return {
      giveBack: () => {
        if (!isTaken) return;
        isTaken = false;
        this.#free += 1;
        if (doubtful) this.#doubtfulOut -= 1;
        this.#next();
      },
    };
  }

  #next(): void {
    while (this.#free > 0) {
      const queue =
        this.#queue.size > 0 || this.#doubtfulOut >= this.#doubtfulPlaces ? this.#queue : this.#doubtful;
      const start = queue.shift();
      if (start === undefined) return;
      start();
    }
  }
}
