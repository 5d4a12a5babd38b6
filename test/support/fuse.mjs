// @ts-check FUSE filesystems made to order for tests: any statfs numbers, any small tree, errors, and mounts
// that do not answer.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Conversation } from './conversation.mjs';

/** @typedef {import('./fuse-protocol.mjs').Errno} Errno */
/** @typedef {import('./fuse-protocol.mjs').FuseEntry} FuseEntry */
/** @typedef {import('./fuse-protocol.mjs').FuseRequest} FuseRequest */
/** @typedef {import('./fuse-protocol.mjs').StatFsNumbers} StatFsNumbers */
/** @typedef {import('./fuse-server.mjs').FuseMode} FuseMode */
/** @typedef {import('./fuse-server.mjs').FuseContent} FuseContent */

/**
 * What a mount serves.
 *
 * @typedef {object} FuseOptions
 * @property {Partial<StatFsNumbers>} [statfs] what is left out is as in STATFS, with frsize as bsize
 * @property {Record<string, FuseEntry>} [entries] the entries of the root
 * @property {Partial<Record<FuseRequest, Errno>>} [errors] the errno that a kind of request on the root is
 * answered with
 */

/** The numbers of a filesystem that is 60 % full, and keeps some of the rest for root. */
const STATFS = { blocks: 1000n, bfree: 400n, bavail: 350n, files: 100n, ffree: 60n };
const BLOCK_SIZE = 4096;

/**
 * Serves FUSE mounts from a child process. Everything goes when it is closed, and when this process ends or
 * dies.
 */
export class FuseServer {
  #child;
  #conversation;

  constructor() {
    this.#child = fork(fileURLToPath(new URL('fuse-server.mjs', import.meta.url)), {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
    });
    this.#conversation = new Conversation(this.#child, 'FUSE server');
  }

  /**
   * Mounts one filesystem in a directory of its own.
   *
   * @param {FuseOptions} [options]
   * @param {FuseMode} [mode]
   * @returns {Promise<FuseMount>}
   */
  async mount(options = {}, mode = 'serve') {
    const { mount, path } = await this.#conversation.ask({
      do: 'mount',
      content: content(options),
      mode,
    });
    return new FuseMount(this.#conversation, mount, path);
  }

  /**
   * Mounts many that serve the same, a few at a time.
   *
   * @param {number} count
   * @param {FuseOptions} [options]
   * @param {FuseMode} [mode]
   * @returns {Promise<FuseMount[]>}
   */
  async mountMany(count, options = {}, mode = 'serve') {
    /** @type {FuseMount[]} */
    const mounts = [];
    const AT_ONCE = 4;
    let left = count;
    const one = async () => {
      while (left-- > 0) mounts.push(await this.mount(options, mode));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    return mounts;
  }

  /** Aborts and unmounts everything and ends the process; calls still blocked get ECONNABORTED. */
  async close() {
    if (this.#child.connected) this.#child.disconnect();
    await this.#conversation.ended;
  }

  [Symbol.asyncDispose]() {
    return this.close();
  }
}

export class FuseMount {
  #conversation;
  #id;

  /**
   * @param {Conversation} conversation
   * @param {number} id
   * @param {string} path
   */
  constructor(conversation, id, path) {
    this.#conversation = conversation;
    this.#id = id;
    /** Where it is mounted. */
    this.path = path;
  }

  /**
   * Stops answering. `unread`: requests stay in the kernel's queue, and callers can be killed. `unanswered`:
   * requests are taken, so that they can be counted, and then nothing ends a caller before {@link release},
   * not even SIGKILL.
   *
   * @param {'unread' | 'unanswered'} [how]
   * @returns {Promise<void>}
   */
  hold(how = 'unread') {
    return this.#conversation.ask({ do: 'mode', mount: this.#id, mode: how });
  }

  /**
   * Answers all that waits, and what comes.
   *
   * @returns {Promise<void>}
   */
  release() {
    return this.#conversation.ask({ do: 'mode', mount: this.#id, mode: 'serve' });
  }

  /**
   * Serves something else from now on.
   *
   * @param {FuseOptions} options
   * @returns {Promise<void>}
   */
  change(options) {
    return this.#conversation.ask({ do: 'change', mount: this.#id, content: content(options) });
  }

  /**
   * How many requests of each kind the server has taken, from anybody or from one process; those held
   * `unread` are not among them. Other programs may look at any mount of the machine at any time: who expects
   * an exact number names the process.
   *
   * @param {number} [process]
   * @returns {Promise<Partial<Record<FuseRequest, number>>>}
   */
  requests(process) {
    return this.#conversation.ask({ do: 'requests', mount: this.#id, process });
  }

  /**
   * How many statfs calls have reached the filesystem, from anybody or from one process.
   *
   * @param {number} [process]
   * @returns {Promise<number>}
   */
  async statfsCalls(process) {
    return (await this.requests(process)).statfs ?? 0;
  }

  /**
   * Resolves once a request of a kind has been taken, from anybody or from one process.
   *
   * @param {FuseRequest} kind
   * @param {number} [process]
   * @returns {Promise<void>}
   */
  received(kind, process) {
    return this.#conversation.ask({ do: 'received', mount: this.#id, wanted: { kind, process } });
  }

  /**
   * Aborts what is blocked and unmounts.
   *
   * @returns {Promise<void>}
   */
  unmount() {
    return this.#conversation.ask({ do: 'unmount', mounts: [this.#id] });
  }
}

/**
 * @param {FuseOptions} options
 * @returns {FuseContent}
 */
function content({ statfs = {}, entries = {}, errors = {} }) {
  const frsize = statfs.frsize ?? BLOCK_SIZE;
  return { statfs: { ...STATFS, bsize: frsize, frsize, ...statfs }, root: { entries, errors } };
}
