// @ts-check Serves FUSE mounts from a process of its own, so that neither a blocked call nor a crash of the
// test can leave a mount hanging: the kernel aborts a connection when the last descriptor of it is closed,
// and this process has the only one. Started by fuse.mjs, which tells it what to do over IPC.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { answer, kindOf, numbered, threadOf } from './fuse-protocol.mjs';

/** @typedef {import('./fuse-protocol.mjs').FuseEntry} FuseEntry */
/** @typedef {import('./fuse-protocol.mjs').FuseRequest} FuseRequest */
/** @typedef {import('./fuse-protocol.mjs').StatFsNumbers} StatFsNumbers */

/** @typedef {{ statfs: StatFsNumbers, root: FuseEntry }} FuseContent */

/**
 * `serve` answers; `unread` leaves requests in the kernel's queue, whose callers can be killed; `unanswered`
 * takes requests and keeps them, and the kernel lets not even a killed caller go.
 *
 * @typedef {'serve' | 'unread' | 'unanswered'} FuseMode
 */

/**
 * @typedef {{ kind: FuseRequest, process?: number | undefined }} Wanted Requests of a kind, from anybody or
 * one process.
 */

/**
 * @typedef {{ id: number } & (
 *   | { do: 'mount', content: FuseContent, mode: FuseMode }
 *   | { do: 'change', mount: number, content: FuseContent }
 *   | { do: 'mode', mount: number, mode: FuseMode }
 *   | { do: 'requests', mount: number, process?: number }
 *   | { do: 'received', mount: number, wanted: Wanted }
 *   | { do: 'unmount', mounts: number[] }
 * )} FuseCommand
 */

/**
 * A libuv stream handle, which waits for a descriptor through epoll and reads it, a whole request each time.
 * Node's public API has none for a device: fs.read would hold a thread for each mount.
 *
 * @typedef {object} StreamHandle
 * @property {(fd: number) => number} open
 * @property {() => void} readStart
 * @property {() => void} readStop
 * @property {() => void} close closes the descriptor as well, before it returns
 * @property {(data: ArrayBuffer | undefined) => void} onread data is undefined for an error
 */

const stdin = /** @type {{ _handle: { constructor: new (type: number) => StreamHandle } }} */ (
  /** @type {unknown} */ (process.stdin)
);
const PipeHandle = stdin._handle.constructor;

const INIT_POLL_MS = 2;
const PARENT_POLL_MS = 500;
const LARGEST_REQUEST = 65_536;

// Without symlinks, as the kernel lists mount points.
const directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'kvm-fuse-')));

class Mount {
  /** Where it is mounted. */
  path;
  /** @type {{ kind: FuseRequest, process: number }[]} */
  #requests = [];
  #fd;
  #isClosed = false;
  /** @type {StreamHandle | undefined} */
  #handle;
  /** @type {FuseMode} */
  #mode;
  /** @type {Buffer[]} */
  #unanswered = [];
  /** @type {(Wanted & { resolve: () => void })[]} */
  #waiting = [];
  /** @type {ReturnType<typeof numbered>} */
  #tree;
  /** @type {StatFsNumbers} */
  #statfs;

