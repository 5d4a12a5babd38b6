import { status } from '@grpc/grpc-js';
import { mkdtempSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  conditionCapability,
  nodeGetVolumeStats,
  statsCapability,
  type CsiVolume,
  type NodeGetVolumeStatsOptions,
} from '../../../src/csi/index.js';
import { NodeGetCapabilitiesResponse, VolumeUsage_Unit } from '../../../src/csi/v1/index.js';
import { MetricsError } from '../../../src/errors.js';
import type { Metrics, MetricsProvider, VolumeCondition } from '../../../src/metrics.js';
import { MetricsBlock } from '../../../src/index.js';
import { FakeMetrics, type FakeStep } from '../../../src/testing/index.js';
import { TestMounts } from '../../support/mounts.js';
import { needs } from '../../support/needs.js';
import { serve, type Outcome, type StatsServer } from './stats-server.js';

const { BYTES, INODES } = VolumeUsage_Unit;
const { OK, INVALID_ARGUMENT, NOT_FOUND, DEADLINE_EXCEEDED, INTERNAL, UNIMPLEMENTED } = status;

const READING = { capacity: 100n, available: 60n, used: 40n };
const ENTRY = { unit: BYTES, total: 100n, available: 60n, used: 40n };

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kvm-volumes-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** A server whose volumes are all measured by one provider that follows a script. */
async function serveScript(
  script: readonly FakeStep[],
  options: NodeGetVolumeStatsOptions<'ts-proto'> = {},
): Promise<{ server: StatsServer; provider: FakeMetrics }> {
  const provider = new FakeMetrics({ script });
  return { server: await serve({ providerFor: () => provider, ...options }), provider };
}

const usageOf = (outcome: Outcome): unknown =>
  outcome.code === OK && 'response' in outcome ? outcome.response.usage : outcome;
const conditionOf = (outcome: Outcome): unknown => 'response' in outcome && outcome.response.volumeCondition;

describe('a request', () => {
  const never: MetricsProvider = {
    name: 'never',
    getMetrics: () => Promise.reject(new Error('nothing was to be looked at')),
  };

  test.each<[string, string, string, status, RegExp]>([
    ['without anything', '', '', INVALID_ARGUMENT, /^volume_id is missing$/],
    ['without an id', '', 'some/path', INVALID_ARGUMENT, /^volume_id is missing$/],
    ['without a path', 'v', '', INVALID_ARGUMENT, /^volume_path is missing$/],
    [
      'with a relative path',
      'v',
      'some/path',
      NOT_FOUND,
      /^no volume at some\/path: the path is not absolute$/,
    ],
    ['with a NUL in the path', 'v', '/some\0path', INVALID_ARGUMENT, /^volume_path has a NUL$/],
    ['with a relative path that has a NUL', 'v', 'some\0path', INVALID_ARGUMENT, /^volume_path has a NUL$/],
    [
      'with a path that is too long',
      'v',
      `/${'x/'.repeat(2048)}`,
      INVALID_ARGUMENT,
      /^volume_path has more than 4095 bytes$/,
    ],
    [
      'with an id of 100 KiB',
      'v'.repeat(100 * 1024),
      '/',
      INVALID_ARGUMENT,
      /^volume_id has more than 4096 bytes$/,
    ],
  ])('%s is refused before anything is looked at', async (_, volumeId, volumePath, code, details) => {
    const server = await serve({
      providerFor: () => never,
      knownVolume: () => Promise.reject(new Error('not asked')),
    });
    expect(await server.ask(volumeId, volumePath)).toMatchObject({
      code,
      details: expect.stringMatching(details) as string,
    });
  });

  test('with a NUL in the id is about an id like any other', async () => {
    const { server } = await serveScript([READING]);
    expect(usageOf(await server.ask('v\0', '/p'))).toEqual([ENTRY]);
  });

  test('with a component that is too long is refused', async () => {
    const server = await serve();
    expect(await server.ask('v', `/${'x'.repeat(300)}`)).toMatchObject({
      code: INVALID_ARGUMENT,
      details: 'volume_path is too long',
    });
  });

  // Without the hook the path alone decides.
  test('for a volume that the driver does not know is refused', async () => {
    const server = await serve({ knownVolume: ({ volumeId }) => Promise.resolve(volumeId === 'known') });
    expect(await server.ask('other', directory)).toMatchObject({
      code: NOT_FOUND,
      details: 'no volume other',
    });
    expect(await server.ask('known', directory)).toMatchObject({ code: OK });
    // A look-up that finds nothing, in JavaScript.
    const forgetful = await serve({ knownVolume: (() => undefined) as unknown as () => boolean });
    expect(await forgetful.ask('other', directory)).toMatchObject({ code: NOT_FOUND });
  });
});

