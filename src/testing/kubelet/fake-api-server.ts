import { checkedObject, checkedOptions, show } from '../../options.js';
import { FakeAuthority } from './certificates.js';
import { FakeFiles } from './fake-files.js';
import { FakeServer, type FakeHttpAnswer, type FakeHttpRequest } from './fake-server.js';
import {
  usersOf,
  type FakeAuthentication,
  type FakeRule,
  type FakeUser,
  type FakeUsers,
} from './fake-users.js';
import type { FakeKubelet } from './fake-kubelet.js';
import { mayNodeAsk, type NodeQuestion as Asked } from './node-authorizer.js';
import { RESOURCES, type FakeApiResource, type KubernetesObject } from './api-resources.js';

/** Options of {@link FakeApiServer.start}. */
export interface FakeApiServerOptions extends FakeAuthentication {
  /** Its objects, as JSON has them. */
  readonly objects?: Partial<Readonly<Record<FakeApiResource, readonly object[]>>> | undefined;
  /** Whose each token is. */
  readonly tokens?: Readonly<Record<string, FakeUser>> | undefined;
  /** Who may what, such as `pods`. Nodes may besides ask for what is theirs. @defaultValue nobody anything */
  readonly rules?: readonly FakeRule[] | undefined;
  /** The kubelets behind its proxy, by the name of the node. */
  readonly kubelets?: Readonly<Record<string, Pick<FakeKubelet, 'bodies'>>> | undefined;
}

const OPTIONS = ['objects', 'tokens', 'rules', 'kubelets', 'anonymous', 'webhook'] as const;
const JSON_TYPE = { 'content-type': 'application/json' };

/**
 * An API server for tests: a real HTTPS server with certificates made at start that authenticates, decides by
 * rules, and answers `get` and `list` of what a node needs. End it with {@link FakeApiServer.stop}.
 */
export class FakeApiServer {
  /** Tokens and rules. Changes count from the next request on. */
  readonly users: FakeUsers;
  /** Its objects, by resource. Changes count from the next request on. */
  readonly objects: Record<FakeApiResource, KubernetesObject[]>;
  readonly #kubelets: NonNullable<FakeApiServerOptions['kubelets']>;
  readonly #server: FakeServer;
  readonly #files: FakeFiles;
  readonly #answers = new Map<string, FakeHttpAnswer>();
  readonly #requests: string[] = [];

  private constructor(files: FakeFiles, options: FakeApiServerOptions) {
    const { objects = {}, kubelets = {} } = options;
    const unknown = Object.keys(checkedObject('objects', objects)).find(
      (each) => !Object.hasOwn(RESOURCES, each),
    );
    if (unknown !== undefined) {
      throw new TypeError(
        `Unknown resource ${JSON.stringify(unknown)}: there are ${Object.keys(RESOURCES).join(', ')}`,
      );
    }
    this.#files = files;
    this.objects = Object.fromEntries(
      (Object.keys(RESOURCES) as FakeApiResource[]).map((each) => [each, [...(objects[each] ?? [])]]),
    ) as Record<FakeApiResource, KubernetesObject[]>;
    this.users = usersOf(options);
    this.#kubelets = kubelets;
    this.#server = new FakeServer({ handle: (request) => this.#handle(request) });
  }

  /**
   * Starts an API server on a free port of 127.0.0.1.
   *
   * @throws TypeError for an invalid or unknown option
   */
  static async start(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
    checkedOptions(options, OPTIONS);
    const files = await FakeFiles.make('kvm-fake-api-');
    const api = new FakeApiServer(files, options);
    const authority = new FakeAuthority('fake-cluster-ca');
    await files.write('ca.crt', authority.certificate);
    const hosts = ['localhost', '127.0.0.1', 'kubernetes.default.svc'];
    const { certificate: cert, key } = authority.issue({ commonName: 'kube-apiserver', hosts });
    api.#server.tls = { cert, key, ca: files.clientAuthority.certificate };
    await api.#server.listen();
    return api;
  }

  /** Where it listens, as `https://127.0.0.1:<port>`. */
  get endpoint(): string {
    return this.#server.endpoint;
  }

  /** PEM of the authority that signed its certificate. */
  get caFile(): string {
    return this.#files.path('ca.crt');
  }

  /** The paths that were asked for with their queries, the oldest first. */
  get requests(): readonly string[] {
    return this.#requests;
  }

  /** Answers a path with something else, without asking who it is; undefined goes back to normal. */
  answer(path: string, answer: FakeHttpAnswer | undefined): void {
    if (answer === undefined) this.#answers.delete(path);
    else this.#answers.set(path, checkedObject('answer', answer));
  }

  /** Writes a token to a file. */
  async tokenFile(token: string): Promise<string> {
    return await this.#files.token(token);
  }

  /** Writes the certificate and key of a client. */
  async clientCertificate(user: FakeUser): Promise<{ certFile: string; keyFile: string }> {
    return await this.#files.clientCertificate(user, true);
  }

  /**
   * Writes a kubeconfig for kubectl.
   *
   * @param credentials - a token, or a user who gets a client certificate
   */
  async kubeconfig(credentials: { readonly token: string } | { readonly user: FakeUser }): Promise<string> {
    return await this.#files.kubeconfig(this.endpoint, credentials);
  }

