/**
 * What went wrong: one code for each thing that a caller can do about it. Codes are stable. Messages may
 * change, except for the kubelet's own texts.
 *
 * | code | meaning | what a caller does |
 * |---|---|---|
 * | `METRICS_NOT_SUPPORTED` | no metrics for this volume, driver or platform | skip quietly |
 * | `METRICS_NO_PATH_DEFINED` | the path or device is empty | fix the caller |
 * | `METRICS_NOT_FOUND` | there is nothing at the path (ENOENT, ENOTDIR; gRPC NOT_FOUND) | not mounted yet, or gone |
 * | `METRICS_NOT_MOUNTED` | the path exists but nothing is mounted on it (`requireMount`) | never report the host's numbers |
 * | `METRICS_FS_INFO_FAILED` | statfs, stat or sizing failed; `cause` has the errno | report |
 * | `METRICS_USAGE_FAILED` | the walk failed; `cause` has the errno, `path` the entry | report |
 * | `METRICS_CSI_FAILED` | the driver refused, is away, or sent an invalid answer; `cause` is the gRPC error | report |
 * | `METRICS_TIMED_OUT` | no answer in time; with `stuckSince` the volume is known to be stuck | mark stale |
 * | `METRICS_PROVIDER_FAILED` | a provider's backend failed, or the provider threw something else or returned an invalid reading; `cause` has it | look at `cause` |
 */
export type MetricsErrorCode =
  | 'METRICS_NOT_SUPPORTED'
  | 'METRICS_NO_PATH_DEFINED'
  | 'METRICS_NOT_FOUND'
  | 'METRICS_NOT_MOUNTED'
  | 'METRICS_FS_INFO_FAILED'
  | 'METRICS_USAGE_FAILED'
  | 'METRICS_CSI_FAILED'
  | 'METRICS_TIMED_OUT'
  | 'METRICS_PROVIDER_FAILED';

/** What a {@link MetricsError} carries beside its code and message. */
export interface MetricsErrorDetails {
  /** What made it fail: a system error with `code` and `errno`, a gRPC error, or what a provider threw. */
  readonly cause?: unknown;
  /** The path that the error is about: the volume's, or that of the entry that a walk failed on. */
  readonly path?: string | undefined;
  /** When the system call began that has not returned, if the volume is known to be stuck. */
  readonly stuckSince?: Date | undefined;
  /**
   * Whether the same call may succeed later without anyone acting.
   *
   * @defaultValue what the code and the errno along `cause` say, see {@link isTransient}
   */
  readonly transient?: boolean | undefined;
}

/** A {@link MetricsError} as plain data, for logs and for sending it elsewhere. It has no stack. */
export interface MetricsErrorJson {
  readonly name: string;
  readonly code: MetricsErrorCode;
  readonly message: string;
  readonly path?: string;
  /** ISO 8601 in UTC. */
  readonly stuckSince?: string;
  /** `code` is an errno's name, a gRPC status number, or absent. */
  readonly cause?: { readonly code?: string | number; readonly message: string };
}

/** The one error class of this package. Look at `code`, never at `instanceof` or the message. */
export class MetricsError extends Error {
  readonly code: MetricsErrorCode;
  /** The path that the error is about: the volume's, or that of the entry that a walk failed on. */
  declare readonly path?: string;
  /** When the system call began that has not returned, if the volume is known to be stuck. */
  declare readonly stuckSince?: Date;
  /**
   * Whether the same call may succeed later without anyone acting; absent if the code and the cause decide.
   */
  declare readonly transient?: boolean;

  constructor(code: MetricsErrorCode, message: string, details: MetricsErrorDetails = {}) {
    // Anything but an object counts as no details.
    const given: MetricsErrorDetails = isObject(details) ? details : {};
    super(message, 'cause' in given ? { cause: given.cause } : undefined);
    this.name = 'MetricsError';
    this.code = code;
    if (given.path !== undefined) this.path = given.path;
    if (given.stuckSince !== undefined) this.stuckSince = given.stuckSince;
    if (given.transient !== undefined) this.transient = given.transient;
  }

  /**
   * What `JSON.stringify` writes: everything but the stack; of the cause its code and message. Never throws;
   * what is not of its type is left out.
   */
  toJSON(): MetricsErrorJson {
    const [name, message, path] = ['name', 'message', 'path'].map((each) => propertyOf(this, each));
    const code = propertyOf(this, 'code');
    const sinceMs = msOfDate(propertyOf(this, 'stuckSince'));
    const cause = propertyOf(this, 'cause');
    return {
      name: typeof name === 'string' ? name : 'MetricsError',
      code: typeof code === 'string' ? (code as MetricsErrorCode) : 'METRICS_PROVIDER_FAILED',
      message: typeof message === 'string' ? message : '',
      ...(typeof path === 'string' && { path }),
      ...(sinceMs !== undefined && { stuckSince: new Date(sinceMs).toISOString() }),
      ...(cause !== undefined && cause !== null && { cause: causeToJson(cause) }),
    };
  }
}

