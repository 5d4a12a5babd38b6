import { ServerCredentials, type Server } from '@grpc/grpc-js';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { BigIntStats } from 'node:fs';
import { chmod, link, lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server as Listener, type Socket } from 'node:net';
import { posix } from 'node:path';
import { Duplex, pipeline } from 'node:stream';
import { errorText, propertyOf } from '../../errors.js';
import { checkedOptions, show } from '../../options.js';
import { LONGEST_SOCKET_PATH_BYTES, socketPath } from '../messages/socket-path.js';
import { RewriteAuthority } from './rewrite-authority.js';

/** Options of {@link listenOnSocket}. */
export interface ListenOnSocketOptions {
  /**
   * The permissions of the socket: who may write to it may call the server.
   *
   * @defaultValue `0o660`: the owner and the group
   */
  readonly mode?: number;
}

/** A socket that a server listens on. */
export interface ListeningSocket {
  /** Its path. */
  readonly path: string;
  /** Whether the path still leads to it: the file may have been removed, or replaced. */
  isThere(): Promise<boolean>;
  /**
   * Stops listening and removes the socket, unless the path leads to one of another process by now. Open
   * connections stay: the server's `tryShutdown` ends them.
   */
  close(): Promise<void>;
}

const OPTIONS = ['mode'] as const;

/** How long a process that listens on the path has to take a connection. */
const PATIENCE_MS = 2_000;

/**
 * Lets a gRPC server listen on a unix socket, in place of `bindAsync`. Four things differ:
 *
 * - A socket that a killed process left behind is replaced. One that a process listens on is not.
 * - From the moment it is at its path, only owner and group can connect, whatever the umask is.
 * - Kubelets before 1.26 are served too. They send the socket's path as `:authority`, and Node's HTTP/2
 *   resets their calls before a handler sees them (kubernetes/kubernetes#112597, grpc/grpc-node#258).
 * - It goes on listening when the server is shut down, and keeps the process alive, until it is closed.
 *
 * @param server - the server, with its services
 * @param endpoint - where to listen: `/abs`, `unix:/abs` or `unix:///abs`
 * @returns the socket, once connections are taken
 * @throws TypeError for an invalid endpoint or option; Error with a `code`: EADDRINUSE if a process listens
 * there, or may do so; EEXIST if the path is there and is no socket; ENOENT or EACCES for a directory that is
 * missing, or not writable
 */
export async function listenOnSocket(
  server: Server,
  endpoint: string,
  options: ListenOnSocketOptions = {},
): Promise<ListeningSocket> {
  const path = socketPath(endpoint);
  const { mode = 0o660 } = checkedOptions(options, OPTIONS);
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
    throw new TypeError(`Expected mode to be permissions between 0 and 0o777, got ${show(mode)}`);
  }
  await makeWay(path);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer((socket) => {
    injector.injectConnection(withLocalhost(socket));
  });
  // Another name first: the socket comes to its path with its permissions, at once, and only if nothing is
  // there. And a closing listener removes the name that it was made with, no matter whose it is by then.
  const madeAs = nameBeside(path);
  try {
    listener.listen(madeAs);
    await once(listener, 'listening');
    // Such as EMFILE: a connection that cannot be taken now is taken later.
    listener.on('error', () => undefined);
    await chmod(madeAs, mode);
    const own = await lstat(madeAs, { bigint: true });
    await link(madeAs, path);
    await unlink(madeAs);
    return new SocketOfServer(path, own, listener);
  } catch (error) {
    listener.close();
    throw listenError(path, error, madeAs);
  }
}

class SocketOfServer implements ListeningSocket {
  readonly path: string;
  readonly #own: BigIntStats;
  readonly #listener: Listener;

  constructor(path: string, own: BigIntStats, listener: Listener) {
    this.path = path;
    this.#own = own;
    this.#listener = listener;
  }

  async isThere(): Promise<boolean> {
    const there = await statOf(this.path);
    return there !== undefined && isSame(there, this.#own);
  }

  async close(): Promise<void> {
    this.#listener.close();
    if (!(await this.isThere())) return;
    await unlink(this.path).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  }
}

/** What the server gets of a connection: the client's calls with an `:authority` that Node takes. */
function withLocalhost(socket: Socket): Duplex {
  const rewritten = new RewriteAuthority();
  // Its errors are the connection's, and the HTTP/2 session is told by its end.
  pipeline(socket, rewritten, () => undefined);
  const connection = Duplex.from({ readable: rewritten, writable: socket });
  // A session that stopped reading never comes to the end.
  socket.once('close', () => connection.destroy());
  return connection;
}

/** A name that the kubelet, which looks for sockets in its folder, ignores. */
function nameBeside(path: string): string {
  const { dir, base } = posix.parse(path);
  const unique = randomBytes(4).toString('hex');
  const full = posix.join(dir, `.${base}.${unique}`);
  if (Buffer.byteLength(full) <= LONGEST_SOCKET_PATH_BYTES) return full;
  return posix.join(dir, `.${unique}`.slice(0, Buffer.byteLength(base)));
}

/** Removes a socket that nobody listens on any more. */
async function makeWay(path: string): Promise<void> {
  const there = await statOf(path);
  if (there === undefined) {
    // Listening would say EACCES.
    const directory = posix.dirname(path);
    if ((await statOf(directory)) !== undefined) return;
    throw failure('ENOENT', `there is no directory ${directory} for the socket`);
  }
  if (!there.isSocket()) {
    throw failure('EEXIST', `${path} is there and is no socket: remove it, or choose another path`);
  }
  const answer = await connectTo(path);
  if (answer === 'ENOENT') return;
  if (answer !== 'ECONNREFUSED') {
    const why = answer === undefined ? '' : `, it seems: ${answer}`;
    throw failure('EADDRINUSE', `another process listens on ${path}${why}`);
  }
  const now = await statOf(path);
  // Another process replaced it, maybe with a file of the same number: the link will fail.
  if (now === undefined || !isSame(now, there) || now.ctimeNs !== there.ctimeNs) return;
  await unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw listenError(path, error);
  });
}

/** Why a client cannot connect: a code, or words; undefined if it can. */
async function connectTo(path: string): Promise<string | undefined> {
  const socket = connect(path);
  try {
    return await new Promise<string | undefined>((resolve) => {
      socket.once('connect', () => {
        resolve(undefined);
      });
      socket.once('error', (error) => {
        resolve(codeOf(error) ?? error.message);
      });
      socket.setTimeout(PATIENCE_MS, () => {
        resolve('it does not answer');
      });
    });
  } finally {
    socket.destroy();
  }
}

async function statOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw listenError(path, error);
  }
}

/** A socket that is listened on keeps its inode, so no other file can have its number. */
function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.dev === other.dev && one.ino === other.ino;
}

function listenError(path: string, error: unknown, madeAs = path): Error {
  const code = codeOf(error) ?? 'EIO';
  if (code === 'EEXIST') return failure('EADDRINUSE', `another process listens on ${path}`, error);
  return failure(code, `cannot listen on ${path}: ${errorText(error).replaceAll(madeAs, path)}`, error);
}

function failure(code: string, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code });
}

function codeOf(error: unknown): string | undefined {
  const code = propertyOf(error, 'code');
  return typeof code === 'string' ? code : undefined;
}
