// @ts-check
import { join } from 'node:path';
import { setMaxListeners } from 'node:events';
import { rm } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { CachedMetrics, FsResourceAnalyzer, MetricsDu, MetricsStatFs } from 'kube-volume-metrics';
import { CsiNodeClient } from 'kube-volume-metrics/csi';
import { FuseServer } from '../support/fuse.mjs';
import { PodMaker, Pods } from './pods.mjs';
import { Scrapes } from './scrapes.mjs';
import { askImpatiently, Driver, fight, hang, terminateWorkers } from './troubles.mjs';
import { Volume } from './volume.mjs';
import { LIMITS, scratchVolume } from './volumes.mjs';
import { Watch } from './watch.mjs';

const STEADY_PODS = 4;
const PODS_AT_ONCE = 6;
const WORKERS_AT_ONCE = 2;
const CALLERS = 3;

/** Of each hostile volume. */
const DIRECTORIES = 40;
const FILES = 8;

const ANALYZER = { periodMs: 300, timeoutMs: 2_000, walkTimeoutMs: 3_000, walkShare: 1, concurrency: 8 };

/** The longest that a healthy volume may go without a reading. It is measured every half second. */
const FRESH_MS = 10_000;
/** The most that a volume may take to be read again when its trouble is over. */
const RECOVERY_MS = 30_000;

const FUSE_STATFS = { blocks: 50_021n, bfree: 20_011n, bavail: 19_013n, files: 3_001n, ffree: 1_009n };
const FUSE_ENTRIES = {
  one: { blocks: 24 },
  two: { entries: { three: { blocks: 8 }, four: { entries: { five: { blocks: 1600 } } } } },
};

/** How long a part of the soak lasts. */
export class Clock {
  #controller = new AbortController();

