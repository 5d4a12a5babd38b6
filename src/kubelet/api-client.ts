import { checkedObject, checkedOptions, checkedText, openSignal, show } from '../options.js';
import { throwIfAborted } from '../waiting/abort.js';
import { apiRefusal } from './api-refusal.js';
import { badAnswer } from './bad-answer.js';
import { objectOf, textOf } from './checked-json.js';
import {
  checkedDoor,
  DOOR_OPTION_NAMES,
  SERVICE_ACCOUNT,
  TLS_OPTION_NAMES,
  type DoorOptions,
} from './door-options.js';
import { HttpsDoor, type DoorAnswer } from './https-door.js';
import { MOST_BYTES_OF_OBJECT, readJsonList, UnexpectedJson } from './json-list.js';
import { Kubectl, type KubectlOptions } from './kubectl.js';
import type { SourceOptions } from './sources.js';

/** Options of {@link ApiClient}. Those of {@link DoorOptions} but the limits apply to `https` alone. */
export interface ApiClientOptions extends DoorOptions {
  /**
   * `https` asks the API server itself; `kubectl` runs `kubectl get --raw`, and so has its contexts, exec
   * plugins and proxies.
   *
   * @defaultValue `https` with an `endpoint` and in a pod (KUBERNETES_SERVICE_HOST is set), else `kubectl`
   */
  readonly transport?: 'https' | 'kubectl' | undefined;
  /** @defaultValue in a pod, the API server's own */
  readonly endpoint?: string | undefined;
  /** Which kubectl is run, and for which cluster. */
  readonly kubectl?: KubectlOptions | undefined;
}

const OPTIONS = ['transport', 'endpoint', 'kubectl', ...DOOR_OPTION_NAMES] as const;

/** How the API server is asked: a status and a body for a path. */
interface Transport {
  readonly title: string;
  get(path: string, accept: string, signal: AbortSignal | undefined): Promise<DoorAnswer>;
  close(): void;
}

const PAGE = '500';

/**
 * Asks an API server: `get` and `list`, nothing else. In a pod it uses the pod's service account, anywhere
 * else kubectl as it is configured.
 */
export class ApiClient {
  /** What people call it, such as `the API server at https://10.0.0.1` or `kubectl`. */
  readonly name: string;
  readonly #transport: Transport;

  /** @throws TypeError for an invalid or unknown option, and for `https` without an endpoint outside a pod */
  constructor(options: ApiClientOptions = {}) {
    this.#transport = transportFor(checkedOptions(options, OPTIONS));
    this.name = this.#transport.title;
  }

  /**
   * The body of the answer to a GET.
   *
   * @param path - with its query, such as `/api/v1/nodes/node1`
   * @returns undefined if there is no such object
   * @throws TypeError unless the path begins with `/api/` or `/apis/`; KubeletError with a code `API_*`
   */
  async request(path: string, options: SourceOptions = {}): Promise<Buffer | undefined> {
    if (!/^\/apis?\/[\x21-\x7e]+$/.test(checkedText('path', path))) {
      throw new TypeError(`Expected path to begin with /api/ or /apis/, in ASCII, got ${show(path)}`);
    }
    const signal = openSignal(options);
    const { status, body } = await this.#transport.get(path, 'application/json', signal);
    if (status === 200) return body;
    if (status === 404 && isStatusNotFound(body)) return undefined;
    throw apiRefusal(this.name, path, status, body.toString('utf8', 0, 8_192));
  }

  /**
   * One object, parsed.
   *
   * @param path - such as `/api/v1/namespaces/shop/persistentvolumeclaims/data`
   * @returns undefined if there is none
   * @throws KubeletError with a code `API_*`
   */
  async get(path: string, options: SourceOptions = {}): Promise<object | undefined> {
    const body = await this.request(path, options);
    if (body === undefined) return undefined;
    try {
      if (body.length > MOST_BYTES_OF_OBJECT) throw new UnexpectedJson(`it has ${String(body.length)} bytes`);
      const value = objectOf(JSON.parse(body.toString('utf8')));
      if (value === undefined) throw new UnexpectedJson('it is not an object');
      return value;
    } catch (error) {
      throw badAnswer(error, 'API', `${this.name} answered ${path}`, '', body);
    }
  }

