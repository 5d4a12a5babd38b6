// Run by newer-client.mjs under the Node that it fetched, with the folder where the clients are.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { FsResourceAnalyzer } from 'kube-volume-metrics';
import { VolumeStatsCollector } from 'kube-volume-metrics/prometheus';
import { FakeMetrics, FakeStatsProvider } from 'kube-volume-metrics/testing';

const require = createRequire(join(process.argv[2] ?? '', 'package.json'));
const newer = require('@prometheus-io/client');
const older = require('prom-client');

// Not before the calls, so that the readings do not count as cached.
const time = new Date(Date.now() + 1_000);
const reading = { time, capacity: 10434699264n, used: 0n, condition: { abnormal: true, message: '' } };
const analyzer = new FsResourceAnalyzer(
  new FakeStatsProvider([
    {
      name: 'web',
      volumes: {
        data: {
          provider: new FakeMetrics({ name: 'statfs', script: [reading] }),
          spec: { persistentVolumeClaim: { claimName: 'quoted "claim"\\\n' } },
        },
        cache: new FakeMetrics({ name: 'du', script: [{ time, used: 5n }] }),
      },
    },
  ]),
);
await analyzer.calculate();
Date.now = () => time.getTime();

/** What a registry of a client gives, in all its ways. */
async function given({ Registry, Gauge }) {
  const registry = new Registry();
  new VolumeStatsCollector(analyzer, { registry, podVolumes: true });
  assert.throws(
    () => new VolumeStatsCollector(analyzer, { registry }),
    /already has a metric kubelet_volume_stats_capacity_bytes/,
  );
  new Gauge({ name: 'mine', help: 'mine', registers: [registry] }).set(1);
  const [text, again, json] = await Promise.all([
    registry.metrics(),
    registry.metrics(),
    registry.getMetricsAsJSON(),
  ]);
  assert.equal(text, again);
  registry.setDefaultLabels({ node: 'n', namespace: 'wrong' });
  const labelled = await registry.metrics();
  registry.resetMetrics();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const openMetrics = await registry.metrics();
  return { text, json, labelled, openMetrics };
}

const ours = await given(newer);
assert.match(
  ours.text,
  /^kubelet_volume_stats_capacity_bytes\{namespace="default",persistentvolumeclaim="quoted \\"claim\\"\\\\\\n"\} 10434699264$/m,
);
assert.match(ours.text, /^kubelet_volume_stats_health_status_abnormal\{.*\} 1$/m);
assert.match(
  ours.text,
  /^kubelet_volume_stats_pod_used_bytes\{namespace="default",pod="web",volume_name="cache"\} 5$/m,
);
assert.match(ours.text, /_duration_seconds_bucket\{le="\+Inf",metric_source="du"\} 1$/m);
assert.match(ours.labelled, /capacity_bytes\{node="n",namespace="default",/);
assert.match(ours.openMetrics, /^kube_volume_metrics_source_errors_total\{.*\} 0$/m);
const data = ours.json.find(({ name }) => name === 'kubelet_volume_stats_used_bytes');
assert.deepEqual(data.values, [
  { value: 0, labels: { namespace: 'default', persistentvolumeclaim: 'quoted "claim"\\\n' } },
]);

// The same registry calls, the same answers.
const theirs = await given(older);
assert.equal(ours.text, theirs.text);
assert.equal(ours.labelled, theirs.labelled);
console.log(`ok     @prometheus-io/client and prom-client give the same under Node ${process.version}`);