describe('what is at the path', () => {
  // With the numbers of a real filesystem.
  test('is a directory: the numbers are those of its filesystem', async () => {
    const server = await serve();
    const { blocks, bsize, files } = statfsSync(directory, { bigint: true });
    const outcome = await server.ask('v', directory);
    expect(usageOf(outcome)).toMatchObject([
      { unit: BYTES, total: blocks * bsize },
      ...(files > 0n ? [{ unit: INODES, total: files }] : []),
    ]);
    expect(conditionOf(outcome)).toBeUndefined();
  });

  test('is nothing', async () => {
    const server = await serve();
    writeFileSync(join(directory, 'file'), '');
    for (const path of [join(directory, 'missing'), join(directory, 'file/below')]) {
      expect(await server.ask('v', path)).toMatchObject({ code: NOT_FOUND });
    }
  });

  test('is a file or a socket, where no volume can be', async () => {
    const server = await serve();
    const file = join(directory, 'regular');
    writeFileSync(file, 'x');
    const socket = join(directory, 'socket');
    const listener = createServer().listen(socket);
    try {
      for (const path of [file, socket, '/dev/null']) {
        expect(await server.ask('v', path)).toMatchObject({
          code: INVALID_ARGUMENT,
          details: `${path} is neither a directory nor a block device`,
        });
      }
    } finally {
      listener.close();
    }
  });

  test('must be a mount where that is asked for, also with a provider of one’s own', async () => {
    for (const providerFor of [undefined, () => new FakeMetrics({ script: [READING] })]) {
      const server = await serve({ requireMount: true, providerFor });
      expect(await server.ask('v', directory)).toMatchObject({
        code: NOT_FOUND,
        details: `nothing is mounted on ${directory}`,
      });
      expect(await server.ask('v', '/')).toMatchObject({ code: OK });
    }
    expect(await (await serve()).ask('v', directory)).toMatchObject({ code: OK });
  });

  describe.skipIf(needs({ root: true, loop: true }))('is a block device', () => {
    const SIZE = 1024 * 1024 * 1024;
    let place: TestMounts;
    beforeAll(() => {
      place = new TestMounts();
    });
    afterAll(() => {
      place.close();
    });

    test('or a link to one, or one that is mounted on a file: its size is known, and no more', async () => {
      const device = place.loopDevice(place.image(SIZE));
      const link = join(place.directory, 'link');
      symlinkSync(device, link);
      const bound = place.bind(device, place.image(0));
      const custom = { providerFor: ({ volumePath }: CsiVolume) => new MetricsBlock(volumePath) };
      for (const options of [{}, { requireMount: true }, { ...custom, requireMount: true }]) {
        const server = await serve(options);
        for (const path of [device, link, bound]) {
          expect(usageOf(await server.ask('v', path))).toEqual([
            { unit: BYTES, total: BigInt(SIZE), available: 0n, used: 0n },
          ]);
        }
      }
    });
  });
});

describe('numbers', () => {
  test.each<[string, Partial<Metrics>, unknown]>([
    ['without inodes are of bytes alone', READING, [ENTRY]],
    [
      'of inodes that make no sense are left out',
      { ...READING, inodes: 5n, inodesFree: 6n, inodesUsed: 0n },
      [ENTRY],
    ],
    ['of inodes without a limit are left out', { ...READING, inodes: 2n ** 63n - 1n }, [ENTRY]],
    [
      'that fit only just are exact',
      { capacity: 2n ** 63n - 1n, available: 9223372036853727232n, used: 9007199254740993n },
      [{ unit: BYTES, total: 2n ** 63n - 1n, available: 9223372036853727232n, used: 9007199254740993n }],
    ],
  ])('%s', async (_, reading, usage) => {
    const { server } = await serveScript([reading]);
    expect(usageOf(await server.ask('v', '/p'))).toEqual(usage);
  });

  test.each<[string, object, RegExp]>([
    [
      'that CSI cannot carry',
      { ...READING, capacity: 2n ** 63n },
      /^capacity of 9223372036854775808 bytes is more than CSI can carry$/,
    ],
    [
      'that are no bigints',
      { ...READING, used: 1.5 },
      /^provider "fake" gave no reading: its used is the number 1.5, not a bigint$/,
    ],
    [
      'that are negative',
      { ...READING, used: -1n },
      /^provider "fake" gave no reading: its used is negative \(-1\)$/,
    ],
    ['without a capacity', { used: 1n }, /^the capacity of \/p is not known$/],
    ['of nothing', { capacity: 0n }, /^the capacity of \/p is not known$/],
  ])('%s are a failure, and no wrong answer', async (_, reading, details) => {
    const { server } = await serveScript([reading]);
    expect(await server.ask('v', '/p')).toMatchObject({
      code: INTERNAL,
      details: expect.stringMatching(details) as string,
    });
  });
});

