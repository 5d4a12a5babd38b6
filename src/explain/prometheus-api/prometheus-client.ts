import { errorText } from '../../errors.js';
import { HttpsDoor, type DoorAnswer } from '../../kubelet/https-door.js';
import { listOf, objectOf, textOf, type JsonObject } from '../../kubelet/checked-json.js';
import { excerpt } from '../../kubelet/excerpt.js';
import { KubeletError } from '../../kubelet/kubelet-error.js';
import type { SourceOptions } from '../../kubelet/sources.js';
import { openSignal } from '../../options.js';
import { PrometheusError, type PrometheusErrorCode } from './prometheus-error.js';
import { checkedPrometheus, type PrometheusClientOptions } from './prometheus-options.js';

/** The labels of a series or a target. Texts are as they came: escape them before a person reads them. */
export type Labels = Readonly<Record<string, string>>;

/** One series of an instant query. */
export interface PrometheusSample {
  readonly labels: Labels;
  /** As a double: NaN and infinities are possible. */
  readonly value: number;
}

/** One target, as `/api/v1/targets` has it. */
export interface PrometheusTarget {
  /** After relabelling; empty for one that was dropped. */
  readonly labels: Labels;
  /** Before relabelling, with `__address__` and `__meta_*`. */
  readonly discovered: Labels;
  readonly scrapePool?: string;
  readonly scrapeUrl?: string;
  /** `up`, `down` or `unknown`; absent for one that was dropped. */
  readonly health?: string;
  /** Why the last scrape failed; absent if it did not. */
  readonly lastError?: string;
}

/** How Prometheus writes a number. */
const SAMPLE = /^([+-]?(\d+(\.\d+)?(e[+-]?\d+)?|Inf)|NaN)$/;

/** Statuses at which Prometheus' API answers with JSON that says what is wrong. */
const API_STATUSES = new Set([400, 422, 503]);

/** Asks a Prometheus server: the few questions that finding a series needs. It only reads. */
export class PrometheusClient {
  /** What messages call it, such as `Prometheus at http://127.0.0.1:9090`. */
  readonly name: string;
  readonly #door: HttpsDoor;
  readonly #prefix: string;

  /** @throws TypeError for an option that is missing, invalid or unknown */
  constructor(options: PrometheusClientOptions) {
    const { prefix, ...door } = checkedPrometheus(options);
    this.#door = new HttpsDoor('PROMETHEUS', door);
    this.#prefix = prefix;
    this.name = `${this.#door.title}${prefix}`;
  }

