import { status } from '@grpc/grpc-js';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  NodeServiceCapability_RPC_Type as Capability,
  StorageHealthErrorType,
  VolumeHealthErrorType,
  VolumeCapability_AccessMode_Mode,
  VolumeUsage_Unit,
  type VolumeUsage,
} from '../../src/csi/v1/index.js';
import { FakeCsiDriver } from '../../src/testing/csi/index.js';
import { ended, run, start } from './run-main.js';

let driver: FakeCsiDriver;

beforeEach(async () => {
  driver = await FakeCsiDriver.start({
    capabilities: [Capability.GET_VOLUME_STATS, Capability.VOLUME_CONDITION],
  });
  driver.script.condition = { abnormal: true, message: 'half \x1b[31mbroken' };
});
afterEach(async () => {
  await driver.stop();
});

const stats = (...args: string[]): ReturnType<typeof run> =>
  run('csi', 'stats', '--endpoint', driver.endpoint, '--volume-id', 'v', '--path', '/p', ...args);
const probe = (...args: string[]): ReturnType<typeof run> =>
  run('csi', 'probe', '--endpoint', driver.endpoint, ...args);

/** The values of an answer's lines by their names; of a name that comes again, one below the other. */
function fields(stdout: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of stdout.trimEnd().split('\n')) {
    const [, name = '', value = ''] = /^(.+?) {2,}(.*)$/.exec(line) ?? [];
    found[name] = name in found ? `${String(found[name])}\n${value}` : value;
  }
  return found;
}

