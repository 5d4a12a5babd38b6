import { status } from '@grpc/grpc-js';

/** A failure that the caller is told as it is: a status of gRPC, and a sentence for people. */
export class CsiError extends Error {
  constructor(
    readonly code: status,
    readonly details: string,
  ) {
    super(details);
    this.name = 'CsiError';
  }
}

/** A field that CSI requires is missing, or has a value that it cannot have. */
export function invalidArgument(details: string): CsiError {
  return new CsiError(status.INVALID_ARGUMENT, details);
}

/** There is no such volume. */
export function notFound(volumeId: string): CsiError {
  return new CsiError(status.NOT_FOUND, `no volume ${JSON.stringify(volumeId.slice(0, 128))}`);
}

/** The volume exists and is not what was asked for. */
export function alreadyExists(details: string): CsiError {
  return new CsiError(status.ALREADY_EXISTS, details);
}

/** Something must be done first. */
export function failedPrecondition(details: string): CsiError {
  return new CsiError(status.FAILED_PRECONDITION, details);
}