  constructor() {
    setMaxListeners(0, this.#controller.signal);
  }

  get isOver() {
    return this.#controller.signal.aborted;
  }

  end() {
    this.#controller.abort();
  }

  /**
   * Waits, and not beyond the end.
   *
   * @param {number} ms
   * @returns {Promise<boolean>} whether it is over
   */
  async pause(ms) {
    await sleep(ms, undefined, { signal: this.#controller.signal }).catch(() => undefined);
    return this.isOver;
  }
}

/**
 * Everything at the same time, for a while. When it returns, all that it made is gone.
 *
 * @param {object} options
 * @param {import('./workplace.mjs').Workplace} options.workplace
 * @param {string} options.hostile the program
 * @param {number} options.seconds
 * @param {import('./random.mjs').Random} options.random
 * @param {ReadonlySet<string>} options.without troubles that are left out
 * @param {import('./findings.mjs').Findings} options.findings
 * @param {Record<'readings' | 'failures' | 'others', import('./findings.mjs').Tally>} options.tallies
 */
export async function play({ workplace, hostile, seconds, random, without, findings, tallies }) {
  /** Undone at the end, the newest first. @type {(() => unknown)[]} */
  const undo = [];
  const troubles = new Clock();
  const clock = new Clock();
  const delay = monitorEventLoopDelay({ resolution: 10 });
  try {
    const disk = join(workplace.directory, 'disk');
    const socket = join(workplace.directory, 'csi.sock');
    await workplace.tmpfs(disk, 'size=512m');
    undo.push(() => workplace.unmount(disk).then(() => rm(disk, { recursive: true })));
    const driver = await Driver.start(workplace, socket);
    undo.push(() => driver.kill());
    const client = new CsiNodeClient(socket, { timeoutMs: 2_000 });
    undo.push(() => client.close());

    const pods = new Pods(random.fork());
    const maker = new PodMaker({ workplace, disk, pods, client, random: random.fork() });
    for (let pod = 0; pod < STEADY_PODS; pod += 1) undo.push(await maker.make());
    const cached = await scratchVolume(join(disk, 'cached'), 1_000, random);
    cached.provider = new CachedMetrics(cached.provider, { maxAgeMs: 1_000 });
    pods.add('cached', [cached]);

    const fuse = new FuseServer();
    undo.push(() => fuse.close());
    const mount = await fuse.mount({ statfs: FUSE_STATFS, entries: FUSE_ENTRIES });
    pods.add('hung', [hungFilesystem(mount.path), hungTree(mount.path)]);

    const roots = [join(disk, 'hostile-0'), join(disk, 'hostile-1')];
    for (const [index, root] of (without.has('hostile') ? [] : roots).entries()) {
      const seed = random.between(0, 2 ** 31);
      const owner = await fight(workplace, {
        program: hostile,
        root,
        seed,
        directories: DIRECTORIES,
        files: FILES,
      });
      undo.push(() => workplace.kill(owner));
      pods.add(`hostile-${String(index)}`, [hostileVolume(root, index === 0)]);
    }

    const analyzer = new FsResourceAnalyzer(pods, {
      ...ANALYZER,
      onError: (error) => findings.add('an error of the node', error.message),
    });
    undo.push(() => analyzer.stop());
    const watch = new Watch({ analyzer, pods, findings, tallies });
    undo.push(() => watch.close());
    const scrapes = new Scrapes({ analyzer, pods, findings, random: random.fork() });
    const about = { volumes: steadyVolumes(pods), socket, limits: LIMITS, findings, tally: tallies.others };

    delay.enable();
    analyzer.start();
    /** @type {(name: string, count: number, run: () => Promise<void>) => Promise<void>[]} */
    const several = (name, count, run) => (without.has(name) ? [] : Array.from({ length: count }, run));
    const troubled = [
      ...several('driver', 1, () => driver.restart(troubles, random.fork(), socket)),
      ...several('fuse', 1, () => hang(troubles, random.fork(), mount, tallies.others)),
      ...several('workers', WORKERS_AT_ONCE, () => terminateWorkers(troubles, random.fork(), about)),
    ];
    const caller = { pods, findings, tally: tallies.others };
    const others = [
      ...several('pods', PODS_AT_ONCE, () => maker.comeAndGo(clock)),
      ...several('callers', CALLERS, () => askImpatiently(clock, random.fork(), caller)),
      ...several('scrapers', 1, () => scrapes.scrape(clock)),
      watch.look(clock),
    ];
    // The first failure of any ends the soak.
    const failed = Promise.all([...troubled, ...others]).then(() => undefined);
    await Promise.race([sleep(seconds * 1_000), failed]);

    const endMs = Date.now();
    const sinceMs = endMs - FRESH_MS;
    const old = watch.unread(sinceMs, ({ health, bornMs }) => health === 'healthy' && bornMs < sinceMs);
    for (const each of old) findings.add('a healthy volume that is not read any more', each);
    troubles.end();
    await Promise.race([Promise.all(troubled), failed]);
    const calmMs = Date.now();
    const waiting = () => watch.unread(calmMs, ({ health }) => health === 'recovers');
    while (waiting().length > 0 && Date.now() < calmMs + RECOVERY_MS) await sleep(100);
    for (const each of waiting()) findings.add('a volume that is not read again', each);
    clock.end();
    await failed;
    tallies.others.add('kills of the driver', driver.kills);
    return { scrapes: scrapes.count, samples: scrapes.samples, pods: maker.count, delayMs: delay.max / 1e6 };
  } finally {
    troubles.end();
    clock.end();
    delay.disable();
    for (const each of undo.reverse()) await each();
  }
}

/**
 * Those that stay until the end, by pod and name: for workers.
 *
 * @param {Pods} pods
 */
function steadyVolumes(pods) {
  return new Map(
    pods.all().flatMap((pod) => [...pod.volumes.values()].map((each) => [`${pod.name}/${each.name}`, each])),
  );
}

/** @param {string} path */
function hungFilesystem(path) {
  const { blocks, bfree, bavail, files, ffree } = FUSE_STATFS;
  return new Volume({
    name: 'filesystem',
    spec: { persistentVolumeClaim: { claimName: 'hung' } },
    provider: new MetricsStatFs(path, { timeoutMs: 1_500, requireMount: true }),
    place: { how: 'statfs', path },
    exact: {
      capacity: blocks * 4096n,
      available: bavail * 4096n,
      used: (blocks - bfree) * 4096n,
      inodes: files,
      inodesFree: ffree,
      inodesUsed: files - ffree,
    },
    mayFail: ['METRICS_TIMED_OUT'],
    health: 'recovers',
  });
}

/** @param {string} path */
function hungTree(path) {
  return new Volume({
    name: 'tree',
    spec: { emptyDir: {} },
    provider: new MetricsDu(path, { timeoutMs: 1_500, stallTimeoutMs: 1_500 }),
    place: { how: 'du', path },
    exact: { used: 512n * (24n + 8n + 1600n), inodesUsed: 6n, capacity: FUSE_STATFS.blocks * 4096n },
    mayFail: ['METRICS_TIMED_OUT'],
    health: 'recovers',
  });
}

/**
 * Its files never change, so a walk that succeeds counts each of them at most once. It may count a directory
 * again before it notices, and a symlink beside each.
 *
 * @param {string} path
 * @param {boolean} allowPartial
 */
function hostileVolume(path, allowPartial) {
  return new Volume({
    name: 'tree',
    spec: { emptyDir: {} },
    provider: new MetricsDu(path, { ...LIMITS, allowPartial }),
    place: { how: 'du', path },
    changing: {
      used: [0n, BigInt(DIRECTORIES * FILES * 4096)],
      inodesUsed: [1n, BigInt(1 + DIRECTORIES * (FILES + 3))],
    },
    mayFail: ['METRICS_USAGE_FAILED', 'METRICS_TIMED_OUT'],
    health: 'hostile',
  });
}
