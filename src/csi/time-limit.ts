/** One time limit for several waits. It does not keep the process alive. */
export class TimeLimit {
  readonly #passed: Promise<void>;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.#passed = new Promise((resolve) => {
      this.#timer = setTimeout(resolve, ms);
      this.#timer.unref();
    });
  }

  /** What is waited for, or what `late` gives or throws once the limit has passed. */
  async wait<T>(promise: Promise<T>, late: () => T): Promise<T> {
    return await Promise.race([promise, this.#passed.then(late)]);
  }

  /** The limit will not pass any more. */
  end(): void {
    clearTimeout(this.#timer);
  }
}
