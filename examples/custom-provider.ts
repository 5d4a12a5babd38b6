// A provider of one's own, for volumes of a storage appliance that tells their sizes over HTTP: `npm run
// example custom-provider` asks one that this program plays itself, once through the analyzer, and prints
// what came of each volume.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FsResourceAnalyzer, MetricsError, stringify } from 'kube-volume-metrics';
import type { GetMetricsOptions, Metrics, MetricsProvider, Pod } from 'kube-volume-metrics';

/** Asks the appliance. Numbers come as texts: JSON's own do not reach 2^63. */
class ApplianceMetrics implements MetricsProvider {
  readonly name = 'appliance';
  readonly #url: URL;

  constructor(appliance: URL, volume: string) {
    this.#url = new URL(`/volumes/${encodeURIComponent(volume)}`, appliance);
  }

  async getMetrics({ signal }: GetMetricsOptions = {}): Promise<Metrics> {
    const time = new Date();
    // The caller's signal goes through, and its reason comes back as it is; the limit is this provider's own.
    const limit = AbortSignal.timeout(5_000);
    const response = await fetch(this.#url, {
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    }).catch((cause: unknown) => {
      signal?.throwIfAborted();
      const code = limit.aborted ? 'METRICS_TIMED_OUT' : 'METRICS_PROVIDER_FAILED';
      throw new MetricsError(code, `${this.#url.href} did not answer`, { cause });
    });
    if (response.status === 404)
      throw new MetricsError('METRICS_NOT_FOUND', `${this.#url.pathname} is not there`);
    if (!response.ok) throw new MetricsError('METRICS_PROVIDER_FAILED', `HTTP ${String(response.status)}`);
    const { size, used } = (await response.json()) as { size: string; used?: string };
    // What the appliance does not know is left out, and not 0.
    return {
      time,
      source: this.name,
      capacity: BigInt(size),
      ...(used !== undefined && { used: BigInt(used) }),
    };
  }
}

const sizes: Record<string, object> = {
  '/volumes/archive': { size: '9223372036854775807', used: '1099511627776' },
  '/volumes/thick': { size: '10737418240' },
};
const appliance = createServer(({ url = '' }, response) => {
  const answer = sizes[url];
  response.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer));
});
await new Promise<void>((resolve) => appliance.listen(0, '127.0.0.1', resolve));
const address = new URL(`http://127.0.0.1:${String((appliance.address() as AddressInfo).port)}`);

const names = ['archive', 'thick', 'lost'];
const pod: Pod = {
  metadata: { uid: '1', name: 'backup-0', namespace: 'default' },
  spec: { volumes: names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } })) },
};
const analyzer = new FsResourceAnalyzer({
  getPods: () => [pod],
  listVolumesForPod: () => new Map(names.map((name) => [name, new ApplianceMetrics(address, name)])),
});
for (const { persistentVolumes } of await analyzer.calculate()) {
  for (const { name, state, metrics, error } of persistentVolumes) {
    const { capacity, used } = metrics ?? {};
    process.stdout.write(`${stringify({ name, state, capacity, used, error: error?.code })}\n`);
  }
}
appliance.close();
