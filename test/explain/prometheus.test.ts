import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Stage, VolumeExplanation } from '../../src/explain/finding.js';
import { PrometheusClient } from '../../src/explain/prometheus-api/prometheus-client.js';
import { needs } from '../support/needs.js';
import type { PrometheusProcess } from '../support/prometheus-process.js';
import { stagesWith } from './support/fake-node.js';
import { ScrapedKubelet } from './support/scraped-kubelet.js';
import { scrapeConfiguration, scrapingPrometheus } from './support/scraping-prometheus.js';

/** A Prometheus tells its scrapes of new targets every 5 s. */
const GIVE_UP_MS = 60_000;
const POLL_MS = 500;

/** What is wrong with the scrapes of one kubelet, which stage is blamed, for what, and what to do. */
interface Fault {
  readonly title: string;
  readonly broken: (kubelet: ScrapedKubelet) => readonly object[];
  readonly stage: Stage;
  readonly cause: RegExp;
  readonly remedy: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    title: 'honorLabels is missing',
    broken: (kubelet) => [
      kubelet.scrape('kubelet', {
        honor_labels: false,
        static_configs: [{ targets: [kubelet.address], labels: { namespace: 'kube-system' } }],
      }),
    ],
    stage: 'series',
    cause: /namespace is under exported_namespace="shop", and namespace is "kube-system"/,
    remedy: /honorLabels: true/,
  },
  {
    title: 'the job is called otherwise',
    broken: (kubelet) => [kubelet.scrape('k3s-server')],
    stage: 'series',
    cause: /under job "k3s-server", and dashboards select job="kubelet"/,
    remedy: /jobNameOverride/,
  },
  {
    title: 'metrics_path is missing',
    broken: (kubelet) => [kubelet.scrape('kubelet', {}, [])],
    stage: 'series',
    cause: /without metrics_path="\/metrics"/,
    remedy: /__metrics_path__ to metrics_path/,
  },
  {
    title: 'metric relabelling drops it',
    broken: (kubelet) => [
      kubelet.scrape('kubelet', {
        metric_relabel_configs: [
          { source_labels: ['__name__'], regex: 'kubelet_volume_stats_.*', action: 'drop' },
        ],
      }),
    ],
    stage: 'target',
    cause: /is up and offers kubelet_volume_stats_capacity_bytes, and Prometheus keeps none of it/,
    remedy: /metricRelabelings/,
  },
  {
    title: 'metric relabelling drops this claim',
    broken: (kubelet) => [
      kubelet.scrape('kubelet', {
        metric_relabel_configs: [
          { source_labels: ['persistentvolumeclaim'], regex: kubelet.data, action: 'drop' },
        ],
      }),
    ],
    stage: 'prometheus',
    cause: /has 1 claims? of this node, and not this one, which the kubelet exports/,
    remedy: /metricRelabelings/,
  },
  {
    title: 'the sample limit is exceeded',
    broken: (kubelet) => [kubelet.scrape('kubelet', { sample_limit: 2 })],
    stage: 'target',
    cause: /is down: sample limit exceeded: the answer has more samples than sampleLimit/,
    remedy: /Raise sampleLimit/,
  },
  {
    title: 'relabelling drops the target',
    broken: (kubelet) => [
      kubelet.scrape('kubelet', {}, [{ source_labels: ['__address__'], action: 'drop' }]),
    ],
    stage: 'target',
    cause: /^Relabelling drops the target 127\.0\.0\.1:\d+ \(scrape pool kubelet/,
    remedy: /relabelings/,
  },
  {
    title: 'there is no target',
    broken: () => [],
    stage: 'target',
    cause: /^None of the \d+ targets of Prometheus is the kubelet of this node \(node-\d+\)/,
    remedy: /Endpoints/,
  },
  {
    title: 'only /metrics/cadvisor is scraped',
    broken: (kubelet) => [kubelet.scrape('kubelet', { metrics_path: '/metrics/cadvisor' })],
    stage: 'target',
    cause: /scrapes \/metrics\/cadvisor of this kubelet, and not \/metrics/,
    remedy: /Add a scrape of \/metrics/,
  },
  {
    title: 'there is no token',
    broken: (kubelet) => [kubelet.scrape('kubelet', { authorization: undefined })],
    stage: 'target',
    cause: /status 401 Unauthorized: the kubelet does not know who scrapes it/,
    remedy: /bearerTokenFile/,
  },
  {
    title: 'the certificate is not trusted',
    broken: (kubelet) => [kubelet.scrape('kubelet', { tls_config: {} })],
    stage: 'target',
    cause: /x509: .*Prometheus does not trust the kubelet's certificate/,
    remedy: /insecureSkipVerify/,
  },
  {
    title: 'the scheme is http',
    broken: (kubelet) => [
      kubelet.scrape('kubelet', { scheme: 'http', authorization: undefined, tls_config: undefined }),
    ],
    stage: 'target',
    cause: /^The target http:\/\/127\.0\.0\.1:\d+\/metrics is down: /,
    remedy: /./,
  },
  {
    title: 'two jobs have the same series, as on k3s',
    broken: (kubelet) => [kubelet.scrape(), kubelet.scrape('apiserver')],
    stage: 'series',
    cause: /under the jobs .*: panels that join by claim fail with "found duplicate series"/,
    remedy: /drop kubelet_volume_stats_\* of the others/,
  },
];

