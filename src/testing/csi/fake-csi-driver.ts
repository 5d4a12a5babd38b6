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
import { checkedOptions } from '../../options.js';
import {
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

/** Usage entries, or a function that gives those of one volume. A field that is left out is 0. */
export type FakeCsiUsage =
  readonly Partial<VolumeUsage>[] | ((request: NodeGetVolumeStatsRequest) => readonly Partial<VolumeUsage>[]);

type Answer = FakeCsiAnswer<FakeCsiRpc>;

/** Answers an RPC; a promise that never settles leaves the caller without an answer. */
export type FakeCsiAnswerer<Rpc extends FakeCsiRpc> = (
  request: FakeCsiRequest<Rpc>,
) => FakeCsiAnswer<Rpc> | Promise<FakeCsiAnswer<Rpc>>;

/** What {@link FakeCsiDriver} answers. Each field may be changed at any time. */
export interface FakeCsiScript {
  name: string;
  version: string;
  capabilities: readonly NodeServiceCapability_RPC_Type[];
  usage: FakeCsiUsage;
  condition: VolumeCondition | undefined;
  /** What is wrong with every volume, in the form of CSI 1.13. */
  health: readonly VolumeHealthEntry[];
  /** Milliseconds that `slow` takes. */
  delayMs: number;
}

/** Options of {@link FakeCsiDriver.start}. */
export interface FakeCsiDriverOptions extends Partial<FakeCsiScript> {
  /** @defaultValue `'serve'` */
  readonly mode?: FakeCsiMode;
}

/** What happens to new connections. */
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

const OPTIONS = ['mode', ...(Object.keys(DEFAULTS) as (keyof FakeCsiScript)[])] as const;

/**
 * A CSI driver for tests: a real gRPC server with the real codec, on a unix socket in a temporary directory,
 * that follows a script. Works wherever there are unix sockets. End it with {@link FakeCsiDriver.stop}.
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
   * @throws TypeError for an unknown option
   */
  static async start(options: FakeCsiDriverOptions = {}): Promise<FakeCsiDriver> {
    const { mode = 'serve', ...script } = checkedOptions(options, OPTIONS);
    const services = fakeServices((rpc, call) => driver.#handle(rpc, call));
    const server = await FakeCsiServer.open(
      (grpc) => {
        for (const { definition, implementation } of services) {
          grpc.addService(definition as ServiceDefinition, implementation);
        }
      },
      () => FATES[driver.#mode],
    );
    const driver: FakeCsiDriver = new FakeCsiDriver(server, { ...DEFAULTS, ...script }, mode);
    return driver;
  }

  /** How it treats its callers. Those that wait under `mute` keep waiting when it changes. */
  get mode(): FakeCsiMode {
    return this.#mode;
  }

  set mode(mode: FakeCsiMode) {
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

  /** How many calls the driver received, in all or of one RPC. */
  calls(rpc?: FakeCsiRpc): number {
    if (rpc !== undefined) return this.requests(rpc).length;
    return [...this.#requests.values()].reduce((sum, requests) => sum + requests.length, 0);
  }

  /** The requests of an RPC, the oldest first. */
  requests<Rpc extends FakeCsiRpc>(rpc: Rpc): readonly FakeCsiRequest<Rpc>[] {
    return (this.#requests.get(rpc) ?? []) as FakeCsiRequest<Rpc>[];
  }

  /**
   * Answers an RPC differently from the script. The modes that do not answer take precedence.
   *
   * @param rpc - the RPC
   * @param answer - a message, the bytes of one, a failure as `{ code, details }`, or a function that gives
   * one of these; undefined goes back to the script
   */
  answer<Rpc extends FakeCsiRpc>(
    rpc: Rpc,
    answer: FakeCsiAnswer<Rpc> | FakeCsiAnswerer<Rpc> | undefined,
  ): void {
    if (answer === undefined) this.#answers.delete(rpc);
    else this.#answers.set(rpc, answer instanceof Function ? answer : () => answer);
  }

  /** Ends as if by SIGKILL: all connections drop, and the socket file stays behind. */
  async crash(): Promise<void> {
    await this.#server.crash();
  }

  /** Listens again on the same path; crashes first if it is running. */
  async restart(): Promise<void> {
    await this.#server.crash();
    await this.#server.listen();
  }

  /** Ends the driver for good and removes its directory. */
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