describe('failures', () => {
  test.each<[string, unknown, status, string]>([
    ['NOT_SUPPORTED', new MetricsError('METRICS_NOT_SUPPORTED', 'not here'), UNIMPLEMENTED, 'not here'],
    ['NOT_FOUND', new MetricsError('METRICS_NOT_FOUND', 'gone'), NOT_FOUND, 'gone'],
    ['USAGE_FAILED', new MetricsError('METRICS_USAGE_FAILED', 'EACCES'), INTERNAL, 'EACCES'],
    [
      'a status of the author’s own',
      { code: status.UNAVAILABLE, details: 'later' },
      status.UNAVAILABLE,
      'later',
    ],
  ])('of a provider have their code: %s', async (_, error, code, details) => {
    const { server } = await serveScript([{ error }]);
    expect(await server.ask('v', '/p')).toMatchObject({ code, details });
  });

  test.each(['knownVolume', 'providerFor', 'getMetrics'])(
    'of %s are told to the log and not to the client',
    async (hook) => {
      const secret = new Error('the password is hunter2');
      const fail = (): never => {
        throw secret;
      };
      const told: unknown[] = [];
      const server = await serve({
        onError: (error, volume) => told.push([error, volume.volumeId]),
        ...(hook === 'getMetrics'
          ? { providerFor: () => ({ name: 'x', getMetrics: fail }) }
          : { [hook]: fail }),
      });
      expect(await server.ask('v', '/p')).toMatchObject({
        code: INTERNAL,
        details: 'the driver failed to measure the volume',
        metadata: expect.not.objectContaining({
          'grpc-status-details-bin': expect.anything() as unknown,
        }) as object,
      });
      expect(told).toEqual([[secret, 'v']]);
    },
  );

  // grpc-js throws over the one and keeps the caller waiting over the other.
  test.each([
    ['half of a surrogate pair', 'cut in the middle of \ud83d', 'cut in the middle of \ufffd'],
    ['a megabyte of it', 'x'.repeat(1024 * 1024), `${'x'.repeat(4096)}…`],
  ])('are answered also where their text has %s', async (_, text, details) => {
    for (const error of [
      new MetricsError('METRICS_USAGE_FAILED', text),
      { code: status.FAILED_PRECONDITION, details: text },
    ]) {
      const { server } = await serveScript([{ error }]);
      expect(await server.ask('v', '/p')).toMatchObject({ details });
    }
  });

  test('of the log cost nobody an answer', async () => {
    const server = await serve({
      onError: () => {
        throw new Error('disk full');
      },
    });
    expect(await server.ask('v', '/missing/volume')).toMatchObject({ code: NOT_FOUND });
  });
});

