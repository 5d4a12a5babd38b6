// @ts-check
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Conversation } from './conversation.mjs';

/** @typedef {import('./asking-process.mjs').Group} Group */
/** @typedef {import('./asking-process.mjs').Settlement} Settlement */

/**
 * A process that asks for readings.
 */
export class AskingProcess {
  #child;
  #conversation;

  /** @param {string} dist the folder of the built package */
  constructor(dist) {
    this.#child = fork(fileURLToPath(new URL('asking-process.mjs', import.meta.url)), [dist], {
      execArgv: [],
      serialization: 'advanced',
    });
    this.#conversation = new Conversation(this.#child, 'asking process');
  }

  get pid() {
    return this.#child.pid;
  }

  /**
   * Starts readings. All groups but a worker's start in the same turn of the event loop, in their order.
   *
   * @param {...Group} groups
   * @returns {Promise<void>} resolves when all have been started
   */
  ask(...groups) {
    return this.#conversation.ask({ do: 'ask', groups });
  }

  /**
   * Waits until so many have settled that were not handed out before, and hands them out in their order.
   *
   * @param {number} count
   * @returns {Promise<Settlement[]>}
   */
  settled(count) {
    return this.#conversation.ask({ do: 'settled', count });
  }

  /**
   * How many threads the process has.
   *
   * @returns {Promise<number>}
   */
  threads() {
    return this.#conversation.ask({ do: 'threads' });
  }

  /**
   * Begins to watch the event loop.
   *
   * @returns {Promise<void>}
   */
  watchLoop() {
    return this.#conversation.ask({ do: 'watchLoop' });
  }

  /**
   * The longest that the event loop was late since {@link watchLoop}, in milliseconds.
   *
   * @returns {Promise<number>}
   */
  loopDelay() {
    return this.#conversation.ask({ do: 'loopDelay' });
  }

  /**
   * Ends the worker thread of the group with `copy: 'worker'`.
   *
   * @returns {Promise<void>}
   */
  terminateWorker() {
    return this.#conversation.ask({ do: 'terminateWorker' });
  }

  /**
   * Calls process.exit() there.
   *
   * @returns {Promise<number | null>} the exit code, once the process is gone
   */
  async exit() {
    this.#conversation.ask({ do: 'exit' }).catch(() => undefined);
    await this.#conversation.ended;
    return this.#child.exitCode;
  }

  /**
   * Kills the process, and waits for nothing: one that is blocked in the kernel goes when the kernel lets it.
   */
  close() {
    this.#child.kill('SIGKILL');
  }
}
