import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { isMetricsError, MetricsError, propertyOf, type MetricsErrorCode } from '../errors.js';

/** An errno as an error, in the shape that Node's own file system errors have. */
export interface SystemError extends Error {
  /** The errno's name, such as `EACCES`. */
  readonly code: string;
  /** The errno, negative as in Node. */
  readonly errno: number;
  readonly syscall: string;
  readonly path: string;
}

/** Name and text of each errno that this platform knows, by its (positive) number and by its name. */
const byNumber = new Map<number, readonly [name: string, text: string]>();
const numberOf = new Map<string, number>();
for (const [negative, [name, text]] of getSystemErrorMap()) {
  byNumber.set(-negative, [name, text]);
  numberOf.set(name, -negative);
}
// Errnos that a volume can answer with and libuv has no text for, such as ESTALE of a server that is gone.
const FURTHER_TEXTS: Readonly<Record<string, string>> = {
  ESTALE: 'stale file handle',
  EDQUOT: 'disk quota exceeded',
  ENOLINK: 'link has been severed',
  EUCLEAN: 'structure needs cleaning',
  ENOMEDIUM: 'no medium found',
  ENOKEY: 'required key not available',
  EKEYEXPIRED: 'key has expired',
  EKEYREVOKED: 'key has been revoked',
  EKEYREJECTED: 'key was rejected by service',
  EREMOTE: 'object is remote',
};
/**
 * Linux's own, which Node does not name either. The numbers hold on every architecture that Node 20 and newer
 * run on.
 */
const LINUX_ERRNOS = {
  EREMOTE: 66,
  EUCLEAN: 117,
  ENOMEDIUM: 123,
  ENOKEY: 126,
  EKEYEXPIRED: 127,
  EKEYREVOKED: 128,
  EKEYREJECTED: 129,
};
for (const [name, number] of Object.entries({ ...constants.errno, ...LINUX_ERRNOS })) {
  if (byNumber.has(number)) continue;
  byNumber.set(number, [name, FURTHER_TEXTS[name] ?? 'unknown error']);
  numberOf.set(name, number);
}

/** The error for a system call that failed with `errno`, a positive number or a name such as `ENOENT`. */
export function systemError(errno: number | string, syscall: string, path: string): SystemError {
  const number = typeof errno === 'number' ? errno : (numberOf.get(errno) ?? 0);
  const [code, text] = byNumber.get(number) ?? [
    typeof errno === 'string' ? errno : `E${String(errno)}`,
    'unknown error',
  ];
  return Object.assign(new Error(`${code}: ${text}, ${syscall} '${path}'`), {
    code,
    errno: -number,
    syscall,
    path,
  });
}

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

/**
 * What a caller sees of a failed system call: METRICS_NOT_FOUND if the path does not exist, otherwise `code`.
 * Other errors pass through unchanged.
 *
 * @param asked - the caller's path, if the call may have been about another one. That the other path does not
 * exist says nothing of the caller's.
 */
export function toMetricsError(
  error: unknown,
  code: MetricsErrorCode,
  say: (text: string) => string,
  asked?: string,
): unknown {
  if (!isSystemError(error)) return error;
  const isAsked = asked === undefined || asked === error.path;
  const missing = isAsked && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
  return new MetricsError(missing ? 'METRICS_NOT_FOUND' : code, say(error.message), {
    cause: error,
    path: error.path,
  });
}

/** The errno's name in the cause of a MetricsError; undefined if there is none. */
export function errnoOfCause(error: unknown): unknown {
  return isMetricsError(error) ? propertyOf(propertyOf(error, 'cause'), 'code') : undefined;
}

/** The rejection of every caller who asks about a path whose system call has been out for too long. */
export function pathStuck(path: string, since: Date): MetricsError {
  return new MetricsError(
    'METRICS_TIMED_OUT',
    `${path} is stuck: a system call on it has not returned since ${since.toISOString()}`,
    { path, stuckSince: since },
  );
}

/**
 * The rejection of a caller while calls on too many other paths are stuck: each may hold a thread or a
 * process.
 */
export function tooManyStuck(syscall: string, path: string): SystemError {
  const error = systemError('EAGAIN', syscall, path);
  error.message = `too many calls on other paths are stuck, so none was started on '${path}' (${error.code})`;
  return error;
}
