import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FsResourceAnalyzer, MetricsDu, MetricsStatFs } from 'kube-volume-metrics';
import { CsiNodeClient, MetricsCsi } from 'kube-volume-metrics/csi';
import { VolumeStatsCollector } from 'kube-volume-metrics/prometheus';
import { FakeCsiDriver } from 'kube-volume-metrics/testing/csi';
import { Gauge, Registry } from 'prom-client';
import { median } from './rounds.mjs';

export const about = 'all volumes of a node, in the background and in a scrape';

const VOLUMES_OF_A_POD = 8;
const SIZES = [100, 1_000, 10_000];
const SCRAPED = 2_000;
const SCRAPES = 60;
const STUCK = 30;
const ROUNDS = 1_000;

/** One scraped volume has all that there is: seven metrics of its claim, its state and its age. */
const READING = {
  source: 'statfs',
  capacity: 10434699264n,
  available: 5663154176n,
  used: 4217896960n,
  inodes: 655360n,
  inodesFree: 655344n,
  inodesUsed: 16n,
  condition: { abnormal: false, message: '' },
};

export async function run(report) {
  await scraping(report);
  await rounds(report);
  await growth(report);
}

async function scraping(report) {
  const analyzer = new FsResourceAnalyzer(node(SCRAPED, () => ({ name: 'statfs', getMetrics: readAtOnce })));
  await analyzer.calculate();
  const registry = new Registry();
  new VolumeStatsCollector(analyzer, { registry });
  const peer = await sameSamples(registry);
  const own = () => registry.getMetricsAsArray().map((metric) => metric.getForPromString());
  const cpu = await interleavedCpu({
    own: async () => void (await Promise.all(own())),
    whole: () => registry.metrics(),
    peer: () => peer.metrics(),
  });
  const what = `${SCRAPED} volumes`;
  report.figure({
    what: `the collector's part of a scrape, ${what}`,
    value: cpu.own,
    unit: 'ms CPU',
    goal: 5,
  });
  report.figure({ what: `the whole scrape, ${what}`, value: cpu.whole, unit: 'ms CPU' });
  report.figure({ what: `prom-client with the same samples, ${what}`, value: cpu.peer, unit: 'ms CPU' });
  report.figure({
    what: 'the whole scrape against prom-client',
    value: cpu.whole / cpu.peer,
    unit: 'x',
    goal: 1.3,
  });

  const calls = 1_000_000;
  const start = performance.now();
  for (let call = 0; call < calls; call++) analyzer.getPodVolumeStats('pod-7');
  report.figure({
    what: 'getPodVolumeStats',
    value: ((performance.now() - start) * 1000) / calls,
    unit: 'us a call',
    goal: 1,
  });
}

/** Many rounds with some volumes that never answer. */
async function rounds(report) {
  const never = new Promise(() => undefined);
  let answered = 0;
  const provider = (index) => ({
    name: 'statfs',
    getMetrics: () => {
      if (index % Math.floor(SCRAPED / STUCK) === 0 && index < STUCK * Math.floor(SCRAPED / STUCK))
        return never;
      answered += 1;
      return readAtOnce();
    },
  });
  const analyzer = new FsResourceAnalyzer(node(SCRAPED, provider), { timeoutMs: 100 });
  const few = ROUNDS / 10;
  for (let round = 0; round < few; round++) await analyzer.calculate();
  const before = heapUsed();
  answered = 0;
  const start = process.cpuUsage();
  for (let round = 0; round < ROUNDS; round++) await analyzer.calculate();
  const cpu = cpuMs(start);
  const stuck = statesOf(analyzer).filter((state) => state === 'stuck').length;
  if (stuck !== STUCK || answered !== ROUNDS * (SCRAPED - STUCK))
    throw new Error(`${stuck} stuck, ${answered} answers`);
  const what = `${SCRAPED} volumes, ${STUCK} stuck`;
  report.figure({
    what: `a round, ${what}`,
    value: (cpu * 1000) / ROUNDS / SCRAPED,
    unit: 'us CPU a volume',
  });
  report.figure({
    what: `heap after ${ROUNDS} rounds, ${what}`,
    value: Math.max(0, heapUsed() - before) / 2 ** 20,
    unit: 'MiB more',
    goal: 1,
  });
  await analyzer.stop();
}