  /**
   * The objects of a list, each parsed. A long list is asked for in pages of 500.
   *
   * @param path - without `limit` and `continue`, such as `/api/v1/persistentvolumeclaims`
   * @throws KubeletError with a code `API_*`; API_FAILED with status 404 if there is no such list
   */
  async list(path: string, options: SourceOptions = {}): Promise<readonly unknown[]> {
    const items: unknown[] = [];
    await this.each(path, (item) => items.push(item), options);
    return items;
  }

  /**
   * The same as {@link ApiClient.list}, one object after the other: for a long list of which little is kept.
   *
   * @param take - called with each object, in the order of the list
   * @throws KubeletError with a code `API_*`
   */
  async each(path: string, take: (item: unknown) => void, options: SourceOptions = {}): Promise<void> {
    let next: string | undefined = '';
    for (let before: string | undefined; next !== undefined && next !== before;) {
      before = next;
      const query = new URLSearchParams({ limit: PAGE, ...(next !== '' && { continue: next }) });
      next = await this.#page(`${path}${path.includes('?') ? '&' : '?'}${query.toString()}`, options, take);
    }
  }

  /** Closes all connections. Calls in flight and later ones over https fail with API_UNREACHABLE. */
  close(): void {
    this.#transport.close();
  }

  /** @returns where the next page begins */
  async #page(
    path: string,
    options: SourceOptions,
    take: (item: unknown) => void,
  ): Promise<string | undefined> {
    const body = await this.request(path, options);
    if (body === undefined) throw apiRefusal(this.name, path, 404, '');
    try {
      const others = await readJsonList(body, {
        list: 'items',
        mostBytes: MOST_BYTES_OF_OBJECT,
        onEntry: (text) => {
          take(JSON.parse(text));
        },
        onTooLarge: (index, bytes) => {
          throw new UnexpectedJson(`its item ${String(index)} has ${String(bytes)} bytes`);
        },
        check: () => {
          throwIfAborted(options.signal);
        },
      });
      if (!textOf(others.get('kind'))?.endsWith('List')) throw new UnexpectedJson('it is not a list');
      return textOf(objectOf(others.get('metadata'))?.['continue']);
    } catch (error) {
      throw badAnswer(error, 'API', `${this.name} answered ${path}`, '', body);
    }
  }
}

/** A 404 of Kubernetes about an object, and not one of another server or about an unknown path. */
function isStatusNotFound(body: Buffer): boolean {
  const text = body.toString('utf8', 0, 8_192);
  return /"reason":\s*"NotFound"/.test(text) && /"kind":\s*"Status"/.test(text);
}

function transportFor(options: ApiClientOptions): Transport {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
  const inPod =
    host === undefined || host === ''
      ? undefined
      : `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const {
    endpoint,
    kubectl,
    transport = endpoint !== undefined || inPod !== undefined ? 'https' : 'kubectl',
  } = options;
  if (transport === 'kubectl') {
    const useless = TLS_OPTION_NAMES.find((name) => options[name] !== undefined);
    if (endpoint !== undefined || useless !== undefined) {
      throw new TypeError(
        `Expected no ${useless ?? 'endpoint'} with the transport kubectl, which has its own configuration`,
      );
    }
    return new Kubectl(kubectl === undefined ? {} : checkedObject('kubectl', kubectl), options);
  }
  if (transport !== 'https')
    throw new TypeError(`Expected transport to be https or kubectl, got ${show(transport)}`);
  if (kubectl !== undefined) throw new TypeError('Expected no kubectl with the transport https');
  const address = endpoint ?? inPod;
  if (address === undefined) {
    throw new TypeError(
      'Expected endpoint with the transport https: this is no pod (KUBERNETES_SERVICE_HOST is not set)',
    );
  }
  const { caFile, pinnedCertificateFile, insecureSkipTlsVerify, auth = { type: 'serviceAccount' } } = options;
  const isTrustGiven =
    caFile !== undefined || pinnedCertificateFile !== undefined || insecureSkipTlsVerify === true;
  const trust = isTrustGiven || endpoint !== undefined ? {} : { caFile: `${SERVICE_ACCOUNT}/ca.crt` };
  return new HttpsDoor('API', checkedDoor(address, { ...options, ...trust }, auth));
}
