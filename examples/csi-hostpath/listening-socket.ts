import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Stats } from 'node:fs';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';

/** How long something that listens on a socket has to take a connection. */
const PATIENCE_MS = 2_000;

/**
 * Makes a path free for a socket: one that nobody listens on any more, as a process that was killed leaves
 * it, is removed.
 *
 * @throws Error when something listens on it, when that is not certain, and when it is no socket
 */
export async function claimSocket(path: string): Promise<void> {
  const there = await statOf(path);
  if (there === undefined) {
    if ((await statOf(dirname(path))) === undefined) {
      throw new Error(`there is no directory ${dirname(path)} for the socket`);
    }
    return;
  }
  if (!there.isSocket()) throw new Error(`${path} is there, and it is no socket: it is left alone`);
  const answer = await connectTo(path);
  if (answer === 'connected') throw new Error(`another process listens on ${path}`);
  if (answer === 'ENOENT') return;
  if (answer !== 'ECONNREFUSED')
    throw new Error(`it is not certain that nobody listens on ${path}: ${answer}`);
  await unlink(path);
}

/**
 * Listens on a path that was claimed.
 *
 * @throws Error when that is not possible
 */
export async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
      if (error === null) resolve();
      else reject(new Error(`cannot listen on ${path}: ${error.message}`, { cause: error }));
    });
  });
  // Write permission means the right to have volumes mounted: only the owner and the group get it.
  await chmod(path, 0o660);
}

/**
 * Stops listening, which removes the socket, and lets the calls in flight end; those that have not after the
 * given time are cancelled.
 */
export async function shutDown(server: Server, graceMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function connectTo(path: string): Promise<string> {
  const socket = connect(path);
  try {
    return await new Promise<string>((resolve) => {
      socket.once('connect', () => {
        resolve('connected');
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

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
