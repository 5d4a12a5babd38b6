import { hostname } from 'node:os';
import { checkedFlag, checkedObject, show } from '../../options.js';
import { FakeAuthority } from './certificates.js';
import { FakeFiles } from './fake-files.js';
import { checkedKubelet, type FakeKubeletOptions } from './fake-kubelet-options.js';
import { FakeServer, type FakeHttpAnswer, type FakeHttpRequest } from './fake-server.js';
import { usersOf, type FakeUser, type FakeUsers } from './fake-users.js';
import {
  DEBUGGING_DISABLED,
  DEFAULT_BODIES,
  forbidden,
  kubeletEndpoints,
  NOT_FOUND,
  redirect,
  UNAUTHORIZED,
  type FakeKubeletBody,
  type FakeKubeletVersion,
} from './kubelet-endpoints.js';

/** How it treats its callers: it answers, it never answers, or it drops all connections at each request. */
export type FakeKubeletMode = 'serve' | 'mute' | 'kill';

const MODES: readonly unknown[] = ['serve', 'mute', 'kill'];

/**
 * A kubelet's HTTPS server for tests: a real one, with certificates made at start, that finds out who asks
 * from certificates and tokens, decides by rules, and answers like Kubernetes 1.26 or 1.37. End it with
 * {@link FakeKubelet.stop}.
 */
export class FakeKubelet {
  /** Tokens and rules. Changes count from the next request on. */
  readonly users: FakeUsers;
  /** What it answers, by endpoint. */
  readonly bodies: Record<FakeKubeletBody, unknown>;
  readonly version: FakeKubeletVersion;
  readonly #options: FakeKubeletOptions;
  readonly #server: FakeServer;
  readonly #readOnly: FakeServer | undefined;
  readonly #files: FakeFiles;
  readonly #answers = new Map<string, FakeHttpAnswer>();
  readonly #requests: string[] = [];
  #startedAt = new Date();
  #mode: FakeKubeletMode = 'serve';

