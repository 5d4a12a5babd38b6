import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Stage, VolumeExplanation } from '../../src/explain/finding.js';
import { PrometheusClient } from '../../src/explain/prometheus-api/prometheus-client.js';
import { stringify } from '../../src/stringify.js';
import { needs } from '../support/needs.js';
import { FakeNode, stagesWith, USER } from './support/fake-node.js';
import { RealPrometheus } from './support/real-prometheus.js';

const KUBELET_RIGHTS = ['nodes/pods', 'nodes/stats', 'nodes/metrics', 'nodes/configz'];
const TO_METRICS_PATH = { source_labels: ['__metrics_path__'], target_label: 'metrics_path' };
const TO_NODE = { target_label: 'node', replacement: 'node1' };
const GIVE_UP_MS = 40_000;

describe.skipIf(needs({ programs: ['prometheus'] }))('a real Prometheus that scrapes a kubelet', () => {
  let node: FakeNode;
  let prometheus: RealPrometheus;
  let client: PrometheusClient;
  let token: string;

  beforeEach(async () => {
    node = await FakeNode.start([{ name: 'data' }, { name: 'logs' }], false);
    token = await node.kubelet.tokenFile('secret');
  });

  afterEach(async () => {
    client?.close();
    await prometheus?.close();
    await node?.stop();
  });

  async function serve(scrapes: readonly object[] = [scrape()]): Promise<void> {
    prometheus = await RealPrometheus.start(scrapes, '/prom');
    client = new PrometheusClient({ url: prometheus.url, tenant: 'shop' });
  }

  function scrape(
    more: Record<string, unknown> = {},
    relabel: readonly object[] = [],
  ): Record<string, unknown> {
    return {
      job_name: 'kubelet',
      scheme: 'https',
      honor_labels: true,
      authorization: { credentials_file: token },
      tls_config: { insecure_skip_verify: true },
      static_configs: [{ targets: [new URL(node.kubelet.endpoint).host] }],
      relabel_configs: [TO_METRICS_PATH, TO_NODE, ...relabel],
      ...more,
    };
  }

  async function one(name = 'data'): Promise<VolumeExplanation> {
    return await node.one(name, { node: undefined, prometheus: client });
  }

  /** The explanation, once it is of this kind: scrapes take their time. */
  async function until(
    fits: (found: VolumeExplanation) => boolean,
    name?: string,
  ): Promise<VolumeExplanation> {
    const giveUpAt = Date.now() + GIVE_UP_MS;
    for (;;) {
      const found = await one(name);
      if (fits(found)) return found;
      if (Date.now() > giveUpAt) throw new Error(stringify(found, 1));
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }

  const isExported = ({ result }: VolumeExplanation): boolean => result === 'exported';
  const isBlaming =
    (stage: Stage) =>
    (found: VolumeExplanation): boolean =>
      stagesWith(found, 'cause').includes(stage);

  test('with nothing wrong: exported, every stage of it is ok, each question is asked once', async () => {
    await serve();
    await serve();
    const found = await until(isExported);
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

  /** What breaks the configuration, which stage is blamed, for what, and what to do. */
  const FAULTS: readonly [string, () => object[], Stage, RegExp, RegExp][] = [
    [
      'honorLabels is missing',
      () => [
        scrape({
          honor_labels: false,
          static_configs: [
            { targets: [new URL(node.kubelet.endpoint).host], labels: { namespace: 'kube-system' } },
          ],
        }),
      ],
      'series',
      /namespace is under exported_namespace="shop", and namespace is "kube-system"/,
      /honorLabels: true/,
    ],
    [
      'the job is called otherwise',
      () => [scrape({ job_name: 'k3s-server' })],
      'series',
      /under job "k3s-server", and dashboards select job="kubelet"/,
      /jobNameOverride/,
    ],
    [
      'metrics_path is missing',
      () => [scrape({ relabel_configs: [TO_NODE] })],
      'series',
      /without metrics_path="\/metrics"/,
      /__metrics_path__ to metrics_path/,
    ],
    [
      'metric relabelling drops it',
      () => [
        scrape({
          metric_relabel_configs: [
            { source_labels: ['__name__'], regex: 'kubelet_volume_stats_.*', action: 'drop' },
          ],
        }),
      ],
      'target',
      /is up and offers kubelet_volume_stats_capacity_bytes, and Prometheus keeps none of it/,
      /metricRelabelings/,
    ],
    [
      'metric relabelling drops this claim',
      () => [
        scrape({
          metric_relabel_configs: [
            { source_labels: ['persistentvolumeclaim'], regex: 'data', action: 'drop' },
          ],
        }),
      ],
      'prometheus',
      /has 1 claims of this node, and not this one, which the kubelet exports/,
      /metricRelabelings/,
    ],
    [
      'the sample limit is exceeded',
      () => [scrape({ sample_limit: 2 })],
      'target',
      /is down: sample limit exceeded: the answer has more samples than sampleLimit/,
      /Raise sampleLimit/,
    ],
    [
      'relabelling drops the target',
      () => [scrape({}, [{ source_labels: ['__address__'], action: 'drop' }])],
      'target',
      /^Relabelling drops the target 127\.0\.0\.1:\d+ \(scrape pool kubelet\)/,
      /relabelings/,
    ],
    [
      'there is no target',
      () => [scrape({ static_configs: [{ targets: ['127.0.0.1:1'] }] })],
      'target',
      /^None of the 1 targets of Prometheus is the kubelet of this node \(node1\)/,
      /Endpoints/,
    ],
    [
      'only /metrics/cadvisor is scraped',
      () => [scrape({ metrics_path: '/metrics/cadvisor' })],
      'target',
      /scrapes \/metrics\/cadvisor of this kubelet, and not \/metrics/,
      /Add a scrape of \/metrics/,
    ],
    [
      'there is no token',
      () => [scrape({ authorization: undefined })],
      'target',
      /status 401 Unauthorized: the kubelet does not know who scrapes it/,
      /bearerTokenFile/,
    ],
    [
      'the certificate is not trusted',
      () => [scrape({ tls_config: {} })],
      'target',
      /x509: .*Prometheus does not trust the kubelet's certificate/,
      /insecureSkipVerify/,
    ],
    [
      'the scheme is http',
      () => [scrape({ scheme: 'http', authorization: undefined, tls_config: undefined })],
      'target',
      /is down: .*/,
      /./,
    ],
    [
      'two jobs have the same series, as on k3s',
      () => [scrape(), scrape({ job_name: 'apiserver' })],
      'series',
      /under the jobs .*: panels that join by claim fail with "found duplicate series"/,
      /drop kubelet_volume_stats_\* of the others/,
    ],
    [
      'others have a label cluster',
      () => [
        scrape(),
        scrape({
          job_name: 'east',
          metric_relabel_configs: [
            { target_label: 'cluster', replacement: 'east' },
            {
              target_label: 'persistentvolumeclaim',
              source_labels: ['persistentvolumeclaim'],
              regex: 'data',
              replacement: 'moved',
            },
          ],
        }),
      ],
      'series',
      /the series has no label cluster, and others have \(east\)/i,
      /label cluster/,
    ],
  ];

  test.each(FAULTS)(
    '%s: it alone is blamed, until it is repaired',
    async (_, broken, stage, cause, remedy) => {
      await serve(broken());
      const found = await until((each) => isBlaming(stage)(each) && cause.test(each.cause));
      expect(found.remedy).toMatch(remedy);
      expect(stagesWith(found, 'cause')).toEqual([stage]);
      await prometheus.reload([scrape()]);
      const repaired = await until((each) => isExported(each) && stagesWith(each, 'cause').length === 0);
      expect(repaired.result).toBe('exported');
    },
    2 * GIVE_UP_MS,
  );

  test(
    'a right that Prometheus lacks, named with the rule to add',
    async () => {
      const metricsOnly = { name: 'system:serviceaccount:monitoring:prometheus' };
      node.kubelet.users.tokens.set('of-prometheus', metricsOnly);
      const file = await node.kubelet.tokenFile('of-prometheus');
      await serve([scrape({ authorization: { credentials_file: file } })]);
      const said = 'status 403 Forbidden: Prometheus lacks the right to read nodes/metrics';
      await until((each) => isBlaming('target')(each) && each.cause.includes(said));
      node.allowKubelet([
        { subject: USER, resources: KUBELET_RIGHTS },
        { subject: metricsOnly.name, resources: ['nodes/metrics'] },
      ]);
      expect((await until(isExported)).result).toBe('exported');
      node.allowKubelet();
      await prometheus.reload([scrape()]);
    },
    2 * GIVE_UP_MS,
  );

  test(
    'a claim that the kubelet does not export is not blamed on Prometheus',
    async () => {
      await serve();
      await until(isExported);
      node.serve([{ name: 'data' }, { name: 'logs', hasNumbers: false }]);
      const found = await until(({ result }) => result === 'missing', 'logs');
      expect(stagesWith(found, 'cause')).toEqual([]);
      expect(found.cause).toMatch(/^The kubelet has the pod and no numbers of the volume/);
      node.serve([{ name: 'data' }, { name: 'logs' }]);
    },
    2 * GIVE_UP_MS,
  );

  test('the client has series, label values and instant queries, and says what fails', async () => {
    await serve();
    await until(isExported);
    expect(await client.labelValues('persistentvolumeclaim', '{job="kubelet"}')).toContain('data');
    const series = await client.series(['kubelet_volume_stats_used_bytes{persistentvolumeclaim="data"}']);
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
    const found = await node.one('data', { node: undefined, prometheus: away });
    away.close();
    expect(found.result).toBe('unknown');
    expect(found.cause).toMatch(/^Prometheus at http:\/\/127\.0\.0\.1:1 cannot be reached/);
    expect(stagesWith(found, 'ok')).toContain('kubelet-metrics');
  });
});
