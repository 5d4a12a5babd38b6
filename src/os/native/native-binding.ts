import { keepOne } from '../../waiting/kept.js';
import { kindOf } from '../devices.js';
import type { MountStatFs, OsBinding, PathCall, PathInfo, StatFs } from '../os-binding.js';
import { pathStuck, systemError, tooManyStuck } from '../system-error.js';
import {
  addon,
  ANSWER_VALUES,
  ANSWER_WORDS,
  BUFFER_BYTES,
  type Addon,
  type Channel,
  type Records,
} from './addon.js';
import { NativeWalks } from './native-walks.js';

/** The numbers that native/fs_info.h and native/call_pool.h give these. */
const STATFS = 0;
const STAT = 1;
const MOUNT_STATFS = 2;
type Kind = typeof STATFS | typeof STAT | typeof MOUNT_STATFS;
/** The first system call of each. */
const SYSCALLS = { [STATFS]: 'statfs', [STAT]: 'stat', [MOUNT_STATFS]: 'stat' } as const;
/** MountSeen, by its number. */
const MOUNTS_SEEN = [undefined, 'none', 'changed', 'same'] as const;
const DONE = 0;
const STUCK = 1;
const TOO_MANY_STUCK = 2;

/**
 * Independent of the number of processors: threads beyond them cost nothing when the tree is in memory, and
 * overlap their waits for the disk when it is not. No more than this, because other programs need the machine
 * too.
 */
const DEFAULT_THREADS = 4;

/** The caller who waits for a ticket. */
interface Waiter {
  readonly kind: Kind;
  readonly path: string;
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
}

let binding: OsBinding | undefined;

/** The binding over the addon, or why it is not available. */
export function nativeBinding(): OsBinding | string {
  if (binding !== undefined) return binding;
  const native = addon();
  if (typeof native === 'string') return native;
  const connected = overAddon(native);
  if (typeof connected !== 'string') binding = connected;
  return connected;
}

function overAddon(native: Addon): OsBinding | string {
  const waiters = new Map<number, Waiter>();
  const buffer = new ArrayBuffer(BUFFER_BYTES);
  const records = { numbers: new Float64Array(buffer), words: new BigUint64Array(buffer) };
  const walks = new NativeWalks(records);
  const channel = native.connect((answers, ended, texts) => {
    for (let at = 0; at < answers * ANSWER_WORDS; at += ANSWER_WORDS) deliver(records, at, waiters);
    if (ended > 0) walks.deliver(ended, texts);
  }, buffer);
  if (channel === undefined) return 'the addon is of another version, or this thread is being terminated';
  return {
    name: 'native',
    statFs: (path) => start<StatFs>(channel, waiters, STATFS, path),
    pathInfo: (path) => start<PathInfo>(channel, waiters, STAT, path),
    mountStatFs: (path) => start<MountStatFs | undefined>(channel, waiters, MOUNT_STATFS, path),
    diskUsage: (path, walk) =>
      walks.run(channel, path, walk, walk.threads ?? DEFAULT_THREADS, ([status, errno, stuckSinceMs]) =>
        failure('walk', path, status, errno, stuckSinceMs),
      ),
  };
}

function start<T>(channel: Channel, waiters: Map<number, Waiter>, kind: Kind, path: string): PathCall<T> {
  const started = channel.start(kind, path);
  if (typeof started !== 'number') {
    const [status, errno, stuckSinceMs] = started;
    return {
      answer: Promise.reject(failure(SYSCALLS[kind], path, status, errno, stuckSinceMs)),
      leave: () => undefined,
    };
  }
  const answer = new Promise<T>((resolve, reject) => {
    waiters.set(started, { kind, path, resolve, reject });
  });
  return {
    answer,
    leave() {
      waiters.delete(started);
      const sinceMs = channel.leave(kind, path, started);
      return sinceMs === 0 ? undefined : new Date(sinceMs);
    },
  };
}

function deliver({ numbers, words }: Records, at: number, waiters: Map<number, Waiter>): void {
  const ticket = numbers[at] ?? 0;
  const waiter = waiters.get(ticket);
  if (waiter === undefined) return;
  waiters.delete(ticket);
  const status = numbers[at + 2] ?? 0;
  const errno = numbers[at + 3] ?? 0;
  if (status !== DONE || errno !== 0) {
    const syscall = numbers[at + 1] === 1 ? 'statfs' : SYSCALLS[waiter.kind];
    waiter.reject(failure(syscall, waiter.path, status, errno, numbers[at + 4] ?? 0));
  } else if (waiter.kind === MOUNT_STATFS) {
    waiter.resolve(mountStatFs(words, at + ANSWER_VALUES) as never);
  } else if (waiter.kind === STATFS) {
    waiter.resolve(statFs(words, at + ANSWER_VALUES) as never);
  } else {
    waiter.resolve(pathInfo(words, at + ANSWER_VALUES) as never);
  }
}

function failure(syscall: string, path: string, status: number, errno: number, stuckSinceMs: number): Error {
  if (status === STUCK) return pathStuck(path, new Date(stuckSinceMs));
  if (status === TOO_MANY_STUCK) return tooManyStuck(syscall, path);
  const error = systemError(errno, syscall, path);
  if (status !== DONE) error.message = `no thread could be created for the call on '${path}' (${error.code})`;
  return error;
}

function statFs(words: BigUint64Array, at: number): StatFs {
  const stats: { -readonly [Key in keyof StatFs]: StatFs[Key] } = {
    magic: Number(words[at]),
    frsize: words[at + 1] ?? 0n,
    blocks: words[at + 2] ?? 0n,
    bfree: words[at + 3] ?? 0n,
    bavail: words[at + 4] ?? 0n,
    files: words[at + 5] ?? 0n,
    ffree: words[at + 6] ?? 0n,
  };
  const readOnly = words[at + 7];
  if (readOnly !== 2n) stats.readOnly = readOnly === 1n;
  return stats;
}

function mountStatFs(words: BigUint64Array, at: number): MountStatFs | undefined {
  const mount = MOUNTS_SEEN[Number(words[at + 8])];
  if (mount === undefined) return undefined;
  return {
    mount,
    statFs: mount === 'none' ? undefined : statFs(words, at),
    device: words[at + 9] ?? 0n,
    inode: words[at + 10] ?? 0n,
  };
}

// Made twice around each walk of a mount, so without spreads and iterators.
function pathInfo(words: BigUint64Array, at: number): PathInfo {
  const info: { -readonly [Key in keyof PathInfo]: PathInfo[Key] } = {
    kind: kindOf(words[at] ?? 0n),
    size: words[at + 1] ?? 0n,
    device: words[at + 2] ?? 0n,
    inode: words[at + 3] ?? 0n,
    rdev: words[at + 4] ?? 0n,
  };
  const mountRoot = words[at + 6];
  if (mountRoot !== 2n) {
    info.mountId = Number(words[at + 5]);
    info.mountRoot = mountRoot === 1n;
  }
  const uniqueMount = words[at + 7] ?? 0n;
  if (uniqueMount !== 0n) info.uniqueMountId = uniqueMount;
  return info;
}

const SAMPLE = new BigUint64Array(ANSWER_WORDS).fill(BigInt(MOUNTS_SEEN.indexOf('same')));
keepOne([pathInfo(SAMPLE, 0), mountStatFs(SAMPLE, 0)]);