describe('calls for the same volume', () => {
  test('share one measurement', async () => {
    const { server, provider } = await serveScript(['hang', READING]);
    const outcomes = Array.from({ length: 10 }, () => server.ask('v', '/p'));
    // They come over one connection in their order: with an answer to this one, all have been taken.
    expect(await server.ask('', '')).toMatchObject({ code: INVALID_ARGUMENT });
    expect(provider.calls).toBe(1);
    provider.release(READING);
    for (const outcome of await Promise.all(outcomes)) expect(usageOf(outcome)).toEqual([ENTRY]);
    expect(provider.calls).toBe(1);
    await server.ask('v', '/p');
    expect(provider.calls).toBe(2);
  });

  test('at other paths are measured apart', async () => {
    const asked: string[] = [];
    const server = await serve({
      maxAgeMs: 60_000,
      providerFor: ({ volumeId, volumePath }) => {
        asked.push(`${volumeId} ${volumePath}`);
        return new FakeMetrics({ script: [{ ...READING, used: BigInt(volumePath.length) }] });
      },
    });
    for (let round = 0; round < 2; round += 1) {
      for (const [id, path] of [
        ['v', '/p'],
        ['v', '/p2'],
        ['w', '/p'],
      ] as const) {
        expect(usageOf(await server.ask(id, path))).toMatchObject([{ used: BigInt(path.length) }]);
      }
    }
    expect(asked).toEqual(['v /p', 'v /p2', 'w /p']);
  });

  test('are answered from memory only as long as it may last, and never after forget', async () => {
    const { server, provider } = await serveScript([READING, new MetricsError('METRICS_NOT_FOUND', 'gone')], {
      maxAgeMs: 60_000,
    });
    expect(await server.ask('v', '/p')).toMatchObject({ code: OK });
    expect(await server.ask('v', '/p')).toMatchObject({ code: OK });
    expect(provider.calls).toBe(1);
    server.handler.forget('w');
    server.handler.forget('v', '/other');
    expect(await server.ask('v', '/p')).toMatchObject({ code: OK });
    server.handler.forget('v', '/p');
    expect(await server.ask('v', '/p')).toMatchObject({ code: NOT_FOUND, details: 'gone' });
    expect(provider.calls).toBe(2);
  });

  test('are not answered from a measurement that was in flight when the volume was forgotten', async () => {
    const { server, provider } = await serveScript(['hang', { ...READING, used: 1n }], { maxAgeMs: 60_000 });
    const before = server.ask('v', '/p');
    while (provider.hanging === 0) await turn();
    server.handler.forget('v');
    const usage = usageOf(await server.ask('v', '/p'));
    expect(usage).toMatchObject([{ used: 1n }]);
    provider.release(READING);
    expect(usageOf(await before)).toEqual([ENTRY]);
    expect(usageOf(await server.ask('v', '/p'))).toEqual(usage);
  });

  test('are measured again after a failure, which is not kept', async () => {
    const { server } = await serveScript([new MetricsError('METRICS_FS_INFO_FAILED', 'once'), READING], {
      maxAgeMs: 60_000,
    });
    expect(await server.ask('v', '/p')).toMatchObject({ code: INTERNAL });
    expect(await server.ask('v', '/p')).toMatchObject({ code: OK });
  });
});

describe('a measurement that does not end', () => {
  test('is answered before the caller gives up, and joined by the next one', async () => {
    const { server, provider } = await serveScript(['hang']);
    for (let call = 0; call < 3; call += 1) {
      // The client's own would have no details of ours.
      expect(await server.ask('v', '/p', 400)).toMatchObject({
        code: DEADLINE_EXCEEDED,
        details: '/p has not answered in time',
      });
    }
    expect(provider.calls).toBe(1);
    const joined = server.ask('v', '/p');
    expect(await server.ask('', '')).toMatchObject({ code: INVALID_ARGUMENT });
    provider.release(READING);
    expect(usageOf(await joined)).toEqual([ENTRY]);
  });

  test('is joined also where there was another one before', async () => {
    const { server, provider } = await serveScript([READING, 'hang'], { health: true });
    await server.ask('v', '/p');
    const outcomes = [server.ask('v', '/p'), server.ask('v', '/p')];
    expect(await server.ask('', '')).toMatchObject({ code: INVALID_ARGUMENT });
    expect(provider.calls).toBe(2);
    provider.release(READING);
    for (const outcome of await Promise.all(outcomes)) expect(usageOf(outcome)).toEqual([ENTRY]);
  });

  test('is answered after the handler’s own limit', async () => {
    const { server } = await serveScript(['hang'], { timeoutMs: 100 });
    expect(await server.ask('v', '/p')).toMatchObject({
      code: DEADLINE_EXCEEDED,
      details: '/p has not answered in time',
    });
  });

  test('is no reason to keep the next ones waiting', async () => {
    const hang = new FakeMetrics({ script: ['hang'] });
    const server = await serve({
      providerFor: ({ volumeId }) => (volumeId === 'healthy' ? new FakeMetrics({ script: [READING] }) : hang),
    });
    const stuck = Array.from({ length: 20 }, (_, index) => server.ask(`stuck ${String(index)}`, '/p'));
    expect(await server.ask('healthy', '/p')).toMatchObject({ code: OK });
    expect(hang.hanging).toBe(20);
    hang.release(READING);
    await Promise.all(stuck);
  });

  test('of a hook is the caller’s to wait for, no longer than its limit', async () => {
    for (const hook of ['knownVolume', 'providerFor']) {
      const server = await serve({ [hook]: () => new Promise(() => undefined), timeoutMs: 100 });
      expect(await server.ask('v', '/p')).toMatchObject({ code: DEADLINE_EXCEEDED });
    }
  });
});

