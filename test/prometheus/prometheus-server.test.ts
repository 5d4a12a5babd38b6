import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VolumeStatsCollector } from '../../src/prometheus/index.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import { FakeMetrics } from '../../src/testing/fake-metrics.js';
import { FakeStatsProvider } from '../../src/testing/fake-stats-provider.js';
import { needs } from '../support/needs.js';
import { SAMPLE } from './volumes.js';

const DOCS = resolve(import.meta.dirname, '../../docs/prometheus.md');
const GIVE_UP_MS = 30_000;
const POLL_MS = 100;

/** The selector of kubernetes-mixin's dashboard "Persistent Volumes", whose six queries are asked below (Apache-2.0). */
const SEL = 'cluster="", job="kubelet", namespace="testns", persistentvolumeclaim="testpvc"';

describe.skipIf(needs({ programs: ['prometheus'] }))(
  'a Prometheus server that is set up as docs/prometheus.md says',
  () => {
    let exporter: Server | undefined;
    let prometheus: ChildProcess | undefined;
    let folder: string | undefined;
    let url: string;
    let log = '';

    beforeAll(async () => {
      const claim = { persistentVolumeClaim: { claimName: 'testpvc' } };
      const analyzer = new FsResourceAnalyzer(
        new FakeStatsProvider([
          {
            name: 'testpod',
            namespace: 'testns',
            volumes: {
              data: { provider: new FakeMetrics({ script: [SAMPLE] }), spec: claim },
              'odd "name"\\\n': new FakeMetrics({ script: [new Error('x')] }),
            },
          },
        ]),
      );
      await analyzer.calculate();
      const registry = new Registry();
      new VolumeStatsCollector(analyzer, { registry });
      exporter = createServer((_request, response) => {
        response.setHeader('content-type', registry.contentType);
        void registry.metrics().then((text) => response.end(text));
      });
      const target = `127.0.0.1:${String(await listen(exporter))}`;
      const port = await freePort();
      url = `http://127.0.0.1:${String(port)}`;
      folder = mkdtempSync(join(tmpdir(), 'kvm-prometheus-'));
      writeFileSync(join(folder, 'prometheus.yml'), configuration(target));
      prometheus = spawn('prometheus', [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${String(port)}`,
      ]);
      prometheus.stderr?.on('data', (text) => (log += String(text)));
      await scraped();
    });

    afterAll(async () => {
      if (prometheus?.exitCode === null && prometheus.kill('SIGKILL')) await once(prometheus, 'exit');
      exporter?.closeAllConnections();
      exporter?.close();
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    /** The drop-in configuration of the guide, for this exporter, without waiting a minute for the first scrape. */
    function configuration(target: string): string {
      const blocks = [...readFileSync(DOCS, 'utf8').matchAll(/^```yaml\n(scrape_configs:[\s\S]*?)^```$/gm)];
      const dropIn =
        blocks.map(([, text = '']) => text).find((text) => text.includes('replacement: kubelet')) ?? '';
      expect(dropIn).toContain("'127.0.0.1:9100'");
      return `global: { scrape_interval: 200ms, scrape_timeout: 200ms }\n${dropIn.replace('127.0.0.1:9100', target)}`;
    }

    async function scraped(): Promise<void> {
      const giveUpAt = Date.now() + GIVE_UP_MS;
      for (;;) {
        const result = await query('kubelet_volume_stats_capacity_bytes').catch(() => []);
        if (result.length > 0) return;
        if (Date.now() > giveUpAt || prometheus?.exitCode !== null)
          throw new Error(`nothing was scraped\n${log}`);
        await new Promise((wake) => setTimeout(wake, POLL_MS));
      }
    }

    async function query(
      text: string,
    ): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
      const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(text)}`);
      const { status, data, error } = (await response.json()) as {
        status: string;
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
        error?: string;
      };
      if (status !== 'success') throw new Error(error);
      return data.result;
    }

    test.each([
      [
        'used space',
        `(sum without(instance, node) (topk(1, (kubelet_volume_stats_capacity_bytes{${SEL}}))) - sum without(instance, node) (topk(1, (kubelet_volume_stats_available_bytes{${SEL}}))))`,
        10434699264 - 5663154176,
      ],
      [
        'free space',
        `sum without(instance, node) (topk(1, (kubelet_volume_stats_available_bytes{${SEL}})))`,
        5663154176,
      ],
      [
        'space in percent',
        `max without(instance,node) ((topk(1, kubelet_volume_stats_capacity_bytes{${SEL}}) - topk(1, kubelet_volume_stats_available_bytes{${SEL}})) / topk(1, kubelet_volume_stats_capacity_bytes{${SEL}}) * 100)`,
        ((10434699264 - 5663154176) / 10434699264) * 100,
      ],
      [
        'used inodes',
        `sum without(instance, node) (topk(1, (kubelet_volume_stats_inodes_used{${SEL}})))`,
        16,
      ],
      [
        'free inodes',
        `(sum without(instance, node) (topk(1, (kubelet_volume_stats_inodes{${SEL}}))) - sum without(instance, node) (topk(1, (kubelet_volume_stats_inodes_used{${SEL}}))))`,
        655360 - 16,
      ],
      [
        'inodes in percent',
        `max without(instance,node) (topk(1, kubelet_volume_stats_inodes_used{${SEL}}) / topk(1, kubelet_volume_stats_inodes{${SEL}}) * 100)`,
        (16 / 655360) * 100,
      ],
    ])('answers the dashboard: %s', async (_title, text, expected) => {
      const result = await query(text);
      expect(result).toHaveLength(1);
      expect(Number(result[0]?.value[1])).toBeCloseTo(expected, 9);
    });

    test('has the labels that dashboards and alerts look for, and ours are not renamed', async () => {
      const [series] = await query('kubelet_volume_stats_capacity_bytes');
      expect(series?.metric).toMatchObject({
        job: 'kubelet',
        metrics_path: '/metrics',
        namespace: 'testns',
        persistentvolumeclaim: 'testpvc',
      });
      expect(Object.keys(series?.metric ?? {}).filter((name) => name.startsWith('exported_'))).toEqual([]);
    });

    test('reads label values as they were', async () => {
      const [series] = await query('kube_volume_metrics_volume_state{state="failed"}');
      expect(series?.metric['volume_name']).toBe('odd "name"\\\n');
    });

    test('finds the target healthy', async () => {
      expect((await query('up{job="kubelet"}')).map(({ value }) => value[1])).toEqual(['1']);
    });
  },
);

async function listen(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}
