import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { CsiNodeClient, MetricsCsi } from '../../../src/csi/index.js';
import { isTransient } from '../../../src/errors.js';

/** Each costs the start of a process. All of them run in .ci/run. */
const RESTARTS = process.env['KVM_NO_SKIP'] === '1' ? 50 : 10;
const READERS = 20;

let directory: string;
let socket: string;
let child: ChildProcess | undefined;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kvm-restarts-'));
  socket = join(directory, 'csi.sock');
});
beforeEach(async () => {
  await start();
});
afterEach(async () => {
  await kill();
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

async function start(): Promise<void> {
  child = spawn(process.execPath, [join(import.meta.dirname, 'driver-process.mjs'), socket], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
}

async function kill(): Promise<void> {
  if (child === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  child = undefined;
  await exited;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/**
 * What is held when nothing is in flight, and the timers of connections that failed have gone (1 s and a
 * fifth).
 */
async function held(): Promise<{ descriptors: number; heap: number }> {
  await sleep(1_500);
  collectGarbage();
  return { descriptors: descriptors(), heap: process.memoryUsage().heapUsed };
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

const skip = process.platform !== 'linux';

test.skipIf(skip)(
  'a driver is killed and started again many times under many readers, and each first call after it succeeds',
  async () => {
    const client = new CsiNodeClient(socket, { timeoutMs: 20_000 });
    const provider = (number: number): MetricsCsi =>
      new MetricsCsi({ client, volumeId: `v${String(number)}`, volumePath: '/p' });
    let readings = 0;
    let failures = 0;
    const wrong: unknown[] = [];
    const final: unknown[] = [];
    const firstMs: number[] = [];

    /** Restarts under readers, and what is held when all is quiet again. */
    const restarts = async (count: number): ReturnType<typeof held> => {
      let isOver = false;
      const read = async (number: number): Promise<void> => {
        try {
          const { capacity, used, available } = await provider(number).getMetrics();
          readings += 1;
          if (capacity === BigInt(number * 1000 + 7) && used === 7n && available === BigInt(number * 1000))
            return;
          wrong.push({ number, capacity, used, available });
        } catch (error) {
          failures += 1;
          if (!isTransient(error)) final.push(error);
        }
      };
      const readers = Array.from({ length: READERS }, async (_, number) => {
        while (!isOver) {
          await read(number);
          await sleep(25);
        }
      });
      for (let restart = 1; restart <= count; restart += 1) {
        await kill();
        await start();
        const sinceMs = performance.now();
        // Of a volume that no reader asks for.
        expect(await provider(READERS + restart).getMetrics()).toMatchObject({ used: 7n });
        firstMs.push(performance.now() - sinceMs);
      }
      isOver = true;
      await Promise.all(readers);
      return await held();
    };

    const early = await restarts(RESTARTS / 5);
    const late = await restarts((RESTARTS / 5) * 4);
    client.close();

    firstMs.sort((a, b) => a - b);
    console.log(
      `first call after a restart: median ${String(Math.round(firstMs[RESTARTS / 2]!))} ms, ` +
        `slowest ${String(Math.round(firstMs.at(-1)!))} ms; ${String(readings)} readings, ${String(failures)} failures, ` +
        `${String(Math.round((late.heap - early.heap) / 1024))} KiB more of the heap`,
    );
    expect(wrong).toEqual([]);
    expect(final).toEqual([]);
    expect(failures).toBeGreaterThan(0);
    expect(readings).toBeGreaterThan(RESTARTS);
    expect(late.descriptors).toBeLessThanOrEqual(early.descriptors);
    expect(late.heap - early.heap).toBeLessThan(4 * 1024 * 1024);
  },
);

test.skipIf(skip)(
  'a driver that is stopped holds nothing back, and is found again when it goes on',
  async () => {
    const before = descriptors();
    const volume = { volumeId: 'v1', volumePath: '/p' };
    const clients = [new CsiNodeClient(socket), new CsiNodeClient(socket)] as const;
    const late = async (client: CsiNodeClient): Promise<void> => {
      const reading = client.readVolume(volume, { timeoutMs: 200 });
      await expect(reading).rejects.toMatchObject({ code: 'METRICS_TIMED_OUT' });
    };
    await clients[0].readVolume(volume);
    child?.kill('SIGSTOP');
    // The one is connected; for the other the kernel takes the connection and the driver never does.
    for (let call = 0; call < 3; call += 1) await Promise.all(clients.map(late));
    expect(descriptors()).toBeLessThanOrEqual(before + clients.length);
    child?.kill('SIGCONT');
    for (const client of clients) expect(await client.readVolume(volume)).toMatchObject({ stats: {} });

    child?.kill('SIGSTOP');
    await Promise.all(clients.map(late));
    for (const client of clients) client.close();
    await vi.waitFor(() => {
      expect(descriptors()).toBe(before);
    });
  },
);
