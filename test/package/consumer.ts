// Compiled by check.mjs against the packed package, never run: it fails to compile when a type is lost on the
// way.
import { fsInfo, isMetricsError, stringify, CachedMetrics, MetricsDu } from 'kube-volume-metrics';
import type { Metrics, MetricsProvider } from 'kube-volume-metrics';
import { CsiNodeClient, MetricsCsi, nodeGetVolumeStats } from 'kube-volume-metrics/csi';
import { NodeServiceCapability_RPC_Type, type VolumeUsage } from 'kube-volume-metrics/csi/v1';
import { VolumeStatsCollector } from 'kube-volume-metrics/prometheus';
import { FakeMetrics, metricsProviderTests } from 'kube-volume-metrics/testing';
import { FakeCsiDriver } from 'kube-volume-metrics/testing/csi';

const provider: MetricsProvider = new CachedMetrics(new MetricsDu('/tmp', { allowPartial: true }), {
  maxAgeMs: 1000,
});

const own: MetricsProvider = {
  name: 'own',
  getMetrics: (): Promise<Metrics> => Promise.resolve({ time: new Date(), source: 'own', capacity: 1n }),
};

export const client = new CsiNodeClient('unix:///csi/csi.sock');
export const ofDriver: MetricsProvider = new MetricsCsi({ client, volumeId: 'v', volumePath: '/v' });
export const usage: readonly VolumeUsage[] = [];
export const capability: number = NodeServiceCapability_RPC_Type.GET_VOLUME_STATS;
export const parts = [nodeGetVolumeStats(), VolumeStatsCollector, FakeCsiDriver];

export async function use(signal: AbortSignal): Promise<string> {
  const { capacity, inodes } = await fsInfo('/', { signal, timeoutMs: 100 });
  const total: bigint = (capacity ?? 0n) + (inodes ?? 0n);
  try {
    const reading: Metrics = await provider.getMetrics({ signal });
    return stringify({ total, used: reading.used, own });
  } catch (error) {
    if (isMetricsError(error) && error.code === 'METRICS_TIMED_OUT') return String(error.stuckSince);
    throw error;
  }
}

metricsProviderTests({
  test: (name: string, body: () => Promise<void>) => void [name, body],
  name: 'fake',
  create: () => new FakeMetrics(),
  reports: { always: [] },
});
