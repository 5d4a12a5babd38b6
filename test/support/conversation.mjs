// @ts-check

/** Commands to a child process and their answers, over its IPC channel. */
export class Conversation {
  #child;
  #lastId = 0;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  /**
   * Resolves when the child is gone.
   *
   * @type {Promise<void>}
   */
  ended;

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {string} name for error messages
   */
  constructor(child, name) {
    this.#child = child;
    child.on('message', (message) => {
      const { id, value, error } = /** @type {{ id: number, value: unknown, error?: string }} */ (message);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    this.ended = new Promise((resolve) => {
      const end = (/** @type {unknown} */ how) => {
        for (const { reject } of this.#waiting.values())
          reject(new Error(`the ${name} ended: ${String(how)}`));
        this.#waiting.clear();
        resolve();
      };
      child.once('exit', (code, signal) => end(signal ?? code));
      child.once('error', end);
    });
  }

  /**
   * @param {{ do: string, [field: string]: unknown }} command
   * @returns {Promise<any>} the answer; rejects when the command fails or the child ends
   */
  ask(command) {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ ...command, id }, (error) => {
        if (error === null) return;
        this.#waiting.delete(id);
        reject(error);
      });
    });
  }
}