  /** Ends as if by SIGKILL: all connections drop, and nothing listens on its port. */
  async crash(): Promise<void> {
    await this.#server.crash();
  }

  /** Listens again on the same port; crashes first if it is running. */
  async restart(): Promise<void> {
    await this.#server.crash();
    await this.#server.listen();
  }

  /** Ends it for good and removes its directory. Once is enough, and twice does no harm. */
  async stop(): Promise<void> {
    await this.#server.crash();
    await this.#files.remove();
  }

  #handle(request: FakeHttpRequest): FakeHttpAnswer {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api');
    this.#requests.push(request.url ?? '');
    const other = this.#answers.get(pathname);
    if (other !== undefined) return other;
    const user = this.users.userOf(request);
    if (user === undefined) return status(401, 'Unauthorized', 'Unauthorized');
    const asked = askedFor(pathname, searchParams);
    if (asked === undefined)
      return status(404, 'NotFound', 'the server could not find the requested resource');
    const { resource, namespace, name, rest } = asked;
    const { group } = RESOURCES[resource];
    const verb = name === undefined ? 'list' : 'get';
    const right = rest === undefined ? resource : `${resource}/${rest.split('/')[0] ?? ''}`;
    if (!this.users.allows(user, verb, right) && !mayNodeAsk(user, asked, this.objects)) {
      const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
      return status(
        403,
        'Forbidden',
        `${titleOf(asked)} is forbidden: User "${user.name}" cannot ${verb} resource "${right}" in API group "${group}" ${where}`,
        asked,
      );
    }
    if (rest !== undefined) return this.#proxied(name ?? '', rest);
    return name === undefined ? this.#list(asked) : this.#get(asked, name);
  }

  #list({ resource, namespace, query }: Asked): FakeHttpAnswer {
    const { kind, version } = RESOURCES[resource];
    const selectors = (query.get('fieldSelector') ?? '')
      .split(',')
      .filter((each) => each !== '')
      .map((each) => each.split(/==?/));
    const found = this.objects[resource].filter(
      (object) =>
        (namespace === undefined || object.metadata?.namespace === namespace) &&
        selectors.every(([path = '', value]) => fieldOf(object, path) === value),
    );
    const start = Number(query.get('continue') ?? 0);
    // A list from the cache has no pages.
    const limit = query.get('resourceVersion') === '0' ? 0 : Number(query.get('limit') ?? 0);
    const end = limit === 0 ? found.length : start + limit;
    const metadata = {
      resourceVersion: '1',
      ...(end < found.length && { continue: String(end), remainingItemCount: found.length - end }),
    };
    return {
      headers: JSON_TYPE,
      body: { kind: `${kind}List`, apiVersion: version, metadata, items: found.slice(start, end) },
    };
  }

  #get(asked: Asked, name: string): FakeHttpAnswer {
    const { resource, namespace } = asked;
    const { kind, version } = RESOURCES[resource];
    const found = this.objects[resource].find(
      ({ metadata }) => metadata?.name === name && metadata.namespace === namespace,
    );
    if (found !== undefined) return { headers: JSON_TYPE, body: { kind, apiVersion: version, ...found } };
    return status(404, 'NotFound', `${titleOf(asked)} not found`, asked);
  }

  #proxied(node: string, rest: string): FakeHttpAnswer {
    const bodies: Readonly<Record<string, unknown>> | undefined = this.#kubelets[node]?.bodies;
    const path = rest.replace(/^proxy\/?/, '');
    if (bodies === undefined) return status(503, 'ServiceUnavailable', `no kubelet of ${show(node)}`);
    if (!Object.hasOwn(bodies, path)) return { status: 404, body: '404 page not found\n' };
    return { headers: JSON_TYPE, body: bodies[path] };
  }
}

function askedFor(path: string, query: URLSearchParams): Asked | undefined {
  const found =
    /^\/(?:api|apis\/([^/]+))\/(v1)\/(?:namespaces\/([^/]+)\/)?([a-z]+)(?:\/([^/]+)(?:\/(proxy.*))?)?$/.exec(
      path,
    );
  const [, group = '', , namespace, resource = '', name, rest] = found ?? [];
  if (!Object.hasOwn(RESOURCES, resource)) return undefined;
  const known = resource as FakeApiResource;
  if (RESOURCES[known].group !== group) return undefined;
  const decoded = [namespace, name].map((each) =>
    each === undefined ? undefined : decodeURIComponent(each),
  );
  return { resource: known, namespace: decoded[0], name: decoded[1], rest, query };
}

function fieldOf(object: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], object);
}

/** How messages call what was asked for: `csinodes.storage.k8s.io "node1"`. */
function titleOf({ resource, name }: Asked): string {
  const { group } = RESOURCES[resource];
  return `${resource}${group === '' ? '' : `.${group}`}${name === undefined ? '' : ` "${name}"`}`;
}

function status(code: number, reason: string, message: string, asked?: Asked): FakeHttpAnswer {
  const group = asked === undefined ? '' : RESOURCES[asked.resource].group;
  const details = asked && {
    ...(asked.name !== undefined && { name: asked.name }),
    ...(group !== '' && { group }),
    kind: asked.resource,
  };
  const failure = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason };
  const body = { ...failure, ...(details !== undefined && { details }), code };
  return { status: code, headers: JSON_TYPE, body };
}