describe('the condition', () => {
  const broken = (errno: string): MetricsError =>
    new MetricsError('METRICS_FS_INFO_FAILED', `failed to get FsInfo due to error ${errno}`, {
      cause: Object.assign(new Error(errno), { code: errno, syscall: 'statfs' }),
    });

  test.each(['ESTALE', 'ENOTCONN', 'EIO', 'EHOSTDOWN', 'ENODEV', 'EACCES'])(
    'is abnormal, with the last known numbers, after %s',
    async (errno) => {
      const { server } = await serveScript([broken(errno), READING, broken(errno)], { health: true });
      const condition = { abnormal: true, message: `failed to get FsInfo due to error ${errno}` };
      expect(await server.ask('v', '/p')).toMatchObject({
        response: { usage: [], volumeCondition: condition },
      });
      expect(await server.ask('v', '/p')).toMatchObject({
        response: { usage: [ENTRY], volumeCondition: { abnormal: false, message: 'the volume answers' } },
      });
      expect(await server.ask('v', '/p')).toMatchObject({
        response: { usage: [ENTRY], volumeCondition: condition },
      });
      expect(await server.ask('v', '/elsewhere')).toMatchObject({ response: { usage: [] } });

      const without = await serveScript([broken(errno)]);
      expect(await without.server.ask('v', '/p')).toMatchObject({
        code: INTERNAL,
        details: condition.message,
      });
    },
  );

  test('is abnormal where the volume does not answer', async () => {
    const { server } = await serveScript([READING, 'hang'], { health: true, timeoutMs: 100 });
    await server.ask('v', '/p');
    expect(await server.ask('v', '/p')).toMatchObject({
      response: {
        usage: [ENTRY],
        volumeCondition: { abnormal: true, message: '/p has not answered in time' },
      },
    });
  });

  test('is none on a volume of which it is not known whether it is there: nobody asks twice', async () => {
    const asked: string[] = [];
    const server = await serve({
      health: true,
      knownVolume: ({ volumeId }) => {
        asked.push(volumeId);
        return new Promise(() => undefined);
      },
      timeoutMs: 100,
    });
    const others = ['v', 'w', 'v'].map((volumeId) => server.ask(volumeId, '/p'));
    for (const other of await Promise.all(others)) expect(other.code).toBe(DEADLINE_EXCEEDED);
    expect(await server.ask('v', '/p')).toMatchObject({
      code: DEADLINE_EXCEEDED,
      details: 'the driver did not find out in time whether volume v exists',
    });
    expect(asked).toEqual(['v', 'w']);
  });

  test('is none where something else went wrong', async () => {
    const { server } = await serveScript([broken('EMFILE'), broken('EAGAIN'), { error: new Error('bug') }], {
      health: true,
    });
    for (let call = 0; call < 3; call += 1)
      expect(await server.ask('v', '/p')).toMatchObject({ code: INTERNAL });
  });

  test('forgets the numbers of a volume that is gone', async () => {
    const gone = new MetricsError('METRICS_NOT_FOUND', 'gone');
    const { server } = await serveScript([READING, gone, broken('EIO')], { health: true });
    await server.ask('v', '/p');
    expect(await server.ask('v', '/p')).toMatchObject({ code: NOT_FOUND });
    expect(await server.ask('v', '/p')).toMatchObject({ response: { usage: [] } });
  });

  test('is the provider’s, or the hook’s before it', async () => {
    const own = { abnormal: true, message: 'own' };
    const script = [{ ...READING, condition: own, readOnly: true }];
    const plain = await serveScript(script, { health: true });
    expect(conditionOf(await plain.server.ask('v', '/p'))).toEqual(own);
    const off = await serveScript(script);
    expect(conditionOf(await off.server.ask('v', '/p'))).toBeUndefined();

    const seen: unknown[] = [];
    const hooked = await serveScript(script, {
      health: ({ volumeId, volumePath }) => {
        seen.push(volumeId, volumePath);
        return Promise.resolve([
          { status: 'DEGRADED', reason: 'SlowDisk' },
          { status: 'INACCESSIBLE', reason: 'RemountedReadOnly', message: 'remounted read-only' },
        ]);
      },
    });
    expect(conditionOf(await hooked.server.ask('v', '/p'))).toEqual({
      abnormal: true,
      message: 'remounted read-only; SlowDisk',
    });
    expect(seen).toEqual(['v', '/p']);
    const NORMAL = { abnormal: false, message: 'the volume answers' };
    const well = await serveScript(script, { health: () => [] });
    expect(conditionOf(await well.server.ask('v', '/p'))).toEqual(NORMAL);
    // Undefined leaves it to the provider, and then to what is at the path.
    const silent = await serveScript([...script, READING], { health: () => undefined });
    expect(conditionOf(await silent.server.ask('v', '/p'))).toEqual(own);
    expect(conditionOf(await silent.server.ask('v', '/p'))).toEqual(NORMAL);
  });

  test.each<[string, unknown]>([
    ['a text', 'bad'],
    ['an empty object', {}],
    ['one without a message', { abnormal: true }],
    ['one whose message is no text', { abnormal: true, message: 5 }],
  ])('that is invalid (%s) is left out, from any source', async (_, verdict) => {
    const condition = verdict as VolumeCondition;
    const told: unknown[] = [];
    const onError = (error: unknown): unknown => told.push(error);
    for (const { server } of [
      await serveScript([READING], { health: () => condition as never, onError }),
      await serveScript([{ ...READING, condition }], { health: true, onError }),
    ]) {
      const outcome = await server.ask('v', '/p');
      expect(usageOf(outcome)).toEqual([ENTRY]);
      expect(conditionOf(outcome)).toBeUndefined();
    }
    const expected = expect.objectContaining({ code: 'METRICS_PROVIDER_FAILED' }) as unknown;
    expect(told).toEqual([expected, expected]);
  });

  // dell/csm#840.
  test('costs no number where the hook fails or does not end, and is never called healthy', async () => {
    const told: unknown[] = [];
    const signals: AbortSignal[] = [];
    const bug = new Error('bug');
    const hooks = [
      () => Promise.reject(bug),
      (_: unknown, { signal }: { signal: AbortSignal }) => {
        signals.push(signal);
        return new Promise<undefined>(() => undefined);
      },
    ];
    for (const health of hooks) {
      const { server } = await serveScript([READING], {
        health,
        timeoutMs: 2_000,
        onError: (error) => told.push(error),
      });
      const outcome = await server.ask('v', '/p');
      expect(usageOf(outcome)).toEqual([ENTRY]);
      expect(conditionOf(outcome)).toBeUndefined();
    }
    expect(told).toEqual([bug, expect.objectContaining({ code: 'METRICS_TIMED_OUT' })]);
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
  });
});

