import { checkedOptions, openSignal } from '../options.js';
import { throwIfAborted } from '../waiting/abort.js';
import { badAnswer } from './bad-answer.js';
import { objectOf } from './checked-json.js';
import { checkedDoor, DOOR_OPTION_NAMES, type DoorOptions } from './door-options.js';
import { HttpsDoor, type DoorAnswer } from './https-door.js';
import { excerpt } from './excerpt.js';
import { UnexpectedJson } from './json-list.js';
import { kubeletRefusal } from './kubelet-refusal.js';
import { readSummary, type KubeletSummary } from './kubelet-summary.js';
import { readPodList } from './pod-listing.js';
import type { PodListing, SourceOptions } from './sources.js';

/** Options of {@link KubeletClient}. */
export interface KubeletClientOptions extends DoorOptions {
  /**
   * The kubelet's address. `http://127.0.0.1:10255` is its read-only port, which is off by default.
   *
   * @defaultValue `https://127.0.0.1:10250`
   */
  readonly endpoint?: string | undefined;
}

/** What a kubelet says about itself. */
export interface KubeletHealth {
  readonly healthy: boolean;
  /** `ok`, or which checks failed. Control characters are escaped. */
  readonly message: string;
}

const OPTIONS = ['endpoint', ...DOOR_OPTION_NAMES] as const;
const DEFAULT_ENDPOINT = 'https://127.0.0.1:10250';

/**
 * Asks a kubelet, over its own HTTPS port. It needs these rights, each for one call: `nodes/pods`,
 * `nodes/stats`, `nodes/metrics`, `nodes/healthz`, with the verb get. Before Kubernetes 1.33, `pods` and
 * `healthz` need `nodes/proxy` instead.
 *
 * A call that loses its connection is made again: while the kubelet restarts, for up to 8 s, if it has
 * answered before.
 */
export class KubeletClient {
  /** The kubelet's address, such as `https://127.0.0.1:10250`. */
  readonly endpoint: string;
  readonly #door: HttpsDoor;

  /** @throws TypeError for an invalid or unknown option */
  constructor(options: KubeletClientOptions = {}) {
    const { endpoint = DEFAULT_ENDPOINT, auth = { type: 'none' } } = checkedOptions(options, OPTIONS);
    const door = checkedDoor(endpoint, options, auth);
    this.endpoint = door.url.origin;
    this.#door = new HttpsDoor('KUBELET', door);
  }

  /**
   * The pods that the kubelet knows, static ones among them, in another order each time. Right after it has
   * started, that may be fewer than the API server has: `kubeletPods` waits for these.
   *
   * @throws KubeletError
   */
  async pods(options: SourceOptions = {}): Promise<PodListing> {
    return await this.#read('/pods', options, (body, check) => readPodList(body, 'kubelet', check));
  }

  /**
   * What `/stats/summary` says about filesystems.
   *
   * @throws KubeletError
   */
  async statsSummary(options: SourceOptions = {}): Promise<KubeletSummary> {
    return await this.#read('/stats/summary', options, readSummary);
  }

  /**
   * The kubelet's `/metrics`, in Prometheus' text format.
   *
   * @throws KubeletError
   */
  async metrics(options: SourceOptions = {}): Promise<string> {
    const { body } = await this.#get('/metrics', 'text/plain', options);
    return body.toString('utf8');
  }

  /**
   * The kubelet's configuration, the `kubeletconfig` of its `/configz`. It needs `nodes/configz`, before
   * Kubernetes 1.33 `nodes/proxy`.
   *
   * @throws KubeletError
   */
  async configz(options: SourceOptions = {}): Promise<Readonly<Record<string, unknown>>> {
    return await this.#read('/configz', options, (body) => {
      const config = objectOf(objectOf(JSON.parse(body.toString('utf8')))?.['kubeletconfig']);
      if (config === undefined) throw new UnexpectedJson('it has no kubeletconfig');
      return config;
    });
  }

  /**
   * Whether the kubelet calls itself healthy.
   *
   * @throws KubeletError if it does not say
   */
  async healthz(options: SourceOptions = {}): Promise<KubeletHealth> {
    const isAnswer = ({ status, body }: DoorAnswer): boolean =>
      status === 500 && /^\[[+-]\]/m.test(body.toString('utf8'));
    const { status, body } = await this.#get('/healthz', 'text/plain', options, isAnswer);
    return { healthy: status === 200, message: excerpt(body.toString('utf8')) };
  }

  /** Closes all connections. Calls in flight and later ones fail with KUBELET_UNREACHABLE. */
  close(): void {
    this.#door.close();
  }

  async #read<T>(
    path: string,
    options: SourceOptions,
    read: (body: Buffer, check: () => void) => T | Promise<T>,
  ): Promise<T> {
    const { body, contentType } = await this.#get(path, 'application/json', options);
    try {
      return await read(body, () => {
        throwIfAborted(options.signal);
      });
    } catch (error) {
      throw badAnswer(error, 'KUBELET', `${this.#door.title} answered ${path}`, contentType, body);
    }
  }

  async #get(
    path: string,
    accept: string,
    options: SourceOptions,
    isAnswer?: (answer: DoorAnswer) => boolean,
  ): Promise<DoorAnswer> {
    const answer = await this.#door.get(path, accept, openSignal(options));
    if (answer.status === 200 || isAnswer?.(answer) === true) return answer;
    throw kubeletRefusal(this.#door.title, path, answer.status, answer.body.toString('utf8', 0, 4_096));
  }
}
