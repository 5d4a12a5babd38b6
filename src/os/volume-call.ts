import { MetricsError } from '../errors.js';
import { checkedMs, checkedOptions, checkedSignal, checkedText } from '../options.js';
import { Deadline } from '../waiting/deadline.js';
import { waitFor } from '../waiting/joined-call.js';
import { keepOne } from '../waiting/kept.js';
import type { PathCall } from './os-binding.js';
import { pathStuck, systemError } from './system-error.js';

/**
 * Which code answers: `native` is the addon; `command` runs `stat`, `df` and `readlink`, and `du` and `find`
 * under `nice`; `auto` is native if the addon loads.
 */
export type Binding = 'auto' | 'native' | 'command';

/** Limits of one call. */
export interface Limits {
  /**
   * Milliseconds until this caller is released with METRICS_TIMED_OUT. Waiting in a queue counts. More than
   * 0, at most 2147483647.
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

/** {@link Limits} after they were checked, with the defaults filled in. */
export interface CheckedLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly binding: Binding;
}

const DEFAULT_TIMEOUT_MS = 5_000;

/** The names of the options in {@link Limits}. */
export const LIMITS = ['timeoutMs', 'signal', 'binding'] as const;

/**
 * The limits among the options of a public function or constructor.
 *
 * @param known - the names of all its options
 * @throws TypeError naming the first option that is unknown or wrong
 */
export function checkedLimits<T extends Limits>(
  options: T,
  known: readonly (keyof T & string)[],
): CheckedLimits {
  const { timeoutMs, signal, binding } = checkedOptions(options, known);
  return {
    timeoutMs: checkedMs('timeoutMs', timeoutMs, DEFAULT_TIMEOUT_MS),
    signal: checkedSignal(signal),
    binding: checkedBinding(binding),
  };
}

/** @throws TypeError naming the option unless it is a {@link Binding} */
export function checkedBinding(value: Binding | undefined): Binding {
  if (value === undefined) return 'auto';
  if (value === 'auto' || value === 'native' || value === 'command') return value;
  throw new TypeError(`Expected binding to be 'auto', 'native' or 'command', got ${String(value)}`);
}

/**
 * One caller's call about one path. A public function checks its options and makes it; everything below
 * passes it on. All that the call asks the system shares its deadline.
 */
export interface VolumeCall {
  /** Absolute, see {@link absolutePath}. */
  readonly path: string;
  readonly deadline: Deadline;
  readonly signal: AbortSignal | undefined;
  readonly binding: Binding;
}

/**
 * @param path - as the caller gave it
 * @param signal - of this call, if it is not that of the limits
 * @throws as {@link absolutePath}
 */
export function volumeCall(
  path: string,
  { timeoutMs, signal: ofLimits, binding }: CheckedLimits,
  signal = ofLimits,
): VolumeCall {
  return { path: absolutePath(path), deadline: new Deadline(timeoutMs), signal, binding };
}

/**
 * What the system answers, within the limits of the caller. Giving up leaves the system's call to the others
 * who wait for it.
 *
 * @param start - starts the system's call, or joins the one in flight
 * @throws the signal's reason; METRICS_TIMED_OUT; as {@link checkCharacters}
 */
export function answerTo<T>(call: VolumeCall, start: (path: string) => PathCall<T>): Promise<T> {
  const { path, deadline, signal } = call;
  checkCharacters(path);
  if (signal?.aborted) throw signal.reason;
  if (deadline.isOver) throw timedOut(call);
  const started = start(path);
  let stuckSince: Date | undefined;
  return waitFor(started.answer, {
    deadline,
    signal,
    late: () => (stuckSince === undefined ? timedOut(call) : pathStuck(path, stuckSince)),
    leave: () => {
      stuckSince = started.leave();
    },
  });
}

function timedOut({ path, deadline }: VolumeCall): MetricsError {
  const ms = String(deadline.limitMs);
  return new MetricsError('METRICS_TIMED_OUT', `no answer from ${path} within ${ms} ms`, { path });
}

/**
 * @throws a system error EINVAL for a path that cannot be given to the kernel: it contains a NUL, or half of
 * a surrogate pair, which Node would turn into another name
 */
export function checkCharacters(path: string): void {
  if (!UNSENDABLE.test(path)) return;
  const error = systemError('EINVAL', 'open', path.replaceAll('\0', '\\0'));
  const what = path.includes('\0') ? 'a NUL' : 'half of a surrogate pair';
  error.message = `EINVAL: invalid argument: the path contains ${what}: '${error.path}'`;
  throw error;
}

// Without the flag u, the halves of a whole pair would match too.
const UNSENDABLE = /[\0\p{Surrogate}]/u;

/**
 * The absolute form of a path that a caller gave. `.` and empty components are dropped. `..` stays, because
 * its meaning depends on symlinks, which only the kernel may follow. A slash at the end stays too: it says
 * that the path must be a directory.
 *
 * @throws TypeError unless it is a string; MetricsError METRICS_NO_PATH_DEFINED if it is empty
 */
export function absolutePath(path: string): string {
  if (checkedText('path', path) === '') {
    // The kubelet's text, kubernetes pkg/volume/metrics_errors.go.
    throw new MetricsError('METRICS_NO_PATH_DEFINED', 'no path defined for disk usage metrics.');
  }
  if (path.startsWith('/') && !UNTIDY.test(path)) return path;
  const absolute = path.startsWith('/') ? path : `${currentDirectory(path)}/${path}`;
  const tidy = absolute.split('/').filter((part) => part !== '' && part !== '.');
  return `/${tidy.join('/')}${/\/\.?$/.test(path) && tidy.length > 0 ? '/' : ''}`;
}

const UNTIDY = /\/(?:\/|\.(?:\/|$))/;

/** The path without the slash at its end. Whether a path is stuck is known by this form. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

function currentDirectory(path: string): string {
  try {
    return process.cwd();
  } catch (error) {
    throw new MetricsError(
      'METRICS_NOT_FOUND',
      `the relative path '${path}' cannot be resolved: the current directory no longer exists`,
      { cause: error, path },
    );
  }
}

keepOne(volumeCall('/', { timeoutMs: 1, signal: undefined, binding: 'auto' }));
