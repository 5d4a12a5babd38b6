// A process that measures a node's volumes with the package, as it is told over IPC by scene.mjs. It sees the
// mounts that there were when it was started.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { diskUsage, FsResourceAnalyzer } from 'kube-volume-metrics';
import { VolumeStatsCollector } from 'kube-volume-metrics/prometheus';
import { Registry } from 'prom-client';
import { median } from '../rounds.mjs';
import { fillers, statsProvider, volumesOf } from './layout.mjs';

/**
 * @typedef {object} Volumes
 * @property {{ root: string, isMounted: boolean }} node
 * @property {number} pods
 * @property {boolean} [trees] whether those pods have their emptyDirs; by default they have
 * @property {number} [filled] volumes that were filled up, beside those of the pods
 */

const POLL_MS = 10;
/** So many readings warm a process up, however many volumes a round has. */
const WARMING_READINGS = 12_000;
const SCRAPE_MS = 15_000;

let rounds;

const TASKS = {
  /**
   * Makes an analyzer without pauses. It is warm once its code is compiled, which rounds without large trees
   * do too. Gives what all trees add up to.
   */
  async prepare({ volumes }) {
    await rounds?.stop();
    const warming = Math.ceil(WARMING_READINGS / selected({ ...volumes, trees: false }).length);
    for (const { trees, count } of [
      { trees: false, count: warming },
      { trees: true, count: 2 },
    ]) {
      rounds = new FsResourceAnalyzer(providerOf({ ...volumes, trees }), { walkShare: 1 });
      for (let round = 0; round < count; round++) await rounds.calculate();
    }
    const { missing, failed, used, inodesUsed } = totals(rounds, selected(volumes));
    if (missing + failed > 0) throw new Error(`${missing} volumes without a reading, ${failed} failed`);
    return { used, inodesUsed };
  },

  /** Rounds in quick succession, each pod by its own clock, until V8 has compiled what they use. */
  async compile({ volumes, forMs }) {
    await rounds?.stop();
    rounds = new FsResourceAnalyzer(providerOf({ ...volumes, trees: false }), {
      periodMs: 100,
      walkShare: 1,
    });
    rounds.start();
    await sleep(forMs);
  },

  /** One warm round of everything. */
  round: () => timed(() => rounds.calculate()),

  /** Walks of tiny trees, one after the other. */
  async tiny({ paths, count }) {
    const walk = async (times) => {
      for (let time = 0; time < times; time++) await diskUsage(paths[time % paths.length]);
    };
    await walk(paths.length);
    return await timed(() => walk(count));
  },

  /** Starts an analyzer, and waits until every volume has a reading, or so long. */
  async first({ volumes, options, limitMs }) {
    const all = selected(volumes);
    await rounds?.stop();
    rounds = new FsResourceAnalyzer(providerOf(volumes), options);
    const start = performance.now();
    rounds.start();
    let left = all.length;
    while (left > 0 && performance.now() - start < limitMs) {
      await sleep(POLL_MS);
      left = totals(rounds, all).missing;
    }
    return { wallMs: performance.now() - start, left };
  },

  /** What the analyzer that was started uses from now on, and the volumes that it reads in their order. */
  async watch({ windowMs }) {
    read = [];
    const { cpuMs } = await timed(() => sleep(windowMs));
    return { cpuMs, read };
  },

  /** Resident memory with everything imported and nothing done. */
  async idle() {
    await sleep(1_000);
    return { idleMib: residentMib() };
  },

  /** Resident memory after each scrape with default options: the median of the second half, and the most. */
  async scraped({ volumes, scrapes }) {
    const registry = new Registry();
    rounds = new FsResourceAnalyzer(providerOf(volumes));
    new VolumeStatsCollector(rounds, { registry });
    rounds.start();
    const samples = [];
    for (let scrape = 0; scrape < scrapes; scrape++) {
      await sleep(SCRAPE_MS);
      await registry.metrics();
      samples.push(residentMib());
    }
    const { missing, failed } = totals(rounds, selected(volumes));
    if (failed > 0) throw new Error(`${failed} volumes failed`);
    return { medianMib: median(samples.slice(scrapes / 2)), mostMib: Math.max(...samples), missing };
  },
};

/** The volumes that were read: their paths, and whether they had to be walked. */
let read = [];

process.on('message', async ({ task, ...about }) => {
  try {
    process.send({ answer: await TASKS[task](about) });
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) });
  }
});
process.once('disconnect', () => process.exit());

function selected({ node, pods, trees = true, filled = 0 }) {
  const all = volumesOf(node, pods).filter(({ name }) => trees || !name.endsWith('empty-dir'));
  return [...all, ...fillers(node, filled)];
}

/** The stats provider of volumes; the providers note that they are asked. */
function providerOf(volumes) {
  const noting = selected(volumes).map((volume) => ({
    ...volume,
    provider: (...args) => {
      const provider = volume.provider(...args);
      return {
        name: provider.name,
        getMetrics: (options) => {
          read.push({ path: volume.path, isWalk: volume.isWalk });
          return provider.getMetrics(options);
        },
      };
    },
  }));
  return statsProvider(noting, volumes.node.isMounted);
}

/** What has a reading, and what the trees that must be walked add up to. */
function totals(analyzer, volumes) {
  const stats = new Map(
    analyzer
      .podVolumeStats()
      .flatMap(({ podRef, ephemeralVolumes, persistentVolumes }) =>
        [...ephemeralVolumes, ...persistentVolumes].map((each) => [`${podRef.uid}/${each.name}`, each]),
      ),
  );
  const sum = { missing: 0, failed: 0, used: 0n, inodesUsed: 0n };
  for (const { pod, name, isWalk } of volumes) {
    const { metrics, state } = stats.get(`${pod}/${name}`) ?? {};
    if (metrics === undefined) sum.missing += 1;
    else if (state !== 'ok') sum.failed += 1;
    if (!isWalk || metrics === undefined) continue;
    sum.used += metrics.used;
    sum.inodesUsed += metrics.inodesUsed;
  }
  return sum;
}

async function timed(work) {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs: performance.now() - start, cpuMs: (user + system) / 1000 };
}

function residentMib() {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
}
