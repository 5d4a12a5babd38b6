// Exports filesystems as claims: `npm run example exporter data=/srv/data logs=/var/log`, then
// http://127.0.0.1:9100/metrics.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FsResourceAnalyzer, MetricsStatFs, type Pod } from 'kube-volume-metrics';
import { VolumeStatsCollector } from 'kube-volume-metrics/prometheus';
import { Registry } from 'prom-client';

const paths = new Map(
  process.argv.slice(2).map((argument) => argument.split(/=(.*)/s, 2) as [string, string]),
);
const names = [...paths.keys()];
const pod: Pod = {
  metadata: { uid: 'host', name: 'host', namespace: 'default' },
  spec: { volumes: names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } })) },
};
const volumes = new Map([...paths].map(([name, path]) => [name, new MetricsStatFs(path)]));
const analyzer = new FsResourceAnalyzer({ getPods: () => [pod], listVolumesForPod: () => volumes });
const registry = new Registry();
new VolumeStatsCollector(analyzer, { registry });
analyzer.start();

const server = createServer((_request, response) => {
  response.setHeader('content-type', registry.contentType);
  void registry.metrics().then((text) => response.end(text));
}).listen(Number(process.env['PORT'] ?? 9100), '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/metrics\n`);
});
