import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest';
import { AskingProcess, type Group, type Settlement } from './support/asking.mjs';
import { FuseServer, type FuseMount } from './support/fuse.mjs';
import { TestMounts } from './support/mounts.js';
import { needs } from './support/needs.js';

const DIST = join(import.meta.dirname, '../dist');
const HEALTHY = 100;
/** Longer than anything here takes: a call that is to be ended by something else. */
const NO_LIMIT = { timeoutMs: 600_000 };

const skip = needs({ fuse: true }) !== false;
const skipNative = skip || needs({ native: true }) !== false;

let server: FuseServer;
let place: TestMounts;
let healthy: string[];
let asking: AskingProcess;

beforeAll(() => {
  if (skip) return;
  server = new FuseServer();
  place = new TestMounts();
  healthy = Array.from({ length: HEALTHY }, (_, index) => join(place.directory, `healthy-${String(index)}`));
  for (const path of healthy) mkdirSync(path);
});
afterAll(async () => {
  if (skip) return;
  place.close();
  await server.close();
});
beforeEach(() => {
  asking = new AskingProcess(DIST);
});
afterEach(() => {
  asking.close();
});

async function inState(mounts: readonly FuseMount[], state: 'hold' | 'release'): Promise<void> {
  await Promise.all(mounts.map((mount) => mount[state]()));
}

function pathsOf(mounts: readonly FuseMount[]): string[] {
  return mounts.map((mount) => mount.path);
}

function tags(settlements: readonly Settlement[]): string[] {
  return settlements.map((settlement) => settlement.tag);
}

/** Asks again those that are still refused, until every path has been read. */
async function readAll(paths: readonly string[], options: Group['options']): Promise<Settlement[]> {
  const readings: Settlement[] = [];
  let left = paths;
  while (left.length > 0) {
    await asking.ask({ tag: 'after', paths: left, ...(options && { options }) });
    const settled = await asking.settled(left.length);
    readings.push(...settled.filter((each) => each.code === undefined));
    left = settled.filter((each) => each.code !== undefined).map((each) => each.path);
  }
  return readings;
}

describe.skipIf(skipNative).each([64, 300])('%i mounts that do not answer beside healthy ones', (count) => {
  const options = { binding: 'native' } as const;
  let mounts: FuseMount[];
  let stuck: string[];
  beforeAll(async () => {
    mounts = await server.mountMany(count);
    stuck = pathsOf(mounts);
  });

  test('delay nobody else, are refused once stuck, and read normally when they answer again', async () => {
    await inState(mounts, 'hold');
    await asking.ask(
      { tag: 'stuck', paths: stuck, options },
      { tag: 'healthy', paths: healthy, options: { ...options, ...NO_LIMIT } },
    );
    const first = await asking.settled(HEALTHY + count);
    expect(tags(first)).toEqual([...healthy.map(() => 'healthy'), ...stuck.map(() => 'stuck')]);
    expect(first.slice(0, HEALTHY).filter((each) => each.capacity === undefined)).toEqual([]);
    for (const each of first.slice(HEALTHY)) expect(each.code).toBe('METRICS_TIMED_OUT');

    // Their own limit is the time after which a path is stuck, and may come first by a hair: whoever waits on
    // sees it stuck.
    await asking.ask({ tag: 'waits', paths: stuck, options: { ...options, ...NO_LIMIT } });
    for (const each of await asking.settled(count)) expect(each.stuckSince).toBeInstanceOf(Date);

    // A reading that can be had may need a thread of its own; from here on there is one for it.
    await asking.ask({ tag: 'healthy', paths: healthy.slice(0, 1), options });
    await asking.settled(1);
    const threads = await asking.threads();
    const times = Math.ceil(1000 / count);
    await asking.ask(
      { tag: 'healthy', paths: healthy.slice(0, 1), options },
      { tag: 'again', paths: stuck, times, options: { ...options, ...NO_LIMIT } },
    );
    const again = await asking.settled(count * times + 1);
    // A refusal that had waited for anything would come after a reading that was asked for before it.
    expect(tags(again.slice(0, -1)).every((tag) => tag === 'again')).toBe(true);
    expect(again.at(-1)).toMatchObject({ tag: 'healthy', capacity: expect.any(BigInt) as bigint });
    for (const each of again.slice(0, -1)) {
      expect(each).toMatchObject({ code: 'METRICS_TIMED_OUT', stuckSince: expect.any(Date) as Date });
    }
    expect(await asking.threads()).toBeLessThanOrEqual(threads);

    await inState(mounts, 'release');
    for (const reading of await readAll(stuck, options)) expect(reading.capacity).toBe(4_096_000n);
    const calls = await Promise.all(mounts.map((mount) => mount.statfsCalls(asking.pid)));
    expect(calls).toEqual(stuck.map(() => 2));
  });

  test('let the process exit while calls are blocked', async () => {
    await inState(mounts, 'hold');
    const threads = await asking.threads();
    await asking.ask({ tag: 'blocked', paths: stuck, options: { ...options, ...NO_LIMIT } });
    while ((await asking.threads()) < threads + count) await sleep(10);
    expect(await asking.exit()).toBe(0);
    await inState(mounts, 'release');
  });
});

