import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { activeBinding } from 'kube-volume-metrics';
import { AskingProcess } from '../test/support/asking.mjs';
import { FuseServer } from '../test/support/fuse.mjs';
import { median } from './rounds.mjs';

export const about = '100 healthy directories beside mounts that never answer statfs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const HEALTHY = 100;
const STUCK = [64, 300];
const ROUNDS = 10;
const NO_LIMIT = { timeoutMs: 600_000 };

export async function run(report) {
  if (activeBinding().binding !== 'native') {
    report.skipped('stuck mounts', 'commands run eight at a time, so that this is the native binding only');
    return;
  }
  const folder = fs.mkdtempSync(join(tmpdir(), 'kvm-bench-'));
  const server = new FuseServer();
  try {
    const paths = Array.from({ length: HEALTHY }, (_, index) => join(folder, String(index)));
    for (const path of paths) fs.mkdirSync(path);
    const problem = await server.mount().catch(String);
    if (typeof problem === 'string') {
      report.skipped('stuck mounts', problem);
      return;
    }
    for (const count of STUCK) await beside(report, paths, await server.mountMany(count, {}, 'unread'));
  } finally {
    await server.close();
    fs.rmSync(folder, { recursive: true });
  }
}

async function beside(report, paths, mounts) {
  const asking = new AskingProcess(DIST);
  try {
    const healthy = { tag: 'healthy', paths, options: NO_LIMIT };
    const stuck = { tag: 'stuck', paths: mounts.map((mount) => mount.path), options: NO_LIMIT };
    // All at once first, the worst that can come; then again and again beside those that are blocked.
    const threads = await asking.threads();
    await asking.watchLoop();
    await asking.ask(stuck, healthy);
    const first = await asking.settled(HEALTHY);
    while ((await asking.threads()) < threads + mounts.length) await sleep(10);
    const later = [];
    for (let round = 0; round < ROUNDS; round++) {
      await asking.ask(healthy);
      later.push(...(await asking.settled(HEALTHY)));
    }
    const loopDelay = await asking.loopDelay();
    const all = [...first, ...later];
    if (all.some((each) => each.tag !== 'healthy')) throw new Error('stuck calls settled first');

    const start = performance.now();
    await asking.exit();
    const exit = performance.now() - start;

    const ms = (settlements) => settlements.map((each) => each.ms);
    const beside = `beside ${mounts.length} stuck`;
    report.figure({
      what: `healthy latency, worst, ${beside}`,
      value: Math.max(...ms(all)),
      unit: 'ms',
      goal: 50,
    });
    report.figure({ what: `healthy latency, median, ${beside}`, value: median(ms(all)), unit: 'ms' });
    report.figure({ what: `event-loop delay, worst, ${beside}`, value: loopDelay, unit: 'ms', goal: 50 });
    report.figure({ what: `process.exit(), ${beside}`, value: exit, unit: 'ms', goal: 1000 });
  } finally {
    asking.close();
  }
}
