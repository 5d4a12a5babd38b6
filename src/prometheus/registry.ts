/** The part of a registry that is needed. Those of prom-client 15 and of `@prometheus-io/client` have it. */
export interface PrometheusRegistry {
  // `never`: the clients declare their own classes here, and take any object of the right shape.
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
}

/**
 * Label values by label name. A series keeps the same object for good, because both clients remember its
 * text.
 */
export type Labels = Readonly<Record<string, string>>;

/**
 * One sample as the clients take it: the text of `labels` is written each time, that of `sharedLabels` is
 * remembered.
 */
export interface Sample {
  readonly value: number;
  readonly labels: Labels;
  readonly sharedLabels: Labels;
  /** The name of the line, if it differs from the metric's: `..._bucket`. */
  readonly metricName: string | undefined;
}

/** What a registry is told about a metric. */
export interface MetricHead {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
}

/** @throws TypeError if it lacks the methods of a registry */
export function checkedRegistry(value: PrometheusRegistry): PrometheusRegistry {
  const given: Partial<PrometheusRegistry> | null | undefined = value;
  if (typeof given?.registerMetric === 'function' && typeof given.getSingleMetric === 'function')
    return value;
  throw new TypeError(
    'Expected registry to be a Registry of prom-client or @prometheus-io/client: it has no registerMetric and getSingleMetric',
  );
}

/**
 * A metric whose samples are taken when it is scraped. It has the shape that both clients read, and no state.
 */
export class ScrapedMetric {
  /** Not readonly: a registry that writes OpenMetrics removes `_total`. */
  name: string;
  readonly help: string;
  readonly type: MetricHead['type'];
  /**
   * In a cluster each process has its own volumes, or all have the same ones. Adding up would be wrong in
   * both cases.
   */
  readonly aggregator = 'first';
  readonly #samples: () => readonly Sample[];

  constructor({ name, help, type }: MetricHead, samples: () => readonly Sample[]) {
    this.name = name;
    this.help = help;
    this.type = type;
    this.#samples = samples;
  }

  /** For JSON, which has no shared labels. The registry may write into the result. */
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

  /** Does nothing: the numbers are not kept here. */
  reset(): void {
    return;
  }

  #object(values: readonly object[]): object {
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }
}
