import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { needs } from '../../support/needs.js';

const run = promisify(execFile);
const NATIVE = join(import.meta.dirname, '../../../native');

/**
 * Runs a program in a process of its own, with the addon's loader in `load`; resolves with what it printed.
 */
async function program(text: string): Promise<string> {
  const head = `
    const { Worker, isMainThread } = require('node:worker_threads');
    const load = () => require('node-gyp-build')(${JSON.stringify(NATIVE)});
    const inWorker = (body) => new Worker("const load = () => require('node-gyp-build')(" + JSON.stringify(${JSON.stringify(NATIVE)}) + ");" + body, { eval: true });
  `;
  const { stdout } = await run(process.execPath, ['-e', head + text], { timeout: 60_000 });
  return stdout.trim();
}

/** A thousand paths and five walks at once, the answers still to come when this returns. */
const FLOOD = `
  const channel = load().connect(() => {}, () => {});
  for (let i = 0; i < 1000; i++) channel.start(i % 2, '/proc/self/' + i);
  for (let i = 0; i < 5; i++) channel.walk('/usr/share', 2, true);
`;

describe.skipIf(needs({ native: true }))('the addon', () => {
  test('a process ends by itself with answers still to come', async () => {
    expect(await program(`${FLOOD} console.log('end')`)).toBe('end');
  });

  test('process.exit ends it as well', async () => {
    expect(await program(`${FLOOD} console.log('end'); process.exit(0)`)).toBe('end');
  });

  test('workers that are terminated early take nothing with them', async () => {
    const output = await program(`
      (async () => {
        for (let round = 0; round < 40; round++) {
          const workers = [0, 1, 2].map(() => inWorker(${JSON.stringify(`${FLOOD} setInterval(() => {}, 1000)`)}));
          await Promise.all(workers.map((worker) => new Promise((online) => worker.once('online', online))));
          await new Promise((later) => setTimeout(later, round % 4));
          await Promise.all(workers.map((worker) => worker.terminate()));
        }
        // Only now is it loaded in the main thread: the library of the dead workers must still be sound.
        const addon = load();
        const answer = await new Promise((resolve) => {
          const channel = addon.connect((words) => { clearInterval(alive); resolve(words); }, () => {});
          const alive = setInterval(() => {}, 1000);
          channel.start(0, '/');
        });
        console.log(answer.length, answer[3]);
      })();
    `);
    expect(output).toBe('13 0n');
  });

  test('all threads of a process share one pool', async () => {
    const output = await program(`
      (async () => {
        const addon = load();
        const before = addon.counts().asked;
        await Promise.all([0, 1, 2].map(() => new Promise((done) => {
          const worker = inWorker("const c = load().connect(() => process.exit(), () => {}); c.start(0, '/'); setInterval(() => {}, 1000);");
          worker.once('exit', done);
        })));
        console.log(addon.counts().asked - before);
      })();
    `);
    expect(Number(output)).toBeGreaterThanOrEqual(1);
    expect(Number(output)).toBeLessThanOrEqual(3);
  });

  test('it can be connected to more than once, as by the ESM and the CommonJS copy', async () => {
    const output = await program(`
      const addon = load();
      let left = 2;
      const alive = setInterval(() => {}, 1000);
      for (const name of ['a', 'b']) {
        const channel = addon.connect((words) => { console.log(name, words[3]); if (--left === 0) clearInterval(alive); }, () => {});
        channel.start(0, '/');
      }
    `);
    expect(output.split('\n').sort()).toEqual(['a 0n', 'b 0n']);
  });
});
