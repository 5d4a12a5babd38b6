import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { CsiNodeClient, MetricsCsi } from 'kube-volume-metrics/csi';
import { NodeService } from 'kube-volume-metrics/csi/v1';
import { median } from './rounds.mjs';

export const about = 'a round of 500 volumes of one CSI driver, beside a client that dials for each call';

const DRIVER = fileURLToPath(new URL('../test/csi/client/driver-process.mjs', import.meta.url));
const VOLUMES = 500;
/** As many pods as are asked about at the same time. */
const IN_FLIGHT = 16;
const ROUNDS = 10;

export async function run(report) {
  const folder = fs.mkdtempSync(join(tmpdir(), 'kvm-bench-'));
  const socket = join(folder, 'csi.sock');
  // The driver in a process of its own, so that only the clients' work is counted.
  const driver = spawn(process.execPath, [DRIVER, socket], { stdio: ['pipe', 'pipe', 'inherit'] });
  const client = new CsiNodeClient(socket);
  try {
    await once(driver.stdout, 'data');
    const providers = Array.from(
      { length: VOLUMES },
      (_, number) => new MetricsCsi({ client, volumeId: `v${number}`, volumePath: '/p' }),
    );
    const used = await cpuOf({
      shared: () => each(IN_FLIGHT, (number) => providers[number].getMetrics()),
      'all at once': () => each(VOLUMES, (number) => providers[number].getMetrics()),
      dialing: () => each(IN_FLIGHT, (number) => askAsTheKubelet(socket, `v${number}`)),
    });
    const suffix = `${IN_FLIGHT} in flight`;
    report.figure({
      what: `MetricsCsi, ${suffix}`,
      value: used.shared,
      unit: 'ms of CPU a volume',
      goal: 0.6,
    });
    report.figure({
      what: `MetricsCsi, ${VOLUMES} in flight`,
      value: used['all at once'],
      unit: 'ms of CPU a volume',
      goal: 0.6,
    });
    report.figure({
      what: `a client that dials for each call, ${suffix}`,
      value: used.dialing,
      unit: 'ms of CPU a volume',
    });
    report.figure({
      what: `MetricsCsi against it, ${suffix}`,
      value: used.shared / used.dialing,
      unit: 'x',
      goal: 1 / 3,
    });
  } finally {
    client.close();
    driver.kill();
    fs.rmSync(folder, { recursive: true });
  }
}

/**
 * The kubelet's two calls: for each a connection of its own, and the capabilities every time (kubernetes
 * pkg/volume/csi/csi_client.go).
 */
async function askAsTheKubelet(socket, volumeId) {
  const { capabilities } = await dial(socket, NodeService.nodeGetCapabilities, {});
  if (!capabilities.some(({ rpc }) => rpc?.type === 2)) throw new Error('not supported');
  return await dial(socket, NodeService.nodeGetVolumeStats, {
    volumeId,
    volumePath: '/p',
    stagingTargetPath: '',
  });
}

function dial(socket, { path, requestSerialize, responseDeserialize }, request) {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    // The process-wide pool would keep the connection for the next call.
    'grpc.use_local_subchannel_pool': 1,
  });
  const deadline = Date.now() + 120_000;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      { deadline },
      (error, response) => {
        client.close();
        if (error) reject(error);
        else resolve(response);
      },
    );
  });
}

/** Asks about every volume, so many at a time. */
async function each(atOnce, ask) {
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < VOLUMES) await ask(next++);
    }),
  );
}

/**
 * Milliseconds of this process's CPU that each candidate takes for one volume: the median of rounds in turn.
 */
async function cpuOf(candidates) {
  const used = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, work] of Object.entries(candidates)) {
      globalThis.gc?.();
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      if (round > 0) used[name].push((user + system) / 1000 / VOLUMES);
    }
  }
  return Object.fromEntries(Object.entries(used).map(([name, all]) => [name, median(all)]));
}
