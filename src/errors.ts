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
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'MetricsError';
    this.code = code;
    if (details.path !== undefined) this.path = details.path;
    if (details.stuckSince !== undefined) this.stuckSince = details.stuckSince;
    if (details.transient !== undefined) this.transient = details.transient;
  }

  /** What `JSON.stringify` writes: everything but the stack; of the cause its code and message. */
  toJSON(): MetricsErrorJson {
    const { name, code, message, path, stuckSince, cause } = this;
    return {
      name,
      code,
      message,
      ...(path !== undefined && { path }),
      // An invalid date has no ISO form.
      ...(stuckSince !== undefined && { stuckSince: new Date(stuckSince).toJSON() }),
      ...(cause !== undefined && cause !== null && { cause: causeToJson(cause) }),
    };
  }
}

function causeToJson(cause: unknown): NonNullable<MetricsErrorJson['cause']> {
  if (!isObject(cause)) return { message: typeof cause === 'symbol' ? 'a symbol' : String(cause) };
  const { code, message } = cause;
  return {
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
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
 * other module format, or in another realm, makes errors that `instanceof` does not know.
 */
export function isMetricsError(error: unknown): error is MetricsError {
  return isObject(error) && CODES.has(error['code']);
}

/**
 * Whether there are no metrics for this volume, driver or platform: `METRICS_NOT_SUPPORTED` on the error
 * itself or anywhere along its `cause`. (The kubelet's IsNotSupported does not unwrap.)
 */
export function isNotSupported(error: unknown): boolean {
  return causes(error).some((each) => each['code'] === 'METRICS_NOT_SUPPORTED');
}

/**
 * Whether the same call may succeed later without anyone acting. The outermost error along `cause` that says
 * so in `transient` decides; without one, `METRICS_TIMED_OUT` and errnos such as EAGAIN or EMFILE are
 * transient.
 */
export function isTransient(error: unknown): boolean {
  for (const { code, transient } of causes(error)) {
    if (typeof transient === 'boolean') return transient;
    if (code === 'METRICS_TIMED_OUT' || TRANSIENT_ERRNOS.has(code)) return true;
  }
  return false;
}

/** The error and its causes, outermost first; ends at a cycle. */
function causes(error: unknown): Record<string, unknown>[] {
  const chain: Record<string, unknown>[] = [];
  for (let each = error; isObject(each) && !chain.includes(each); each = each['cause']) chain.push(each);
  return chain;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
