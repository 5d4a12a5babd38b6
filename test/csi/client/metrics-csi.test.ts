import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CsiNodeClient, MetricsCsi, type CsiVolume, type MetricsCsiOptions } from '../../../src/csi/index.js';
import {
  NodeGetVolumeStatsRequest,
  NodeServiceCapability_RPC_Type as Capability,
  VolumeHealthErrorType,
  VolumeUsage_Unit,
} from '../../../src/csi/v1/index.js';
import { isNotSupported } from '../../../src/errors.js';
import type { Metrics } from '../../../src/metrics.js';
import { FakeCsiDriver } from '../../../src/testing/csi/index.js';
import { FakeMetrics, metricsProviderTests } from '../../../src/testing/index.js';
import { StatsServer } from '../handler/stats-server.js';

const { GET_VOLUME_STATS, VOLUME_CONDITION, GET_VOLUME_HEALTH } = Capability;
const { BYTES } = VolumeUsage_Unit;

let driver: FakeCsiDriver;
let client: CsiNodeClient;

beforeEach(async () => {
  driver = await FakeCsiDriver.start();
  client = new CsiNodeClient(driver.endpoint);
});
afterEach(async () => {
  client.close();
  await driver.stop();
});

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

const provider = (options: Partial<MetricsCsiOptions> = {}): MetricsCsi =>
  new MetricsCsi({ client, volumeId: 'v', volumePath: '/p', driverName: 'fake.csi.example', ...options });

/** The reading that the bytes of a NodeGetVolumeStats response come to. */
async function readingOf(stats: string): Promise<Metrics> {
  driver.answer('nodeGetVolumeStats', hex(stats));
  return await provider().getMetrics();
}

describe('a reading', () => {
  test('has what the driver says, for two calls', async () => {
    driver.answer('nodeGetCapabilities', hex('0a040a0208020a040a020801'));
    const before = Date.now();
    const { time, ...rest } = await readingOf('0a0808631064180120010a080807100a18032002');
    expect(rest).toEqual({
      source: 'fake.csi.example',
      capacity: 100n,
      available: 99n,
      used: 1n,
      inodes: 10n,
      inodesFree: 7n,
      inodesUsed: 3n,
    });
    expect(time.getTime()).toBeGreaterThanOrEqual(before);
    expect(driver.calls()).toBe(2);
    const [request] = driver.requests('nodeGetVolumeStats');
    expect(Buffer.from(NodeGetVolumeStatsRequest.encode(request!).finish()).toString('hex')).toBe(
      '0a017612022f70',
    );
  });

  test('is asked for with the staging path where there is one', async () => {
    await provider({ stagingTargetPath: '/s' }).getMetrics();
    expect(driver.requests('nodeGetVolumeStats')).toEqual([
      { volumeId: 'v', volumePath: '/p', stagingTargetPath: '/s' },
    ]);
  });

  test('of a block volume has its size alone', async () => {
    expect(await readingOf('0a081080808080042001')).toEqual({
      time: expect.any(Date) as Date,
      source: 'fake.csi.example',
      capacity: 1073741824n,
    });
  });

  test('has what it can of an answer with a unit that has no name', async () => {
    expect(await readingOf('0a04100520070a080863106418012001')).toMatchObject({
      capacity: 100n,
      available: 99n,
      used: 1n,
      warnings: ['usage of unknown unit 7 left out: total 5, available 0, used 0'],
    });
  });

  test('has the last one of two entries of a unit, as a whole', async () => {
    const { used, available, ...rest } = await readingOf('0a0808631064180120010a0510c8012001');
    expect(rest).toMatchObject({ capacity: 200n, warnings: ['2 entries of BYTES: the last one counts'] });
    expect([used, available]).toEqual([undefined, undefined]);
  });

  test('has no number that makes no sense', async () => {
    expect(await readingOf('0a0d10ffffffffffffffffff012001')).toEqual({
      time: expect.any(Date) as Date,
      source: 'fake.csi.example',
      warnings: ['capacity left out: the driver says -1 bytes'],
    });
  });

  test.each([
    [9223372036853727232n, 9007199254740993n],
    [2n ** 63n - 1n, 2n ** 63n - 1n],
  ])('has %d bytes exactly', async (total, used) => {
    driver.script.usage = [{ unit: BYTES, total, used, available: 1n }];
    expect(await provider().getMetrics()).toMatchObject({ capacity: total, used, available: 1n });
  });
});

