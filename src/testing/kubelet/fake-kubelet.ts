import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkedFlag, checkedObject, checkedOptions, show } from '../../options.js';
import { FakeAuthority, type CertificateAndKey } from './certificates.js';
import { FakeServer, type FakeHttpAnswer, type FakeHttpRequest } from './fake-server.js';
import {
  checkedTokens,
  FakeUsers,
  type FakeAuthentication,
  type FakeRule,
  type FakeUser,
} from './fake-users.js';
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

/** Options of {@link FakeKubelet.start}. */
export interface FakeKubeletOptions extends FakeAuthentication {
  /** @defaultValue `'1.37'` */
  readonly version?: FakeKubeletVersion | undefined;
  /** What it answers, by endpoint: a text or bytes as they are, anything else as JSON. */
  readonly bodies?: Partial<Readonly<Record<FakeKubeletBody, unknown>>> | undefined;
  /** Whose each token is. */
  readonly tokens?: Readonly<Record<string, FakeUser>> | undefined;
  /** Who may what, as `nodes/pods`. @defaultValue nobody anything */
  readonly rules?: readonly FakeRule[] | undefined;
  /** `AlwaysAllow` asks for no rule. @defaultValue `'Webhook'` */
  readonly authorization?: 'Webhook' | 'AlwaysAllow' | undefined;
  /** Whether it also listens on a port over http, for reading, without credentials. @defaultValue `false` */
  readonly readOnlyPort?: boolean | undefined;
  /** Whether it also speaks HTTP/2, as kubelets did before 1.37. @defaultValue by the version */
  readonly http2?: boolean | undefined;
  /** The host names and addresses in its certificate. @defaultValue this host, localhost and 127.0.0.1 */
  readonly hosts?: readonly string[] | undefined;
  /** From when to when its certificate is valid. */
  readonly validity?: { readonly from: Date; readonly to: Date } | undefined;
}

/** How it treats its callers: it answers, it never answers, or it drops all connections at each request. */
export type FakeKubeletMode = 'serve' | 'mute' | 'kill';

const OPTIONS = [
  'version',
  'bodies',
  'tokens',
  'rules',
  'authorization',
  'readOnlyPort',
  'http2',
  'hosts',
  'validity',
  'anonymous',
  'webhook',
] as const;
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
  /** A temporary directory; `ca.crt` has its authority, `kubelet.crt` its own certificate. */
  readonly directory: string;
  readonly version: FakeKubeletVersion;
  readonly #options: FakeKubeletOptions;
  readonly #server: FakeServer;
  readonly #readOnly: FakeServer | undefined;
  readonly #clientAuthority = new FakeAuthority('fake-client-ca');
  readonly #answers = new Map<string, FakeHttpAnswer>();
  readonly #requests: string[] = [];
  #startedAt = new Date();
  #mode: FakeKubeletMode = 'serve';

  private constructor(directory: string, options: FakeKubeletOptions) {
    const {
      version = '1.37',
      bodies = {},
      tokens,
      rules = [],
      readOnlyPort,
      http2,
      authorization = 'Webhook',
    } = options;
    if (version !== '1.26' && version !== '1.37')
      throw new TypeError(`Expected version to be 1.26 or 1.37, got ${show(version)}`);
    if (authorization !== 'Webhook' && authorization !== 'AlwaysAllow') {
      throw new TypeError(`Expected authorization to be Webhook or AlwaysAllow, got ${show(authorization)}`);
    }
    const unknown = Object.keys(checkedObject('bodies', bodies)).find(
      (each) => !Object.hasOwn(DEFAULT_BODIES, each),
    );
    if (unknown !== undefined)
      throw new TypeError(
        `Unknown body ${JSON.stringify(unknown)}: there are ${Object.keys(DEFAULT_BODIES).join(', ')}`,
      );
    this.version = version;
    this.directory = directory;
    this.#options = options;
    this.bodies = { ...DEFAULT_BODIES, ...bodies };
    this.users = new FakeUsers(options);
    this.users.rules = rules;
    for (const [token, user] of Object.entries(checkedTokens(tokens))) this.users.tokens.set(token, user);
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
    checkedOptions(options, OPTIONS);
    const directory = await mkdtemp(join(tmpdir(), 'kvm-fake-kubelet-'));
    const kubelet = new FakeKubelet(directory, options);
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
    return join(this.directory, 'ca.crt');
  }

  /** PEM of its own certificate and of its authority, as a kubelet has them in `pki/kubelet.crt`. */
  get certificateFile(): string {
    return join(this.directory, 'kubelet.crt');
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
    const authority = isTrusted ? this.#clientAuthority : new FakeAuthority('another-ca');
    const issued = authority.issue({ commonName: user.name, organizations: user.groups ?? [] });
    const name = `client-${String(Date.now())}-${Math.random().toString(36).slice(2)}`;
    const [certFile, keyFile] = [join(this.directory, `${name}.crt`), join(this.directory, `${name}.key`)];
    await writeFile(certFile, issued.certificate);
    await writeFile(keyFile, issued.key, { mode: 0o600 });
    return { certFile, keyFile };
  }

  /** Writes a token to a file. */
  async tokenFile(token: string): Promise<string> {
    const file = join(this.directory, `token-${Math.random().toString(36).slice(2)}`);
    await writeFile(file, token, { mode: 0o600 });
    return file;
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
    const issued: CertificateAndKey = authority.issue({
      commonName: `${hostname()}@${String(Math.floor(Date.now() / 1000))}`,
      hosts,
      ...(validity !== undefined && { validFrom: validity.from, validTo: validity.to }),
    });
    const cert = issued.certificate + authority.certificate;
    await writeFile(this.caFile, authority.certificate);
    await writeFile(this.certificateFile, cert);
    await this.#server.crash();
    this.#server.tls = { cert, key: issued.key, ca: this.#clientAuthority.certificate };
    await this.#server.listen();
  }

  /** Ends it for good and removes its directory. Once is enough, and twice does no harm. */
  async stop(): Promise<void> {
    await this.crash();
    await rm(this.directory, { recursive: true, force: true });
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
