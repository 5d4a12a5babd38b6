import { CsiNodeClient, type CsiCall } from '../csi/index.js';
import { isTransient, stringify } from '../index.js';
import { SCHEMA } from './answer.js';
import { escapeControls, escapeControlsInJson } from './escape.js';
import { print } from './output.js';

/** What a command about a driver is given. */
export interface CsiRequest {
  readonly endpoint: string;
  readonly timeoutMs: number;
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** Why a call has no answer. */
export interface CsiFailure {
  readonly code: string;
  readonly message: string;
}

/** What a call answered, or why it did not and whether that is because the driver is not there. */
export type Outcome<T> =
  | { readonly answer: T; readonly failure?: never }
  | { readonly answer?: never; readonly failure: CsiFailure; readonly isAway: boolean };

/** A line of the answer for people: what it is, and what the driver said. */
export type Field = readonly [name: string, value: string];

/** The calls of one command to one driver, and its answer. */
export class CsiSession {
  readonly client: CsiNodeClient;
  readonly #request: CsiRequest;
  readonly #calls: CsiCall[] = [];

  /** @throws TypeError for an endpoint or a time that is none */
  constructor(request: CsiRequest) {
    this.#request = request;
    const { endpoint, timeoutMs } = request;
    this.client = new CsiNodeClient(endpoint, { timeoutMs, onCall: (call) => this.#calls.push(call) });
  }

  /** What a call answered, or why it did not. */
  async ask<T>(call: (options: { signal: AbortSignal }) => Promise<T>): Promise<Outcome<T>> {
    try {
      return { answer: await call({ signal: this.#request.signal }) };
    } catch (error) {
      const { code, message } = error as Partial<Record<'code' | 'message', unknown>>;
      return {
        failure: { code: String(code), message: String(message ?? error) },
        isAway: isTransient(error),
      };
    }
  }

  /** Prints the answer, with the calls that it took. */
  async print(
    command: string,
    json: Readonly<Record<string, unknown>>,
    fields: readonly Field[],
  ): Promise<void> {
    const calls = this.#calls.map(({ method, code, durationMs }) => ({ method, code, durationMs }));
    if (this.#request.json) {
      const answer = { schema: SCHEMA, command, endpoint: this.client.endpoint, ...json, calls };
      await print(`${escapeControlsInJson(stringify(answer, 2))}\n`);
      return;
    }
    const timed = calls.map(({ method, code, durationMs }): Field => {
      const status = code ? `status ${String(code)}` : 'OK';
      return ['call', `${method.slice(method.lastIndexOf('/') + 1)}  ${durationMs.toFixed(1)} ms  ${status}`];
    });
    await print(lines([['endpoint', this.client.endpoint], ...fields, ...timed]));
  }
}

function lines(fields: readonly Field[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${escapeControls(value)}\n`).join('');
}

/** What a call answered, in words, or why it did not. */
export function told<T>({ answer, failure }: Outcome<T>, say: (answer: T) => string): string {
  return failure === undefined ? say(answer) : `${failure.code}: ${failure.message}`;
}