describe('a driver without numbers', () => {
  test.each(['', '0a040a020801', '0a00', '0a040a020863'])(
    'that says it can do %j is not supported, and not asked',
    async (capabilities) => {
      driver.answer('nodeGetCapabilities', hex(capabilities));
      for (let round = 0; round < 2; round += 1) {
        const error: unknown = await provider()
          .getMetrics()
          .catch((each: unknown) => each);
        expect(isNotSupported(error)).toBe(true);
        expect(error).toMatchObject({ message: 'metrics are not supported for fake.csi.example volumes' });
      }
      expect(driver.calls('nodeGetVolumeStats')).toBe(0);
      expect(driver.calls('nodeGetCapabilities')).toBe(1);
    },
  );

  test('is not one that lists something odd before the numbers', async () => {
    driver.answer('nodeGetCapabilities', hex('0a000a040a0208630a040a020802'));
    await expect(provider().getMetrics()).resolves.toMatchObject({ capacity: 100n });
  });

  test.each([status.UNAVAILABLE, status.UNIMPLEMENTED])(
    'that fails to say what it can do (%d) is asked again the next time',
    async (code) => {
      driver.answer('nodeGetCapabilities', { code, details: 'not now' });
      const error: unknown = await provider()
        .getMetrics()
        .catch((each: unknown) => each);
      expect(error).toMatchObject({
        code: 'METRICS_CSI_FAILED',
        path: '/p',
        cause: { code, details: 'not now' },
      });
      expect(isNotSupported(error)).toBe(false);
      expect(driver.calls()).toBe(1);
      driver.answer('nodeGetCapabilities', undefined);
      await expect(provider().getMetrics()).resolves.toMatchObject({ capacity: 100n });
    },
  );

  test.each([
    ['nothing', '', 'failed to get usage from response. usage is nil'],
    [
      'a condition that it does not advertise',
      '12050801120178',
      'failed to get usage from response. usage is nil',
    ],
    [
      'an entry that is empty',
      '0a00',
      'fake.csi.example has no numbers for this volume yet: its usage is of unknown unit',
    ],
    [
      'an entry of unit 7',
      '0a0410052007',
      'fake.csi.example has no numbers for this volume yet: its usage is of unknown unit',
    ],
  ])('that answers %s has failed', async (_, answer, message) => {
    await expect(readingOf(answer)).rejects.toMatchObject({
      code: 'METRICS_CSI_FAILED',
      message,
      path: '/p',
    });
  });

  test('that advertises them and does not have them has failed, and keeps its capability', async () => {
    driver.answer('nodeGetVolumeStats', { code: status.UNIMPLEMENTED, details: 'no' });
    await expect(provider().getMetrics()).rejects.toMatchObject({
      code: 'METRICS_CSI_FAILED',
      cause: { code: status.UNIMPLEMENTED },
    });
    driver.answer('nodeGetVolumeStats', undefined);
    await expect(provider().getMetrics()).resolves.toMatchObject({ capacity: 100n });
    expect(driver.calls('nodeGetCapabilities')).toBe(1);
  });

  test('that does not know the volume says so', async () => {
    driver.answer('nodeGetVolumeStats', { code: status.NOT_FOUND, details: 'gone' });
    await expect(provider().getMetrics()).rejects.toMatchObject({ code: 'METRICS_NOT_FOUND', path: '/p' });
  });

  test.each([
    ['bytes that are no message', hex('0a05')],
    ['a message of 10 MiB', Buffer.alloc(10 * 1024 * 1024)],
  ])('that answers %s has failed', async (_, answer) => {
    driver.answer('nodeGetVolumeStats', answer);
    await expect(provider().getMetrics()).rejects.toMatchObject({ code: 'METRICS_CSI_FAILED' });
    driver.answer('nodeGetVolumeStats', undefined);
    await expect(provider().getMetrics()).resolves.toMatchObject({ capacity: 100n });
  });
});

