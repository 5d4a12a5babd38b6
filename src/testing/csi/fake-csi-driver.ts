import type { ServiceDefinition } from '@grpc/grpc-js';
import { setTimeout } from 'node:timers/promises';
import { socketPath } from '../../csi/messages/socket-path.js';
import { checkedOptions } from '../../options.js';
import { checkedScript, DEFAULT_SCRIPT, scriptedAnswer, type FakeCsiScript } from './fake-csi-script.js';
import {
  checkedAnswer,
  checkedRpc,
  FakeCsiServer,
  fakeServices,
  type ConnectionFate,
  type FakeCsiAnswer,
  type FakeCsiCall,
  type FakeCsiRequest,
  type FakeCsiRpc,
} from './fake-csi-server.js';

/**
 * How the fake treats its callers: `serve` answers; `slow` answers each call after `delayMs`; `mute` takes
 * connections and calls but answers none; `kill` drops all connections at each call; `nonsense` drops its
 * connections and answers new ones with bytes that are not HTTP/2.
 */
export type FakeCsiMode = 'serve' | 'slow' | 'mute' | 'kill' | 'nonsense';

type Answer = FakeCsiAnswer<FakeCsiRpc>;

/** Answers an RPC; a promise that never settles leaves the caller without an answer. */
export type FakeCsiAnswerer<Rpc extends FakeCsiRpc> = (
  request: FakeCsiRequest<Rpc>,
) => FakeCsiAnswer<Rpc> | Promise<FakeCsiAnswer<Rpc>>;

/** Options of {@link FakeCsiDriver.start}. */
export interface FakeCsiDriverOptions extends Partial<FakeCsiScript> {
  /** @defaultValue `'serve'` */
  readonly mode?: FakeCsiMode;
  /**
   * Where it listens: the path of a socket, as `/abs`, `unix:/abs` or `unix:///abs`, in a directory that is
   * there. Nothing may be at the path.
   *
   * @defaultValue a socket in a temporary directory, which goes with the driver
   */
  readonly endpoint?: string;
}

/** What happens to new connections. */
const FATES: Readonly<Record<FakeCsiMode, ConnectionFate>> = {
  serve: 'serve',
  slow: 'serve',
  mute: 'keep',
  kill: 'serve',
  nonsense: 'nonsense',
};

const OPTIONS = ['mode', 'endpoint', ...(Object.keys(DEFAULT_SCRIPT) as (keyof FakeCsiScript)[])] as const;

function checkMode(mode: FakeCsiMode): void {
  if (Object.hasOwn(FATES, mode)) return;
  const modes = Object.keys(FATES).join(', ');
  throw new TypeError(`Expected mode to be one of ${modes}, got ${JSON.stringify(mode)}`);
}

/**
 * A CSI driver for tests: a real gRPC server with the real codec on a unix socket that follows a script.
 * Works wherever there are unix sockets. End it with {@link FakeCsiDriver.stop}.
 */
export class FakeCsiDriver {
  /** What it answers, unless {@link FakeCsiDriver.answer} says otherwise. */
  readonly script: FakeCsiScript;
  /** Where it listens, in the form of `CSI_ENDPOINT`. */
  readonly endpoint: string;
  readonly #server: FakeCsiServer;
  readonly #answers = new Map<FakeCsiRpc, (request: never) => Answer | Promise<Answer>>();
  readonly #requests = new Map<FakeCsiRpc, unknown[]>();
  #mode: FakeCsiMode;
  #cancelled = 0;

  private constructor(server: FakeCsiServer, script: FakeCsiScript, mode: FakeCsiMode) {
    this.#server = server;
    this.script = script;
    this.#mode = mode;
    this.endpoint = `unix://${server.path}`;
  }

