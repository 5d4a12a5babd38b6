import { Client, credentials, Server, type ServiceError } from '@grpc/grpc-js';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { IdentityService, type GetPluginInfoResponse } from '../../../src/csi/v1/index.js';

/** A temporary directory with servers, and processes that listen on sockets. All ends with it. */
export class ServingPlace {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-serving-')));
  readonly #servers: Server[] = [];
  readonly #clients: Client[] = [];

  path(name: string): string {
    return join(this.directory, name);
  }

  /** A driver's server that says its name, once `gate` has opened. */
  server(name: string, gate: Promise<void> = Promise.resolve(), called?: () => void): Server {
    const server = new Server();
    this.#servers.push(server);
    const { getPluginInfo } = IdentityService;
    server.addService(
      { getPluginInfo },
      {
        getPluginInfo: (_: unknown, callback: (error: null, response: GetPluginInfoResponse) => void) => {
          called?.();
          void gate.then(() => {
            callback(null, { name, vendorVersion: '1', manifest: {} });
          });
        },
      },
    );
    return server;
  }

  /** Who answers on a socket; the error's code and details if nobody does. */
  async nameAt(path: string, authority?: string): Promise<string> {
    const { path: rpc, requestSerialize, responseDeserialize } = IdentityService.getPluginInfo;
    const options = authority === undefined ? {} : { 'grpc.default_authority': authority };
    const client = new Client(`unix:${path}`, credentials.createInsecure(), options);
    this.#clients.push(client);
    return await new Promise((resolve) => {
      client.makeUnaryRequest(
        rpc,
        requestSerialize,
        responseDeserialize,
        {},
        { deadline: Date.now() + 20_000 },
        (error: ServiceError | null, response) => {
          resolve(error === null ? response!.name : `${String(error.code)} ${error.details}`);
        },
      );
    });
  }

  close(): void {
    for (const client of this.#clients) client.close();
    for (const server of this.#servers) server.forceShutdown();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const LISTEN = `require('net').createServer().listen(process.argv[1], () => console.log('listening'))`;

/** Another process that listens on a socket. */
export async function otherListener(path: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', LISTEN, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** Kills a process and waits for its end. */
export async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Leaves a socket behind as a killed process does. */
export async function leaveStale(path: string): Promise<void> {
  await killed(await otherListener(path));
}

/** Listens in this process, on a path that is free. */
export async function plainListener(path: string): Promise<{ close: () => Promise<void> }> {
  const listener = createServer();
  listener.listen(path);
  await once(listener, 'listening');
  return {
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      await closed;
    },
  };
}
