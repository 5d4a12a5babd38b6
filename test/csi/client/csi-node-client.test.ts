import { Client, status, type CallOptions } from '@grpc/grpc-js';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CsiNodeClient, MetricsCsi, type CsiCall, type CsiVolume } from '../../../src/csi/index.js';
import {
  NodeServiceCapability_RPC_Type as Capability,
  PluginCapability_Service_Type,
  PluginCapability_VolumeExpansion_Type,
  StorageHealthErrorType,
  VolumeUsage_Unit,
} from '../../../src/csi/v1/index.js';
import { isTransient } from '../../../src/errors.js';
import type { Metrics } from '../../../src/metrics.js';
import { FakeCsiDriver } from '../../../src/testing/csi/index.js';

const VOLUME = { volumeId: 'v', volumePath: '/p' };
const LATE_MS = 200;

let driver: FakeCsiDriver;
let client: CsiNodeClient;
const clients: CsiNodeClient[] = [];

beforeEach(async () => {
  driver = await FakeCsiDriver.start();
  client = newClient();
});
afterEach(async () => {
  for (const each of clients.splice(0)) each.close();
  await driver.stop();
});

function newClient(
  options?: ConstructorParameters<typeof CsiNodeClient>[1],
  endpoint = driver.endpoint,
): CsiNodeClient {
  const made = new CsiNodeClient(endpoint, options);
  clients.push(made);
  return made;
}

const read = (over = client, signal?: AbortSignal): Promise<Metrics> =>
  new MetricsCsi({ client: over, ...VOLUME }).getMetrics({ signal });

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => {
      throw new Error('it succeeded');
    },
    (error: unknown) => error,
  );

const never = (): Promise<never> => new Promise(() => undefined);

/** The call has reached the driver. */
const arrived = async (rpc: Parameters<FakeCsiDriver['calls']>[0], count = 1): Promise<void> => {
  while (driver.calls(rpc) < count) await turn();
};

describe('one connection', () => {
  test('serves a round of 500 volumes with 501 calls', async () => {
    driver.script.usage = ({ volumeId }) => [
      { unit: VolumeUsage_Unit.BYTES, total: BigInt(volumeId), used: 1n, available: 1n },
    ];
    const round = (): Promise<Metrics[]> =>
      Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          new MetricsCsi({ client, volumeId: String(index + 1), volumePath: '/p' }).getMetrics(),
        ),
      );
    const readings = await round();
    expect(readings.map((reading) => reading.capacity)).toEqual(
      readings.map((_, index) => BigInt(index + 1)),
    );
    expect(driver.calls()).toBe(501);
    await round();
    expect(driver.calls()).toBe(1001);
    expect(driver.calls('nodeGetCapabilities')).toBe(1);
    expect(driver.connections).toBe(1);
  });

  test('is not made before the first call, and ends with the client', async () => {
    await turn();
    expect(driver.connections).toBe(0);
    await read();
    expect(driver.openConnections).toBe(1);
    client.close();
    await vi.waitFor(() => {
      expect(driver.openConnections).toBe(0);
    });
  });

  test('survives what a driver refuses, UNAVAILABLE among it', async () => {
    await read();
    for (const code of [status.UNAVAILABLE, status.INTERNAL, status.CANCELLED, status.UNKNOWN]) {
      driver.answer('nodeGetVolumeStats', { code, details: 'the backend is away' });
      const before = driver.calls('nodeGetVolumeStats');
      expect(await failureOf(read())).toMatchObject({ code: 'METRICS_CSI_FAILED', cause: { code } });
      expect(driver.calls('nodeGetVolumeStats')).toBe(before + 1);
    }
    expect(driver.connections).toBe(1);
    expect(driver.calls('nodeGetCapabilities')).toBe(1);
  });
});