  /**
   * @param {string} mountPoint
   * @param {FuseContent} content
   * @param {FuseMode} mode
   */
  constructor(mountPoint, content, mode) {
    this.path = mountPoint;
    this.#mode = mode;
    this.#tree = numbered(content.root);
    this.#statfs = content.statfs;
    this.#fd = fs.openSync('/dev/fuse', fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  }

  /** @param {FuseContent} content */
  change(content) {
    this.#tree = numbered(content.root);
    this.#statfs = content.statfs;
  }

  async mount() {
    fs.mkdirSync(this.path);
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other';
    const child = spawn('mount', ['-i', '-n', '-t', 'fuse', '-o', options, 'kvm-test', this.path], {
      stdio: ['ignore', 'ignore', 'pipe', this.#fd],
    });
    let errors = '';
    child.stderr?.on('data', (text) => (errors += String(text)));
    const done = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        if (code === 0) resolve(undefined);
        else reject(new Error(`mount: ${errors.trim()}`));
      });
    });
    await Promise.all([done, this.#initialised()]);
    const handle = new PipeHandle(0);
    handle.open(this.#fd);
    handle.onread = (data) => {
      if (data !== undefined) this.#receive(Buffer.from(data));
      else this.#restart();
    };
    this.#handle = handle;
    this.setMode(this.#mode);
  }

  /**
   * Answers the first request. A descriptor belongs to no filesystem until the kernel has mounted it, and
   * cannot be waited for until then. The request comes before mount(8) ends, and mount(8) may need the
   * answer.
   */
  async #initialised() {
    const request = Buffer.alloc(LARGEST_REQUEST);
    while (!this.#isClosed) {
      try {
        this.#answer(request.subarray(0, fs.readSync(this.#fd, request)));
        return;
      } catch (error) {
        const code = /** @type {NodeJS.ErrnoException} */ (error).code;
        if (code !== 'EPERM' && code !== 'EAGAIN') throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, INIT_POLL_MS));
    }
  }

  /** @param {FuseMode} mode */
  setMode(mode) {
    this.#mode = mode;
    if (mode === 'unread') this.#handle?.readStop();
    else this.#handle?.readStart();
    if (mode === 'serve') for (const request of this.#unanswered.splice(0)) this.#answer(request);
  }

  /**
   * How many requests of each kind have been taken, from anybody or from one process.
   *
   * @param {number} [process]
   */
  counts(process) {
    /** @type {Partial<Record<FuseRequest, number>>} */
    const counts = {};
    for (const request of this.#requests) {
      if ((process ?? request.process) === request.process)
        counts[request.kind] = (counts[request.kind] ?? 0) + 1;
    }
    return counts;
  }

  /**
   * Waits until a request of a kind has been taken.
   *
   * @param {Wanted} wanted
   */
  received(wanted) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        this.#waiting.push({ ...wanted, resolve });
        this.#settle();
      })
    );
  }

  /** Ends the connection: whoever waits for an answer gets ECONNABORTED, whoever asks later ENOTCONN. */
  close() {
    this.#isClosed = true;
    if (this.#handle === undefined) fs.closeSync(this.#fd);
    else this.#handle.close();
    this.#handle = undefined;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** @param {Buffer} request */
  #receive(request) {
    this.#requests.push({ kind: kindOf(request), process: processOf(threadOf(request)) });
    if (this.#mode === 'serve') this.#answer(request);
    else this.#unanswered.push(request);
    this.#settle();
  }

  #settle() {
    const isDone = (/** @type {Wanted} */ { kind, process }) => this.counts(process)[kind] !== undefined;
    for (const wait of this.#waiting.filter(isDone)) wait.resolve();
    this.#waiting = this.#waiting.filter((wait) => !isDone(wait));
  }

  /**
   * A read fails when a request was withdrawn meanwhile, and for good when somebody else unmounted the
   * filesystem.
   */
  #restart() {
    try {
      const request = Buffer.alloc(LARGEST_REQUEST);
      this.#receive(request.subarray(0, fs.readSync(this.#fd, request)));
    } catch (error) {
      const code = /** @type {NodeJS.ErrnoException} */ (error).code;
      if (code !== 'EAGAIN' && code !== 'EINTR' && code !== 'ENOENT') return;
    }
    if (this.#mode !== 'unread') this.#handle?.readStart();
  }

  /** @param {Buffer} request */
  #answer(request) {
    const reply = answer(request, this.#tree, this.#statfs);
    if (reply === undefined) return;
    try {
      fs.writeSync(this.#fd, reply);
    } catch (error) {
      // ENOENT: its caller was killed meanwhile. ENODEV: unmounted.
      const code = /** @type {NodeJS.ErrnoException} */ (error).code;
      if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
    }
  }
}

/**
 * The process that a thread belongs to; the kernel says which thread asks. 0 when it is gone.
 *
 * @param {number} thread
 */
function processOf(thread) {
  try {
    return Number(/^Tgid:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/${String(thread)}/status`, 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}

/** @type {Map<number, Mount>} */
const mounts = new Map();
/** @type {Set<Promise<void>>} */
const mounting = new Set();
let lastId = 0;
let isEnding = false;

/** @param {number[]} ids */
function unmount(ids) {
  const leaving = ids.flatMap((id) => mounts.get(id) ?? []);
  for (const id of ids) mounts.delete(id);
  // The connections first: then nothing that umount(8) asks of the filesystems can block.
  for (const mount of leaving) mount.close();
  const mountInfo = fs.readFileSync('/proc/self/mountinfo', 'utf8');
  const mounted = leaving.filter((mount) => mountInfo.includes(` ${mount.path} `));
  if (mounted.length > 0) execFileSync('umount', ['-l', '-n', ...mounted.map((mount) => mount.path)]);
  // Not recursive: were it still mounted, nothing of it must be deleted.
  for (const mount of leaving) fs.rmdirSync(mount.path);
}

async function end() {
  if (isEnding) return;
  isEnding = true;
  // One that mount(8) is busy with would come up after it was unmounted here.
  await Promise.allSettled(mounting);
  unmount([...mounts.keys()]);
  fs.rmdirSync(directory);
  process.exit();
}

/**
 * @param {FuseCommand} command
 * @returns {Promise<unknown>}
 */
async function run(command) {
  if (isEnding) throw new Error('the FUSE server is ending');
  switch (command.do) {
    case 'mount': {
      const id = ++lastId;
      const mount = new Mount(path.join(directory, String(id)), command.content, command.mode);
      mounts.set(id, mount);
      const mounted = mount.mount();
      mounting.add(mounted);
      try {
        await mounted;
      } catch (error) {
        unmount([id]);
        throw error;
      } finally {
        mounting.delete(mounted);
      }
      return { mount: id, path: mount.path };
    }
    case 'change':
      mounts.get(command.mount)?.change(command.content);
      return;
    case 'mode':
      mounts.get(command.mount)?.setMode(command.mode);
      return;
    case 'requests':
      return mounts.get(command.mount)?.counts(command.process);
    case 'received':
      return mounts.get(command.mount)?.received(command.wanted);
    case 'unmount':
      unmount(command.mounts);
      return;
  }
}

process.on('message', (message) => {
  const command = /** @type {FuseCommand} */ (message);
  run(command).then(
    (value) => send({ id: command.id, value }),
    (error) => send({ id: command.id, error: String(error) }),
  );
});

/** @param {{ id: number, value?: unknown, error?: string }} reply */
function send(reply) {
  // With a callback, a parent that has gone is no error event, which would end this process before it has
  // unmounted.
  process.send?.(reply, undefined, undefined, () => undefined);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end());
process.on('disconnect', () => void end());
// The parent may be gone already: the event does not wait for whoever listens later.
if (!process.connected) void end();

// A killed parent whose thread is blocked in an unanswered request stays a zombie that keeps its descriptors,
// the IPC channel too: there is no disconnect, and the block would never end.
setInterval(() => {
  let state = 'X';
  try {
    state =
      fs
        .readFileSync(`/proc/${String(process.ppid)}/stat`, 'utf8')
        .split(') ')
        .at(-1)
        ?.charAt(0) ?? 'X';
  } catch {
    // Gone altogether.
  }
  if (state === 'Z' || state === 'X') void end();
}, PARENT_POLL_MS);
