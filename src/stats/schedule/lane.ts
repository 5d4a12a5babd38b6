/** What the lane of walks knows of a volume. */
export interface WalkedVolume {
  /** Milliseconds that its walk may take while others wait. */
  readonly limitMs: number;
  /** Milliseconds of work that the next walk may be expected to take: as many as the last one. */
  readonly expectedMs: number;
  /** Whether no walk of it has begun: it goes first. */
  readonly isNew: boolean;
  /** Whether its last walk took more than a second or was ended for its length: it has a place of its own. */
  readonly isLong: boolean;
  /** Whether no attempt to measure it has ended: no pause holds it up. */
  readonly isUnread: boolean;
  /**
   * Whether its last walk noted its work, if that is known. One that does takes its turn in the queue of this
   * process, where more than two may wait.
   */
  readonly notesWork: boolean | undefined;
}

/** A call on its way through its lane. */
export interface Turn {
  /** It has a place, and may be made. */
  go(place: Place): void;
  /** Only of a walk: those before it have ended, or it runs beside them. Its time counts from now. */
  begin(): void;
  /** Only of a walk: milliseconds of work so far; undefined if it is not known to be noted. */
  workMs(): number | undefined;
  /** Only of a walk: ends it so that others go first, and gives its place back. */
  stop(): void;
}

/** A place in a lane. */
export interface Place {
  /**
   * Lets the next one in. Only the first call has an effect.
   *
   * @param costMs - milliseconds of work that were done in the place; by default the time since it was taken
   */
  giveBack(costMs?: number): void;
}

interface Entry<T> {
  item: T | undefined;
}

/** So many used entries make it worthwhile to shorten the list. */
const WORTH_SHORTENING = 64;

/**
 * First come, first served; entries may leave. (A Set would do, but looking for its first member passes all
 * that were deleted before.)
 */
export class Queue<T extends object> {
  #entries: Entry<T>[] = [];
  #next = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns takes the item out again, if it is still in there */
  push(item: T): () => void {
    const entry: Entry<T> = { item };
    this.#entries.push(entry);
    this.#size += 1;
    return () => {
      this.#take(entry);
    };
  }

  /** Takes the first item out. */
  shift(): T | undefined {
    while (this.#size > 0) {
      const entry = this.#entries[this.#next];
      this.#next += 1;
      const item = entry && this.#take(entry);
      if (item !== undefined) return item;
    }
    return undefined;
  }

  #take(entry: Entry<T>): T | undefined {
    const { item } = entry;
    if (item === undefined) return undefined;
    entry.item = undefined;
    this.#size -= 1;
    if (this.#size === 0 || (this.#next > WORTH_SHORTENING && this.#next > this.#entries.length / 2)) {
      this.#entries = this.#size === 0 ? [] : this.#entries.slice(this.#next);
      this.#next = 0;
    }
    return item;
  }
}

/**
 * A lane with a fixed number of places, first come, first served. Doubtful calls hold at most a quarter of
 * the places and come after the others: if a storage hangs with all its volumes, there is still room for the
 * healthy ones.
 */
export class SharedLane {
  readonly #doubtfulPlaces: number;
  readonly #queue = new Queue<() => void>();
  readonly #doubtful = new Queue<() => void>();
  #free: number;
  #doubtfulOut = 0;

  constructor(places: number) {
    this.#free = places;
    this.#doubtfulPlaces = Math.ceil(places / 4);
  }

  /**
   * Runs `go` as soon as there is a place, perhaps at once.
   *
   * @param doubtful - whether the last such call did not come back in time
   * @returns takes it out of the queue, if it is still in there
   */
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