// Node's HTTP/2 may stop for good over thousands of calls at once.
test('a thousand calls at once fill a connection; the next ones get another, and all are answered', async () => {
  let isOver = false;
  const waiting: (() => void)[] = [];
  driver.answer('nodeGetVolumeStats', () => {
    const usage = [{ unit: VolumeUsage_Unit.BYTES, total: 7n, used: 1n, available: 6n }];
    return new Promise((resolve) => {
      waiting.push(() => {
        resolve({ usage });
      });
      if (isOver) resolve({ usage });
    });
  });
  const round = (): Promise<Metrics[]> => Promise.all(Array.from({ length: 2_500 }, () => read()));
  const readings = round();
  await arrived('nodeGetVolumeStats', 2_500);
  expect(driver.openConnections).toBe(3);
  isOver = true;
  for (const answer of waiting) answer();
  expect((await readings).every(({ capacity }) => capacity === 7n)).toBe(true);
  // The full ones have closed behind their last call.
  await vi.waitFor(() => {
    expect(driver.openConnections).toBe(1);
  });
  await read();
  expect(driver.connections).toBe(3);
});

describe('identity', () => {
  test('a driver is ready unless it says that it is not', async () => {
    const ready = async (hex: string): Promise<boolean> => {
      driver.answer('probe', Buffer.from(hex, 'hex'));
      return await client.probe();
    };
    expect(await ready('')).toBe(true);
    expect(await ready('0a020801')).toBe(true);
    expect(await ready('0a00')).toBe(false);
    driver.answer('probe', { code: status.FAILED_PRECONDITION, details: 'no backend' });
    expect(await failureOf(client.probe())).toMatchObject({ code: 'METRICS_CSI_FAILED', cause: { code: 9 } });
  });

  test('a driver says who, what and where it is', async () => {
    expect(await client.getPluginInfo()).toEqual({
      name: 'fake.csi.example',
      vendorVersion: '1.0.0',
      manifest: {},
    });
    driver.answer('getPluginCapabilities', Buffer.from('0a040a0208010a0412020801', 'hex'));
    expect(await client.getPluginCapabilities()).toEqual({
      capabilities: [
        { service: { type: PluginCapability_Service_Type.CONTROLLER_SERVICE } },
        { volumeExpansion: { type: PluginCapability_VolumeExpansion_Type.ONLINE } },
      ],
    });
    driver.answer('nodeGetInfo', Buffer.from('0a026e3110051a080a060a017a120161', 'hex'));
    expect(await client.nodeGetInfo()).toEqual({
      nodeId: 'n1',
      maxVolumesPerNode: 5n,
      accessibleTopology: { segments: { z: 'a' } },
    });
    driver.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.VOLUME_MOUNT_GROUP];
    expect(await client.nodeGetCapabilities()).toEqual(new Set([2, 6]));
  });

  test('the single calls about a volume are the driver’s own answers', async () => {
    expect(await client.nodeGetVolumeStats(VOLUME)).toMatchObject({
      usage: [{ total: 100n }, { total: 10n }],
    });
    expect(await client.nodeGetVolumeHealth(VOLUME)).toEqual({
      volumeHealth: { volumeId: 'v', healthStatuses: [] },
    });
    const [noId, noPath] = [
      { ...VOLUME, volumeId: '' },
      { ...VOLUME, volumePath: '' },
    ];
    for (const call of [
      () => client.nodeGetVolumeStats(noId),
      () => client.nodeGetVolumeHealth(noId),
      () => client.readVolume(noId),
      () => client.nodeGetVolumeStats(noPath),
      () => client.readVolume(noPath),
    ]) {
      expect(await failureOf(call())).toMatchObject({ code: 'METRICS_NO_PATH_DEFINED' });
    }
  });

  test('the health of a volume without a publish path may be asked for, as the kubelet asks for a block volume', async () => {
    await client.nodeGetVolumeHealth({ volumeId: 'v', volumePath: '', stagingTargetPath: '/s' });
    expect(driver.requests('nodeGetVolumeHealth')).toEqual([
      { volumeId: 'v', volumePublishPath: '', stagingTargetPath: '/s' },
    ]);
  });

  test('the health of the storage is the driver’s own answer, and no secret is sent', async () => {
    expect(await client.nodeGetStorageHealth()).toEqual({ backendHealth: [] });
    const lost = {
      status: StorageHealthErrorType.STORAGE_DEGRADED,
      reason: 'PathLost',
      message: 'one of two paths is gone',
    };
    driver.script.storageHealth = [lost];
    expect(await client.nodeGetStorageHealth()).toEqual({ backendHealth: [lost] });
    expect(driver.requests('nodeGetStorageHealth')).toEqual([{ secrets: {} }, { secrets: {} }]);
    driver.answer('nodeGetStorageHealth', { code: status.UNIMPLEMENTED, details: 'no' });
    expect(await failureOf(client.nodeGetStorageHealth())).toMatchObject({
      code: 'METRICS_CSI_FAILED',
      message: expect.stringMatching(
        /^NodeGetStorageHealth of .* failed with 12 UNIMPLEMENTED: no$/,
      ) as string,
    });
  });
});

