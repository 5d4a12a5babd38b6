/** What is needed of a registry: those of prom-client 15 and of `@prometheus-io/client` have it. */
export interface PrometheusRegistry {
  // `never`: the clients declare classes of their own here, and take any object of the right shape.
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
}

/** Label values by label name. One object for one series, for good: both clients remember how they wrote it. */
export type Labels = Readonly<Record<string, string>>;

/** One sample as the clients want it: `labels` are its own, `sharedLabels` those whose text is remembered between scrapes. */
export interface Sample {
  readonly value: number;
  readonly labels: Labels;
  readonly sharedLabels: Labels;
  /** The name of the line, where it is not the metric's: `..._bucket`. */
  readonly metricName: string | undefined;
}

/** What a metric is called, and what it tells. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
}

/** @throws TypeError when it lacks the methods of a registry */
export function checkedRegistry(value: PrometheusRegistry): PrometheusRegistry {
  const given: Partial<PrometheusRegistry> | null | undefined = value;
  if (typeof given?.registerMetric === 'function' && typeof given.getSingleMetric === 'function')
    return value;
  throw new TypeError(
    'Expected registry to be a Registry of prom-client or @prometheus-io/client: it has no registerMetric and getSingleMetric',
  );
}

/**
 * A metric whose samples are those of the moment when it is scraped. It has the shape that registries of both clients read, and
 * nothing that a scrape could change.
 */
export class ScrapedMetric {
  /** Not readonly: a registry that writes OpenMetrics takes `_total` off. */
  name: string;
  readonly help: string;
  readonly type: Family['type'];
  /** In a cluster each process has its own volumes or all have the same: adding up is wrong in both cases. */
  readonly aggregator = 'first';
  readonly #samples: () => readonly Sample[];

  constructor({ name, help, type }: Family, samples: () => readonly Sample[]) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#samples = samples;
  }

  /** For JSON, which knows no shared labels; the registry may write into what it gets. */
  // eslint-disable-next-line @typescript-eslint/require-await -- async is the clients' contract
  async get(): Promise<object> {
    const values = this.#samples().map(({ value, labels, sharedLabels, metricName }) => ({
      value,
      labels: { ...sharedLabels, ...labels },
      ...(metricName !== undefined && { metricName }),
    }));
    return this.#object(values);
  }

  /** For text. */
  // eslint-disable-next-line @typescript-eslint/require-await -- async is the clients' contract
  async getForPromString(): Promise<object> {
    return this.#object(this.#samples());
  }

  /** There is nothing to set back: the numbers are not kept here. */
  reset(): void {
    return;
  }

  #object(values: readonly object[]): object {
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }
}
