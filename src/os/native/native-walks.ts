import { onAbort } from '../../waiting/abort.js';
import { noteWork } from '../../waiting/work.js';
import type { Counted, Walk } from '../os-binding.js';
import { pathStuck, systemError, type SystemError } from '../system-error.js';
import { WALK_COUNTS, WALK_WORDS, WALKS_AT, type Channel, type Records, type Refusal } from './addon.js';

/** How often walks are looked at: for progress, and for whether they still move. */
const LOOK_MS = 100;

/** How a walk ended. */
interface Ended {
  /** 0, or why there is no result. */
  readonly errno: number;
  /** The entry that failed. */
  readonly path: string;
  readonly used: bigint;
  readonly inodesUsed: bigint;
  /** Entries left out, and of the first one what failed. */
  readonly errors: number;
  readonly firstErrno: number;
  readonly firstPath: string;
  /** Not 0: the walk did not begin, because its path is stuck. */
  readonly stuckSinceMs: number;
  /** Whether a regular file has a size and no blocks. */
  readonly sizedWithoutBlocks: boolean;
}

/** A walk whose caller waits. */
interface Live {
  readonly walk: Walk;
  readonly settle: (ended: Ended) => void;
  readonly giveUp: (since: Date) => void;
  calls: bigint;
  movedAtMs: number;
  /** Milliseconds of work that were noted. */
  notedMs: number;
}

/** The walks of one channel. */
export class NativeWalks {
  /** In the order of asking, which is the order in which they run. */
  readonly #live = new Map<number, Live>();
  /** Keeps the process alive while a caller waits. */
  #timer: NodeJS.Timeout | undefined;
  readonly #records: Records;

  constructor(records: Records) {
    this.#records = records;
  }

  /** Takes the results of walks. Those of aborted walks and of walks that were given up come too. */
  deliver(count: number, texts: readonly string[] = []): void {
    const { numbers, words } = this.#records;
    let text = 0;
    for (let at = WALKS_AT; at < WALKS_AT + count * WALK_WORDS; at += WALK_WORDS) {
      const hasPaths = numbers[at + 7] === 1;
      const path = hasPaths ? (texts[text] ?? '') : '';
      const firstPath = hasPaths ? (texts[text + 1] ?? '') : '';
      if (hasPaths) text += 2;
      const number = numbers[at] ?? 0;
      const live = this.#live.get(number);
      if (live === undefined) continue;
      this.#leave(number);
      note(live, numbers[at + 6] ?? 0);
      live.settle({
        errno: numbers[at + 1] ?? 0,
        path,
        used: words[at + WALK_COUNTS] ?? 0n,
        inodesUsed: words[at + WALK_COUNTS + 1] ?? 0n,
        errors: numbers[at + 2] ?? 0,
        firstErrno: numbers[at + 3] ?? 0,
        firstPath,
        stuckSinceMs: numbers[at + 4] ?? 0,
        sizedWithoutBlocks: numbers[at + 5] === 1,
      });
    }
  }

  run(
    channel: Channel,
    path: string,
    walk: Walk,
    threads: number,
    refused: (refusal: Refusal) => Error,
  ): Promise<Counted> {
    return new Promise((resolve, reject) => {
      const number = channel.walk(path, threads, walk.allowPartial);
      if (typeof number !== 'number') {
        reject(refused(number));
        return;
      }
      const live: Live = {
        walk,
        calls: -1n,
        movedAtMs: performance.now(),
        notedMs: 0,
        giveUp: (since) => {
          stopListening();
          this.#leave(number);
          reject(pathStuck(path, since));
        },
        settle: (ended) => {
          stopListening();
          const counted = countedOf(path, ended);
          if (counted instanceof Error) reject(counted);
          else resolve(counted);
        },
      };
      this.#live.set(number, live);
      // Says that its work is noted: while it waits for its turn it has none.
      noteWork(walk.signal, 0);
      this.#timer ??= setInterval(() => {
        this.#look(channel);
      }, LOOK_MS);
      const stopListening = onAbort(walk.signal, (reason) => {
        note(live, channel.walkCancel(number));
        this.#leave(number);
        reject(reason);
      });
    });
  }

  #leave(number: number): void {
    this.#live.delete(number);
    if (this.#live.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(channel: Channel): void {
    const nowMs = performance.now();
    let isRunning = true;
    for (const [number, live] of this.#live) {
      const progress = isRunning ? channel.walkProgress(number) : undefined;
      const [used, inodesUsed, calls, workNs] = progress ?? [];
      if (workNs !== undefined) note(live, Number(workNs) / 1e6);
      if (used === undefined || inodesUsed === undefined || calls === undefined) {
        // The walk waits for its turn, as do those behind it, and does not stall; or it has ended and is
        // about to be delivered.
        isRunning = false;
        live.movedAtMs = nowMs;
      } else if (calls !== live.calls) {
        live.calls = calls;
        live.movedAtMs = nowMs;
        report(live.walk, { used, inodesUsed });
      } else if (nowMs - live.movedAtMs >= live.walk.stallTimeoutMs) {
        const sinceMs = Math.floor(Date.now() - (nowMs - live.movedAtMs));
        const workMs = channel.walkGiveUp(number, sinceMs);
        if (workMs < 0) continue;
        note(live, workMs);
        live.giveUp(new Date(sinceMs));
      }
    }
  }
}

/** Notes the work of a walk, of which a part may be noted already. */
function note(live: Live, workMs: number): void {
  const addedMs = Math.max(0, workMs - live.notedMs);
  live.notedMs += addedMs;
  noteWork(live.walk.signal, addedMs);
}

/** What a walk of `path` has counted, or why it failed. Of a walk that succeeded no error is created. */
function countedOf(path: string, ended: Ended): Counted | Error {
  if (ended.stuckSinceMs !== 0) return pathStuck(path, new Date(ended.stuckSinceMs));
  if (ended.errno !== 0) return walkError(ended.errno, ended.path);
  const { used, inodesUsed, errors, firstErrno, firstPath } = ended;
  const counted: { -readonly [Key in keyof Counted]: Counted[Key] } = { used, inodesUsed };
  if (errors > 0) {
    counted.incomplete = { errors, first: { path: firstPath, code: walkError(firstErrno, firstPath).code } };
  }
  if (used === 0n && ended.sizedWithoutBlocks) counted.lacksBlocks = true;
  return counted;
}

/** kMetAgain of native/walk.h, in place of an errno. */
const MET_AGAIN = 4096;

function walkError(errno: number, path: string): SystemError {
  if (errno !== MET_AGAIN) return systemError(errno, 'walk', path);
  // An honest move is over by the next walk.
  const error = Object.assign(systemError('ELOOP', 'walk', path), { transient: true });
  error.message = `ELOOP: the directory was entered a second time, because it was moved while the tree was measured, walk '${path}'`;
  return error;
}

/** Tells the observer. Its errors do not fail the walk. */
function report({ onProgress }: Walk, sofar: Counted): void {
  if (onProgress === undefined) return;
  const observe: (sofar: Counted) => unknown = onProgress;
  new Promise((resolve) => {
    resolve(observe(sofar));
  }).catch(() => undefined);
}
