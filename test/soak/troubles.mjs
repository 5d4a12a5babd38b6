// @ts-check
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { isMetricsError } from 'kube-volume-metrics';

/** @typedef {import('./findings.mjs').Findings} Findings */
/** @typedef {import('./findings.mjs').Tally} Tally */
/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./scene.mjs').Clock} Clock */
/** @typedef {import('./volume.mjs').Volume} Volume */
/** @typedef {import('./workplace.mjs').Workplace} Workplace */

const KILL_MS = 5_000;
const NOBODY = 65_534;

/** A CSI driver that is killed again and again. */
export class Driver {
  #workplace;
  #child;
  /** How often it was killed. */
  kills = 0;

  /** @param {Workplace} workplace @param {import('node:child_process').ChildProcess} child */
  constructor(workplace, child) {
    this.#workplace = workplace;
    this.#child = child;
  }

  /** @param {Workplace} workplace @param {string} socket */
  static async start(workplace, socket) {
    return new Driver(workplace, await startDriver(workplace, socket));
  }

  /** @param {Clock} clock @param {Random} random @param {string} socket */
  async restart(clock, random, socket) {
    while (!(await clock.pause(KILL_MS))) {
      await this.kill();
      this.kills += 1;
      await clock.pause(random.between(0, 1_500));
      this.#child = await startDriver(this.#workplace, socket);
    }
  }

  kill() {
    return this.#workplace.kill(this.#child);
  }
}

/** @param {Workplace} workplace @param {string} socket */
function startDriver(workplace, socket) {
  return workplace.start(process.execPath, [join(import.meta.dirname, 'csi-driver.mjs'), socket]);
}

/**
 * A FUSE server that stops answering and goes on, again and again.
 *
 * @param {Clock} clock
 * @param {Random} random
 * @param {import('../support/fuse.mjs').FuseMount} mount
 * @param {Tally} tally
 */
export async function hang(clock, random, mount, tally) {
  while (!(await clock.pause(random.between(300, 2_000)))) {
    await mount.hold(random.chance(0.5) ? 'unread' : 'unanswered');
    tally.add('hangs of a FUSE mount');
    // Some are noticed as slow, some as stuck, which takes 5 s.
    await clock.pause(random.between(200, 9_000));
    await mount.release();
  }
}

/**
 * Starts the owner of a hostile volume.
 *
 * @param {Workplace} workplace
 * @param {{ program: string, root: string, seed: number, directories: number, files: number }} owner
 */
export async function fight(workplace, { program, root, seed, directories, files }) {
  await mkdir(root);
  await chown(root, NOBODY, NOBODY);
  const args = [root, seed, directories, files].map(String);
  return await workplace.start(program, args, { uid: NOBODY, gid: NOBODY });
}

/**
 * Workers, one after the other, each terminated at a random moment: while it starts, or while calls are out.
 *
 * @param {Clock} clock
 * @param {Random} random
 * @param {object} about
 * @param {ReadonlyMap<string, Volume>} about.volumes by what a worker calls them
 * @param {string} about.socket
 * @param {{ timeoutMs: number, stallTimeoutMs: number }} about.limits
 * @param {Findings} about.findings
 * @param {Tally} about.tally
 */
export async function terminateWorkers(clock, random, about) {
  const { volumes, socket, limits, findings, tally } = about;
  const places = new Map([...volumes].map(([id, { place }]) => [id, place]));
  while (!clock.isOver) {
    const workerData = { places, socket, limits, seed: random.between(0, 2 ** 31) };
    const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData });
    worker.on('error', (error) => findings.add('an error of a worker', String(error)));
    worker.on('message', (/** @type {import('./worker.mjs').Told} */ told) => {
      const volume = /** @type {Volume} */ (volumes.get(told.id));
      tally.add(told.metrics === undefined ? 'failures in workers' : 'readings in workers');
      judge(volume, `in a worker: ${told.id}`, told, findings);
    });
    await clock.pause(random.between(0, 1_500));
    await worker.terminate();
    tally.add('workers');
  }
}

/**
 * Asks the providers beside the analyzer, and often loses patience.
 *
 * @param {Clock} clock
 * @param {Random} random
 * @param {{ pods: import('./pods.mjs').Pods, findings: Findings, tally: Tally }} about
 */
export async function askImpatiently(clock, random, { pods, findings, tally }) {
  while (!(await clock.pause(random.between(0, 100)))) {
    const pod = random.pick(pods.all());
    const volume = random.pick([...pod.volumes.values()]);
    const title = `${pod.name}/${volume.name}, asked directly`;
    const controller = new AbortController();
    const reason = new Error('out of patience');
    const timer = setTimeout(() => controller.abort(reason), random.between(0, 40));
    if (random.chance(0.3)) clearTimeout(timer);
    try {
      judge(volume, title, { metrics: await volume.provider.getMetrics(controller) }, findings);
      tally.add('direct readings');
    } catch (error) {
      tally.add(error === reason ? 'direct calls aborted' : 'direct calls failed');
      const code = isMetricsError(error) ? error.code : 'none';
      if (error !== reason) judge(volume, title, { code, message: String(error) }, findings);
    }
    clearTimeout(timer);
  }
}

/**
 * @param {Volume} volume
 * @param {string} title
 * @param {Omit<import('./worker.mjs').Told, 'id'>} told
 * @param {Findings} findings
 */
function judge(volume, title, { metrics, code, message }, findings) {
  const problem = metrics && volume.problem(metrics);
  if (problem !== undefined) findings.add('wrong value', `${title}: ${problem}`);
  if (code !== undefined && !volume.mayFailWith(/** @type {any} */ (code))) {
    findings.add('failure of a healthy volume', `${title}: ${code}: ${String(message)}`);
  }
}
