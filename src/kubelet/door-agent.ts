import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, connect, type SecureContext, type TLSSocket } from 'node:tls';
import { hostOf, sniOf, type CheckedDoor } from './door-options.js';

/** What a server's certificate fails with that is not the pinned one. */
export class NotThePinnedCertificate extends Error {
  readonly code = 'NOT_THE_PINNED_CERTIFICATE';
}

/** What connecting fails with that takes the whole time of a call. */
class ConnectionTimedOut extends Error {
  readonly code = 'CONNECTION_TIMED_OUT';
}

/** At most so many connections to one server; more calls wait for one. */
const MOST_CONNECTIONS = 8;
const KEPT_CONNECTIONS = 2;

const COMMON = { keepAlive: true, maxSockets: MOST_CONNECTIONS, maxFreeSockets: KEPT_CONNECTIONS };

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

  override createConnection(_: unknown, created: Created): undefined {
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
    socket.once('error', created);
    socket.once('secureConnect', () => {
      socket.off('error', created);
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