test('the capabilities are those that clients look for', () => {
  const bytes = NodeGetCapabilitiesResponse.encode({
    capabilities: [statsCapability, conditionCapability],
  }).finish();
  expect(Buffer.from(bytes).toString('hex')).toBe('0a040a0208020a040a020804');
});

test.each<[object | null, string]>([
  [null, 'Expected options to be an object, got null'],
  [
    { timeout: 5 },
    'Unknown option "timeout": the options are knownVolume, providerFor, requireMount, health, maxAgeMs, timeoutMs, onError, codec',
  ],
  [{ requireMount: 'false' }, 'Expected requireMount to be a boolean, got string'],
  [{ codec: 'json' }, "Expected codec to be 'ts-proto' or 'proto-loader', got \"json\""],
  [{ knownVolume: true }, 'Expected knownVolume to be a function, got boolean'],
  [{ providerFor: {} }, 'Expected providerFor to be a function, got object'],
  [{ onError: 1 }, 'Expected onError to be a function, got number'],
  [{ health: 'yes' }, 'Expected health to be a boolean or a function, got string'],
  [{ maxAgeMs: -1 }, 'Expected maxAgeMs to be a number of milliseconds of at least 0, got -1'],
  [{ maxAgeMs: NaN }, 'Expected maxAgeMs to be a number of milliseconds of at least 0, got NaN'],
  [
    { timeoutMs: 0 },
    'Expected timeoutMs to be a number of milliseconds above 0 and at most 2147483647, got 0',
  ],
])('the options %j are refused', (options, message) => {
  expect(() => nodeGetVolumeStats(options!)).toThrow(new TypeError(message));
});