describe('the condition', () => {
  const abnormal = { abnormal: true, message: 'x' };

  beforeEach(() => {
    driver.script.capabilities = [GET_VOLUME_STATS, VOLUME_CONDITION];
  });

  test('is a reading by itself', async () => {
    expect(await readingOf('12050801120178')).toEqual({
      time: expect.any(Date) as Date,
      source: 'fake.csi.example',
      condition: abnormal,
    });
  });

  test('is not known where the driver does not say it', async () => {
    const reading = await provider().getMetrics();
    expect(reading.condition).toBeUndefined();
    expect(reading.warnings).toEqual(['condition not known: the driver advertises it but sent nothing']);
    expect(reading.capacity).toBe(100n);
  });

  test('is normal where the driver says so', async () => {
    expect((await readingOf('120412026f6b')).condition).toEqual({ abnormal: false, message: 'ok' });
  });

  test('counts only where the driver advertises it', async () => {
    driver.script.capabilities = [GET_VOLUME_STATS];
    driver.script.condition = abnormal;
    const reading = await provider().getMetrics();
    expect(reading.condition).toBeUndefined();
    expect(reading.warnings).toBeUndefined();
  });

  test('goes with an entry whose unit is not known', async () => {
    driver.script.usage = [{}];
    driver.script.condition = abnormal;
    expect(await provider().getMetrics()).toMatchObject({
      condition: abnormal,
      warnings: ['usage of unknown unit 0 left out: total 0, available 0, used 0'],
    });
  });
});

describe('the health of CSI 1.13', () => {
  beforeEach(() => {
    driver.script.capabilities = [GET_VOLUME_STATS, GET_VOLUME_HEALTH];
  });

  test('is asked of a driver that advertises it', async () => {
    driver.answer('nodeGetVolumeHealth', hex('0a0d0a0176120808021201521a016d'));
    expect(await provider({ stagingTargetPath: '/s' }).getMetrics()).toMatchObject({
      capacity: 100n,
      condition: {
        abnormal: true,
        message: 'm',
        problems: [{ status: 'INACCESSIBLE', reason: 'R', message: 'm' }],
      },
    });
    expect(driver.requests('nodeGetVolumeHealth')).toEqual([
      { volumeId: 'v', volumePublishPath: '/p', stagingTargetPath: '/s' },
    ]);
    driver.answer('nodeGetVolumeHealth', hex('0a030a0176'));
    expect((await provider().getMetrics()).condition).toEqual({ abnormal: false, message: '' });
  });

  test('is not asked of another', async () => {
    driver.script.capabilities = [GET_VOLUME_STATS];
    await provider().getMetrics();
    expect(driver.calls('nodeGetVolumeHealth')).toBe(0);
  });

  test.each([
    [
      'a failure',
      { code: status.INTERNAL, details: 'broken' },
      /^health not known: NodeGetVolumeHealth of .* failed with 13 INTERNAL: broken$/,
    ],
    [
      'bytes that are no message',
      hex('0a05'),
      /^health not known: NodeGetVolumeHealth of .* failed with 13 INTERNAL/,
    ],
    ['nothing', hex(''), /^health not known: the driver advertises it but sent nothing$/],
    ['another volume', hex('0a030a0177'), /^health not known: the driver answered for 'w'$/],
  ])('is not known after %s, which costs no number', async (_, answer, warning) => {
    driver.answer('nodeGetVolumeHealth', answer);
    const reading = await provider().getMetrics();
    expect(reading).toMatchObject({ capacity: 100n, warnings: [expect.stringMatching(warning)] });
    expect(reading.condition).toBeUndefined();
  });

  test('of a driver that names no volume is that of the one asked about', async () => {
    const problem = { status: VolumeHealthErrorType.DEGRADED, reason: 'R', message: 'slow' };
    driver.answer('nodeGetVolumeHealth', { volumeHealth: { volumeId: '', healthStatuses: [problem] } });
    expect((await provider().getMetrics()).condition).toMatchObject({ abnormal: true, message: 'slow' });
  });

  test('gives way to the older condition when it fails', async () => {
    driver.script.capabilities = [GET_VOLUME_STATS, VOLUME_CONDITION, GET_VOLUME_HEALTH];
    driver.script.condition = { abnormal: true, message: 'older' };
    driver.script.health = [{ status: VolumeHealthErrorType.DEGRADED, reason: 'R', message: 'newer' }];
    expect((await provider().getMetrics()).condition?.message).toBe('newer');
    driver.answer('nodeGetVolumeHealth', { code: status.INTERNAL, details: 'broken' });
    expect((await provider().getMetrics()).condition?.message).toBe('older');
  });

  test('that never comes costs no number', async () => {
    const impatient = new CsiNodeClient(driver.endpoint, { timeoutMs: 300 });
    driver.answer('nodeGetVolumeHealth', () => new Promise(() => undefined));
    try {
      const reading = await provider({ client: impatient }).getMetrics();
      expect(reading.capacity).toBe(100n);
      expect(reading.condition).toBeUndefined();
      expect(reading.warnings).toEqual([
        expect.stringMatching(/^health not known: NodeGetVolumeHealth of .* failed: no answer within \d+ ms/),
      ]);
    } finally {
      impatient.close();
    }
  });
});

