import type { handleUnaryCall } from '@grpc/grpc-js';
import { show } from '../../options.js';
import { failureOf } from '../messages/grpc-status.js';

/**
 * A handler for a grpc-js server. Every failure is answered with a status.
 *
 * @param answer - gets the request, and the milliseconds until the caller gives up, which may be Infinity
 * @param untold - what a client is told about a failure that was not written for it
 */
export function unaryHandler<Request, Response>(
  answer: (request: Request, callerMs: number) => Promise<Response>,
  untold: string,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    answer(call.request, Number(call.getDeadline()) - Date.now()).then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        callback(failureOf(error, untold));
      },
    );
  };
}

/**
 * A caller is answered this long before its own deadline; at half of the time if less than twice as much is
 * left.
 */
const MARGIN_MS = 500;

/** Milliseconds within which a caller is to be answered. */
export function limitFor(timeoutMs: number, callerMs: number): number {
  return Math.min(timeoutMs, callerMs - Math.min(MARGIN_MS, callerMs / 2));
}

/** The form of a server's messages. */
export type Codec = 'ts-proto' | 'proto-loader';

/** @throws TypeError for an unknown one */
export function checkedCodec(codec: Codec = 'ts-proto'): Codec {
  if (codec === 'ts-proto' || (codec as unknown) === 'proto-loader') return codec;
  throw new TypeError(`Expected codec to be 'ts-proto' or 'proto-loader', got ${show(codec)}`);
}