  /**
   * Starts a driver.
   *
   * @param options - what it answers; by default one capability, GET_VOLUME_STATS, and 100 bytes and 10
   * inodes for every volume
   * @throws TypeError for an invalid or unknown option; Error if something is at the path of `endpoint`, or
   * its directory is missing
   */
  static async start(options: FakeCsiDriverOptions = {}): Promise<FakeCsiDriver> {
    const { mode = 'serve', endpoint, ...changes } = checkedOptions(options, OPTIONS);
    const script = checkedScript({ ...DEFAULT_SCRIPT, ...changes });
    checkMode(mode);
    const services = fakeServices((rpc, call) => driver.#handle(rpc, call));
    const server = await FakeCsiServer.open(
      (grpc) => {
        for (const { definition, implementation } of services) {
          grpc.addService(definition as ServiceDefinition, implementation);
        }
      },
      () => FATES[driver.#mode],
      endpoint === undefined ? undefined : socketPath(endpoint),
    );
    const driver: FakeCsiDriver = new FakeCsiDriver(server, script, mode);
    return driver;
  }

  /**
   * How it treats its callers. Those that wait under `mute` keep waiting when it changes.
   *
   * @throws TypeError, when it is set, unless it is one of the modes
   */
  get mode(): FakeCsiMode {
    return this.#mode;
  }

  set mode(mode: FakeCsiMode) {
    checkMode(mode);
    this.#mode = mode;
    if (mode === 'nonsense') this.#server.dropConnections();
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#server.connections;
  }

  /** How many of them are open. */
  get openConnections(): number {
    return this.#server.openConnections;
  }

  /** How many calls ended before they were answered: cancelled, out of time, or by a lost connection. */
  get cancelled(): number {
    return this.#cancelled;
  }

  /**
   * How many calls the driver received, in all or of one RPC.
   *
   * @throws TypeError for an unknown RPC
   */
  calls(rpc?: FakeCsiRpc): number {
    if (rpc !== undefined) return this.requests(rpc).length;
    return [...this.#requests.values()].reduce((sum, requests) => sum + requests.length, 0);
  }

  /**
   * The requests of an RPC, the oldest first.
   *
   * @throws TypeError for an unknown RPC
   */
  requests<Rpc extends FakeCsiRpc>(rpc: Rpc): readonly FakeCsiRequest<Rpc>[] {
    return (this.#requests.get(checkedRpc(rpc)) ?? []) as FakeCsiRequest<Rpc>[];
  }

  /**
   * Answers an RPC differently from the script. The modes that do not answer take precedence.
   *
   * @param rpc - the RPC
   * @param answer - a message, the bytes of one, a failure as `{ code, details }`, or a function that gives
   * one of these; undefined goes back to the script
   * @throws TypeError for an unknown RPC or another answer; if a function gives such an answer, the caller
   * gets the TypeError's message with the status UNKNOWN
   */
  answer<Rpc extends FakeCsiRpc>(
    rpc: Rpc,
    answer: FakeCsiAnswer<Rpc> | FakeCsiAnswerer<Rpc> | undefined,
  ): void {
    checkedRpc(rpc);
    if (answer === undefined) {
      this.#answers.delete(rpc);
      return;
    }
    if (!(answer instanceof Function)) checkedAnswer(rpc, answer);
    this.#answers.set(rpc, answer instanceof Function ? answer : () => answer);
  }

  /** Ends as if by SIGKILL: all connections drop, and the socket file stays behind. */
  async crash(): Promise<void> {
    await this.#server.crash();
  }

  /**
   * Listens again on the same path; crashes first if it is running.
   *
   * @throws Error after {@link FakeCsiDriver.stop}
   */
  async restart(): Promise<void> {
    await this.#server.crash();
    await this.#server.listen();
  }

  /**
   * Ends the driver for good and removes its socket, and its temporary directory. Once is enough, and twice
   * does no harm.
   */
  async stop(): Promise<void> {
    await this.#server.close();
  }

  async #handle(rpc: FakeCsiRpc, call: FakeCsiCall): Promise<Answer | undefined> {
    const requests = this.#requests.get(rpc) ?? [];
    this.#requests.set(rpc, requests);
    requests.push(call.request);
    let isAnswered = false;
    // grpc-js emits it for answered calls too.
    call.on('cancelled', () => (this.#cancelled += isAnswered ? 0 : 1));
    const answer = await this.#answer(rpc, call.request);
    isAnswered = answer !== undefined;
    return answer;
  }

  async #answer(rpc: FakeCsiRpc, request: unknown): Promise<Answer | undefined> {
    const mode = this.#mode;
    if (mode === 'kill') this.#server.dropConnections();
    if (mode !== 'serve' && mode !== 'slow') return undefined;
    if (mode === 'slow') await setTimeout(this.script.delayMs, undefined, { ref: false });
    const answer = this.#answers.get(rpc);
    return answer === undefined ? scriptedAnswer(this.script, rpc, request) : await answer(request as never);
  }
}
