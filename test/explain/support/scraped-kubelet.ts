import { explain } from '../../../src/explain/explain.js';
import type { VolumeExplanation } from '../../../src/explain/finding.js';
import type { PrometheusClient } from '../../../src/explain/prometheus-api/prometheus-client.js';
import { KubeletClient } from '../../../src/kubelet/kubelet-client.js';
import { FakeKubelet } from '../../../src/testing/kubelet/index.js';
import { metricsOf, podList, podOf, USER } from './fake-node.js';

const SCRAPER = 'system:serviceaccount:monitoring:prometheus';
const RIGHTS = ['nodes/pods', 'nodes/stats', 'nodes/metrics', 'nodes/configz'];
const TO_METRICS_PATH = { source_labels: ['__metrics_path__'], target_label: 'metrics_path' };

/**
 * A kubelet that one of many scrapes of a Prometheus is about. Its node and its two claims have names of
 * their own, so that faults don't meet.
 */
export class ScrapedKubelet {
  readonly node: string;
  readonly data: string;
  readonly logs: string;
  readonly #kubelet: FakeKubelet;
  readonly #client: KubeletClient;
  readonly #tokenOfPrometheus: string;

  private constructor(name: string, kubelet: FakeKubelet, tokens: { own: string; prometheus: string }) {
    [this.node, this.data, this.logs] = [`node-${name}`, `data-${name}`, `logs-${name}`];
    this.#kubelet = kubelet;
    this.#tokenOfPrometheus = tokens.prometheus;
    this.#client = new KubeletClient({
      endpoint: kubelet.endpoint,
      auth: { type: 'serviceAccount', tokenFile: tokens.own },
      pinnedCertificateFile: kubelet.certificateFile,
    });
    this.letPrometheusScrape(true);
    this.export(this.data, this.logs);
  }

  static async start(name: string): Promise<ScrapedKubelet> {
    const tokens = { own: { name: USER }, prometheus: { name: SCRAPER } };
    const kubelet = await FakeKubelet.start({ tokens });
    return new ScrapedKubelet(name, kubelet, {
      own: await kubelet.tokenFile('own'),
      prometheus: await kubelet.tokenFile('prometheus'),
    });
  }

  letPrometheusScrape(isAllowed: boolean): void {
    this.#kubelet.users.rules = [
      { subject: USER, resources: RIGHTS },
      ...(isAllowed ? [{ subject: SCRAPER, resources: ['nodes/metrics'] }] : []),
    ];
  }

  /** The kubelet has numbers of these claims alone; pods use both. */
  export(...claims: readonly string[]): void {
    const pods = [this.data, this.logs].map((name) => podOf({ name, nodeName: this.node }));
    this.#kubelet.bodies.pods = podList(pods);
    this.#kubelet.bodies.metrics = metricsOf(claims.map((name) => ({ name })));
    this.#kubelet.bodies['stats/summary'] = {
      node: { nodeName: this.node },
      pods: pods.map(({ metadata }) => ({
        podRef: metadata,
        volume: claims
          .filter((name) => metadata.name === `${name}-pod`)
          .map((name) => ({
            name: 'data',
            time: new Date().toISOString(),
            ...{ capacityBytes: 100, availableBytes: 60, usedBytes: 40, inodes: 10 },
            pvcRef: { namespace: 'shop', name },
          })),
      })),
    };
  }

  /**
   * A scrape of it as kube-prometheus makes one.
   *
   * @param job - the label
   * @param more - in place of its parts
   * @param relabel - after its own relabelling
   */
  scrape(
    job = 'kubelet',
    more: Record<string, unknown> = {},
    relabel: readonly object[] = [TO_METRICS_PATH],
  ): object {
    return {
      job_name: `${job} of ${this.node}`,
      scheme: 'https',
      honor_labels: true,
      authorization: { credentials_file: this.#tokenOfPrometheus },
      tls_config: { insecure_skip_verify: true },
      static_configs: [{ targets: [this.address] }],
      relabel_configs: [
        { target_label: 'job', replacement: job },
        { target_label: 'node', replacement: this.node },
        ...relabel,
      ],
      ...more,
    };
  }

  get address(): string {
    return new URL(this.#kubelet.endpoint).host;
  }

  async explain(prometheus: PrometheusClient, name = this.data): Promise<VolumeExplanation> {
    const claim = { namespace: 'shop', name };
    const { volumes } = await explain({ kubelet: this.#client, prometheus, claim });
    if (volumes[0] === undefined || volumes.length > 1) throw new Error(`got ${JSON.stringify(volumes)}`);
    return volumes[0];
  }

  async stop(): Promise<void> {
    this.#client.close();
    await this.#kubelet.stop();
  }
}
