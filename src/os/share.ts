import { MetricsError } from '../errors.js';
import { checkedMs, type Limits } from './limits.js';
import { systemError, type SystemError } from './system-error.js';

/** One caller's share in a call that may be shared with others. */
export interface Share<T> {
  /** The call's answer, or METRICS_TIMED_OUT with `stuckSince` once its path is stuck. */
  readonly answer: Promise<T>;
  /** Gives the share up. Returns since when the call has been stuck, if it is. */
  leave(): Date | undefined;
}

/** Waits for a shared call within one caller's own limits; giving up leaves the call to the others who wait for it. */
export function withinLimits<T>(
  start: () => Share<T>,
  path: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const share = start();
    let lastLook: NodeJS.Immediate | undefined;
    const timer = setTimeout(() => {
      // An event loop that was busy fires its timers before it looks at answers that came in time: let it look first.
      lastLook = setImmediate(() => {
        const stuckSince = share.leave();
        settle();
        reject(stuckSince === undefined ? timedOut(path, timeoutMs) : stuck(path, stuckSince));
      });
    }, timeoutMs);
    const onAbort = (): void => {
      share.leave();
      settle();
      reject(signal?.reason as Error);
    };
    const settle = (): void => {
      clearTimeout(timer);
      clearImmediate(lastLook);
      signal?.removeEventListener('abort', onAbort);
    };
    signal?.addEventListener('abort', onAbort);
    share.answer.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  });
}

/**
 * For several calls that share one limit.
 *
 * @returns the limits of the next call, with what is left of the time; throws METRICS_TIMED_OUT once nothing is
 */
export function sharedLimits(path: string, limits: Limits): () => Limits {
  const allMs = checkedMs('timeoutMs', limits.timeoutMs);
  const startMs = performance.now();
  return () => {
    const timeoutMs = Math.ceil(allMs - (performance.now() - startMs));
    if (timeoutMs <= 0) throw timedOut(path, allMs);
    return { ...limits, timeoutMs };
  };
}

/** The rejection of a caller whose own limit passed before there was an answer. */
function timedOut(path: string, timeoutMs: number): MetricsError {
  return new MetricsError('METRICS_TIMED_OUT', `no answer from ${path} within ${String(timeoutMs)} ms`, {
    path,
  });
}

/** The rejection of everybody who asks about a path whose system call has been out for too long. */
export function stuck(path: string, since: Date): MetricsError {
  return new MetricsError(
    'METRICS_TIMED_OUT',
    `${path} is stuck: a system call on it has not returned since ${since.toISOString()}`,
    { path, stuckSince: since },
  );
}

/** The rejection of whoever asks about a path while calls on too many others are stuck: each may hold a thread or a process. */
export function tooManyStuck(syscall: string, path: string): SystemError {
  const error = systemError('EAGAIN', syscall, path);
  error.message = `too many calls on other paths are stuck, so none was started on '${path}' (${error.code})`;
  return error;
}