describe.skipIf(skipNative)('copies of the package', () => {
  const options = { ...NO_LIMIT, binding: 'native' } as const;
  let mount: FuseMount;
  beforeEach(async () => {
    mount = await server.mount();
    await mount.hold('unanswered');
  });
  afterEach(async () => {
    await mount.unmount();
  });

  const group = (copy: Group['copy']): Group => ({ tag: copy!, paths: [mount.path], copy: copy!, options });
  const all = (): Group[] => [group('worker'), group('esm'), group('cjs')];

  test('share one system call: the ESM one, the CJS one and a worker thread', async () => {
    await asking.ask(...all());
    await mount.received('statfs', asking.pid);
    await mount.release();
    const settled = await asking.settled(3);
    expect(tags(settled).sort()).toEqual(['cjs', 'esm', 'worker']);
    for (const each of settled) expect(each.capacity).toBe(4_096_000n);
    expect(await mount.statfsCalls(asking.pid)).toBe(1);
  });

  test('share what they know of a stuck path', async () => {
    await asking.ask(...all());
    const settled = await asking.settled(3);
    for (const each of settled) expect(each.code).toBe('METRICS_TIMED_OUT');
    expect(new Set(settled.map((each) => each.stuckSince?.getTime())).size).toBe(1);
    await asking.ask(...all());
    expect((await asking.settled(3)).map((each) => each.stuckSince)).toEqual(
      settled.map((each) => each.stuckSince),
    );
    expect(await mount.statfsCalls(asking.pid)).toBe(1);
  });

  test('a worker thread ends while its call is blocked, and the others get the answer', async () => {
    await asking.ask(group('worker'));
    await mount.received('statfs', asking.pid);
    await asking.terminateWorker();
    await asking.ask(group('esm'));
    await mount.release();
    expect(await asking.settled(1)).toMatchObject([{ tag: 'esm', capacity: 4_096_000n }]);
    expect(await mount.statfsCalls(asking.pid)).toBe(1);
  });
});

// Eight commands run at once, so that more stuck ones than that delay those behind them.
describe.skipIf(skip)('4 mounts that do not answer, asked by commands', () => {
  const options = { binding: 'command' } as const;
  const ALL = 24;
  let mounts: FuseMount[];
  let stuck: string[];
  beforeAll(async () => {
    mounts = await server.mountMany(4);
    stuck = pathsOf(mounts);
  });

  test('delay nobody else, are refused once stuck, and read normally when they answer again', async () => {
    await inState(mounts, 'hold');
    await asking.ask(
      { tag: 'stuck', paths: stuck, options: { ...options, ...NO_LIMIT } },
      { tag: 'healthy', paths: healthy.slice(0, ALL - stuck.length), options: { ...options, ...NO_LIMIT } },
    );
    const first = await asking.settled(ALL);
    expect(tags(first).lastIndexOf('healthy')).toBeLessThan(tags(first).indexOf('stuck'));
    for (const each of first) {
      if (each.tag === 'stuck') expect(each.stuckSince).toBeInstanceOf(Date);
      else expect(each.capacity).toBeTypeOf('bigint');
    }
    await inState(mounts, 'release');
    for (const reading of await readAll(stuck, options)) expect(reading.capacity).toBe(4_096_000n);
  });

  test('let the process exit while commands are blocked', async () => {
    // Taken and never answered, a request holds even a command that was killed.
    await Promise.all(mounts.map((mount) => mount.hold('unanswered')));
    const before = await Promise.all(mounts.map((mount) => mount.statfsCalls()));
    await asking.ask({ tag: 'blocked', paths: stuck, options: { ...options, ...NO_LIMIT } });
    const isBlocked = async (): Promise<boolean> => {
      const calls = await Promise.all(mounts.map((mount) => mount.statfsCalls()));
      return calls.every((count, index) => count > before[index]!);
    };
    while (!(await isBlocked())) await sleep(10);
    expect(await asking.exit()).toBe(0);
    await inState(mounts, 'release');
  });
});
