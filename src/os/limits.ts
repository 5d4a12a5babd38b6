import { setMaxListeners } from 'node:events';

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

/** @throws TypeError naming the argument when it is no string; an empty one is for the call to refuse */
export function checkedText(name: string, value: string): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`Expected ${name} to be a string, got ${typeOf(value)}`);
}

/** @throws TypeError naming the option when it is no {@link Binding} */
export function checkedBinding(value: Binding | undefined): Binding {
  if (value === undefined) return 'auto';
  if (value === 'auto' || value === 'native' || value === 'command') return value;
  throw new TypeError(`Expected binding to be 'auto', 'native' or 'command', got ${String(value)}`);
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
