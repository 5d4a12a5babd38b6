import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { isMetricsError, MetricsError, propertyOf, type MetricsErrorCode } from '../../errors.js';

/** A gRPC status other than OK. */
export interface FailureStatus {
  readonly code: status;
  /** For people. Never a stack, and nothing of an error that was not meant to be shown. */
  readonly details: string;
}

/** The call that failed. */
export interface FailedCall {
  /** The method's name, such as `NodeGetVolumeStats`. */
  readonly rpc: string;
  /** The driver's name, or its socket. */
  readonly driver: string;
  /** The volume's path, if the call had one. */
  readonly path?: string | undefined;
  /** Why it failed, in place of the status and its details. */
  readonly why?: string | undefined;
}

/** A status as an error in the shape of those of grpc-js. */
export function serviceError(code: status, details: string): ServiceError {
  const error = new Error(`${String(code)} ${status[code]}: ${details}`);
  return Object.assign(error, { code, details, metadata: new Metadata() });
}

/** Whether an error carries a gRPC status, as those of grpc-js do. */
export function isServiceError(error: unknown): error is ServiceError {
  return failureStatus(error) !== undefined && error instanceof Error;
}

/**
 * A failed call's error with a status that gRPC knows. A driver may send any number, and the error of grpc-js
 * for an answer in an unknown compression has none: both become UNKNOWN.
 */
export function knownStatus(error: ServiceError): ServiceError {
  if (isServiceError(error)) return error;
  const { code, details } = error as Partial<ServiceError>;
  const why =
    code === undefined
      ? 'the answer cannot be read'
      : `the answer has the status ${String(code)}: ${details ?? ''}`;
  return Object.assign(serviceError(status.UNKNOWN, why), { cause: error });
}

/**
 * Statuses that the kubelet does not take for a driver's last word: kubernetes pkg/volume/csi/csi_client.go,
 * isFinalError.
 */
const TRANSIENT: ReadonlySet<status> = new Set([
  // By the other side: a call that its caller aborted rejects with the caller's reason.
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
  status.UNAVAILABLE,
]);

/**
 * The error that the caller of a failed call gets. DEADLINE_EXCEEDED becomes METRICS_TIMED_OUT, NOT_FOUND
 * METRICS_NOT_FOUND, and every other status METRICS_CSI_FAILED. That includes UNIMPLEMENTED: a driver that
 * advertises a call and lacks it is broken.
 *
 * @param error - what the call failed with
 * @param call - which call it was
 * @returns the error with the gRPC error as `cause`; an error that is not gRPC's as it is
 */
export function statusToMetricsError(error: unknown, { rpc, driver, path, why }: FailedCall): unknown {
  if (!isServiceError(error)) return error;
  const { code } = error;
  // grpc-js ends the details so if it has no note. Before that it may write the time, but a message stays the
  // same from call to call.
  const details = error.details.replace(/( \([\dT:.-]+Z\))?\. Resolution note: $/, '');
  const message = `${rpc} of ${driver} failed${why === undefined ? ` with ${String(code)} ${status[code]}: ${details}` : `: ${why}`}`;
  return new MetricsError(codeOf(code), message, { cause: error, path, transient: TRANSIENT.has(code) });
}

function codeOf(code: status): MetricsErrorCode {
  if (code === status.DEADLINE_EXCEEDED) return 'METRICS_TIMED_OUT';
  return code === status.NOT_FOUND ? 'METRICS_NOT_FOUND' : 'METRICS_CSI_FAILED';
}

const STATUS_OF: Readonly<Record<MetricsErrorCode, status>> = {
  METRICS_NOT_SUPPORTED: status.UNIMPLEMENTED,
  METRICS_NO_PATH_DEFINED: status.INVALID_ARGUMENT,
  METRICS_NOT_FOUND: status.NOT_FOUND,
  METRICS_NOT_MOUNTED: status.NOT_FOUND,
  METRICS_FS_INFO_FAILED: status.INTERNAL,
  METRICS_USAGE_FAILED: status.INTERNAL,
  METRICS_CSI_FAILED: status.INTERNAL,
  METRICS_TIMED_OUT: status.DEADLINE_EXCEEDED,
  METRICS_PROVIDER_FAILED: status.INTERNAL,
};

/**
 * The most bytes of a text that are sent. Percent-encoding may triple them, and some clients take headers of
 * 16 KiB at most.
 */
const LONGEST_DETAILS_BYTES = 4096;

/**
 * The status that a driver answers with when something failed. A MetricsError has one by its code, or that of
 * its gRPC `cause`. An object with a gRPC `code` and `details` keeps both, up to 4096 bytes. Any other error
 * becomes INTERNAL, and its text is not sent: it was not written for a client.
 *
 * @param error - what went wrong: any value, also one that throws when it is read
 * @returns a status that can be sent
 */
export function errorToStatus(error: unknown): FailureStatus {
  return failureOf(error, 'the driver failed to measure the volume');
}

/**
 * Like {@link errorToStatus}.
 *
 * @param untold - the text in place of one that was not written for a client
 */
export function failureOf(error: unknown, untold: string): FailureStatus {
  if (isMetricsError(error)) {
    const [code, message] = [propertyOf(error, 'code') as MetricsErrorCode, propertyOf(error, 'message')];
    const ofCause = code === 'METRICS_CSI_FAILED' ? failureStatus(propertyOf(error, 'cause')) : undefined;
    const details = typeof message === 'string' ? sendable(message) : untold;
    return { code: ofCause?.code ?? STATUS_OF[code], details };
  }
  const own = failureStatus(error);
  if (own !== undefined) return { code: own.code, details: sendable(own.details) };
  return { code: status.INTERNAL, details: untold };
}

/**
 * Replaces half surrogate pairs, over which grpc-js throws, and cuts a text that is so long that its call
 * would never end.
 */
function sendable(details: string): string {
  const bytes = Buffer.from(details);
  if (bytes.length <= LONGEST_DETAILS_BYTES) return bytes.toString();
  return `${bytes.toString('utf8', 0, LONGEST_DETAILS_BYTES).replace(/\uFFFD+$/, '')}…`;
}

/** The status that an error carries; undefined if it has none or cannot be read. */
function failureStatus(error: unknown): FailureStatus | undefined {
  const [code, details] = [propertyOf(error, 'code'), propertyOf(error, 'details')];
  if (!isFailureCode(code)) return undefined;
  return typeof details === 'string' ? { code, details } : undefined;
}

function isFailureCode(code: unknown): code is status {
  return typeof code === 'number' && code > 0 && typeof status[code] === 'string';
}