/** How the time for one volume grows with their number. */
async function growth(report) {
  const folder = fs.mkdtempSync(join(tmpdir(), 'kvm-bench-'));
  const driver = await FakeCsiDriver.start();
  const client = new CsiNodeClient(driver.endpoint);
  try {
    const path = (index) => join(folder, String(index));
    for (let index = 0; index < Math.max(...SIZES); index++) {
      fs.mkdirSync(path(index));
      fs.writeFileSync(join(path(index), 'file'), 'x');
    }
    await grows(report, 'statfs', (index) => new MetricsStatFs(path(index)));
    await grows(report, 'du', (index) => new MetricsDu(path(index)));
    await grows(report, 'a CSI driver', (index) => {
      return new MetricsCsi({
        client,
        driverName: 'fake',
        volumeId: `volume-${index}`,
        volumePath: path(index),
      });
    });
  } finally {
    client.close();
    await driver.stop();
    fs.rmSync(folder, { recursive: true });
  }
}

async function grows(report, what, providerOf) {
  const times = {};
  for (const size of SIZES) {
    // Walks go one after the other, and without pauses here.
    const analyzer = new FsResourceAnalyzer(node(size, providerOf), { walkShare: 1 });
    await analyzer.calculate();
    const samples = [];
    for (let sample = 0; sample < 3; sample++) {
      const start = performance.now();
      await analyzer.calculate();
      samples.push(performance.now() - start);
    }
    const notOk = statesOf(analyzer).filter((state) => state !== 'ok').length;
    if (notOk > 0) throw new Error(`${notOk} of ${size} volumes of ${what} were not measured`);
    times[size] = (median(samples) * 1000) / size;
    report.figure({ what: `${what}, ${size} volumes`, value: times[size], unit: 'us a volume' });
  }
  const [, many, most] = SIZES;
  report.figure({
    what: `${what}, a volume of ${most} against one of ${many}`,
    value: times[most] / times[many],
    unit: 'x',
    goal: 1.2,
  });
}

/** A stats provider with pods of eight claims each. */
function node(volumes, providerOf) {
  const pods = Array.from({ length: Math.ceil(volumes / VOLUMES_OF_A_POD) }, (_, pod) => {
    const indexes = Array.from(
      { length: VOLUMES_OF_A_POD },
      (_volume, index) => pod * VOLUMES_OF_A_POD + index,
    );
    return { uid: `pod-${pod}`, indexes: indexes.filter((index) => index < volumes) };
  });
  const maps = new Map(
    pods.map(({ uid, indexes }) => [uid, new Map(indexes.map((index) => [`v${index}`, providerOf(index)]))]),
  );
  const listed = pods.map(({ uid, indexes }) => ({
    metadata: { uid, name: uid, namespace: 'bench' },
    spec: {
      volumes: indexes.map((index) => ({
        name: `v${index}`,
        persistentVolumeClaim: { claimName: `claim-${index}` },
      })),
    },
  }));
  return { getPods: () => listed, listVolumesForPod: (uid) => maps.get(uid) };
}

function readAtOnce() {
  return Promise.resolve({ time: new Date(), ...READING });
}

/** prom-client's own gauges with the samples that the collector gives. */
async function sameSamples(registry) {
  const peer = new Registry();
  for (const { name, help, type, values } of await registry.getMetricsAsJSON()) {
    if (type !== 'gauge') continue;
    const labelNames = [...new Set(values.flatMap(({ labels }) => Object.keys(labels)))];
    const gauge = new Gauge({ name, help, labelNames, registers: [peer] });
    for (const { labels, value } of values) gauge.set(labels, value);
  }
  return peer;
}

/** The median CPU time of each in milliseconds, taken in turn. */
async function interleavedCpu(candidates) {
  const times = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  for (let scrape = 0; scrape < SCRAPES; scrape++) {
    for (const [name, work] of Object.entries(candidates)) {
      const start = process.cpuUsage();
      await work();
      times[name].push(cpuMs(start));
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}

function cpuMs(start) {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function heapUsed() {
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}

function statesOf(analyzer) {
  return analyzer
    .podVolumeStats()
    .flatMap(({ persistentVolumes }) => persistentVolumes.map(({ state }) => state));
}
