import { credentials, Metadata, Server, ServerCredentials, status, type ServiceError } from '@grpc/grpc-js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  nodeGetStorageHealth,
  nodeGetVolumeHealth,
  nodeGetVolumeStats,
  type NodeGetStorageHealthOptions,
  type NodeGetVolumeStatsHandler,
  type NodeGetVolumeStatsOptions,
} from '../../../src/csi/index.js';
import {
  NodeClient,
  NodeService,
  type NodeGetStorageHealthResponse,
  type NodeGetVolumeHealthRequest,
  type NodeGetVolumeHealthResponse,
  type NodeGetVolumeStatsResponse,
} from '../../../src/csi/v1/index.js';

/** What a call came to. */
export type Outcome<Response = NodeGetVolumeStatsResponse> =
  | { readonly code: status.OK; readonly response: Response }
  | { readonly code: status; readonly details: string; readonly metadata: Record<string, unknown> };

/**
 * A driver that has the handlers and nothing else, made from the same options, and a client of it, over a
 * real unix socket.
 */
export class StatsServer {
  readonly handler: NodeGetVolumeStatsHandler;
  readonly #directory = mkdtempSync(join(tmpdir(), 'kvm-stats-'));
  readonly #server = new Server();
  readonly #client: NodeClient;

  private constructor(
    options: NodeGetVolumeStatsOptions<'ts-proto'>,
    storage: NodeGetStorageHealthOptions<'ts-proto'>,
  ) {
    this.handler = nodeGetVolumeStats(options);
    this.#server.addService(NodeService, {
      nodeGetVolumeStats: this.handler,
      nodeGetVolumeHealth: nodeGetVolumeHealth(options),
      nodeGetStorageHealth: nodeGetStorageHealth(storage),
    });
    this.#client = new NodeClient(`unix:${this.socket}`, credentials.createInsecure());
  }

  static async start(
    options: NodeGetVolumeStatsOptions<'ts-proto'> = {},
    storage: NodeGetStorageHealthOptions<'ts-proto'> = { health: () => [] },
  ): Promise<StatsServer> {
    const started = new StatsServer(options, storage);
    await new Promise<void>((resolve, reject) => {
      started.#server.bindAsync(`unix:${started.socket}`, ServerCredentials.createInsecure(), (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    return started;
  }

  get socket(): string {
    return join(this.#directory, 'csi.sock');
  }

  /** Asks as an orchestrator does, that gives up after some time. */
  ask(volumeId: string, volumePath: string, timeoutMs = 120_000): Promise<Outcome> {
    const request = { volumeId, volumePath, stagingTargetPath: '' };
    return outcomeOf((callback) => {
      const limits = { deadline: Date.now() + timeoutMs };
      this.#client.nodeGetVolumeStats(request, new Metadata(), limits, callback);
    });
  }

  /** Asks for the health of a volume. */
  askHealth(
    request: Partial<NodeGetVolumeHealthRequest>,
    timeoutMs = 120_000,
  ): Promise<Outcome<NodeGetVolumeHealthResponse>> {
    const whole = { volumeId: 'v', volumePublishPath: '', stagingTargetPath: '', ...request };
    return outcomeOf((callback) => {
      const limits = { deadline: Date.now() + timeoutMs };
      this.#client.nodeGetVolumeHealth(whole, new Metadata(), limits, callback);
    });
  }

  /** Asks for the health of the storage. */
  askStorage(
    secrets: Record<string, string> = {},
    timeoutMs = 120_000,
  ): Promise<Outcome<NodeGetStorageHealthResponse>> {
    return outcomeOf((callback) => {
      const limits = { deadline: Date.now() + timeoutMs };
      this.#client.nodeGetStorageHealth({ secrets }, new Metadata(), limits, callback);
    });
  }

  close(): void {
    this.#client.close();
    this.#server.forceShutdown();
    rmSync(this.#directory, { recursive: true });
  }
}

/** Starts a server that ends with the test. */
export async function serve(...args: Parameters<typeof StatsServer.start>): Promise<StatsServer> {
  const server = await StatsServer.start(...args);
  onTestFinished(() => {
    server.close();
  });
  return server;
}

type Callback<Response> = (error: ServiceError | null, response: Response) => void;

function outcomeOf<Response>(call: (callback: Callback<Response>) => void): Promise<Outcome<Response>> {
  return new Promise((resolve) => {
    call((error, response) => {
      if (error === null) resolve({ code: status.OK, response });
      else resolve({ code: error.code, details: error.details, metadata: error.metadata.getMap() });
    });
  });
}
