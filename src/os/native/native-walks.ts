import { onAbort } from '../../waiting/abort.js';
import type { Counted, Walk } from '../os-binding.js';
import { pathStuck, systemError, type SystemError } from '../system-error.js';
import type { Channel, Refusal, WalkDelivery } from './addon.js';

/** How often walks are looked at: for progress, and for whether they still move. */
const LOOK_MS = 100;

/** A walk whose caller waits. */
interface Live {
  readonly walk: Walk;
  readonly settle: (...result: Parameters<WalkDelivery>) => void;
  readonly giveUp: (since: Date) => void;
  calls: bigint;
  movedAtMs: number;
}

/** The walks of one channel. */
export class NativeWalks {
  /** In the order of asking, which is the order in which they run. */
  readonly #live = new Map<number, Live>();
  /** Keeps the process alive while a caller waits. */
  #timer: NodeJS.Timeout | undefined;

  /** Takes the result of a walk. Those of aborted walks and of walks that were given up come too. */
  readonly deliver: WalkDelivery = (...result) => {
    const [number] = result;
    const live = this.#live.get(number);
    this.#leave(number);
    live?.settle(...result);
  };

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
      this.#live.set(number, {
        walk,
        calls: -1n,
        movedAtMs: performance.now(),
        giveUp: (since) => {
          stopListening();
          this.#leave(number);
          reject(pathStuck(path, since));
        },
        settle: (...result) => {
          stopListening();
          const counted = countedOf(path, result);
          if (counted instanceof Error) reject(counted);
          else resolve(counted);
        },
      });
      this.#timer ??= setInterval(() => {
        this.#look(channel);
      }, LOOK_MS);
      const stopListening = onAbort(walk.signal, (reason) => {
        channel.walkCancel(number);
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
      const [used, inodesUsed, calls] = progress ?? [];
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
        if (channel.walkGiveUp(number, sinceMs) !== 0) live.giveUp(new Date(sinceMs));
      }
    }
  }
}

/** What a walk of `path` has counted, or why it failed. */
function countedOf(path: string, result: Parameters<WalkDelivery>): Counted | Error {
  const [, errno, failed, used, inodesUsed, errors, firstErrno, firstPath, stuckSinceMs, sized] = result;
  if (stuckSinceMs !== 0) return pathStuck(path, new Date(stuckSinceMs));
  if (errno !== 0) return walkError(errno, failed);
  const first = { path: firstPath, code: walkError(firstErrno, firstPath).code };
  return {
    used,
    inodesUsed,
    ...(errors > 0 && { incomplete: { errors, first } }),
    ...(used === 0n && sized === 1 && { lacksBlocks: true }),
  };
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
