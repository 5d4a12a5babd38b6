import { setMaxListeners } from 'node:events';
import { MetricsError } from '../errors.js';

/** Which code answers: `native` is the addon, `command` spawns `stat`, `df`, `readlink`, and `du` and `find` under `nice`; `auto` is native where it loads. */
export type Binding = 'auto' | 'native' | 'command';

/** Limits of one call. */
export interface Limits {
  /**
   * Milliseconds until this caller is released with METRICS_TIMED_OUT; covers waiting in a queue. More than 0, at most
   * 2147483647.
   *
   * @defaultValue 5000
   */
  readonly timeoutMs?: number | undefined;
  /** Releases this caller: the call rejects with `signal.reason`, unwrapped. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Which code answers.
   *
   * @defaultValue `'auto'`
   */
  readonly binding?: Binding | undefined;
}

/** One caller's share in a call that may be shared with others. */
export interface Share<T> {
  /** The call's answer, or METRICS_TIMED_OUT with `stuckSince` once its path is stuck. */
  readonly answer: Promise<T>;
  /** Gives the share up. Returns since when the call has been stuck, if it is. */
  leave(): Date | undefined;
}

/** The longest time a timer of Node can wait; a longer one would fire at once. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;
const DEFAULT_TIMEOUT_MS = 5_000;

/** @throws TypeError when it is no object: null, or an option without its name */
export function checkedOptions<T extends object>(value: T): T {
  if (typeof value === 'object' && value !== null) return value;
  throw new TypeError(`Expected options to be an object, got ${typeOf(value)}`);
}

/**
 * The limits that a caller asked for.
 *
 * @throws TypeError naming what is none
 */
export function checkedLimits(options: Limits): {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly binding: Binding;
} {
  const { timeoutMs, signal, binding } = checkedOptions(options);
  return {
    timeoutMs: checkedMs('timeoutMs', timeoutMs),
    signal: checkedSignal(signal),
    binding: checkedBinding(binding),
  };
}

/**
 * The signal of a call.
 *
 * @throws TypeError when it is none; the signal's reason when it is aborted already
 */
export function openSignal(options: { readonly signal?: AbortSignal | undefined }): AbortSignal | undefined {
  const signal = checkedSignal(checkedOptions(options).signal);
  if (signal?.aborted) throw signal.reason;
  return signal;
}

/**
 * The limit that a caller asked for.
 *
 * @throws TypeError naming the option when it is no number of milliseconds that a timer can wait
 */
export function checkedMs(name: string, value: number | undefined, fallback = DEFAULT_TIMEOUT_MS): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value > 0 && value <= LONGEST_TIMEOUT_MS) return value;
  throw new TypeError(
    `Expected ${name} to be a number of milliseconds above 0 and at most ${String(LONGEST_TIMEOUT_MS)}, got ${String(value)}`,
  );
}

/**
 * A signal that many calls may share: as many listeners as there are volumes are what is meant, and no leak.
 *
 * @throws TypeError when it is neither undefined nor an AbortSignal
 */
export function checkedSignal(value: AbortSignal | undefined): AbortSignal | undefined {
  const given: Partial<AbortSignal> | null | undefined = value;
  if (given !== undefined && typeof given?.addEventListener !== 'function') {
    throw new TypeError(`Expected signal to be an AbortSignal, got ${typeOf(given)}`);
  }
  if (value instanceof AbortSignal) setMaxListeners(0, value);
  return value;
}

/** @throws TypeError naming the option when it is no boolean: texts are all true, `'false'` too */
export function checkedFlag(name: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new TypeError(`Expected ${name} to be a boolean, got ${typeOf(value)}`);
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}

/** @throws TypeError naming the option when it is no {@link Binding} */
export function checkedBinding(value: Binding | undefined): Binding {
  if (value === undefined) return 'auto';
  if (value === 'auto' || value === 'native' || value === 'command') return value;
  throw new TypeError(`Expected binding to be 'auto', 'native' or 'command', got ${String(value)}`);
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
 * For several calls that share one limit: what is left of it for the next one.
 *
 * @returns throws METRICS_TIMED_OUT once nothing is left
 */
export function sharedLimits(path: string, limits: Limits): () => Limits {
  const { timeoutMs: allMs = DEFAULT_TIMEOUT_MS } = limits;
  const startMs = performance.now();
  return () => {
    const timeoutMs = Math.ceil(allMs - (performance.now() - startMs));
    if (timeoutMs <= 0) throw timedOut(path, allMs);
    return { ...limits, timeoutMs };
  };
}

/** The rejection of a caller whose own limit passed before there was an answer. */
export function timedOut(path: string, timeoutMs: number): MetricsError {
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
