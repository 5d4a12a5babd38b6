import { credentials, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  nodeGetVolumeStats,
  type NodeGetVolumeStatsHandler,
  type NodeGetVolumeStatsOptions,
} from '../../../src/csi/index.js';
import { NodeClient, NodeService, type NodeGetVolumeStatsResponse } from '../../../src/csi/v1/index.js';

/** What a call came to. */
export type Outcome =
  | { readonly code: status.OK; readonly response: NodeGetVolumeStatsResponse }
  | { readonly code: status; readonly details: string; readonly metadata: Record<string, unknown> };

/** A driver that has the handler and nothing else, and a client of it, over a real unix socket. */
export class StatsServer {
  readonly handler: NodeGetVolumeStatsHandler;
  readonly #directory = mkdtempSync(join(tmpdir(), 'kvm-stats-'));
  readonly #server = new Server();
  readonly #client: NodeClient;

  private constructor(options: NodeGetVolumeStatsOptions<'ts-proto'>) {
    this.handler = nodeGetVolumeStats(options);
    this.#server.addService(NodeService, { nodeGetVolumeStats: this.handler });
    this.#client = new NodeClient(`unix:${this.socket}`, credentials.createInsecure());
  }

  static async start(options: NodeGetVolumeStatsOptions<'ts-proto'> = {}): Promise<StatsServer> {
    const started = new StatsServer(options);
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
    return new Promise((resolve) => {
      this.#client.nodeGetVolumeStats(
        { volumeId, volumePath, stagingTargetPath: '' },
        new Metadata(),
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null) resolve({ code: status.OK, response });
          else resolve({ code: error.code, details: error.details, metadata: error.metadata.getMap() });
        },
      );
    });
  }

  close(): void {
    this.#client.close();
    this.#server.forceShutdown();
    rmSync(this.#directory, { recursive: true });
  }
}