function causeToJson(cause: unknown): NonNullable<MetricsErrorJson['cause']> {
  if (typeof cause === 'symbol' || typeof cause === 'function') return { message: `a ${typeof cause}` };
  if (!isObject(cause)) return { message: String(cause) };
  const code = propertyOf(cause, 'code');
  const message = propertyOf(cause, 'message');
  return {
    ...((typeof code === 'string' || Number.isFinite(code)) && { code: code as string | number }),
    message: typeof message === 'string' ? message : 'an object without a message',
  };
}

const CODES: ReadonlySet<unknown> = new Set<MetricsErrorCode>([
  'METRICS_NOT_SUPPORTED',
  'METRICS_NO_PATH_DEFINED',
  'METRICS_NOT_FOUND',
  'METRICS_NOT_MOUNTED',
  'METRICS_FS_INFO_FAILED',
  'METRICS_USAGE_FAILED',
  'METRICS_CSI_FAILED',
  'METRICS_TIMED_OUT',
  'METRICS_PROVIDER_FAILED',
]);

/** Errno names of conditions that pass by themselves: a later call may well succeed. */
const TRANSIENT_ERRNOS: ReadonlySet<unknown> = new Set([
  'EAGAIN',
  'EINTR',
  'EBUSY',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ESTALE',
]);

/**
 * Whether `error` has one of this package's codes. It looks at `code` alone: a copy of this package in the
 * other module format, or in another realm, makes errors that `instanceof` does not know. Like the functions
 * below, it takes any value and never throws.
 */
export function isMetricsError(error: unknown): error is MetricsError {
  return CODES.has(propertyOf(error, 'code'));
}

/**
 * Whether there are no metrics for this volume, driver or platform: `METRICS_NOT_SUPPORTED` on the error
 * itself or anywhere along its `cause`. (The kubelet's IsNotSupported does not unwrap.)
 */
export function isNotSupported(error: unknown): boolean {
  return causes(error).some((each) => propertyOf(each, 'code') === 'METRICS_NOT_SUPPORTED');
}

/**
 * Whether the same call may succeed later without anyone acting. The outermost error along `cause` that says
 * so in `transient` decides; without one, `METRICS_TIMED_OUT` and errnos such as EAGAIN or EMFILE are
 * transient.
 */
export function isTransient(error: unknown): boolean {
  for (const each of causes(error)) {
    const [code, transient] = [propertyOf(each, 'code'), propertyOf(each, 'transient')];
    if (typeof transient === 'boolean') return transient;
    if (code === 'METRICS_TIMED_OUT' || TRANSIENT_ERRNOS.has(code)) return true;
  }
  return false;
}

/** No chain of causes is that long, unless a getter makes a new cause each time. */
const MOST_CAUSES = 100;

/** The error and its causes, outermost first; ends at a cycle. */
function causes(error: unknown): object[] {
  const chain: object[] = [];
  let each = error;
  while (isObject(each) && !chain.includes(each) && chain.length < MOST_CAUSES) {
    chain.push(each);
    each = propertyOf(each, 'cause');
  }
  return chain;
}

/**
 * A property of a value that foreign code gave; undefined if the value is not an object, or if a getter or a
 * proxy throws.
 */
export function propertyOf(value: unknown, name: string): unknown {
  if (!isObject(value)) return undefined;
  try {
    return value[name];
  } catch {
    return undefined;
  }
}

/**
 * The time of a date of any realm, in milliseconds; undefined for an invalid date and for any other value.
 */
export function msOfDate(value: unknown): number | undefined {
  try {
    const ms = Date.prototype.getTime.call(value);
    return Number.isNaN(ms) ? undefined : ms;
  } catch {
    return undefined;
  }
}

/** The text of what foreign code threw; every value has one. */
export function errorText(error: unknown): string {
  if (typeof error === 'function') return 'it threw a function';
  if (!isObject(error)) return String(error);
  if (!isError(error)) return 'it threw an object that is not an Error';
  const message = propertyOf(error, 'message');
  return typeof message === 'string' ? message : 'it threw an Error without a readable message';
}

function isError(value: unknown): boolean {
  try {
    return value instanceof Error;
  } catch {
    return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
