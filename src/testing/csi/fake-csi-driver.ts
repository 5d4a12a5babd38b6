import type { ServiceDefinition } from '@grpc/grpc-js';
import { setTimeout } from 'node:timers/promises';
import {
  NodeServiceCapability_RPC_Type,
  VolumeUsage_Unit,
  type NodeGetVolumeHealthRequest,
  type NodeGetVolumeStatsRequest,
  type VolumeCondition,
  type VolumeHealthEntry,
  type VolumeUsage,
} from '../../csi/gen/csi/v1/csi.js';
import {
  fakeServices,
  type FakeCsiAnswer,
  type FakeCsiCall,
  type FakeCsiRequest,
  type FakeCsiRpc,
} from './fake-csi-rpcs.js';
import { FakeCsiSocket, type ConnectionFate } from './fake-csi-socket.js';

/**
 * How the fake treats its callers: `serve` answers; `slow` answers each call after `delayMs`; `mute` takes connections and calls and
 * answers none; `kill` drops all connections at each call; `nonsense` drops its connections and answers new ones with bytes that are
 * no HTTP/2.
 */
export type FakeCsiMode = 'serve' | 'slow' | 'mute' | 'kill' | 'nonsense';

/** Usage entries, or a function that gives those of one volume. A field left out is 0, which is the same on the wire. */
export type FakeCsiUsage =
  readonly Partial<VolumeUsage>[] | ((request: NodeGetVolumeStatsRequest) => readonly Partial<VolumeUsage>[]);

type Answer = FakeCsiAnswer<FakeCsiRpc>;

/** Gives an RPC's answer with the request at hand; a promise that never settles leaves the caller without one. */
export type FakeCsiAnswerer<Rpc extends FakeCsiRpc> = (
  request: FakeCsiRequest<Rpc>,
) => FakeCsiAnswer<Rpc> | Promise<FakeCsiAnswer<Rpc>>;

/** What {@link FakeCsiDriver} says. Each may be changed at any time. */
export interface FakeCsiScript {
  name: string;
  version: string;
  capabilities: readonly NodeServiceCapability_RPC_Type[];
  usage: FakeCsiUsage;
  condition: VolumeCondition | undefined;
  /** What is wrong with every volume, as CSI 1.13 has it. */
  health: readonly VolumeHealthEntry[];
  /** Milliseconds that `slow` takes. */
  delayMs: number;
}

/** Options of {@link FakeCsiDriver.start}. */
export interface FakeCsiDriverOptions extends Partial<FakeCsiScript> {
  /** @defaultValue `'serve'` */
  readonly mode?: FakeCsiMode;
}

/** What becomes of new connections. */
const FATES: Readonly<Record<FakeCsiMode, ConnectionFate>> = {
  serve: 'serve',
  slow: 'serve',
  mute: 'keep',
  kill: 'serve',
  nonsense: 'nonsense',
};

const DEFAULTS: FakeCsiScript = {
  name: 'fake.csi.example',
  version: '1.0.0',
  capabilities: [NodeServiceCapability_RPC_Type.GET_VOLUME_STATS],
  usage: [
    { unit: VolumeUsage_Unit.BYTES, total: 100n, available: 60n, used: 40n },
    { unit: VolumeUsage_Unit.INODES, total: 10n, available: 7n, used: 3n },
  ],
  condition: undefined,
  health: [],
  delayMs: 1_000,
};

/**
 * A CSI driver for tests: a real gRPC server with the real codec, on a unix socket in a temporary directory, that does as it is
 * told. Works wherever there are unix sockets. To be ended by {@link FakeCsiDriver.stop}.
 */
export class FakeCsiDriver {
  /** What it says, unless {@link FakeCsiDriver.answer} has the call. */
  readonly script: FakeCsiScript;
  /** Where it listens, as `CSI_ENDPOINT` has it. */
  readonly endpoint: string;
  readonly #socket: FakeCsiSocket;
  readonly #answers = new Map<FakeCsiRpc, (request: never) => Answer | Promise<Answer>>();
  readonly #requests = new Map<FakeCsiRpc, unknown[]>();
  #mode: FakeCsiMode;
  #cancelled = 0;

  private constructor(socket: FakeCsiSocket, script: FakeCsiScript, mode: FakeCsiMode) {
    this.#socket = socket;
    this.script = script;
    this.#mode = mode;
    this.endpoint = `unix://${socket.path}`;
  }

