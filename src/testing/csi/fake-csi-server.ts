import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type fsExtra from 'fs-extra';
import { once } from 'node:events';
import { createServer, type Server as Listener, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { IdentityService, NodeService } from '../../csi/gen/csi/v1/csi.js';
import { propertyOf } from '../../errors.js';
import { show } from '../../reading.js';
import type { FailureStatus } from '../../csi/messages/grpc-status.js';

const RPCS = { ...IdentityService, ...NodeService };

/** The name of an RPC of the fake, as in the generated code: `nodeGetVolumeStats`. */
export type FakeCsiRpc = keyof (IdentityService & NodeService);

/** The request of an RPC. */
export type FakeCsiRequest<Rpc extends FakeCsiRpc> = ReturnType<
  (IdentityService & NodeService)[Rpc]['requestDeserialize']
>;

/** The response of an RPC. */
export type FakeCsiResponse<Rpc extends FakeCsiRpc> = ReturnType<
  (IdentityService & NodeService)[Rpc]['responseDeserialize']
>;

/** What an RPC answers: a message; bytes, which need not be a valid message; or a failure. */
export type FakeCsiAnswer<Rpc extends FakeCsiRpc> = FakeCsiResponse<Rpc> | Buffer | FailureStatus;

/** @throws TypeError unless the fake has this RPC */
export function checkedRpc<Rpc extends FakeCsiRpc>(rpc: Rpc): Rpc {
  if (Object.hasOwn(RPCS, rpc)) return rpc;
  throw new TypeError(`Unknown RPC ${JSON.stringify(rpc)}: the RPCs are ${Object.keys(RPCS).join(', ')}`);
}

/** @throws TypeError unless it can be an answer; undefined is no answer at all */
export function checkedAnswer<Answer>(rpc: FakeCsiRpc, answer: Answer): Answer {
  if (answer === undefined || (typeof answer === 'object' && answer !== null)) return answer;
  const forms = 'a message, a Buffer or { code, details }';
  throw new TypeError(`Expected the answer of ${rpc} to be ${forms}, got ${show(answer)}`);
}

/** A call that the fake received. */
export type FakeCsiCall = ServerUnaryCall<unknown, unknown>;

/**
 * The fake's services: like the real ones, except that a response may be bytes.
 *
 * @param handle - answers a call; undefined leaves it without an answer
 */
export function fakeServices(
  handle: (rpc: FakeCsiRpc, call: FakeCsiCall) => Promise<FakeCsiAnswer<FakeCsiRpc> | undefined>,
): readonly { readonly definition: object; readonly implementation: UntypedServiceImplementation }[] {
  return [IdentityService, NodeService].map((service) => {
    const rpcs = Object.keys(service) as FakeCsiRpc[];
    return {
      definition: Object.fromEntries(rpcs.map((rpc) => [rpc, withRawResponses(rpc)])),
      implementation: Object.fromEntries(
        rpcs.map((rpc) => [
          rpc,
          (call: FakeCsiCall, callback: sendUnaryData<unknown>) => {
            const answered = handle(rpc, call).then((answer) => checkedAnswer(rpc, answer));
            void answered.then((answer) => {
              if (answer === undefined) return;
              if (isFailure(answer)) callback(answer);
              else callback(null, answer);
            }, callback);
          },
        ]),
      ),
    };
  });
}

function withRawResponses(rpc: FakeCsiRpc): object {
  const definition = RPCS[rpc];
  const serialize = definition.responseSerialize as (response: unknown) => Buffer;
  return {
    ...definition,
    responseSerialize: (response: unknown) => (Buffer.isBuffer(response) ? response : serialize(response)),
  };
}

function isFailure(answer: object): answer is FailureStatus {
  return 'code' in answer && 'details' in answer;
}

/**
 * What happens to a new connection: the gRPC server gets it, it is kept and never answered, or it is answered
 * with nonsense.
 */
export type ConnectionFate = 'serve' | 'keep' | 'nonsense';

/** Not a frame of HTTP/2: read as one, it would be 16 MiB long and of type 255. */
const NONSENSE = Buffer.alloc(64, 0xff);

/**
 * A gRPC server that can be killed and started again on the same unix socket, and whose connections can be
 * counted and dropped.
 */
export class FakeCsiServer {
  /** Loaded when a driver is started, not with the entry. */
  readonly #files: typeof fsExtra;
  /** A temporary one; undefined if the path was given. */
  readonly #directory: string | undefined;
  readonly path: string;
  readonly #register: (server: Server) => void;
  readonly #fate: () => ConnectionFate;
  readonly #sockets = new Set<Socket>();
  #running: { readonly server: Server; readonly listener: Listener } | undefined;
  #connections = 0;
  #isClosed = false;

  private constructor(
    files: typeof fsExtra,
    directory: string | undefined,
    path: string,
    register: (server: Server) => void,
    fate: () => ConnectionFate,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.path = path;
    this.#register = register;
    this.#fate = fate;
  }

  /**
   * @param register - adds the services to a server
   * @param fate - asked for each new connection
   * @param path - where to listen, instead of a temporary directory
   * @throws Error if something is at the path, or its directory is missing
   */
  static async open(
    register: (server: Server) => void,
    fate: () => ConnectionFate,
    path?: string,
  ): Promise<FakeCsiServer> {
    const files = (await import('fs-extra')).default;
    if (path !== undefined) {
      if (!(await files.pathExists(dirname(path)))) throw new Error(`there is no directory ${dirname(path)}`);
      // Not even a socket that nobody listens on: it is not this driver's.
      if ((await files.readdir(dirname(path))).includes(basename(path))) {
        throw new Error(`something is at ${path}: remove it first`);
      }
    }
    const directory = path === undefined ? await files.mkdtemp(join(tmpdir(), 'fake-csi-')) : undefined;
    const socket = new FakeCsiServer(
      files,
      directory,
      path ?? join(directory ?? '', 'csi.sock'),
      register,
      fate,
    );
    await socket.listen();
    return socket;
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#connections;
  }

  /** How many of them are open. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  /**
   * Listens, and replaces a socket file that was left behind.
   *
   * @throws Error after {@link FakeCsiServer.close}
   */
  async listen(): Promise<void> {
    if (this.#isClosed) throw new Error('the fake driver has been stopped: start a new one');
    if (this.#running !== undefined) return;
    await this.#removeSocket();
    const server = new Server();
    this.#register(server);
    // Every connection passes through here, so that it can be counted, dropped, or withheld from the server.
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
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.crash();
    if (this.#directory === undefined) await this.#removeSocket();
    else await this.#files.remove(this.#directory);
  }

  async #removeSocket(): Promise<void> {
    await this.#files.unlink(this.path).catch((error: unknown) => {
      if (propertyOf(error, 'code') !== 'ENOENT') throw error;
    });
  }
}