test('an argument of the wrong type and an unknown option are refused, and nothing is sent', async () => {
  for (const [volume, message] of [
    [{}, 'Expected volumeId to be a string, got undefined'],
    [{ ...VOLUME, volumeId: 5 }, 'Expected volumeId to be a string, got number'],
    [{ ...VOLUME, volumePath: null }, 'Expected volumePath to be a string, got null'],
    [{ ...VOLUME, stagingTargetPath: true }, 'Expected stagingTargetPath to be a string, got boolean'],
  ] as const) {
    const given = volume as unknown as CsiVolume;
    for (const call of ['nodeGetVolumeStats', 'nodeGetVolumeHealth', 'readVolume'] as const) {
      await expect(client[call](given)).rejects.toThrow(new TypeError(message));
    }
  }
  const signal = {} as AbortSignal;
  for (const call of [
    client.probe({ signal }),
    client.readVolume(VOLUME, { signal }),
    read(client, signal),
  ]) {
    await expect(call).rejects.toThrow(new TypeError('Expected signal to be an AbortSignal, got object'));
  }
  const none = new TypeError('Expected options to be an object, got null');
  await expect(client.probe(null as never)).rejects.toThrow(none);
  expect(() => new CsiNodeClient('/csi.sock', null as never)).toThrow(none);
  const unknown = new TypeError('Unknown option "timeout": the options are signal, timeoutMs');
  for (const call of ['probe', 'getPluginInfo', 'nodeGetCapabilities'] as const) {
    await expect(client[call]({ timeout: 5 } as object)).rejects.toThrow(unknown);
  }
  await expect(client.readVolume(VOLUME, { timeout: 5 } as object)).rejects.toThrow(unknown);
  expect(() => newClient({ timeout: 5 } as object)).toThrow(
    new TypeError('Unknown option "timeout": the options are timeoutMs, onCall'),
  );
  expect(driver.connections).toBe(0);
});

describe('the time limit', () => {
  test('ends a call that the driver answers later, and the driver hears of it', async () => {
    driver.answer('nodeGetVolumeStats', never);
    const error = await failureOf(read(newClient({ timeoutMs: LATE_MS })));
    expect(error).toMatchObject({
      code: 'METRICS_TIMED_OUT',
      path: '/p',
      cause: { code: status.DEADLINE_EXCEEDED },
    });
    await vi.waitFor(() => {
      expect(driver.cancelled).toBe(1);
    });
  });

  test('is one for all calls of a reading', async () => {
    // Each call by itself is in time.
    driver.mode = 'slow';
    driver.script.delayMs = LATE_MS * 0.75;
    expect(await failureOf(read(newClient({ timeoutMs: LATE_MS })))).toMatchObject({
      code: 'METRICS_TIMED_OUT',
    });
    expect(driver.calls('nodeGetVolumeStats')).toBe(1);
  });

  test('can be set for a call', async () => {
    driver.mode = 'mute';
    expect(await failureOf(client.getPluginInfo({ timeoutMs: LATE_MS }))).toMatchObject({
      code: 'METRICS_TIMED_OUT',
    });
    for (const timeoutMs of [0, -1, NaN, 2 ** 31, '5' as unknown as number]) {
      await expect(client.getPluginInfo({ timeoutMs })).rejects.toThrow(TypeError);
      expect(() => newClient({ timeoutMs })).toThrow(TypeError);
    }
  });

  test('is each caller’s own where they share a call', async () => {
    let answer: () => void = () => undefined;
    driver.answer('nodeGetCapabilities', () => {
      return new Promise((resolve) => {
        answer = () => {
          resolve({ capabilities: [{ rpc: { type: Capability.GET_VOLUME_STATS } }] });
        };
      });
    });
    const hasty = failureOf(client.readVolume(VOLUME, { timeoutMs: LATE_MS }));
    const patient = read();
    expect(await hasty).toMatchObject({ code: 'METRICS_TIMED_OUT', message: /^NodeGetCapabilities of .*/ });
    answer();
    expect(await patient).toMatchObject({ capacity: 100n });
    expect(driver.calls('nodeGetCapabilities')).toBe(1);
  });

  test.each(['mute', 'nonsense', 'kill', 'slow'] as const)(
    'ends a call to a driver that is %s',
    async (mode) => {
      driver.mode = mode;
      driver.script.delayMs = LATE_MS * 10;
      const hasty = newClient({ timeoutMs: LATE_MS });
      const error = await failureOf(read(hasty));
      expect(isTransient(error)).toBe(true);
      expect(error).toMatchObject({
        code: mode === 'mute' || mode === 'slow' ? 'METRICS_TIMED_OUT' : 'METRICS_CSI_FAILED',
      });
      // What a new connection comes to is the driver's answer.
      expect(driver.connections).toBe(1);
      driver.mode = 'serve';
      const limits = { timeoutMs: 20_000 };
      expect(await hasty.nodeGetVolumeStats(VOLUME, limits)).toMatchObject({ usage: [{}, {}] });
    },
  );

  test.each(['mute', 'nonsense', 'kill', 'slow'] as const)(
    'ends it on a connection that was good before it was %s',
    async (mode) => {
      const hasty = newClient({ timeoutMs: LATE_MS });
      // Not within the short limit: the first call of all may take its time.
      await hasty.getPluginInfo({ timeoutMs: 20_000 });
      driver.mode = mode;
      driver.script.delayMs = LATE_MS * 10;
      expect(isTransient(await failureOf(read(hasty)))).toBe(true);
      driver.mode = 'serve';
      expect(await read(hasty)).toMatchObject({ capacity: 100n });
    },
  );
});

