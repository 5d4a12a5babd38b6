// @ts-check Asks for readings in a process of its own, from the built package in several copies at once: what
// blocks, how many threads there are and whether the process can exit are seen from outside. Started by
// asking.mjs, told over IPC what to do.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/**
 * Which copy of the package asks.
 *
 * @typedef {'esm' | 'cjs' | 'worker'} Copy
 */

/**
 * @typedef {object} Group Readings that are started in one turn of the event loop.
 * @property {string} tag names them in the settlements
 * @property {readonly string[]} paths
 * @property {number} [times] how often each path is asked
 * @property {Copy} [copy]
 * @property {{ timeoutMs?: number, binding?: 'auto' | 'native' | 'command' }} [options]
 */

/**
 * @typedef {object} Settlement How one reading ended. They are listed in the order in which they settled.
 * @property {string} tag
 * @property {string} path
 * @property {number} ms since it was asked
 * @property {bigint} [capacity] of a reading that succeeded
 * @property {string} [code] of an error
 * @property {Date} [stuckSince]
 */

/**
 * @typedef {{ id: number } & (
 *   | { do: 'ask', groups: readonly Group[] }
 *   | { do: 'settled', count: number }
 *   | { do: 'threads' }
 *   | { do: 'watchLoop' }
 *   | { do: 'loopDelay' }
 *   | { do: 'terminateWorker' }
 *   | { do: 'exit' }
 * )} AskingCommand
 */

/** @type {Settlement[]} */
const settlements = [];
/** @type {{ count: number, resolve: () => void }[]} */
let waiting = [];

/** @param {Settlement} settlement */
function settle(settlement) {
  settlements.push(settlement);
  for (const wait of waiting) if (wait.count <= settlements.length) wait.resolve();
  waiting = waiting.filter((wait) => wait.count > settlements.length);
}

/**
 * @param {{ MetricsStatFs: new (path: string, options: object) => { getMetrics(): Promise<{ capacity?: bigint
 * }> } }} copy
 * @param {Group} group
 * @param {(settlement: Settlement) => void} report
 */
function start(copy, { tag, paths, times = 1, options = {} }, report) {
  for (let time = 0; time < times; time++) {
    for (const path of paths) {
      const askedAt = performance.now();
      const ms = () => performance.now() - askedAt;
      new copy.MetricsStatFs(path, options).getMetrics().then(
        (reading) => report({ tag, path, ms: ms(), ...reading }),
        ({ code, stuckSince }) => report({ tag, path, ms: ms(), code, stuckSince }),
      );
    }
  }
}

/** @param {string} dist */
async function asMain(dist) {
  const esm = await import(`${dist}/index.js`);
  const cjs = createRequire(import.meta.url)(`${dist}/index.cjs`);
  /** @type {Worker | undefined} */
  let worker;
  const delay = monitorEventLoopDelay({ resolution: 5 });

  /** @param {Group} group */
  const askInWorker = async (group) => {
    worker ??= newWorker(dist);
    const asked = new Promise((resolve) =>
      worker?.on('message', (message) => message === 'asked' && resolve(message)),
    );
    worker.postMessage(group);
    await asked;
  };

  /**
   * @param {AskingCommand} command
   * @returns {Promise<unknown>}
   */
  const run = async (command) => {
    switch (command.do) {
      case 'ask':
        for (const group of command.groups) {
          if (group.copy === 'worker') await askInWorker(group);
          else start(group.copy === 'cjs' ? cjs : esm, group, settle);
        }
        return;
      case 'settled':
        await new Promise((resolve) => {
          waiting.push({ count: command.count, resolve: () => resolve(undefined) });
          if (settlements.length >= command.count) resolve(undefined);
        });
        return settlements.splice(0, command.count);
      case 'threads':
        return readdirSync('/proc/self/task').length;
      case 'watchLoop':
        delay.reset();
        delay.enable();
        return;
      case 'loopDelay':
        delay.disable();
        return delay.max / 1e6;
      case 'terminateWorker':
        await worker?.terminate();
        return;
      case 'exit':
        process.exit(0);
    }
  };

  process.on('message', (message) => {
    const command = /** @type {AskingCommand} */ (message);
    run(command).then(
      (value) => process.send?.({ id: command.id, value }),
      (error) => process.send?.({ id: command.id, error: String(error) }),
    );
  });
  process.on('disconnect', () => process.exit());
}

/** @param {string} dist */
function newWorker(dist) {
  const worker = new Worker(new URL(import.meta.url), { workerData: dist });
  worker.on('message', (message) => message !== 'asked' && settle(message));
  return worker;
}

/** @param {string} dist */
async function asWorker(dist) {
  const esm = await import(`${dist}/index.js`);
  parentPort?.on('message', (group) => {
    start(esm, group, (settlement) => parentPort?.postMessage(settlement));
    parentPort?.postMessage('asked');
  });
}

await (isMainThread ? asMain(String(process.argv[2])) : asWorker(String(workerData)));
