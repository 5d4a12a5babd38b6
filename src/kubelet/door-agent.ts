import { Agent as HttpAgent, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { onAbort } from '../waiting/abort.js';
import { hostOf, sniOf, type CheckedDoor } from './door-options.js';

/** What a server's certificate fails with that is not the pinned one. */
class NotThePinnedCertificate extends Error {
  readonly code = 'NOT_THE_PINNED_CERTIFICATE';
}

/** What connecting fails with that takes the whole time of a call. */
class ConnectionTimedOut extends Error {
  readonly code = 'CONNECTION_TIMED_OUT';
}

/** How many connections wait for a next call. How many calls there are at once is for the caller to limit. */
const KEPT_CONNECTIONS = 2;

const COMMON = { keepAlive: true, maxFreeSockets: KEPT_CONNECTIONS };

/**
 * The option of a request that says when its call is over: then a connection that is being made for it ends.
 */
export const CALL_END = Symbol('the end of the call');

/** Options of a request over a {@link DoorAgent}. */
export interface DoorRequestOptions extends RequestOptions {
  readonly [CALL_END]?: AbortSignal;
}

/** Keeps connections over plain http. */
export function plainAgent(): HttpAgent {
  return new HttpAgent(COMMON);
}

type Created = (error: Error | null, socket?: Duplex) => void;

/**
 * Keeps connections over https. A connection counts as made only once the server's certificate is accepted,
 * so that no header with a token leaves before.
 */
export class DoorAgent extends HttpsAgent {
  readonly #door: CheckedDoor;
  readonly #context: SecureContext;
  readonly #pinned: string | undefined;

  /** @param pinned - SHA-256 of the certificate that alone is trusted */
  constructor(door: CheckedDoor, context: SecureContext, pinned: string | undefined) {
    super(COMMON);
    this.#door = door;
    this.#context = context;
    this.#pinned = pinned;
  }

  override createConnection(options: DoorRequestOptions, created: Created): undefined {
    const { url, serverName, insecureSkipTlsVerify, timeoutMs } = this.#door;
    const host = hostOf(url);
    const name = serverName ?? host;
    const socket = connect({
      host,
      port: Number(url.port === '' ? 443 : url.port),
      secureContext: this.#context,
      servername: sniOf(name),
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: this.#pinned === undefined && !insecureSkipTlsVerify,
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    });
    // A host that drops packets would keep it for minutes, and the process with it.
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(new ConnectionTimedOut('there was no connection in time')),
    );
    const stop = onAbort(options[CALL_END], () => socket.destroy(new Error('the call is over')));
    const failed = (error: Error): void => {
      stop();
      created(error);
    };
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      stop();
      socket.off('error', failed);
      socket.setTimeout(0);
      const problem = this.#problemOf(socket);
      if (problem === undefined) {
        created(null, socket);
        return;
      }
      socket.on('error', () => undefined);
      socket.destroy();
      created(problem);
    });
    return undefined;
  }

  /** Ends the connections that wait for a next call now, and the others once they have their answer. */
  retire(): void {
    this.maxFreeSockets = 0;
    for (const sockets of Object.values(this.freeSockets))
      for (const socket of sockets ?? []) socket.destroy();
  }

  #problemOf(socket: TLSSocket): Error | undefined {
    if (this.#pinned === undefined) return undefined;
    const shown = socket.getPeerX509Certificate()?.fingerprint256;
    if (shown === this.#pinned) return undefined;
    return new NotThePinnedCertificate(
      `the server shows the certificate ${shown ?? 'of nobody'}, and pinned is ${this.#pinned}`,
    );
  }
}