describe('csi stats', () => {
  test('prints what the driver says, what is odd, and the time of each call', async () => {
    driver.script.usage = [
      { unit: VolumeUsage_Unit.BYTES, total: 4096n, available: 2048n, used: 1024n },
      { unit: VolumeUsage_Unit.UNKNOWN },
    ];
    const { code, stdout, stderr } = await stats('--staging-path', '/s');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(fields(stdout)).toEqual({
      endpoint: driver.endpoint.replace('unix://', ''),
      driver: 'fake.csi.example 1.0.0',
      volume: 'v at /p',
      state: 'ok',
      capacity: '4.0 KiB',
      used: '1.0 KiB (34%)',
      available: '2.0 KiB',
      inodes: '-',
      'inodes used': '-',
      'inodes free': '-',
      condition: 'abnormal: half \\x1b[31mbroken',
      warning: 'usage of unknown unit 0 left out: total 0, available 0, used 0',
      call: expect.stringMatching(
        /^GetPluginInfo +[\d.]+ ms +OK\nNodeGetCapabilities +[\d.]+ ms +OK\nNodeGetVolumeStats +[\d.]+ ms +OK$/,
      ) as string,
    });
    expect(driver.requests('nodeGetVolumeStats')).toMatchObject([{ stagingTargetPath: '/s' }]);
    expect(fields((await stats('--bytes')).stdout)).toMatchObject({ capacity: '4096' });
  });

  test('answers in JSON with exact numbers', async () => {
    driver.script.usage = [{ unit: VolumeUsage_Unit.BYTES, total: 2n ** 63n - 1n, available: 1n, used: 1n }];
    const { code, stdout } = await stats('--json');
    expect(code).toBe(0);
    expect(stdout).toContain('"capacity": 9223372036854775807,');
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 'kube-volume-metrics/cli/v1',
      command: 'csi stats',
      driver: { name: 'fake.csi.example', version: '1.0.0' },
      volumes: [
        {
          volumeId: 'v',
          path: '/p',
          provider: 'fake.csi.example',
          state: 'ok',
          metrics: { condition: { abnormal: true } },
        },
      ],
      calls: [{ method: '/csi.v1.Identity/GetPluginInfo', code: 0, status: 'OK' }, { code: 0 }, { code: 0 }],
      errors: [],
    });
  });

  test('names the status of a call, and says in JSON too why the driver has no name', async () => {
    driver.answer('getPluginInfo', { code: status.UNAVAILABLE, details: 'the leader is elsewhere' });
    driver.answer('nodeGetVolumeStats', { code: status.NOT_FOUND, details: 'no such volume' });
    const people = await stats();
    expect(people.code).toBe(1);
    expect(fields(people.stdout)).toMatchObject({
      driver: expect.stringMatching(/ failed with 14 UNAVAILABLE: the leader is elsewhere$/) as string,
      state: 'failed',
      reason: expect.stringMatching(/^METRICS_NOT_FOUND: /) as string,
      call: expect.stringMatching(/^GetPluginInfo .* UNAVAILABLE\n.* OK\n.* ms {2}NOT_FOUND$/) as string,
    });
    // The driver is there and said no: not a reason to look for its pod.
    expect(fields(people.stdout)['hint']).toMatch(/^Look at the driver's log\. /);
    expect(JSON.parse((await stats('--json')).stdout)).toMatchObject({
      errors: [
        {
          code: 'METRICS_CSI_FAILED',
          message: expect.stringMatching(/ 14 UNAVAILABLE: the leader is elsewhere$/) as string,
        },
      ],
      calls: [{ status: 'UNAVAILABLE' }, { status: 'OK' }, { code: 5, status: 'NOT_FOUND' }],
    });
  });

  test.each<[string, Partial<VolumeUsage>[]]>([
    ['no usage, but a condition, as spiffe-csi does', []],
    ['zeros only', [{ unit: VolumeUsage_Unit.BYTES }, { unit: VolumeUsage_Unit.INODES }]],
  ])('of a driver that sends %s is no success', async (_, usage) => {
    driver.script.usage = usage;
    const { code, stdout } = await stats();
    expect(code).toBe(1);
    expect(fields(stdout)).toMatchObject({
      state: 'failed',
      reason: 'METRICS_CSI_FAILED: the driver answered without a number: it sent none, or only zeros',
      hint: expect.stringMatching(/ See docs\/csi\.md#what-becomes-of-an-answer$/) as string,
      capacity: '-',
      condition: 'abnormal: half \\x1b[31mbroken',
    });
    const { volumes } = JSON.parse((await stats('--json')).stdout) as { volumes: object[] };
    expect(volumes).toMatchObject([
      { state: 'failed', error: { code: 'METRICS_CSI_FAILED' }, metrics: { condition: { abnormal: true } } },
    ]);
  });

  test('shows the problems that a driver of CSI 1.13 lists', async () => {
    driver.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.GET_VOLUME_HEALTH];
    driver.script.health = [
      { status: VolumeHealthErrorType.DATA_LOSS, reason: 'BadBlocks', message: '3 blocks' },
      { status: VolumeHealthErrorType.DEGRADED, reason: 'SlowDisk', message: 'slow \x1b[31m' },
      { status: VolumeHealthErrorType.INACCESSIBLE, reason: 'Offline', message: '' },
      { status: VolumeHealthErrorType.UNKNOWN_VOLUME_HEALTH_TYPE, reason: '', message: '' },
    ];
    const { code, stdout } = await stats();
    expect(code).toBe(0);
    expect(fields(stdout)['condition']).toBe(
      'abnormal: DATA_LOSS BadBlocks: 3 blocks; DEGRADED SlowDisk: slow \\x1b[31m; INACCESSIBLE Offline; UNKNOWN_VOLUME_HEALTH_TYPE',
    );
  });

  test('asks for the name and the numbers at once, and waits for each as long as it was told', async () => {
    driver.mode = 'mute';
    const { calls, volumes } = JSON.parse((await stats('--json', '--timeout', '2s')).stdout) as {
      calls: { method: string; durationMs: number }[];
      volumes: { error: { message: string } }[];
    };
    expect(calls.map(({ method }) => method)).toEqual([
      '/csi.v1.Identity/GetPluginInfo',
      '/csi.v1.Node/NodeGetCapabilities',
    ]);
    expect(volumes[0]?.error.message).toContain('no answer within 2000 ms');
    for (const { durationMs } of calls) expect(durationMs).toBe(Number(durationMs.toFixed(3)));
    driver.mode = 'serve';
    driver.answer('getPluginInfo', () => new Promise(() => undefined));
    expect(fields((await stats('--timeout', '2s')).stdout)).toMatchObject({
      driver: expect.stringMatching(/METRICS_TIMED_OUT: .*no answer within 2000 ms/) as string,
      state: 'ok',
      call: expect.stringMatching(/^GetPluginInfo .*\nNodeGetCapabilities .*\nNodeGetVolumeStats /) as string,
    });
  });

  test('says when the numbers were asked for, however late the name comes', async () => {
    const asked: number[] = [];
    driver.answer('nodeGetCapabilities', () => {
      asked.push(Date.now());
      return { capabilities: [{ rpc: { type: Capability.GET_VOLUME_STATS } }] };
    });
    driver.answer('getPluginInfo', async () => {
      while (driver.calls('nodeGetVolumeStats') === 0) await delay(5);
      await delay(50);
      return { name: 'late', vendorVersion: '1', manifest: {} };
    });
    const { volumes } = JSON.parse((await stats('--json')).stdout) as {
      volumes: { provider: string; metrics: { time: string; source: string } }[];
    };
    expect(volumes).toMatchObject([{ provider: 'late', metrics: { source: 'late' } }]);
    expect(Date.parse(volumes[0]?.metrics.time ?? '')).toBeLessThanOrEqual(asked[0] ?? 0);
  });

  test('says why there is nothing', async () => {
    driver.script.capabilities = [];
    const unsupported = await stats();
    expect(unsupported.code).toBe(1);
    expect(fields(unsupported.stdout)).toMatchObject({
      state: 'unsupported',
      reason: 'METRICS_NOT_SUPPORTED: metrics are not supported for fake.csi.example volumes',
    });
    driver.mode = 'mute';
    const late = await stats('--timeout', '200ms');
    expect(late.code).toBe(1);
    expect(fields(late.stdout)).toMatchObject({
      state: 'stuck',
      reason: expect.stringContaining('METRICS_TIMED_OUT') as string,
    });
    await driver.crash();
    const gone = await stats();
    expect(gone.code).toBe(1);
    expect(fields(gone.stdout)).toMatchObject({
      state: 'failed',
      reason: expect.stringContaining('the driver may not be running on this node') as string,
    });
  });
});

