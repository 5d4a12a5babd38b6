import { get as httpGet, type Agent, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { Deadline } from '../waiting/deadline.js';
import { waitFor } from '../waiting/joined-call.js';
import { connectionFailure, isLost, serverTitle, timedOut } from './connection-failure.js';
import { readCredentials, secureContext, type Credentials } from './credentials.js';
import { CALL_END, DoorAgent, plainAgent, type DoorRequestOptions } from './door-agent.js';
import { hostOf, type CheckedDoor } from './door-options.js';
import { KubeletError, type DoorPrefix } from './kubelet-error.js';
import { Turns } from './turns.js';

/** An answer of any status. */
export interface DoorAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** How long a server that has answered before may be away: a kubelet restarts in a few seconds. */
const RESTART_MS = 8_000;

/** How many calls ask one server at once, each over its own connection; the others wait for their turn. */
const MOST_CALLS = 8;

const FIRST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 400;

/**
 * GET requests to one server over kept connections. Each call reads the credentials anew. A call that loses
 * its connection to a server that has answered before is made again, until the server is back or has been
 * away for 8 s: it only reads.
 */
export class HttpsDoor {
  /** How messages call the server. */
  readonly title: string;
  readonly #door: CheckedDoor;
  readonly #prefix: DoorPrefix;
  #agent: Agent | undefined;
  /** What the agent was made of. */
  #agentKey: string | undefined;
  #hasAnswered = false;
  #isClosed = false;
  readonly #turns = new Turns(MOST_CALLS);
  readonly #inFlight = new Set<AbortController>();

  constructor(prefix: DoorPrefix, door: CheckedDoor) {
    this.#prefix = prefix;
    this.#door = door;
    this.title = serverTitle(door, prefix);
  }

  /**
   * @throws KubeletError if there is no whole answer in time or within the limit of bytes; `signal.reason`
   * once the signal is aborted
   */
  async get(path: string, accept: string, signal?: AbortSignal): Promise<DoorAnswer> {
    const deadline = new Deadline(this.#door.timeoutMs);
    const end = new AbortController();
    const seen: { failure?: unknown } = {};
    if (this.#isClosed) end.abort();
    this.#inFlight.add(end);
    const answer = waitFor(this.#attempts(path, accept, end.signal, seen), {
      deadline,
      signal,
      late: () => this.#late(path, deadline, seen.failure),
      leave: () => {
        end.abort();
      },
    });
    try {
      return await answer;
    } finally {
      this.#inFlight.delete(end);
    }
  }

  /** Closes all connections. Calls in flight and later ones fail. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#inFlight) end.abort();
    this.#agent?.destroy();
  }

  async #attempts(
    path: string,
    accept: string,
    end: AbortSignal,
    seen: { failure?: unknown },
  ): Promise<DoorAnswer> {
    const restart = new Deadline(RESTART_MS);
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        const answer = await this.#turns.run(async () => {
          end.throwIfAborted();
          const credentials = await readCredentials(this.#door, this.#prefix);
          end.throwIfAborted();
          return await this.#once(path, accept, credentials, end);
        });
        this.#hasAnswered = true;
        return answer;
      } catch (failure) {
        const error = this.#isClosed ? new Error('the client is closed') : failure;
        seen.failure = error;
        const again = isLost(error) && this.#hasAnswered && !end.aborted;
        if (again && !restart.isOver) {
          await wait(pause, undefined, { signal: end }).catch(() => undefined);
          continue;
        }
        // The next call learns at once that the server is away.
        if (again) this.#hasAnswered = false;
        throw connectionFailure(error, this.#door, this.#prefix);
      }
    }
  }

  async #once(
    path: string,
    accept: string,
    { authorization, tls }: Credentials,
    end: AbortSignal,
  ): Promise<DoorAnswer> {
    const { url } = this.#door;
    const agent = this.#agentFor(tls);
    return await new Promise<DoorAnswer>((resolve, reject) => {
      const options: DoorRequestOptions = {
        agent,
        [CALL_END]: end,
        protocol: url.protocol,
        host: hostOf(url),
        port: url.port === '' ? (url.protocol === 'http:' ? 80 : 443) : url.port,
        path,
        signal: end,
        headers: {
          accept,
          'accept-encoding': 'identity',
          ...(authorization !== undefined && { authorization }),
          ...this.#door.headers,
        },
      };
      const request = httpGet(options);
      request.once('error', reject);
      request.once('upgrade', (_, socket: Duplex) => {
        socket.destroy();
        const message = `${this.title} switches to another protocol: is another program at this address?`;
        reject(new KubeletError(`${this.#prefix}_BAD_ANSWER`, message, { status: 101 }));
      });
      request.once('response', (response) => {
        this.#read(response).then(resolve, (error: unknown) => {
          request.destroy();
          reject(error);
        });
      });
    });
  }

  async #read(response: IncomingMessage): Promise<DoorAnswer> {
    const { maxAnswerBytes } = this.#door;
    const chunks: Buffer[] = [];
    let bytes = Number(response.headers['content-length'] ?? 0);
    if (bytes > maxAnswerBytes) throw this.#tooLarge(`${String(bytes)} bytes`);
    bytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) throw this.#tooLarge('more');
      chunks.push(chunk);
    }
    return {
      status: response.statusCode ?? 0,
      contentType: response.headers['content-type'] ?? '',
      body: Buffer.concat(chunks, bytes),
    };
  }

  /** The agent for the files as they are now. */
  #agentFor(tls: Credentials['tls']): Agent {
    const key = JSON.stringify(tls);
    if (this.#agent !== undefined && key === this.#agentKey) return this.#agent;
    const agent =
      tls === undefined
        ? plainAgent()
        : new DoorAgent(this.#door, secureContext(this.#door, this.#prefix, tls), tls.pinned);
    if (this.#agent instanceof DoorAgent) this.#agent.retire();
    this.#agentKey = key;
    this.#agent = agent;
    return agent;
  }

  #tooLarge(size: string): KubeletError {
    const most = String(this.#door.maxAnswerBytes);
    return new KubeletError(
      `${this.#prefix}_TOO_LARGE`,
      `the answer of ${this.title} has ${size}, and maxAnswerBytes is ${most}: raise it if that is right`,
    );
  }

  #late(path: string, deadline: Deadline, failure: unknown): KubeletError {
    if (failure !== undefined) return connectionFailure(failure, this.#door, this.#prefix);
    return timedOut(this.title, path, deadline.limitMs, this.#prefix);
  }
}
