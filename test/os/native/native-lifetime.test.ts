import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { BUFFER_BYTES, WALK_COUNTS, WALK_WORDS, WALKS_AT } from '../../../src/os/native/addon.js';
import { needs } from '../../support/needs.js';

const run = promisify(execFile);
const NATIVE = join(import.meta.dirname, '../../../native');

/** Loads the addon; connects to it with a buffer of its own, which `deliver` gets first. */
const TOOLS = `
  var load = () => require('node-gyp-build')(${JSON.stringify(NATIVE)});
  var connect = (addon, deliver) => {
    const buffer = new ArrayBuffer(${String(BUFFER_BYTES)});
    return addon.connect((...counts) => deliver(buffer, ...counts), buffer);
  };
`;

/**
 * Runs a program in a process of its own, with the addon's loader in `load`; resolves with what it printed.
 */
async function program(text: string): Promise<string> {
  const head = `
    const { Worker, isMainThread } = require('node:worker_threads');
    const tools = ${JSON.stringify(TOOLS)};
    eval(tools);
    const inWorker = (body) => new Worker(tools + body, { eval: true });
  `;
  const { stdout } = await run(process.execPath, ['-e', head + text], { timeout: 60_000 });
  return stdout.trim();
}

/** A thousand paths and five walks at once, the answers still to come when this returns. */
const FLOOD = `
  const channel = connect(load(), () => {});
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
          const channel = connect(addon, (buffer, answers, walks, texts) => {
            clearInterval(alive);
            resolve([answers, walks, texts, new Float64Array(buffer)[3]]);
          });
          const alive = setInterval(() => {}, 1000);
          channel.start(0, '/');
        });
        console.log(...answer);
      })();
    `);
    expect(output).toBe('1 0 undefined 0');
  });

  test('all threads of a process share one pool', async () => {
    const output = await program(`
      (async () => {
        const addon = load();
        const before = addon.counts().asked;
        await Promise.all([0, 1, 2].map(() => new Promise((done) => {
          const worker = inWorker("const c = connect(load(), () => process.exit()); c.start(0, '/'); setInterval(() => {}, 1000);");
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
        const channel = connect(addon, (buffer) => { console.log(name, new Float64Array(buffer)[3]); if (--left === 0) clearInterval(alive); });
        channel.start(0, '/');
      }
    `);
    expect(output.split('\n').sort()).toEqual(['a 0', 'b 0']);
  });

  test('results of many walks travel together, with texts only for those that failed', async () => {
    const output = await program(`
      const { mkdtempSync, rmSync } = require('node:fs');
      const folder = mkdtempSync('/tmp/kvm-results-');
      const results = new Map();
      let most = 0;
      const channel = connect(load(), (buffer, answers, walks, texts = []) => {
        most = Math.max(most, walks);
        const numbers = new Float64Array(buffer, ${String(WALKS_AT * 8)});
        const words = new BigUint64Array(buffer, ${String(WALKS_AT * 8)});
        let text = 0;
        for (let at = 0; at < walks * ${String(WALK_WORDS)}; at += ${String(WALK_WORDS)}) {
          const path = numbers[at + 7] === 1 ? texts[(text += 2) - 2] : '';
          results.set(numbers[at], [numbers[at + 1], path, Number(words[at + ${String(WALK_COUNTS + 1)}])].join(' '));
        }
        if (text !== texts.length) throw new Error('texts are left over');
        if (results.size < 200) return;
        clearInterval(alive);
        rmSync(folder, { recursive: true });
        console.log(JSON.stringify(asked.map((number) => results.get(number))), most);
      });
      const alive = setInterval(() => {}, 1000);
      const asked = Array.from({ length: 200 }, (_, i) => channel.walk(i % 3 === 0 ? folder + '/missing' : folder, 1, false));
      // They end while nobody fetches their results.
      const until = Date.now() + 300;
      while (Date.now() < until);
      console.log(folder);
    `);
    const [folder = '', line = ''] = output.split('\n');
    const [results = '', most] = line.split('] ').map((part, index) => (index === 0 ? `${part}]` : part));
    expect(JSON.parse(results)).toEqual(
      Array.from({ length: 200 }, (_, index) => (index % 3 === 0 ? `2 ${folder}/missing 0` : '0  1')),
    );
    expect(Number(most)).toBeGreaterThan(1);
    expect(Number(most)).toBeLessThanOrEqual(64);
  });

  test('a buffer of another size is refused', async () => {
    expect(await program(`console.log(load().connect(() => {}, new ArrayBuffer(64)))`)).toBe('undefined');
  });
});
