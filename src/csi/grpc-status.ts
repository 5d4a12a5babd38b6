import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { isMetricsError, MetricsError, type MetricsErrorCode } from '../errors.js';

/** A gRPC status that is no success. */
export interface FailureStatus {
  readonly code: status;
  /** For people; never a stack, and nothing of an error that was not made to be shown. */
  readonly details: string;
}

/** What a failed call was. */
export interface FailedCall {
  /** The method's name, such as `NodeGetVolumeStats`. */
  readonly rpc: string;
  /** The driver's name, or its socket. */
  readonly driver: string;
  /** The volume's path, where the call had one. */
  readonly path?: string | undefined;
}

/** A status as an error, in the shape that those of grpc-js have. */
export function serviceError(code: status, details: string): ServiceError {
  const error = new Error(`${String(code)} ${status[code]}: ${details}`);
  return Object.assign(error, { code, details, metadata: new Metadata() });
}

/** Whether an error carries a gRPC status, as those of grpc-js do. */
function isServiceError(error: unknown): error is ServiceError {
  if (!(error instanceof Error) || !('code' in error) || !('details' in error)) return false;
  return isFailureCode(error.code) && typeof error.details === 'string';
}

/**
 * A failed call's error with a status that gRPC knows. A driver may send any number, and grpc-js has none for an answer in a
 * compression that it does not know: both are UNKNOWN.
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
 * What a caller sees of a failed call: DEADLINE_EXCEEDED is METRICS_TIMED_OUT, NOT_FOUND is METRICS_NOT_FOUND, and the rest
 * METRICS_CSI_FAILED, UNIMPLEMENTED among it: a driver that advertises a call and does not have it is broken. Other errors pass through.
 *
 * @param error - what the call failed with
 * @param call - which call it was
 * @returns the error, with the gRPC error as `cause`
 */
export function statusToMetricsError(error: unknown, { rpc, driver, path }: FailedCall): unknown {
  if (!isServiceError(error)) return error;
  const name = `${String(error.code)} ${status[error.code]}`;
  // grpc-js ends so where there is no note.
  const details = error.details.replace(/\. Resolution note: $/, '');
  return new MetricsError(codeOf(error.code), `${rpc} of ${driver} failed with ${name}: ${details}`, {
    cause: error,
    path,
  });
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

/** As many bytes of a text as are sent: percent-encoded in a header it may become three times as many, and some clients take 16 KiB. */
const LONGEST_DETAILS_BYTES = 4096;

/**
 * The status for an error: that of a MetricsError by its code, or of the gRPC error it stands for; an object with a `code` of gRPC
 * and `details` is taken at its word, up to 4096 bytes. Of anything else only that it happened is told: its text was not written
 * for a client.
 *
 * @param error - what went wrong
 * @returns a status that can be sent
 */
export function errorToStatus(error: unknown): FailureStatus {
  if (isMetricsError(error)) {
    const cause: unknown = error.cause;
    const code =
      error.code === 'METRICS_CSI_FAILED' && isFailureStatus(cause) ? cause.code : STATUS_OF[error.code];
    return { code, details: sendable(error.message) };
  }
  if (isFailureStatus(error)) return { code: error.code, details: sendable(error.details) };
  return { code: status.INTERNAL, details: 'the driver failed to measure the volume' };
}

/** grpc-js throws over half of a surrogate pair, and never ends a call whose text is too long: here the one is replaced, the other cut. */
function sendable(details: string): string {
  const bytes = Buffer.from(details);
  if (bytes.length <= LONGEST_DETAILS_BYTES) return bytes.toString();
  return `${bytes.toString('utf8', 0, LONGEST_DETAILS_BYTES).replace(/\uFFFD+$/, '')}…`;
}

function isFailureStatus(value: unknown): value is FailureStatus {
  if (typeof value !== 'object' || value === null || !('code' in value) || !('details' in value))
    return false;
  return isFailureCode(value.code) && typeof value.details === 'string';
}

function isFailureCode(code: unknown): code is status {
  return typeof code === 'number' && code > 0 && typeof status[code] === 'string';
}
