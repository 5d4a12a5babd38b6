interface Entry<T> {
  item: T | undefined;
}

/** As many entries that are done with are worth taking out of the list. */
const WORTH_TAKING_OUT = 64;

/**
 * First come, first served; whoever waits may leave. (A Set would do, but the first of it is searched among all that were deleted
 * before.)
 */
export class Queue<T extends object> {
  #entries: Entry<T>[] = [];
  #next = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns takes it out again, if it still is in there */
  push(item: T): () => void {
    const entry: Entry<T> = { item };
    this.#entries.push(entry);
    this.#size += 1;
    return () => {
      this.#take(entry);
    };
  }

  /** Takes the first one out. */
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
    if (this.#size === 0 || (this.#next > WORTH_TAKING_OUT && this.#next > this.#entries.length / 2)) {
      this.#entries = this.#size === 0 ? [] : this.#entries.slice(this.#next);
      this.#next = 0;
    }
    return item;
  }
}
