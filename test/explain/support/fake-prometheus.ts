import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PrometheusClient } from '../../../src/explain/prometheus-api/prometheus-client.js';
import { NODE } from './fake-node.js';

type Question = 'dashboard' | 'series' | 'counts' | 'active' | 'dropped' | 'offering';
export type Answering = (response: ServerResponse) => void;

/** An HTTP server that answers like a Prometheus which has the claim `shop/data`, and counts. */
export class FakePrometheus {
  /** What was asked, the oldest first. */
  readonly questions: Question[] = [];
  readonly client: PrometheusClient;
  /** Answers some questions otherwise. */
  readonly answers = new Map<Question, Answering>();
  readonly #server: Server;

  private constructor(server: Server, instance: string, claims: readonly string[]) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.client = new PrometheusClient({ url: `http://127.0.0.1:${String(port)}` });
    const usual = usualAnswers(instance, claims);
    server.on('request', (request, response: ServerResponse) => {
      const question = questionOf(new URL(request.url ?? '', 'http://prometheus'));
      this.questions.push(question);
      (this.answers.get(question) ?? json({ status: 'success', data: usual[question] }))(response);
    });
  }

  /** @param instance - the kubelet that it scrapes */
  static async start(instance: string, claims: readonly string[] = ['data']): Promise<FakePrometheus> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakePrometheus(server, instance, claims);
  }

  /** Answers all questions in the same way; or as usual again. */
  answerAll(answering: Answering | undefined): void {
    for (const each of ['dashboard', 'series', 'counts', 'active', 'dropped', 'offering'] as const) {
      if (answering === undefined) this.answers.delete(each);
      else this.answers.set(each, answering);
    }
  }

  async stop(): Promise<void> {
    this.client.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export function json(body: unknown, status = 200): Answering {
  return text(JSON.stringify(body), status, 'application/json');
}

export function text(body: string, status = 200, type = 'text/html'): Answering {
  return (response) => {
    response.writeHead(status, { 'content-type': type });
    response.end(body);
  };
}

function questionOf({ pathname, searchParams }: URL): Question {
  if (pathname.endsWith('/targets/metadata')) return 'offering';
  if (pathname.endsWith('/targets')) return searchParams.get('state') === 'dropped' ? 'dropped' : 'active';
  const query = searchParams.get('query') ?? '';
  if (query.includes('topk')) return 'dashboard';
  return query.startsWith('count by') ? 'counts' : 'series';
}

function usualAnswers(instance: string, claims: readonly string[]): Record<Question, unknown> {
  const kubelet = { job: 'kubelet', instance, node: NODE, metrics_path: '/metrics' };
  const vector = (result: readonly unknown[]): object => ({ resultType: 'vector', result });
  const ofClaims = (value: string): object =>
    vector(
      claims.map((persistentvolumeclaim) => ({
        metric: { ...kubelet, namespace: 'shop', persistentvolumeclaim },
        value: [1, value],
      })),
    );
  const scrapeUrl = `https://${instance}/metrics`;
  const target = { discoveredLabels: { __address__: instance }, labels: kubelet, scrapeUrl, health: 'up' };
  return {
    dashboard: ofClaims('40'),
    series: ofClaims('100'),
    counts: vector([{ metric: kubelet, value: [1, String(claims.length)] }]),
    active: { activeTargets: [target, { labels: { job: 'node' }, health: 'up' }] },
    dropped: { droppedTargets: [] },
    offering: [{ target: kubelet, type: 'gauge' }],
  };
}