describe('drivers of CSI 1.12 and of 1.13 in one process', () => {
  test('are both understood: the condition of the one, the problems of the other', async () => {
    driver.script.capabilities = [GET_VOLUME_STATS, VOLUME_CONDITION];
    driver.script.condition = { abnormal: true, message: 'a disk is missing' };
    const newer = await FakeCsiDriver.start({
      name: 'newer.csi.example',
      capabilities: [GET_VOLUME_STATS, GET_VOLUME_HEALTH],
      health: [
        { status: VolumeHealthErrorType.DEGRADED, reason: 'DiskMissing', message: 'a disk is missing' },
        { status: VolumeHealthErrorType.DATA_LOSS, reason: 'BadBlocks', message: '3 blocks are lost' },
      ],
    });
    const newerClient = new CsiNodeClient(newer.endpoint);
    try {
      const volumes = [provider(), provider({ client: newerClient, driverName: 'newer.csi.example' })];
      const conditions = async (): Promise<unknown[]> =>
        (await Promise.all(volumes.map((volume) => volume.getMetrics()))).map(({ condition }) => condition);
      expect(await conditions()).toEqual([
        { abnormal: true, message: 'a disk is missing' },
        {
          abnormal: true,
          message: 'a disk is missing',
          problems: [
            { status: 'DEGRADED', reason: 'DiskMissing', message: 'a disk is missing' },
            { status: 'DATA_LOSS', reason: 'BadBlocks', message: '3 blocks are lost' },
          ],
        },
      ]);
      driver.script.condition = { abnormal: false, message: 'ok' };
      newer.script.health = [];
      expect(await conditions()).toEqual([
        { abnormal: false, message: 'ok' },
        { abnormal: false, message: '' },
      ]);
      expect(driver.calls('nodeGetVolumeHealth')).toBe(0);
      expect(newer.calls('nodeGetVolumeHealth')).toBe(2);
    } finally {
      newerClient.close();
      await newer.stop();
    }
  });

  test('may be one driver, made of this package’s handlers', async () => {
    const options = {
      providerFor: () => new FakeMetrics({ script: [{ capacity: 10n }] }),
      health: () => [{ status: 'DEGRADED', reason: 'SlowDisk', message: 'slow' }] as const,
    };
    const both = await StatsServer.start(options);
    try {
      const asked = async (...types: Capability[]): Promise<Metrics['condition']> => {
        const bothClient = new CsiNodeClient(both.socket);
        const capabilities = new Set(types);
        const client = {
          // The server has no NodeGetCapabilities: it stands for a driver before and after an update.
          readVolume: async (volume: CsiVolume) => ({
            capabilities,
            stats: await bothClient.nodeGetVolumeStats(volume),
            ...(capabilities.has(GET_VOLUME_HEALTH) && {
              health: await bothClient.nodeGetVolumeHealth(volume),
            }),
          }),
        };
        try {
          return (await provider({ client }).getMetrics()).condition;
        } finally {
          bothClient.close();
        }
      };
      expect(await asked(GET_VOLUME_STATS, VOLUME_CONDITION)).toEqual({ abnormal: true, message: 'slow' });
      expect(await asked(GET_VOLUME_STATS, VOLUME_CONDITION, GET_VOLUME_HEALTH)).toEqual({
        abnormal: true,
        message: 'slow',
        problems: [{ status: 'DEGRADED', reason: 'SlowDisk', message: 'slow' }],
      });
    } finally {
      both.close();
    }
  });
});

