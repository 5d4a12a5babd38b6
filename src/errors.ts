/**
 * What went wrong, as far as a caller acts differently on it. Codes are stable; messages are not, except the kubelet's
 * own texts, which are kept.
 *
 * | code | meaning | what a caller does |
 * |---|---|---|
 * | `METRICS_NOT_SUPPORTED` | no metrics for this volume, driver or platform | skip quietly |
 * | `METRICS_NO_PATH_DEFINED` | the path or device is empty | fix the caller |
 * | `METRICS_NOT_FOUND` | the path is not there (ENOENT, ENOTDIR; gRPC NOT_FOUND) | not mounted yet, or gone |
 * | `METRICS_NOT_MOUNTED` | the path exists but nothing is mounted on it (`requireMount`) | never report the host's numbers |
 * | `METRICS_FS_INFO_FAILED` | statfs, stat or sizing failed; `cause` has the errno | report |
 * | `METRICS_USAGE_FAILED` | the walk failed; `cause` has the errno, `path` the entry | report |
 * | `METRICS_CSI_FAILED` | the driver refused or answered nonsense; `cause` is the gRPC error | report |
 * | `METRICS_TIMED_OUT` | no answer in time; with `stuckSince` the volume is known to be stuck | mark stale |
 * | `METRICS_PROVIDER_FAILED` | a provider threw something else or returned nonsense; `cause` has it | fix the provider |
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
  /** What made it fail: a system error with `code` and `errno`, a gRPC error, whatever a provider threw. */
  readonly cause?: unknown;
  /** The path it is about: the volume's, or that of the entry a walk failed on. */
  readonly path?: string | undefined;
  /** Since when the volume's system call has been out, when it is known to be stuck. */
  readonly stuckSince?: Date | undefined;
}

/** The one error class of this package. Look at `code`, never at `instanceof` or the message. */
export class MetricsError extends Error {
  readonly code: MetricsErrorCode;
  /** The path it is about: the volume's, or that of the entry a walk failed on. */
  declare readonly path?: string;
  /** Since when the volume's system call has been out, when it is known to be stuck. */
  declare readonly stuckSince?: Date;

  constructor(code: MetricsErrorCode, message: string, details: MetricsErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.name = 'MetricsError';
    this.code = code;
    if (details.path !== undefined) this.path = details.path;
    if (details.stuckSince !== undefined) this.stuckSince = details.stuckSince;
  }
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
 * gRPC's CANCELLED (by the other side: an aborted call rejects with its reason), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED
 * and UNAVAILABLE: those that the kubelet does not take for a driver's last word, kubernetes pkg/volume/csi/csi_client.go.
 */
const TRANSIENT_STATUSES: ReadonlySet<unknown> = new Set([1, 4, 8, 10, 14]);

/**
 * Whether `error` has one of this package's codes. It looks at `code` alone: a copy of this package in the other module
 * format, or in another realm, makes errors that `instanceof` does not know.
 */
export function isMetricsError(error: unknown): error is MetricsError {
  return isObject(error) && CODES.has(error['code']);
}

/**
 * Whether there are no metrics to be had for this volume, driver or platform: `METRICS_NOT_SUPPORTED` on the error
 * itself or anywhere along its `cause`. (The kubelet's IsNotSupported does not unwrap.)
 */
export function isNotSupported(error: unknown): boolean {
  return causes(error).some((each) => each['code'] === 'METRICS_NOT_SUPPORTED');
}

/**
 * Whether the same call may well succeed later without anybody acting: `METRICS_TIMED_OUT`, an errno such as EAGAIN or
 * EMFILE, or a gRPC status such as UNAVAILABLE, on the error itself or anywhere along its `cause`.
 */
export function isTransient(error: unknown): boolean {
  return causes(error).some(
    ({ code, cause }) =>
      code === 'METRICS_TIMED_OUT' ||
      TRANSIENT_ERRNOS.has(code) ||
      (code === 'METRICS_CSI_FAILED' && isObject(cause) && TRANSIENT_STATUSES.has(cause['code'])),
  );
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
