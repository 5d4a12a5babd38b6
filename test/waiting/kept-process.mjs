// Reads volumes until the code is compiled, says so, and collects the garbage: started by kept.test.ts.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FsResourceAnalyzer, MetricsDu, MetricsStatFs } from 'kube-volume-metrics';

const PODS = 20;
const ROUNDS = 200;

class Forgotten {
  index;
  constructor(index) {
    this.index = index;
  }
}
/** Code for a kind of object of which none is left. */
function forgotten(index) {
  globalThis.newest = new Forgotten(index);
}

const folder = mkdtempSync(join(tmpdir(), 'kept-'));
const volumes = new Map([
  ['tree', new MetricsDu(folder)],
  ['claim', new MetricsStatFs(folder)],
  ['mount', new MetricsStatFs('/', { requireMount: true })],
]);
const pods = Array.from({ length: PODS }, (_, index) => ({
  metadata: { uid: `uid-${index}`, name: `pod-${index}`, namespace: 'default' },
  spec: { volumes: [...volumes.keys()].map((name) => ({ name })) },
}));
const provider = { getPods: () => pods, listVolumesForPod: () => volumes };
// It stays, and with it the last readings.
globalThis.analyzer = new FsResourceAnalyzer(provider, { walkShare: 1 });
const numbers = Array.from({ length: 1_000 }, (_, index) => index);
for (let round = 0; round < ROUNDS; round++) {
  await globalThis.analyzer.calculate();
  numbers.forEach(forgotten);
}
rmSync(folder, { recursive: true });
globalThis.newest = undefined;
await sleep(100);
console.log('collecting');
globalThis.gc();
globalThis.gc();
