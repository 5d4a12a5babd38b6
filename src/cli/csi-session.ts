import { Option } from 'commander';
import type { CsiCall, CsiNodeClient } from '../csi/index.js';
import { isMetricsError } from '../index.js';
import { JSON_OUTPUT, timeoutOption, UsageError, type Answer, type OutputOptions } from './command.js';
import { isDriverAway, rowError, type RowError } from './measure.js';
import { jsonAnswer } from './output/json.js';
import { styled, type Style } from './output/colour.js';
import { paragraph, terminalWidth } from './output/table.js';
import { adviceOf, reasonOf } from './output/volumes.js';

/** Values of the options of every command about a driver. */
export interface CsiOptions extends OutputOptions {
  /** Undefined if the socket is an operand. */
  readonly endpoint?: string;
  /** Milliseconds. */
  readonly timeout: number;
}

/**
 * The options of every command about a driver. Its time limit is shorter than the kubelet's two minutes,
 * because someone waits.
 */
export const CSI_OPTIONS: readonly Option[] = [
  new Option('--endpoint <SOCKET>', 'the same').env('CSI_ENDPOINT'),
  JSON_OUTPUT,
  timeoutOption('how long to wait for the driver', '30s'),
];

/** The operand of every command about a driver. */
export const SOCKET = {
  name: 'SOCKET',
  text: "the driver's socket: /csi/csi.sock or unix:///csi/csi.sock",
  isOptional: true,
} as const;

/** What a call answered, or why it did not and whether that is because the driver is not there. */
export type Outcome<T> =
  | { readonly answer: T; readonly failure?: never }
  | { readonly answer?: never; readonly failure: RowError; readonly isAway: boolean };

/** A line of the answer for people: what it is, what the driver said, and how that looks. */
export interface Field {
  readonly name: string;
  readonly value: string;
  readonly style?: Style;
}

/** The calls of one command to one driver, and its answer. */
export class CsiSession {
  readonly client: CsiNodeClient;
  readonly #options: CsiOptions;
  readonly #signal: AbortSignal;
  readonly #calls: readonly CsiCall[];

  private constructor(
    client: CsiNodeClient,
    options: CsiOptions,
    signal: AbortSignal,
    calls: readonly CsiCall[],
  ) {
    this.client = client;
    this.#options = options;
    this.#signal = signal;
    this.#calls = calls;
  }

  /**
   * Loads gRPC, which no other command needs, and prepares a connection.
   *
   * @param operands - the socket, or nothing if it is an option
   * @throws UsageError unless there is one endpoint, and it is the path of a socket
   */
  static async open(
    operands: readonly string[],
    options: CsiOptions,
    signal: AbortSignal,
  ): Promise<CsiSession> {
    const { name, value } = endpointOf(operands, options);
    const { CsiNodeClient } = await import('../csi/index.js');
    const calls: CsiCall[] = [];
    const onCall = (call: CsiCall): void => void calls.push(call);
    try {
      const client = new CsiNodeClient(value, { timeoutMs: options.timeout, onCall });
      return new CsiSession(client, options, signal, calls);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      // By the name that the user knows.
      throw new UsageError(error.message.replace(/\bendpoint\b/, name));
    }
  }

  /** What a call answered, or why it did not. */
  async ask<T>(call: (options: { signal: AbortSignal }) => Promise<T>): Promise<Outcome<T>> {
    try {
      return { answer: await call({ signal: this.#signal }) };
    } catch (error) {
      const isAway = isMetricsError(error) && isDriverAway(error);
      return { failure: rowError(error, 'csi'), isAway };
    }
  }

  /** The answer, with the calls that it took: those of the identity service first. */
  answer(
    command: string,
    json: Readonly<Record<string, unknown>>,
    fields: readonly Field[],
    isComplete: boolean,
  ): Answer {
    const { endpoint } = this.client;
    const calls = [...this.#calls]
      .sort((one, other) =>
        serviceOf(one) < serviceOf(other) ? -1 : serviceOf(one) > serviceOf(other) ? 1 : 0,
      )
      // To the microsecond.
      .map((call) => ({ ...call, durationMs: Number(call.durationMs.toFixed(3)) }));
    if (this.#options.json) {
      return { text: jsonAnswer({ command, endpoint, ...json, calls }), isComplete };
    }
    const timed = calls.map(({ method, status, durationMs }): Field => {
      const rpc = method.slice(method.lastIndexOf('/') + 1);
      return { name: 'call', value: `${rpc}  ${durationMs.toFixed(1)} ms  ${status}` };
    });
    return { text: fieldLines([{ name: 'endpoint', value: endpoint }, ...fields, ...timed]), isComplete };
  }
}

/** Where the driver listens, and how the user said so. An operand counts more than the environment. */
function endpointOf(
  [operand]: readonly string[],
  { endpoint }: CsiOptions,
): { readonly name: string; readonly value: string } {
  if (operand === undefined && endpoint === undefined) {
    throw new UsageError("expected the driver's socket, such as /var/lib/kubelet/plugins/DRIVER/csi.sock");
  }
  const isFromEnvironment = endpoint === process.env['CSI_ENDPOINT'];
  if (operand !== undefined && endpoint !== undefined && !isFromEnvironment && operand !== endpoint) {
    throw new UsageError(`expected one socket, got '${operand}' and --endpoint ${endpoint}`);
  }
  if (operand !== undefined) return { name: 'SOCKET', value: operand };
  return { name: isFromEnvironment ? 'CSI_ENDPOINT' : '--endpoint', value: endpoint ?? '' };
}

function serviceOf({ method }: CsiCall): string {
  return method.slice(0, method.lastIndexOf('/'));
}

/** A problem that a driver lists. Only its status is sure to be there. */
export function problemText(problem: {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}): string {
  const { status, reason, message } = problem;
  const what = reason === '' ? status : `${status} ${reason}`;
  return message === '' ? what : `${what}: ${message}`;
}

/** What a call answered, in words, or why it did not and what to do. */
export function told<T>(name: string, outcome: Outcome<T>, say: (answer: T) => string): Field[] {
  const { answer, failure } = outcome;
  return failure === undefined ? [{ name, value: say(answer) }] : failed(name, failure);
}

/** Why there is no answer, and what may help. */
export function failed(name: string, error: RowError): Field[] {
  return [
    { name, value: reasonOf(error), style: 'red' },
    ...adviceOf(error).map((value): Field => ({ name: 'hint', value })),
  ];
}

/** A line for each field; on a terminal, long values go on below their beginning. */
function fieldLines(fields: readonly Field[]): string {
  const names = Math.max(...fields.map(({ name }) => name.length)) + 2;
  const width = terminalWidth();
  return fields
    .map(({ name, value, style }) => {
      const lines = paragraph(value, width === undefined ? undefined : width - names);
      const styledLines = lines.map((line) => (style === undefined ? line : styled(style, line)));
      return `${styled('bold', name.padEnd(names))}${styledLines.join(`\n${' '.repeat(names)}`)}\n`;
    })
    .join('');
}