  private constructor(files: FakeFiles, options: FakeKubeletOptions) {
    const { version = '1.37', bodies = {}, readOnlyPort, http2 } = options;
    this.version = version;
    this.#files = files;
    this.#options = options;
    this.bodies = { ...DEFAULT_BODIES, ...bodies };
    this.users = usersOf(options);
    this.#server = new FakeServer({
      http2: http2 === undefined ? version === '1.26' : checkedFlag('http2', http2),
      handle: (request) => this.#handle(request, false),
    });
    this.#readOnly = checkedFlag('readOnlyPort', readOnlyPort)
      ? new FakeServer({ handle: (request) => this.#handle(request, true) })
      : undefined;
  }

  /**
   * Starts a kubelet on a free port of 127.0.0.1.
   *
   * @throws TypeError for an invalid or unknown option
   */
  static async start(options: FakeKubeletOptions = {}): Promise<FakeKubelet> {
    checkedKubelet(options);
    const kubelet = new FakeKubelet(await FakeFiles.make('kvm-fake-kubelet-'), options);
    await kubelet.renewCertificate();
    await kubelet.#readOnly?.listen();
    return kubelet;
  }

  /** Where it listens, as `https://127.0.0.1:<port>`. */
  get endpoint(): string {
    return this.#server.endpoint;
  }

  /** Its read-only port, as `http://127.0.0.1:<port>`. */
  get readOnlyEndpoint(): string | undefined {
    return this.#readOnly?.endpoint;
  }

  /** PEM of the authority that signed its certificate. */
  get caFile(): string {
    return this.#files.path('ca.crt');
  }

  /** PEM of its own certificate and of its authority, as a kubelet has them in `pki/kubelet.crt`. */
  get certificateFile(): string {
    return this.#files.path('kubelet.crt');
  }

  /** The paths that were asked for, the oldest first. */
  get requests(): readonly string[] {
    return this.#requests;
  }

  /** How many connections there have been. */
  get connections(): number {
    return this.#server.connections;
  }

  get openConnections(): number {
    return this.#server.openConnections;
  }

  get mode(): FakeKubeletMode {
    return this.#mode;
  }

  /** @throws TypeError unless it is one of the modes */
  set mode(mode: FakeKubeletMode) {
    if (!MODES.includes(mode))
      throw new TypeError(`Expected mode to be serve, mute or kill, got ${show(mode)}`);
    this.#mode = mode;
  }

  /** Answers a path with something else, without asking who it is; undefined goes back to normal. */
  answer(path: string, answer: FakeHttpAnswer | undefined): void {
    if (answer === undefined) this.#answers.delete(path);
    else this.#answers.set(path, checkedObject('answer', answer));
  }

  /**
   * Writes the certificate and key of a client.
   *
   * @param isTrusted - whether its authority is one that the kubelet trusts
   */
  async clientCertificate(user: FakeUser, isTrusted = true): Promise<{ certFile: string; keyFile: string }> {
    return await this.#files.clientCertificate(user, isTrusted);
  }

  /** Writes a token to a file. */
  async tokenFile(token: string): Promise<string> {
    return await this.#files.token(token);
  }

  /** Ends as if by SIGKILL: all connections drop, and nothing listens on its ports. */
  async crash(): Promise<void> {
    await this.#server.crash();
    await this.#readOnly?.crash();
  }

  /** Listens again on the same ports with the same certificate; crashes first if it is running. */
  async restart(): Promise<void> {
    await this.crash();
    this.#startedAt = new Date();
    await this.#server.listen();
    await this.#readOnly?.listen();
  }

  /** Makes a new authority and certificate, writes both, and listens with them. */
  async renewCertificate(): Promise<void> {
    const { hosts = [hostname(), 'localhost', '127.0.0.1'], validity } = this.#options;
    const authority = new FakeAuthority(`${hostname()}-ca@${String(Math.floor(Date.now() / 1000))}`);
    const issued = authority.issue({
      commonName: `${hostname()}@${String(Math.floor(Date.now() / 1000))}`,
      hosts,
      ...(validity !== undefined && { validFrom: validity.from, validTo: validity.to }),
    });
    const cert = issued.certificate + authority.certificate;
    await this.#files.write('ca.crt', authority.certificate);
    await this.#files.write('kubelet.crt', cert);
    await this.#server.crash();
    this.#server.tls = { cert, key: issued.key, ca: this.#files.clientAuthority.certificate };
    await this.#server.listen();
  }

  /** Ends it for good and removes its directory. Once is enough, and twice does no harm. */
  async stop(): Promise<void> {
    await this.crash();
    await this.#files.remove();
  }

  #handle(request: FakeHttpRequest, isReadOnly: boolean): FakeHttpAnswer | undefined {
    const { pathname: path } = new URL(request.url ?? '/', 'http://kubelet');
    this.#requests.push(path);
    if (this.#mode === 'kill') this.#server.dropConnections();
    if (this.#mode !== 'serve') return undefined;
    const other = this.#answers.get(path);
    if (other !== undefined) return other;
    const endpoints = kubeletEndpoints(this.version, this.#startedAt);
    const endpoint = endpoints.get(path);
    if (endpoint === undefined)
      return endpoints.has(`${path}/`) ? redirect(this.version, `${path}/`) : NOT_FOUND;
    if (isReadOnly && endpoint.readOnly !== true)
      return endpoint.readOnly === 404 ? NOT_FOUND : DEBUGGING_DISABLED;
    const refusal = isReadOnly ? undefined : this.#refusal(request, endpoint.subresources);
    return refusal ?? { headers: endpoint.headers, body: this.bodies[endpoint.body] };
  }

  #refusal(request: FakeHttpRequest, subresources: readonly string[]): FakeHttpAnswer | undefined {
    const user = this.users.userOf(request);
    if (user === undefined) return UNAUTHORIZED;
    if (this.#options.authorization === 'AlwaysAllow') return undefined;
    const verb = request.method === 'GET' ? 'get' : 'create';
    if (subresources.some((each) => this.users.allows(user, verb, `nodes/${each}`))) return undefined;
    return forbidden(this.version, user.name, verb, subresources);
  }
}