/** Concerns every claim of a Prometheus. */
const CLUSTER: Fault = {
  title: 'others have a label cluster',
  broken: (kubelet) => [
    kubelet.scrape(),
    kubelet.scrape('east', {
      metric_relabel_configs: [
        { target_label: 'cluster', replacement: 'east' },
        { target_label: 'persistentvolumeclaim', replacement: 'moved' },
      ],
    }),
  ],
  stage: 'series',
  cause: /the series has no label cluster, and others have \(east\)/i,
  remedy: /label cluster/,
};

const isExported = ({ result }: VolumeExplanation): boolean => result === 'exported';
const isRepaired = (found: VolumeExplanation): boolean =>
  isExported(found) && stagesWith(found, 'cause').length === 0;

/** The explanation, once it is of this kind, or the last one: scrapes take their time. */
async function until(
  explained: () => Promise<VolumeExplanation>,
  fits: (found: VolumeExplanation) => boolean,
): Promise<VolumeExplanation> {
  const giveUpAt = Date.now() + GIVE_UP_MS;
  for (;;) {
    const found = await explained();
    if (fits(found) || Date.now() > giveUpAt) return found;
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

/** A Prometheus, and what it makes of kubelets whose scrapes are broken first and repaired later. */
class Trial {
  readonly client: PrometheusClient;
  readonly broken = new Map<Fault, VolumeExplanation>();
  readonly repaired = new Map<Fault, VolumeExplanation>();

  private constructor(
    readonly prometheus: PrometheusProcess,
    readonly kubelets: ReadonlyMap<Fault, ScrapedKubelet>,
    readonly others: readonly ScrapedKubelet[],
  ) {
    this.client = new PrometheusClient({ url: prometheus.url, tenant: 'shop' });
  }

  /** @param others - kubelets with nothing wrong */
  static async start(faults: readonly Fault[], others: readonly ScrapedKubelet[]): Promise<Trial> {
    const kubelets = new Map<Fault, ScrapedKubelet>();
    for (const fault of faults) kubelets.set(fault, await ScrapedKubelet.start(String(kubelets.size)));
    const scrapes = [...kubelets].flatMap(([fault, kubelet]) => fault.broken(kubelet));
    const sound = others.map((each) => each.scrape());
    return new Trial(await scrapingPrometheus([...scrapes, ...sound], '/prom'), kubelets, others);
  }

  /** Explains all claims until each is blamed on its fault, repairs all scrapes, and explains them again. */
  async run(): Promise<void> {
    // Until the first scrape there is nothing to explain.
    while ((await this.client.query('up')).length === 0)
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    await this.#explainAll(this.broken, ({ stage, cause }, found) => {
      return stagesWith(found, 'cause').includes(stage) && cause.test(found.cause);
    });
    const kubelets = [...this.kubelets.values(), ...this.others];
    await this.prometheus.reload(scrapeConfiguration(kubelets.map((each) => each.scrape())));
    await this.#explainAll(this.repaired, (_, found) => isRepaired(found));
  }

  async #explainAll(
    results: Map<Fault, VolumeExplanation>,
    fits: (fault: Fault, found: VolumeExplanation) => boolean,
  ): Promise<void> {
    await Promise.all(
      [...this.kubelets].map(async ([fault, kubelet]) => {
        const found = await until(
          () => kubelet.explain(this.client),
          (each) => fits(fault, each),
        );
        results.set(fault, found);
      }),
    );
  }

  async close(): Promise<void> {
    this.client.close();
    await this.prometheus.close();
    for (const each of [...this.kubelets.values(), ...this.others]) await each.stop();
  }
}

