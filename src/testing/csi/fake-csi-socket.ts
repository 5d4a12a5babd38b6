import { Server, ServerCredentials } from '@grpc/grpc-js';
import type fsExtra from 'fs-extra';
import { once } from 'node:events';
import { createServer, type Server as Listener, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What becomes of a new connection: a gRPC server's, kept without a word, or answered with nonsense. */
export type ConnectionFate = 'serve' | 'keep' | 'nonsense';

/** No frame of HTTP/2: as one, it would be 16 MiB long and of type 255. */
const NONSENSE = Buffer.alloc(64, 0xff);

/** A gRPC server that can be killed and started again on the same unix socket, and whose connections are at hand. */
export class FakeCsiSocket {
  /** Loaded when a driver is made, not with the entry. */
  readonly #files: typeof fsExtra;
  readonly #directory: string;
  readonly path: string;
  readonly #register: (server: Server) => void;
  readonly #fate: () => ConnectionFate;
  readonly #sockets = new Set<Socket>();
  #running: { readonly server: Server; readonly listener: Listener } | undefined;
  #connections = 0;

  private constructor(
    files: typeof fsExtra,
    directory: string,
    register: (server: Server) => void,
    fate: () => ConnectionFate,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.path = join(directory, 'csi.sock');
    this.#register = register;
    this.#fate = fate;
  }

  /**
   * @param register - adds the services to a server
   * @param fate - asked for each new connection
   */
  static async open(register: (server: Server) => void, fate: () => ConnectionFate): Promise<FakeCsiSocket> {
    const files = (await import('fs-extra')).default;
    const directory = await files.mkdtemp(join(tmpdir(), 'fake-csi-'));
    const socket = new FakeCsiSocket(files, directory, register, fate);
    await socket.listen();
    return socket;
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#connections;
  }

  /** How many there are. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Listens, in the place of a socket file that was left behind. */
  async listen(): Promise<void> {
    if (this.#running !== undefined) return;
    await this.#files.remove(this.path);
    const server = new Server();
    this.#register(server);
    // Each connection passes through here, so that it can be counted, dropped, or kept from the server.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const listener = createServer((socket) => {
      this.#connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => undefined);
      const fate = this.#fate();
      if (fate === 'serve') injector.injectConnection(socket);
      else socket.resume();
      if (fate === 'nonsense') socket.write(NONSENSE);
    });
    this.#running = { server, listener };
    listener.listen(this.path);
    await once(listener, 'listening');
  }

  dropConnections(): void {
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  /** Ends as SIGKILL would end it: connections drop, the socket file stays. */
  async crash(): Promise<void> {
    if (this.#running === undefined) return;
    const { server, listener } = this.#running;
    this.#running = undefined;
    // Closing a listener removes its file, by the name it was made with.
    await this.#files.move(this.path, `${this.path}.kept`);
    const closed = once(listener, 'close');
    listener.close();
    this.dropConnections();
    server.forceShutdown();
    await closed;
    await this.#files.move(`${this.path}.kept`, this.path);
  }

  /** Ends for good and leaves nothing behind. */
  async close(): Promise<void> {
    await this.crash();
    await this.#files.remove(this.#directory);
  }
}