describe('a client of foreign code', () => {
  const clientOf = (readVolume: () => unknown): { client: CsiNodeClient } => ({
    client: { readVolume } as never,
  });
  const capabilities = new Set([GET_VOLUME_STATS]);

  test('that ignores the signal ends with the reason of the abort', async () => {
    const controller = new AbortController();
    const reading = provider(clientOf(() => new Promise(() => undefined))).getMetrics({
      signal: controller.signal,
    });
    controller.abort('enough');
    await expect(reading).rejects.toBe('enough');
  });

  test.each<unknown>([
    undefined,
    null,
    5,
    {},
    { stats: {} },
    { capabilities, stats: { usage: null } },
    { capabilities, stats: { usage: [null] } },
    { capabilities, stats: { usage: [{ unit: BYTES, total: 5, available: NaN, used: 0 }] } },
  ])('that gives nonsense has failed: %o', async (answer) => {
    for (const options of [{}, { signal: new AbortController().signal }]) {
      const error: unknown = await provider(clientOf(() => answer))
        .getMetrics(options)
        .catch((each: unknown) => each);
      expect(error).toMatchObject({ path: '/p' });
      expect((error as { code: string }).code).toBe('METRICS_CSI_FAILED');
    }
  });

  test('that is asked for nothing says so', async () => {
    await expect(client.readVolume(undefined as never)).rejects.toThrow(
      new TypeError('Expected volume to be an object, got undefined'),
    );
  });
});

describe('misuse', () => {
  test.each([
    [{ volumeId: '' }, 'missing volume id'],
    [{ volumePath: '' }, 'missing target path'],
  ])('of %j is refused before anything is sent', async (options, message) => {
    await expect(provider(options).getMetrics()).rejects.toMatchObject({
      code: 'METRICS_NO_PATH_DEFINED',
      message,
    });
    expect(driver.connections).toBe(0);
  });

  test.each([
    [{ client: undefined }, 'Expected client to be a CsiNodeClient'],
    [{ client: {} }, 'Expected client to be a CsiNodeClient'],
    [{ volumeId: 7 }, 'Expected volumeId to be a string, got number'],
    [{ volumePath: undefined }, 'Expected volumePath to be a string, got undefined'],
    [{ stagingTargetPath: null }, 'Expected stagingTargetPath to be a string, got null'],
    [{ driverName: 7 }, 'Expected driverName to be a string, got number'],
    [
      { timeoutMs: 5 },
      'Unknown option "timeoutMs": the options are client, driverName, volumeId, volumePath, stagingTargetPath',
    ],
  ])('of %j is refused by the constructor', (options, message) => {
    expect(() => provider(options as object)).toThrow(new TypeError(message));
  });

  test('of null is refused, by name', async () => {
    const none = new TypeError('Expected options to be an object, got null');
    expect(() => new MetricsCsi(null as never)).toThrow(none);
    await expect(provider().getMetrics(null as never)).rejects.toThrow(none);
  });

  test('is no name that is left out', () => {
    expect(new MetricsCsi({ client, volumeId: 'v', volumePath: '/p' }).name).toBe('csi');
  });
});

describe('the contract', () => {
  let served: FakeCsiDriver;
  let asking: CsiNodeClient;
  beforeAll(async () => {
    served = await FakeCsiDriver.start({ capabilities: [GET_VOLUME_STATS, VOLUME_CONDITION] });
    served.script.condition = { abnormal: false, message: 'ok' };
    asking = new CsiNodeClient(served.endpoint);
  });
  afterAll(async () => {
    asking.close();
    await served.stop();
  });

  metricsProviderTests({
    test,
    name: 'MetricsCsi',
    reports: {
      always: ['capacity', 'available', 'used', 'inodes', 'inodesFree', 'inodesUsed', 'condition'],
      never: ['readOnly', 'incomplete', 'warnings'],
    },
    create: () => new MetricsCsi({ client: asking, volumeId: 'v', volumePath: '/p', driverName: 'fake' }),
    createFailing: () =>
      new MetricsCsi({ client: asking, volumeId: '', volumePath: '/p', driverName: 'fake' }),
  });
});
