// @ts-check
// Measures volumes in a worker thread until it is terminated, and tells its parent each reading and failure.
import { parentPort, workerData } from 'node:worker_threads';
import { isMetricsError, MetricsDu, MetricsStatFs } from 'kube-volume-metrics';
import { csiVolume } from './csi-numbers.mjs';
import { Random } from './random.mjs';

/** @typedef {{ how: 'du' | 'statfs', path: string } | { how: 'csi', number: number }} Place */
/**
 * @typedef {{ id: string, metrics?: import('kube-volume-metrics').Metrics, code?: string, message?: string }}
 * Told
 */

/** Calls at once. */
const READERS = 3;

const { places, socket, seed, limits } =
  /** @type {{ places: ReadonlyMap<string, Place>, socket: string, seed: number, limits: { timeoutMs: number } }} */ (
    workerData
  );
const random = new Random(seed);

const providers = new Map();
for (const [id, place] of places) {
  if (place.how === 'du') providers.set(id, new MetricsDu(place.path, limits));
  if (place.how === 'statfs') {
    const { timeoutMs } = limits;
    providers.set(id, new MetricsStatFs(place.path, { timeoutMs, requireMount: true }));
  }
}
// Not in each: loading gRPC takes longer than some workers live.
if (random.chance(0.3)) {
  const { CsiNodeClient, MetricsCsi } = await import('kube-volume-metrics/csi');
  const client = new CsiNodeClient(socket, { timeoutMs: limits.timeoutMs });
  for (const [id, place] of places) {
    if (place.how !== 'csi') continue;
    const options = { client, driverName: 'csi.soak', ...csiVolume(place.number) };
    providers.set(id, new MetricsCsi(options));
  }
}

async function read() {
  for (;;) {
    const id = random.pick([...providers.keys()]);
    /** @type {Told} */
    let told;
    try {
      told = { id, metrics: await providers.get(id).getMetrics() };
    } catch (error) {
      told = { id, code: isMetricsError(error) ? error.code : 'none', message: String(error) };
    }
    parentPort?.postMessage(told);
  }
}

await Promise.all(Array.from({ length: READERS }, read));