describe('a signal', () => {
  test('ends its own call with its reason, and the driver hears of it', async () => {
    driver.answer('nodeGetVolumeStats', never);
    const controller = new AbortController();
    const failure = failureOf(read(client, controller.signal));
    await arrived('nodeGetVolumeStats');
    const reason = { is: 'mine' };
    controller.abort(reason);
    expect(await failure).toBe(reason);
    expect(isTransient(reason)).toBe(false);
    await vi.waitFor(() => {
      expect(driver.cancelled).toBe(1);
    });
  });

  test('that was aborted before sends nothing', async () => {
    const reason = new Error('too late');
    expect(await failureOf(read(client, AbortSignal.abort(reason)))).toBe(reason);
    expect(await failureOf(client.probe({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(await failureOf(client.nodeGetCapabilities({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(driver.connections).toBe(0);
  });

  test('releases its caller from a shared call; the last one ends it, and the next one asks anew', async () => {
    driver.answer('nodeGetCapabilities', never);
    const controllers = [new AbortController(), new AbortController()];
    const failures = controllers.map(({ signal }) => failureOf(read(client, signal)));
    await arrived('nodeGetCapabilities');
    controllers[0]!.abort('first');
    expect(await failures[0]).toBe('first');
    expect(driver.cancelled).toBe(0);
    driver.answer('nodeGetCapabilities', undefined);
    controllers[1]!.abort('second');
    // In the same turn: it must not join what has just been given up.
    const next = read();
    expect(await failures[1]).toBe('second');
    expect(await next).toMatchObject({ capacity: 100n });
    expect(driver.calls('nodeGetCapabilities')).toBe(2);
    await vi.waitFor(() => {
      expect(driver.cancelled).toBe(1);
    });
  });

  test('ends the wait for health', async () => {
    driver.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.GET_VOLUME_HEALTH];
    driver.answer('nodeGetVolumeHealth', never);
    const controller = new AbortController();
    const failure = failureOf(read(client, controller.signal));
    await arrived('nodeGetVolumeHealth');
    controller.abort('enough');
    expect(await failure).toBe('enough');
  });

  test('keeps no listener', async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    await read(client, signal);
    await read(client, signal);
    expect(added).toHaveBeenCalled();
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      expect.arrayContaining(added.mock.calls.map(([, listener]) => listener)),
    );
  });
});

describe('a driver that comes and goes', () => {
  test('fails calls at once while it is away, as transient', async () => {
    await read();
    await driver.crash();
    const stale = await failureOf(read());
    const missing = await failureOf(read(newClient({}, `${client.endpoint}.missing`)));
    for (const error of [stale, missing]) {
      expect(error).toMatchObject({ code: 'METRICS_CSI_FAILED', cause: { code: status.UNAVAILABLE } });
      expect(isTransient(error)).toBe(true);
    }
  });

  test('is looked for on a new connection when it is silent, though connected', async () => {
    const hasty = newClient({ timeoutMs: LATE_MS });
    await hasty.getPluginInfo({ timeoutMs: 20_000 });
    driver.answer('nodeGetVolumeStats', never);
    expect(await failureOf(hasty.nodeGetVolumeStats(VOLUME))).toMatchObject({ code: 'METRICS_TIMED_OUT' });
    await hasty.getPluginInfo({ timeoutMs: 20_000 });
    expect(driver.connections).toBe(2);
  });

  test('keeps its connection where one call takes too long and others are answered', async () => {
    await client.getPluginInfo();
    driver.answer('nodeGetVolumeStats', never);
    const late = failureOf(client.nodeGetVolumeStats(VOLUME, { timeoutMs: LATE_MS * 5 }));
    await arrived('nodeGetVolumeStats');
    await client.getPluginInfo();
    expect(await late).toMatchObject({ code: 'METRICS_TIMED_OUT' });
    // In time, the driver's own word for late.
    driver.answer('nodeGetVolumeStats', { code: status.DEADLINE_EXCEEDED, details: 'hung' });
    expect(await failureOf(client.nodeGetVolumeStats(VOLUME))).toMatchObject({ code: 'METRICS_TIMED_OUT' });
    await client.getPluginInfo();
    expect(driver.connections).toBe(1);
  });

  test('is asked anew what it can do after it was away', async () => {
    await read();
    driver.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.VOLUME_CONDITION];
    driver.script.condition = { abnormal: true, message: 'restarted' };
    await driver.restart();
    expect((await read()).condition?.message).toBe('restarted');
    expect(driver.calls('nodeGetCapabilities')).toBe(2);
    expect(driver.connections).toBe(2);
  });

  test('answers the first call after a long absence with many calls', async () => {
    for (let absence = 0; absence < 3; absence += 1) {
      await read();
      await driver.crash();
      for (let call = 0; call < 30; call += 1) await failureOf(read());
      await driver.restart();
      expect(await read()).toMatchObject({ capacity: 100n });
    }
    expect(driver.connections).toBe(4);
  });

  test('answers a call that began before its absence was noticed', async () => {
    await read();
    // In the same turn of the event loop: nothing of the crash has been seen yet.
    const crashed = driver.crash().then(() => driver.restart());
    const reading = crashed.then(() => read());
    expect(await reading).toMatchObject({ capacity: 100n });
  });

  test('that dies under a call fails it as transient', async () => {
    await read();
    driver.answer('nodeGetVolumeStats', never);
    const failures = Array.from({ length: 5 }, () => failureOf(read()));
    await arrived('nodeGetVolumeStats', 6);
    await driver.crash();
    for (const error of await Promise.all(failures)) {
      expect(error).toMatchObject({ code: 'METRICS_CSI_FAILED' });
      expect(isTransient(error)).toBe(true);
    }
  });

  test('that drops the connection under a call is asked once more, on a new one', async () => {
    await read();
    let drops = 1;
    driver.answer('nodeGetVolumeStats', async () => {
      if (drops-- > 0) {
        driver.mode = 'nonsense';
        driver.mode = 'serve';
        return await never();
      }
      return { usage: [{ unit: VolumeUsage_Unit.BYTES, total: 7n, used: 1n, available: 6n }] };
    });
    expect(await read()).toMatchObject({ capacity: 7n });
    expect(driver.connections).toBe(2);
    // A new connection that is dropped is the driver's answer.
    drops = 2;
    expect(isTransient(await failureOf(read()))).toBe(true);
    expect(driver.connections).toBe(3);
  });
});

describe('a socket without a driver is explained', () => {
  const AWAY = 'the driver may not be running on this node';
  const CHECK = "Check the driver's pod on this node, and the path";
  let path: string;

  beforeEach(() => {
    path = join(dirname(client.endpoint), 'other');
  });

  const explanation = async (endpoint = path, options = {}): Promise<unknown> => {
    const error = await failureOf(newClient(options, endpoint).nodeGetVolumeStats(VOLUME));
    expect(error).toMatchObject({
      path: '/p',
      cause: expect.objectContaining({ details: expect.any(String) as string }) as object,
    });
    const { message } = error as Error;
    expect(message).not.toContain('\n');
    const start = `NodeGetVolumeStats of ${endpoint} failed: `;
    expect(message.slice(0, start.length)).toBe(start);
    return message.slice(start.length);
  };

  test('that is not there', async () => {
    expect(await explanation()).toBe(`${AWAY}: there is no such socket. ${CHECK}`);
    writeFileSync(path, '');
    expect(await explanation(`${path}/csi.sock`)).toBe(`${AWAY}: there is no such socket. ${CHECK}`);
  });

  test('that nothing listens on', async () => {
    await driver.crash();
    expect(await explanation(client.endpoint)).toBe(`${AWAY}: nothing listens on this socket. ${CHECK}`);
  });

  test('that is a file or a directory', async () => {
    mkdirSync(path);
    expect(await explanation()).toBe('this is a directory, not a socket. Check where the driver listens');
    writeFileSync(`${path}/file`, '');
    expect(await explanation(`${path}/file`)).toBe(
      'this is a file, not a socket. Check where the driver listens',
    );
  });

  test('that takes connections and never answers', async () => {
    driver.mode = 'mute';
    expect(await explanation(client.endpoint, { timeoutMs: LATE_MS })).toBe(
      `no answer within ${String(LATE_MS)} ms. The socket takes connections, so the driver runs but may hang. Check its log`,
    );
  });

  // Root may use every socket, and only root can become another user.
  test.skipIf(process.getuid?.() !== 0)('that this user may not use', async () => {
    chmodSync(dirname(client.endpoint), 0o755);
    chmodSync(client.endpoint, 0o600);
    process.seteuid?.(65534);
    try {
      expect(await explanation(client.endpoint)).toBe(
        'this process is not permitted to use the socket. Run it as root, or as a user who may write to the socket',
      );
    } finally {
      process.seteuid?.(0);
    }
  });

  test('that is not there, when there is little time', async () => {
    const away = `${AWAY}: there is no such socket. ${CHECK}`;
    for (const timeoutMs of [0.5, 1, 5]) {
      const late = `no answer within ${String(Math.ceil(timeoutMs))} ms`;
      // In so little time it is not sure whether the connection fails first.
      expect([away, late, `${late}; ${away}`]).toContain(await explanation(path, { timeoutMs }));
    }
  });

  test.each([
    ['closes every connection', (socket: Socket) => socket.destroy()],
    ['does not speak gRPC', (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('with a server that %s', async (_what, serve) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      serve(socket);
    }).listen(path);
    await once(server, 'listening');
    try {
      expect(await explanation()).toBe(
        'what listens there is no gRPC server, or it closed the connection. Check where the driver listens',
      );
    } finally {
      server.close();
    }
  });

  test('but not a driver that says the same about a backend of its own', async () => {
    const details = `No connection established. Last error: Error: connect ECONNREFUSED ${path}`;
    driver.answer('nodeGetVolumeStats', { code: status.UNAVAILABLE, details });
    expect(String(await failureOf(client.nodeGetVolumeStats(VOLUME)))).toContain(
      `failed with 14 UNAVAILABLE: ${details}`,
    );
  });

  test('but not a driver that says itself that it was too late', async () => {
    driver.answer('nodeGetVolumeStats', { code: status.DEADLINE_EXCEEDED, details: 'the backend hangs' });
    expect(String(await failureOf(client.nodeGetVolumeStats(VOLUME)))).toContain(
      'failed with 4 DEADLINE_EXCEEDED: the backend hangs',
    );
  });
});

describe('close', () => {
  test('ends what is in flight, at once and with a word, and all that comes later', async () => {
    driver.answer('nodeGetVolumeStats', never);
    const failures = Array.from({ length: 5 }, () => failureOf(read()));
    await arrived('nodeGetVolumeStats', 5);
    client.close();
    const closed = { code: 'METRICS_CSI_FAILED', message: `the client of ${client.endpoint} is closed` };
    for (const error of await Promise.all(failures)) expect(error).toMatchObject(closed);
    expect(await failureOf(read())).toMatchObject(closed);
    expect(await failureOf(client.probe())).toMatchObject(closed);
    expect(isTransient(await failureOf(read()))).toBe(false);
    client.close();
    await vi.waitFor(() => {
      expect(driver.cancelled).toBe(5);
    });
  });

  test('ends the wait for a shared call, for health, and for a driver that is mute', async () => {
    driver.answer('nodeGetCapabilities', never);
    const sharing = [failureOf(read()), failureOf(read())];
    await arrived('nodeGetCapabilities');
    client.close();
    for (const error of await Promise.all(sharing)) expect(String(error)).toContain('is closed');

    driver.answer('nodeGetCapabilities', undefined);
    driver.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.GET_VOLUME_HEALTH];
    driver.answer('nodeGetVolumeHealth', never);
    const ill = newClient();
    const reading = failureOf(read(ill));
    await arrived('nodeGetVolumeHealth');
    ill.close();
    expect(String(await reading)).toContain('is closed');

    driver.mode = 'mute';
    const other = newClient();
    const waiting = failureOf(read(other));
    while (driver.connections < 3) await turn();
    other.close();
    expect(String(await waiting)).toContain('is closed');
  });
});

test('close ends calls over a connection that was given up, too', async () => {
  driver.mode = 'mute';
  const patient = failureOf(client.getPluginInfo());
  // It never came about, so the next call gets another one.
  await failureOf(client.getPluginInfo({ timeoutMs: LATE_MS }));
  driver.mode = 'serve';
  await client.getPluginInfo();
  expect(driver.connections).toBe(2);
  client.close();
  expect(await patient).toMatchObject({ message: `the client of ${client.endpoint} is closed` });
});

test('a connection that is given up closes when the last call over it has ended', async () => {
  driver.mode = 'mute';
  const outcomes = [LATE_MS, LATE_MS * 2].map((timeoutMs) => failureOf(client.getPluginInfo({ timeoutMs })));
  for (const error of await Promise.all(outcomes)) expect(error).toMatchObject({ code: 'METRICS_TIMED_OUT' });
  await vi.waitFor(() => {
    expect(driver.openConnections).toBe(0);
  });
  expect(driver.connections).toBe(1);
});

test('a reading has 120 s, as the kubelet gives it, and the health of the volume 5 s of them', async () => {
  const calls = vi.spyOn(Client.prototype, 'makeUnaryRequest');
  driver.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.GET_VOLUME_HEALTH];
  const beforeMs = Date.now();
  await read();
  const afterMs = Date.now();
  const deadlines = new Map(
    calls.mock.calls.map((args: readonly unknown[]) => [args[0], Number((args[5] as CallOptions).deadline)]),
  );
  for (const [rpc, ms] of [
    ['NodeGetVolumeStats', 120_000],
    ['NodeGetVolumeHealth', 5_000],
  ] as const) {
    const deadline = deadlines.get(`/csi.v1.Node/${rpc}`);
    expect(deadline).toBeGreaterThanOrEqual(beforeMs + ms);
    expect(deadline).toBeLessThanOrEqual(afterMs + ms);
  }
  calls.mockRestore();
});

describe('onCall', () => {
  test('is told of each call, with its status and duration', async () => {
    const calls: CsiCall[] = [];
    const told = newClient({ onCall: (call) => calls.push(call) });
    await read(told);
    driver.answer('nodeGetVolumeStats', { code: status.ABORTED, details: 'busy' });
    await failureOf(read(told));
    expect(calls.map(({ method, code }) => [method, code])).toEqual([
      ['/csi.v1.Node/NodeGetCapabilities', 0],
      ['/csi.v1.Node/NodeGetVolumeStats', 0],
      ['/csi.v1.Node/NodeGetVolumeStats', 10],
    ]);
    expect(calls.every(({ durationMs }) => durationMs > 0)).toBe(true);
  });

  test('costs no reading when it is async and rejects', async () => {
    const reject = (() => Promise.reject(new Error('listener'))) as () => never;
    expect(await read(newClient({ onCall: reject }))).toMatchObject({ capacity: 100n });
  });

  test('costs no reading when it throws, and must be a function', async () => {
    const angry = newClient({
      onCall: () => {
        throw new Error('listener');
      },
    });
    expect(await read(angry)).toMatchObject({ capacity: 100n });
    expect(() => newClient({ onCall: 5 as never })).toThrow(
      new TypeError('Expected onCall to be a function, got number'),
    );
  });
});