describe('csi probe', () => {
  test('says who the driver is and what it can do', async () => {
    driver.answer('getPluginCapabilities', Buffer.from('0a040a0208010a0412020801', 'hex'));
    const { code, stdout } = await probe();
    expect(code).toBe(0);
    expect(fields(stdout)).toMatchObject({
      driver: 'fake.csi.example 1.0.0',
      ready: 'yes',
      node: 'fake-node',
      plugin: 'CONTROLLER_SERVICE, volume expansion ONLINE',
      'node service': 'GET_VOLUME_STATS, VOLUME_CONDITION',
      'volume stats': 'yes: it advertises GET_VOLUME_STATS',
      'volume health': 'yes: it advertises VOLUME_CONDITION (before CSI 1.13)',
    });
  });

  test('says in words that a driver has no numbers, and what follows', async () => {
    driver.answer('nodeGetCapabilities', Buffer.from('0a040a0208010a040a020863', 'hex'));
    const { stdout } = await probe();
    expect(fields(stdout)).toMatchObject({
      'node service': 'STAGE_UNSTAGE_VOLUME, type 99',
      'volume stats': expect.stringMatching(
        /^no: .* GET_VOLUME_STATS, .*kubelet never asks.* Grafana/,
      ) as string,
      'volume health': 'no',
    });
    expect(JSON.parse((await probe('--json')).stdout)).toMatchObject({
      command: 'csi probe',
      volumeStats: false,
      errors: [],
    });
  });

  test('names what CSI 1.13 added, and shows what is wrong with the storage', async () => {
    driver.script.capabilities = [
      Capability.VOLUME_CONDITION,
      Capability.GET_VOLUME_HEALTH,
      Capability.GET_STORAGE_HEALTH,
    ];
    const well = await probe();
    expect(well.code).toBe(0);
    expect(fields(well.stdout)).toMatchObject({
      'node service': 'VOLUME_CONDITION, GET_VOLUME_HEALTH, GET_STORAGE_HEALTH',
      'volume health':
        'yes: it advertises GET_VOLUME_HEALTH (CSI 1.13), and VOLUME_CONDITION for older callers',
      'storage health': 'yes: it knows of no problem',
    });
    expect(JSON.parse((await probe('--json')).stdout)).toMatchObject({ storageProblems: [] });

    driver.script.storageHealth = [
      {
        status: StorageHealthErrorType.STORAGE_UNREACHABLE,
        reason: 'Offline',
        message: 'no \x1b[31manswer',
        volumeCapability: {
          block: {},
          accessMode: { mode: VolumeCapability_AccessMode_Mode.MULTI_NODE_MULTI_WRITER },
        },
      },
      // A newer CSI may send any.
      { status: 9 as never, reason: 'New', message: '' },
    ];
    // What is wrong with the storage is an answer.
    const { code, stdout } = await probe();
    expect(code).toBe(0);
    expect(fields(stdout)['storage health']).toBe(
      'STORAGE_UNREACHABLE Offline: no \\x1b[31manswer (block MULTI_NODE_MULTI_WRITER)\ntype 9 New',
    );
    expect(JSON.parse((await probe('--json')).stdout)).toMatchObject({
      storageProblems: [
        { status: 'STORAGE_UNREACHABLE', reason: 'Offline', volumes: 'block MULTI_NODE_MULTI_WRITER' },
        { status: 'type 9', reason: 'New', message: '' },
      ],
    });

    driver.answer('nodeGetStorageHealth', { code: status.UNIMPLEMENTED, details: 'not yet' });
    const failing = await probe();
    expect(failing.code).toBe(1);
    expect(fields(failing.stdout)['storage health']).toMatch(/ failed with 12 UNIMPLEMENTED: not yet$/);
  });

  test.each([status.UNAVAILABLE, status.RESOURCE_EXHAUSTED, status.DEADLINE_EXCEEDED, status.CANCELLED])(
    'goes on after a driver that does not say its name and answers %i itself',
    async (code) => {
      driver.answer('getPluginInfo', { code, details: 'not now' });
      const probed = await probe();
      expect(probed.code).toBe(1);
      expect(fields(probed.stdout)).toMatchObject({
        driver: expect.stringMatching(/: not now$/) as string,
        hint: expect.stringMatching(/^Look at the driver's log\. /) as string,
        ready: 'yes',
        'node service': 'GET_VOLUME_STATS, VOLUME_CONDITION',
      });
      expect(JSON.parse((await probe('--json')).stdout)).toMatchObject({
        errors: [{ message: expect.stringMatching(/: not now$/) as string }],
        volumeStats: true,
      });
    },
  );

  test('gives the most volumes of the node only if the driver says it', async () => {
    const nodeOf = async (): Promise<unknown> =>
      (JSON.parse((await probe('--json')).stdout) as { node: unknown }).node;
    expect(await nodeOf()).toEqual({ id: 'fake-node' });
    driver.answer('nodeGetInfo', { nodeId: 'n', maxVolumesPerNode: 16n });
    expect(await nodeOf()).toEqual({ id: 'n', maxVolumes: 16 });
  });

  test('says what failed, and answers the rest', async () => {
    driver.answer('probe', { code: status.FAILED_PRECONDITION, details: 'no backend' });
    const { code, stdout } = await probe();
    expect(code).toBe(1);
    expect(fields(stdout)).toMatchObject({
      ready: expect.stringMatching(
        /^METRICS_CSI_FAILED: Probe of .* 9 FAILED_PRECONDITION: no backend$/,
      ) as string,
      node: 'fake-node',
    });
    driver.answer('probe', Buffer.from('0a00', 'hex'));
    expect(fields((await probe()).stdout)).toMatchObject({ ready: 'not yet: it is starting' });
  });

  test('waits once for a driver that is not there', async () => {
    driver.mode = 'mute';
    const { code, stdout } = await probe('--timeout', '200ms');
    expect(code).toBe(1);
    expect(Object.keys(fields(stdout))).toEqual(['endpoint', 'driver', 'hint', 'call']);
    expect(fields(stdout)['driver']).toMatch(/^METRICS_TIMED_OUT: /);
    expect(fields(stdout)['hint']).toMatch(
      /^The driver is silent\. .* See docs\/errors\.md#metrics_timed_out$/,
    );
  });

  test('says where to look if nobody listens on the socket, and asks no more', async () => {
    await driver.crash();
    for (const endpoint of [driver.endpoint, '/nowhere/csi.sock']) {
      const { code, stdout } = await run('csi', 'probe', '--endpoint', endpoint);
      expect(code).toBe(1);
      expect(Object.keys(fields(stdout))).toEqual(['endpoint', 'driver', 'hint', 'call']);
      expect(fields(stdout)['hint']).toMatch(
        /^Check that the driver's pod runs on this node.* See docs\/errors\.md#metrics_csi_failed$/,
      );
    }
  });
});

test('the path of the socket is enough, and counts more than CSI_ENDPOINT', async () => {
  const path = driver.endpoint.replace('unix://', '');
  for (const args of [
    ['csi', 'probe', path],
    ['csi', 'probe', driver.endpoint, '--json'],
    ['csi', 'stats', path, '--volume-id', 'v', '--path', '/p'],
    ['csi', 'stats', '--volume-id', 'v', '--path', '/p', path, '--endpoint', path],
  ]) {
    const { code, stdout } = await ended(start(args, undefined, { CSI_ENDPOINT: '/nowhere/csi.sock' }));
    expect(code).toBe(0);
    expect(stdout).toContain('fake.csi.example');
  }
});

test('the endpoint comes from CSI_ENDPOINT if no option gives it', async () => {
  const found = await ended(start(['csi', 'probe', '--json'], undefined, { CSI_ENDPOINT: driver.endpoint }));
  expect(found.code).toBe(0);
  expect(JSON.parse(found.stdout)).toMatchObject({ driver: { name: 'fake.csi.example' } });
  const wrong = await ended(start(['csi', 'probe'], undefined, { CSI_ENDPOINT: 'x' }));
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toMatch(/: Expected CSI_ENDPOINT to be the absolute path of a unix socket/);
});
