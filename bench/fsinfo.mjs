import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import checkDiskSpace from 'check-disk-space';
import { MetricsStatFs } from 'kube-volume-metrics';
import { interleaved } from './rounds.mjs';

export const about = 'one reading of a healthy filesystem, beside other ways to get its numbers';

const IN_FLIGHT = 16;
const ROUNDS = 15;
/** Readings in one round, enough to outlast the clock's and the machine's noise. */
const CALLS = 16_000;
const PROCESSES = 16;

const df = promisify(execFile);

export async function run(report) {
  const folder = fs.mkdtempSync(join(tmpdir(), 'kvm-bench-'));
  try {
    // A path for each call in flight: calls on one path would be answered together.
    const paths = Array.from({ length: IN_FLIGHT }, (_, index) => join(folder, String(index)));
    for (const path of paths) fs.mkdirSync(path);
    for (const inFlight of [1, IN_FLIGHT]) await atOnce(report, paths.slice(0, inFlight));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

async function atOnce(report, paths) {
  const providers = paths.map((path) => new MetricsStatFs(path));
  const times = await interleaved(
    {
      MetricsStatFs: () => each(providers, CALLS, (provider) => provider.getMetrics()),
      'fs.promises.statfs': () => each(paths, CALLS, (path) => fs.promises.statfs(path, { bigint: true })),
      'check-disk-space': () => each(paths, PROCESSES, (path) => checkDiskSpace(path)),
      'a df child': () => each(paths, PROCESSES, (path) => df('df', ['-P', '-B1', path])),
    },
    ROUNDS,
  );
  const calls = { 'check-disk-space': PROCESSES, 'a df child': PROCESSES };
  const microseconds = (name) => (times[name] * 1000) / (calls[name] ?? CALLS);
  const suffix = `${paths.length} in flight`;
  const peers = Object.keys(times).filter((name) => name !== 'MetricsStatFs');
  report.figure({
    what: `MetricsStatFs, ${suffix}`,
    value: microseconds('MetricsStatFs'),
    unit: 'us a call',
  });
  for (const name of peers) {
    report.figure({ what: `${name}, ${suffix}`, value: microseconds(name), unit: 'us a call' });
  }
  for (const name of peers) {
    report.figure({
      what: `MetricsStatFs against ${name}, ${suffix}`,
      value: microseconds('MetricsStatFs') / microseconds(name),
      unit: 'x',
      goal: 1,
      // With one call in flight, either pays for waking a thread and the event loop.
      ...(paths.length === 1 && { slack: 1.5 }),
    });
  }
}

/** Does `count` calls, one at a time for each of the items. */
async function each(items, count, call) {
  await Promise.all(
    items.map(async (item) => {
      for (let done = 0; done < count / items.length; done++) await call(item);
    }),
  );
}