  /**
   * Starts one.
   *
   * @param options - what it says; by default one capability, GET_VOLUME_STATS, and 100 bytes and 10 inodes for every volume
   */
  static async start({ mode = 'serve', ...script }: FakeCsiDriverOptions = {}): Promise<FakeCsiDriver> {
    const services = fakeServices((rpc, call) => driver.#handle(rpc, call));
    const socket = await FakeCsiSocket.open(
      (server) => {
        for (const { definition, implementation } of services) {
          server.addService(definition as ServiceDefinition, implementation);
        }
      },
      () => FATES[driver.#mode],
    );
    const driver: FakeCsiDriver = new FakeCsiDriver(socket, { ...DEFAULTS, ...script }, mode);
    return driver;
  }

  /** How it treats its callers; those that wait for `mute` go on waiting. */
  get mode(): FakeCsiMode {
    return this.#mode;
  }

  set mode(mode: FakeCsiMode) {
    this.#mode = mode;
    if (mode === 'nonsense') this.#socket.dropConnections();
  }

  /** How many connections have been made to it. */
  get connections(): number {
    return this.#socket.connections;
  }

  /** How many of them are open. */
  get openConnections(): number {
    return this.#socket.openConnections;
  }

  /** How many calls ended before they were answered: cancelled, late, or their connection lost. */
  get cancelled(): number {
    return this.#cancelled;
  }

  /** How many calls have come, in all or of one RPC. */
  calls(rpc?: FakeCsiRpc): number {
    if (rpc !== undefined) return this.requests(rpc).length;
    return [...this.#requests.values()].reduce((sum, requests) => sum + requests.length, 0);
  }

  /** The requests of an RPC, the oldest first. */
  requests<Rpc extends FakeCsiRpc>(rpc: Rpc): readonly FakeCsiRequest<Rpc>[] {
    return (this.#requests.get(rpc) ?? []) as FakeCsiRequest<Rpc>[];
  }

  /**
   * Answers an RPC differently from the script; in the modes that do not answer, not even that.
   *
   * @param rpc - the RPC
   * @param answer - a message, the bytes of one, a failure as `{ code, details }`, or a function that gives one of these; undefined
   * goes back to the script
   */
  answer<Rpc extends FakeCsiRpc>(
    rpc: Rpc,
    answer: FakeCsiAnswer<Rpc> | FakeCsiAnswerer<Rpc> | undefined,
  ): void {
    if (answer === undefined) this.#answers.delete(rpc);
    else this.#answers.set(rpc, answer instanceof Function ? answer : () => answer);
  }

  /** Ends as SIGKILL would end it: all connections drop, and the socket file stays behind. */
  async crash(): Promise<void> {
    await this.#socket.crash();
  }

  /** Listens again on the same path, after a crash if there was none before. */
  async restart(): Promise<void> {
    await this.#socket.crash();
    await this.#socket.listen();
  }

  /** Ends for good, and removes its directory. */
  async stop(): Promise<void> {
    await this.#socket.close();
  }

  async #handle(rpc: FakeCsiRpc, call: FakeCsiCall): Promise<Answer | undefined> {
    const requests = this.#requests.get(rpc) ?? [];
    this.#requests.set(rpc, requests);
    requests.push(call.request);
    let isAnswered = false;
    // grpc-js tells it of calls that have had their answer too.
    call.on('cancelled', () => (this.#cancelled += isAnswered ? 0 : 1));
    const answer = await this.#answer(rpc, call.request);
    isAnswered = answer !== undefined;
    return answer;
  }

  async #answer(rpc: FakeCsiRpc, request: unknown): Promise<Answer | undefined> {
    const mode = this.#mode;
    if (mode === 'kill') this.#socket.dropConnections();
    if (mode !== 'serve' && mode !== 'slow') return undefined;
    if (mode === 'slow') await setTimeout(this.script.delayMs, undefined, { ref: false });
    const answer = this.#answers.get(rpc);
    return answer === undefined ? this.#scripted(rpc, request) : await answer(request as never);
  }

  #scripted(rpc: FakeCsiRpc, request: unknown): Answer {
    const { name, version, capabilities, usage, condition, health } = this.script;
    switch (rpc) {
      case 'getPluginInfo':
        return { name, vendorVersion: version, manifest: {} };
      case 'getPluginCapabilities':
        return { capabilities: [] };
      case 'nodeGetCapabilities':
        return { capabilities: capabilities.map((type) => ({ rpc: { type } })) };
      case 'nodeGetInfo':
        return { nodeId: 'fake-node', maxVolumesPerNode: 0n };
      case 'nodeGetVolumeStats': {
        const entries = typeof usage === 'function' ? usage(request as NodeGetVolumeStatsRequest) : usage;
        return {
          usage: entries.map((entry) => ({
            unit: VolumeUsage_Unit.UNKNOWN,
            total: 0n,
            available: 0n,
            used: 0n,
            ...entry,
          })),
          ...(condition && { volumeCondition: condition }),
        };
      }
      case 'nodeGetVolumeHealth': {
        const { volumeId } = request as NodeGetVolumeHealthRequest;
        return { volumeHealth: { volumeId, healthStatuses: [...health] } };
      }
      default:
        return {};
    }
  }
}