  /**
   * The value of an expression now: a vector.
   *
   * @throws PrometheusError; PROMETHEUS_QUERY if it cannot be evaluated
   */
  async query(expression: string, options: SourceOptions = {}): Promise<readonly PrometheusSample[]> {
    const data = objectOf(await this.#get('query', { query: expression }, options));
    if (data?.['resultType'] !== 'vector') throw this.#bad('query', 'its result is not a vector');
    return this.#listIn('query', data['result']).map((each) => {
      const given = objectOf(each);
      const value = listOf(given?.['value'])[1];
      if (given === undefined || typeof value !== 'string' || !SAMPLE.test(value))
        throw this.#bad('query', `it has a sample without a number: ${excerpt(JSON.stringify(each))}`);
      return { labels: labelsOf(given['metric']), value: Number(value.replace('Inf', 'Infinity')) };
    });
  }

  /**
   * The labels of the series that match any of these selectors in the last five minutes.
   *
   * @throws PrometheusError
   */
  async series(selectors: readonly string[], options: SourceOptions = {}): Promise<readonly Labels[]> {
    const start = String(Math.floor(Date.now() / 1000) - 300);
    const data = await this.#get('series', { 'match[]': selectors, start }, options);
    return this.#listIn('series', data).map(labelsOf);
  }

  /**
   * The values of a label, as a dashboard's variable lists them.
   *
   * @param selector - only of series that match it
   * @throws PrometheusError
   */
  async labelValues(
    label: string,
    selector: string,
    options: SourceOptions = {},
  ): Promise<readonly string[]> {
    const path = `label/${encodeURIComponent(label)}/values`;
    const data = await this.#get(path, { 'match[]': [selector] }, options);
    return this.#listIn(path, data).flatMap((each) => textOf(each) ?? []);
  }

  /**
   * The targets that are scraped, or that relabelling dropped.
   *
   * @throws PrometheusError; PROMETHEUS_FAILED with status 404 where the server is not Prometheus itself
   */
  async targets(
    state: 'active' | 'dropped',
    options: SourceOptions = {},
  ): Promise<readonly PrometheusTarget[]> {
    const data = objectOf(await this.#get('targets', { state }, options));
    return this.#listIn('targets', data?.[`${state}Targets`]).map(targetFrom);
  }

  /**
   * The targets that offer a metric, whether or not relabelling keeps it.
   *
   * @returns the labels of each
   * @throws PrometheusError
   */
  async targetsOffering(metric: string, options: SourceOptions = {}): Promise<readonly Labels[]> {
    const data = await this.#get('targets/metadata', { metric }, options);
    return this.#listIn('targets/metadata', data).map((each) => labelsOf(objectOf(each)?.['target']));
  }

  /** Closes all connections. Calls in flight and later ones fail with PROMETHEUS_UNREACHABLE. */
  close(): void {
    this.#door.close();
  }

  async #get(
    path: string,
    parameters: Readonly<Record<string, string | readonly string[]>>,
    options: SourceOptions,
  ): Promise<unknown> {
    const signal = openSignal(options);
    const query = new URLSearchParams();
    for (const [name, values] of Object.entries(parameters)) {
      for (const value of [values].flat()) query.append(name, value);
    }
    try {
      const url = `${this.#prefix}/api/v1/${path}?${query.toString()}`;
      return this.#dataOf(path, await this.#door.get(url, 'application/json', signal));
    } catch (error) {
      if (!(error instanceof KubeletError)) throw error;
      const { message, status } = error;
      throw new PrometheusError(error.code as PrometheusErrorCode, message, { status, cause: error.cause });
    }
  }

  #dataOf(path: string, answer: DoorAnswer): unknown {
    const { status } = answer;
    const text = answer.body.toString('utf8', 0, 4_096);
    if (status === 401 || status === 403) {
      const [code, what] =
        status === 401
          ? (['PROMETHEUS_UNAUTHENTICATED', 'does not know who asks'] as const)
          : (['PROMETHEUS_FORBIDDEN', 'refuses'] as const);
      throw this.#error(code, `${what} (${String(status)}): check auth and tenant`, status);
    }
    if (status !== 200 && !API_STATUSES.has(status)) {
      const said = text.trim() === '' ? '' : `: ${excerpt(text)}`;
      const hint =
        status === 404
          ? '. Is this Prometheus, and is a path in front of /api/v1 missing from the url?'
          : status >= 500
            ? ''
            : '. Is a proxy or a login page in between?';
      throw this.#error(
        'PROMETHEUS_FAILED',
        `answered ${path} with status ${String(status)}${said}${hint}`,
        status,
      );
    }
    let body: JsonObject | undefined;
    try {
      body = objectOf(JSON.parse(answer.body.toString('utf8')));
    } catch (error) {
      throw this.#bad(path, `${excerpt(errorText(error))}. It begins with ${excerpt(text.slice(0, 60))}`);
    }
    if (body?.['status'] === 'success') return body['data'];
    if (body?.['status'] !== 'error') throw this.#bad(path, 'it has no status');
    const said = `${textOf(body['errorType']) ?? 'error'}: ${textOf(body['error']) ?? ''}`;
    throw this.#error('PROMETHEUS_QUERY', `cannot answer ${path}: ${excerpt(said)}`, status);
  }

  /** Go writes an empty list as null. */
  #listIn(path: string, value: unknown): readonly unknown[] {
    if (value === null || Array.isArray(value)) return listOf(value);
    throw this.#bad(path, 'it has no list where one should be');
  }

  #bad(path: string, why: string): PrometheusError {
    return this.#error(
      'PROMETHEUS_BAD_ANSWER',
      `answered ${path} with something else than it should: ${why}`,
    );
  }

  #error(code: PrometheusErrorCode, what: string, status?: number): PrometheusError {
    return new PrometheusError(code, `${this.name} ${what}`, { status });
  }
}

function labelsOf(value: unknown): Labels {
  const labels = Object.entries(objectOf(value) ?? {}).filter(
    (each): each is [string, string] => typeof each[1] === 'string',
  );
  return Object.fromEntries(labels);
}

function targetFrom(value: unknown): PrometheusTarget {
  const given = objectOf(value) ?? {};
  const [scrapePool, scrapeUrl, health, lastError] = ['scrapePool', 'scrapeUrl', 'health', 'lastError'].map(
    (name) => textOf(given[name]),
  );
  return {
    labels: labelsOf(given['labels']),
    discovered: labelsOf(given['discoveredLabels']),
    ...(scrapePool !== undefined && { scrapePool }),
    ...(scrapeUrl !== undefined && { scrapeUrl }),
    ...(health !== undefined && { health }),
    ...(lastError !== undefined && { lastError }),
  };
}
