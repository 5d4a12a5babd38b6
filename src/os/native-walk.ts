import type { Channel } from './addon.js';
import type { DiskUsage, Walk } from './disk-usage.js';
import { stuck } from './limits.js';
import { systemError } from './system-error.js';

/** What native/binding.cc says of a walk that ended. */
export type WalkDelivery = (
  number: number,
  errno: number,
  path: string,
  used: bigint,
  inodesUsed: bigint,
  errors: number,
  firstErrno: number,
  firstPath: string,
) => void;

/** How often a walk is looked at: for progress, and for whether it still moves. */
const LOOK_MS = 100;

/** The walks of one channel. */
export class NativeWalks {
  readonly #ended = new Map<number, (...result: Parameters<WalkDelivery>) => void>();

  readonly deliver: WalkDelivery = (...result) => {
    const [number] = result;
    const ended = this.#ended.get(number);
    this.#ended.delete(number);
    ended?.(...result);
  };

  run(channel: Channel, path: string, walk: Walk, threads: number): Promise<DiskUsage> {
    return new Promise((resolve, reject) => {
      const number = channel.walk(path, threads, walk.allowPartial);
      if (typeof number !== 'number') {
        const [, , stuckSinceMs] = number;
        reject(stuck(path, new Date(stuckSinceMs)));
        return;
      }
      const watch = new Watch(channel, number, walk);
      // A waiting caller keeps the process alive by this timer. After an abort nobody waits, but a walk that is
      // blocked in the kernel still has to give its place back.
      const timer = setInterval(
        () => {
          const stuckSince = watch.look();
          if (stuckSince !== undefined) reject(stuck(path, stuckSince));
        },
        Math.min(LOOK_MS, walk.stallTimeoutMs),
      );
      const onAbort = (): void => {
        channel.walkCancel(number);
        timer.unref();
        reject(walk.signal?.reason);
      };
      walk.signal?.addEventListener('abort', onAbort, { once: true });
      this.#ended.set(number, (_number, errno, failed, used, inodesUsed, errors, firstErrno, firstPath) => {
        clearInterval(timer);
        walk.signal?.removeEventListener('abort', onAbort);
        if (errno !== 0) {
          reject(systemError(errno, 'walk', failed));
          return;
        }
        const first = { path: firstPath, code: systemError(firstErrno, 'walk', firstPath).code };
        resolve({ used, inodesUsed, ...(errors > 0 && { incomplete: { errors, first } }) });
      });
    });
  }
}

/** Looks at a running walk: reports its progress, and gives it up when it has not moved for too long. */
class Watch {
  readonly #channel: Channel;
  readonly #number: number;
  readonly #walk: Walk;
  #calls = -1n;
  #movedAtMs = performance.now();

  constructor(channel: Channel, number: number, walk: Walk) {
    this.#channel = channel;
    this.#number = number;
    this.#walk = walk;
  }

  /** Since when the walk has been stuck, if it was given up now. */
  look(): Date | undefined {
    const nowMs = performance.now();
    const progress = this.#channel.walkProgress(this.#number);
    const [used, inodesUsed, calls] = progress ?? [];
    if (used === undefined || inodesUsed === undefined || calls === undefined) {
      // It waits for its turn, which is no stall.
      this.#movedAtMs = nowMs;
    } else if (calls !== this.#calls) {
      this.#calls = calls;
      this.#movedAtMs = nowMs;
      this.#report({ used, inodesUsed });
    } else if (nowMs - this.#movedAtMs >= this.#walk.stallTimeoutMs) {
      const sinceMs = Math.floor(Date.now() - (nowMs - this.#movedAtMs));
      if (this.#channel.walkGiveUp(this.#number, sinceMs) !== 0) return new Date(sinceMs);
    }
    return undefined;
  }

  #report(sofar: DiskUsage): void {
    if (this.#walk.signal?.aborted) return;
    try {
      this.#walk.onProgress?.(sofar);
    } catch {
      // The walk is not the observer's to break.
    }
  }
}