describe.skipIf(needs({ programs: ['prometheus'] }))('a real Prometheus that scrapes kubelets', () => {
  let sound: ScrapedKubelet;
  let refusing: ScrapedKubelet;
  let trial: Trial;
  let ofClusters: Trial;

  beforeAll(async () => {
    sound = await ScrapedKubelet.start('sound');
    refusing = await ScrapedKubelet.start('refusing');
    refusing.letPrometheusScrape(false);
    [trial, ofClusters] = await Promise.all([
      Trial.start(FAULTS, [sound, refusing]),
      Trial.start([CLUSTER], []),
    ]);
    await Promise.all([trial.run(), ofClusters.run()]);
  }, 4 * GIVE_UP_MS);

  afterAll(async () => {
    await trial?.close();
    await ofClusters?.close();
  });

  test.each([...FAULTS, CLUSTER])('$title: it alone is blamed, until it is repaired', (fault) => {
    const { broken, repaired } = fault === CLUSTER ? ofClusters : trial;
    const found = broken.get(fault)!;
    expect(found.cause).toMatch(fault.cause);
    expect(found.remedy).toMatch(fault.remedy);
    expect(stagesWith(found, 'cause')).toEqual([fault.stage]);
    expect(stagesWith(repaired.get(fault)!, 'cause')).toEqual([]);
    expect(repaired.get(fault)!.result).toBe('exported');
  });

  const explained = async (kubelet: ScrapedKubelet, name?: string): Promise<VolumeExplanation> =>
    await kubelet.explain(trial.client, name);

  test('with nothing wrong: exported, and every stage of it is ok', async () => {
    const found = await until(() => explained(sound), isExported);
    expect(stagesWith(found, 'cause')).toEqual([]);
    expect(stagesWith(found, 'ok').slice(0, 7)).toEqual([
      'dashboard',
      'series',
      'prometheus',
      'target',
      'service',
      'kubelet-metrics',
      'kubelet-summary',
    ]);
    expect(found.findings[0]?.data['value']).toBe(40);
  });

  test('a right that Prometheus lacks is named, until it has it', async () => {
    const said = 'status 403 Forbidden: Prometheus lacks the right to read nodes/metrics';
    const found = await until(
      () => explained(refusing),
      ({ cause }) => cause.includes(said),
    );
    expect(found.cause).toContain(said);
    expect(stagesWith(found, 'cause')).toEqual(['target']);
    refusing.letPrometheusScrape(true);
    expect((await until(() => explained(refusing), isRepaired)).result).toBe('exported');
  });

  test('a claim that the kubelet does not export is not blamed on Prometheus', async () => {
    expect((await until(() => explained(sound, sound.logs), isExported)).result).toBe('exported');
    sound.export(sound.data);
    const isMissing = ({ result }: VolumeExplanation): boolean => result === 'missing';
    const found = await until(() => explained(sound, sound.logs), isMissing);
    expect(stagesWith(found, 'cause')).toEqual([]);
    expect(found.cause).toMatch(/^The kubelet has the pod and no numbers of the volume/);
    sound.export(sound.data, sound.logs);
    expect((await until(() => explained(sound, sound.logs), isExported)).result).toBe('exported');
  });

  test('the client has series, label values and instant queries, and says what fails', async () => {
    const { client, prometheus } = trial;
    expect(await client.labelValues('persistentvolumeclaim', '{job="kubelet"}')).toContain(sound.data);
    const selector = `kubelet_volume_stats_used_bytes{persistentvolumeclaim="${sound.data}"}`;
    const series = await client.series([selector]);
    expect(series.map(({ namespace }) => namespace)).toContain('shop');
    const error = { code: 'PROMETHEUS_QUERY', message: expect.stringMatching(/parse error/) as string };
    await expect(client.query('sum(')).rejects.toMatchObject(error);
    const join = 'kubelet_volume_stats_used_bytes / on(namespace) kubelet_volume_stats_capacity_bytes';
    await expect(client.query(join)).rejects.toMatchObject({ code: 'PROMETHEUS_QUERY' });
    const elsewhere = new PrometheusClient({ url: new URL(prometheus.url).origin });
    await expect(elsewhere.query('up')).rejects.toMatchObject({ code: 'PROMETHEUS_FAILED', status: 404 });
    elsewhere.close();
    const small = new PrometheusClient({ url: prometheus.url, maxAnswerBytes: 10 });
    await expect(small.query('up')).rejects.toMatchObject({ code: 'PROMETHEUS_TOO_LARGE' });
    small.close();
  });

  test('a Prometheus that cannot be reached is unknown, and what the kubelet exports is said', async () => {
    const away = new PrometheusClient({ url: 'http://127.0.0.1:1' });
    const found = await sound.explain(away);
    away.close();
    expect(found.result).toBe('unknown');
    expect(found.cause).toMatch(/^Prometheus at http:\/\/127\.0\.0\.1:1 cannot be reached/);
    expect(stagesWith(found, 'ok')).toContain('kubelet-metrics');
  });
});
