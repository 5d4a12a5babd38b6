import { onAbort } from '../../waiting/abort.js';
import type { DiskUsage, Walk } from '../os-binding.js';
import { pathStuck, systemError, type SystemError } from '../system-error.js';
import type { Channel, Refusal, WalkDelivery } from './addon.js';

/** How often walks are looked at: for progress, and for whether they still move. */
const LOOK_MS = 100;

/** A walk that has not ended. */
interface Live {
  readonly path: string;
  readonly walk: Walk;
  readonly settle: (...result: Parameters<WalkDelivery>) => void;
  readonly giveUp: (since: Date) => void;
  /**
   * Whether its caller still waits. After an abort nobody does, but a stuck walk still has to give its place
   * back.
   */
  isAwaited: boolean;
  calls: bigint;
  movedAtMs: number;
}

/** The walks of one channel. */
export class NativeWalks {
  /** In the order of asking, which is the order in which they run. */
  readonly #live = new Map<number, Live>();
  /** How many of them have a caller who waits. */
  #awaited = 0;
  #timer: NodeJS.Timeout | undefined;

  readonly deliver: WalkDelivery = (...result) => {
    const [number] = result;
    const live = this.#live.get(number);
    if (live === undefined) return;
    this.#live.delete(number);
    this.#abandon(live);
    live.settle(...result);
  };

  run(
    channel: Channel,
    path: string,
    walk: Walk,
    threads: number,
    refused: (refusal: Refusal) => Error,
  ): Promise<DiskUsage> {
    return new Promise((resolve, reject) => {
      const number = channel.walk(path, threads, walk.allowPartial);
      if (typeof number !== 'number') {
        reject(refused(number));
        return;
      }
      const live: Live = {
        path,
        walk,
        isAwaited: true,
        calls: -1n,
        movedAtMs: performance.now(),
        giveUp: (since) => {
          reject(pathStuck(path, since));
        },
        settle: (_number, errno, failed, used, inodesUsed, errors, firstErrno, firstPath, stuckSinceMs) => {
          stopListening();
          if (stuckSinceMs !== 0) {
            reject(pathStuck(path, new Date(stuckSinceMs)));
            return;
          }
          if (errno !== 0) {
            reject(walkError(errno, failed));
            return;
          }
          const first = { path: firstPath, code: walkError(firstErrno, firstPath).code };
          resolve({ used, inodesUsed, ...(errors > 0 && { incomplete: { errors, first } }) });
        },
      };
      this.#live.set(number, live);
      this.#awaited += 1;
      this.#timer ??= setInterval(() => {
        this.#look(channel);
      }, LOOK_MS);
      this.#keepLooking();
      const stopListening = onAbort(walk.signal, (reason) => {
        channel.walkCancel(number);
        this.#abandon(live);
        reject(reason);
      });
    });
  }

  #abandon(live: Live): void {
    if (live.isAwaited) this.#awaited -= 1;
    live.isAwaited = false;
    this.#keepLooking();
  }

  /** The timer keeps the process alive while a caller waits, and ends with the last walk. */
  #keepLooking(): void {
    if (this.#live.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    } else if (this.#awaited > 0) {
      this.#timer?.ref();
    } else {
      this.#timer?.unref();
    }
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
        report(live, { used, inodesUsed });
      } else if (nowMs - live.movedAtMs >= live.walk.stallTimeoutMs) {
        const sinceMs = Math.floor(Date.now() - (nowMs - live.movedAtMs));
        if (channel.walkGiveUp(number, sinceMs) !== 0) live.giveUp(new Date(sinceMs));
      }
    }
  }
}

/** kMetAgain of native/walk.h, in place of an errno. */
const MET_AGAIN = 4096;

function walkError(errno: number, path: string): SystemError {
  if (errno !== MET_AGAIN) return systemError(errno, 'walk', path);
  const error = systemError('ELOOP', 'walk', path);
  error.message = `ELOOP: the directory was entered a second time, because it was moved while the tree was measured, walk '${path}'`;
  return error;
}

/** Tells the observer. Its errors do not fail the walk. */
function report({ walk, isAwaited }: Live, sofar: DiskUsage): void {
  if (!isAwaited || walk.onProgress === undefined) return;
  const observe: (sofar: DiskUsage) => unknown = walk.onProgress;
  new Promise((resolve) => {
    resolve(observe(sofar));
  }).catch(() => undefined);
}
