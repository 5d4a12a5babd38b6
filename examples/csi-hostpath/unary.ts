import { status, type handleUnaryCall } from '@grpc/grpc-js';
import { isMetricsError } from 'kube-volume-metrics';
import { errorToStatus, type FailureStatus } from 'kube-volume-metrics/csi';
import { CsiError } from './csi-error.js';
import type { Log } from './log.js';

/** A caller is answered so long before its own deadline; sooner where that is near. */
const MARGIN_MS = 500;

/** Calls that change nothing: of these only failures are worth a line. */
const READS = /^(Probe|Get|Validate|NodeGet|ControllerGet)/;

/** Makes a handler of grpc-js of an async function. */
export type Unary = <Request, Response>(
  answer: (request: Request, deadlineMs: number) => Response | Promise<Response>,
) => handleUnaryCall<Request, Response>;

/**
 * Handlers that always answer, with a status that means something and in time; that log each change and each
 * failure; and that show neither stacks nor requests, which may carry secrets.
 *
 * @param log - gets the lines
 * @param timeoutMs - how long an answer may take, in milliseconds; less when the caller gives up sooner
 */
export function unaryHandlers(log: Log, timeoutMs: number): Unary {
  return (answer) => (call, callback) => {
    const startMs = Date.now();
    const callerMs = Number(call.getDeadline()) - startMs;
    const deadlineMs = startMs + Math.min(timeoutMs, callerMs - Math.min(MARGIN_MS, callerMs / 2));
    const rpc = call.getPath().slice(call.getPath().lastIndexOf('/') + 1);
    const tell = (end: string): void => {
      const ms = String(Date.now() - startMs);
      log([rpc, volumeOf(call.request), end, `after ${ms} ms`].filter((part) => part !== '').join(' '));
    };
    // Inside a promise, so that an answer that throws at once is no exception of the server.
    void Promise.resolve()
      .then(() => answer(call.request, deadlineMs))
      .then(
        (response) => {
          if (!READS.test(rpc)) tell('is done');
          callback(null, response);
        },
        (error: unknown) => {
          const failure = statusOf(error);
          tell(`failed with ${status[failure.code]}: ${reasonOf(error)}`);
          callback(failure);
        },
      );
  };
}

/** What the caller is told. Of an error that nobody expected, only that it happened. */
function statusOf(error: unknown): FailureStatus {
  if (error instanceof CsiError || isMetricsError(error)) return errorToStatus(error);
  return { code: status.INTERNAL, details: 'the driver failed; its log says why' };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The volume that a request is about, by the one field of it that is safe to show. */
function volumeOf(request: unknown): string {
  const { volumeId, name } = request as { volumeId?: unknown; name?: unknown };
  const shown = volumeId ?? name;
  return typeof shown === 'string' ? JSON.stringify(shown.slice(0, 128)) : '';
}
