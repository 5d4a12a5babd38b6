import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VolumeStatsCollector } from '../../src/prometheus/index.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import { FakeMetrics } from '../../src/testing/fake-metrics.js';
import { FakeStatsProvider } from '../../src/testing/fake-stats-provider.js';
import { needs } from '../support/needs.js';
import { PrometheusProcess } from '../support/prometheus-process.js';
import { dropInConfiguration } from './drop-in-configuration.js';
import { dashboardQueries } from './persistent-volumes-dashboard.js';
import { SAMPLE } from './volumes.js';

describe.skipIf(needs({ programs: ['prometheus'] }))(
  'a Prometheus server that is set up as docs/prometheus.md says',
  () => {
    let exporter: Server | undefined;
    let prometheus: PrometheusProcess;

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
      exporter.listen(0, '127.0.0.1');
      await once(exporter, 'listening');
      prometheus = await PrometheusProcess.start(
        dropInConfiguration(`127.0.0.1:${String((exporter.address() as AddressInfo).port)}`),
      );
      await prometheus.until('kubelet_volume_stats_capacity_bytes', (found) => found.length > 0);
    });

    afterAll(async () => {
      await prometheus?.close();
      exporter?.closeAllConnections();
      exporter?.close();
    });

    test.each(dashboardQueries('testns', 'testpvc'))(
      'answers the dashboard: %s',
      async (_title, text, expected) => {
        const result = await prometheus.query(text);
        expect(result).toHaveLength(1);
        expect(Number(result[0]?.value[1])).toBeCloseTo(
          expected({
            capacity: Number(SAMPLE.capacity),
            available: Number(SAMPLE.available),
            inodes: Number(SAMPLE.inodes),
            inodesUsed: Number(SAMPLE.inodesUsed),
          }),
          9,
        );
      },
    );

    test('has the labels that dashboards and alerts look for, and ours are not renamed', async () => {
      const [series] = await prometheus.query('kubelet_volume_stats_capacity_bytes');
      expect(series?.metric).toMatchObject({
        job: 'kubelet',
        metrics_path: '/metrics',
        namespace: 'testns',
        persistentvolumeclaim: 'testpvc',
      });
      expect(Object.keys(series?.metric ?? {}).filter((name) => name.startsWith('exported_'))).toEqual([]);
    });

    test('reads label values as they were', async () => {
      const [series] = await prometheus.query('kube_volume_metrics_volume_state{state="failed"}');
      expect(series?.metric['volume_name']).toBe('odd "name"\\\n');
    });

    test('finds the target healthy', async () => {
      expect((await prometheus.query('up{job="kubelet"}')).map(({ value }) => value[1])).toEqual(['1']);
    });
  },
);
