import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';

/** A request, of HTTP/1.1 or HTTP/2. */
export type FakeHttpRequest = IncomingMessage | Http2ServerRequest;
export type FakeHttpResponse = ServerResponse | Http2ServerResponse;

/** What a fake answers. */
export interface FakeHttpAnswer {
  /** @defaultValue 200 */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text or bytes as they are; anything else as JSON. */
  readonly body?: unknown;
  /** Breaks the connection after so many bytes of the body. */
  readonly cutAfterBytes?: number;
}

/** Its certificate and key, and the authority of its clients, in PEM. */
export interface FakeServerTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** How a fake serves. */
export interface FakeServerOptions {
  /** Whether it offers HTTP/2 too. */
  readonly http2?: boolean;
  readonly handle: (request: FakeHttpRequest) => FakeHttpAnswer | undefined;
}

/** The bytes up to which Go's server knows the length of an answer before it sends the head. */
const LARGEST_KNOWN = { 1: 2_048, 2: 4_096 } as const;

/** An http or https server on 127.0.0.1 that can be cut off and come back on its port. */
export class FakeServer {
  /** With what it listens from the next time on; undefined for plain http. */
  tls: FakeServerTls | undefined;
  readonly #options: FakeServerOptions;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #connections = 0;

  constructor(options: FakeServerOptions) {
    this.#options = options;
  }

  get endpoint(): string {
    return `${this.tls === undefined ? 'http' : 'https'}://127.0.0.1:${String(this.#port)}`;
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#connections;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  async listen(): Promise<void> {
    const server = this.#create();
    server.on('connection', (socket: Socket) => {
      this.#connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Ends as if killed: all connections drop, and nothing listens. */
  async crash(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    this.dropConnections();
    await closed;
  }

  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #create(): Server {
    const { tls } = this;
    const answer = (request: FakeHttpRequest, response: FakeHttpResponse): void => {
      request.resume();
      const found = isPath(request.url) ? this.#options.handle(request) : BAD_REQUEST;
      if (found !== undefined) send(request, response, found);
    };
    if (tls === undefined) return createHttpServer(answer);
    // Whom it trusts is decided for each request, as the kubelet does.
    const options = { ...tls, requestCert: true, rejectUnauthorized: false };
    if (this.#options.http2 === true) return createSecureServer({ ...options, allowHTTP1: true }, answer);
    return createHttpsServer(options, answer);
  }
}

/** What a server of Go answers to a path with a broken escape. */
const BAD_REQUEST: FakeHttpAnswer = {
  status: 400,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body: '400 Bad Request',
};

function isPath(url = ''): boolean {
  try {
    decodeURIComponent(new URL(url, 'http://fake').pathname);
    return true;
  } catch {
    return false;
  }
}

function send(
  request: FakeHttpRequest,
  response: FakeHttpResponse,
  { status = 200, headers = {}, body = '', cutAfterBytes }: FakeHttpAnswer,
): void {
  const bytes =
    typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
  const isKnown = bytes.length <= LARGEST_KNOWN[request.httpVersionMajor === 2 ? 2 : 1];
  response.writeHead(status, { ...headers, ...(isKnown && { 'content-length': String(bytes.length) }) });
  const output = response as ServerResponse;
  if (cutAfterBytes === undefined) {
    // In two parts, so that Node does not add the length itself.
    if (bytes.length > 0) output.write(bytes);
    output.end();
    return;
  }
  output.write(bytes.subarray(0, cutAfterBytes), () => {
    if ('stream' in request) request.stream.session?.destroy();
    else request.socket.destroy();
  });
}

/** The certificate that a client has shown, and whether the server's authority signed it. */
export function clientCertificateOf(
  request: FakeHttpRequest,
): { readonly subject: PeerCertificate['subject']; readonly isTrusted: boolean } | undefined {
  const socket = request.socket as Partial<TLSSocket>;
  const certificate = socket.getPeerCertificate?.();
  if (certificate?.subject === undefined) return undefined;
  return { subject: certificate.subject, isTrusted: socket.authorized === true };
}
