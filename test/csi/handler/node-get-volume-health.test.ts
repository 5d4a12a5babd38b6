import { status } from '@grpc/grpc-js';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  healthCapability,
  nodeGetVolumeHealth,
  type CsiVolume,
  type VolumeProblem,
} from '../../../src/csi/index.js';
import {
  NodeGetCapabilitiesResponse,
  VolumeHealthErrorType,
  type NodeGetVolumeHealthRequest,
  type NodeGetVolumeHealthResponse,
} from '../../../src/csi/v1/index.js';
import { MetricsError } from '../../../src/errors.js';
import { FakeMetrics } from '../../../src/testing/index.js';
import { FuseServer, type FuseMount } from '../../support/fuse.mjs';
import { TestMounts } from '../../support/mounts.js';
import { needs } from '../../support/needs.js';
import { serve, type Outcome } from './stats-server.js';

const { OK, INVALID_ARGUMENT, NOT_FOUND, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE } = status;
const { DEGRADED, INACCESSIBLE, DATA_LOSS } = VolumeHealthErrorType;

/** The kubelet's staging path of a block volume, which it asks about without a publish path. */
const DEVICE_FOLDER = 'plugins/kubernetes.io/csi/volumeDevices/pv-block/dev';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kvm-health-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const healthOf = (outcome: Outcome<NodeGetVolumeHealthResponse>): unknown =>
  'response' in outcome ? outcome.response.volumeHealth : outcome;
const HEALTHY = { volumeId: 'v', healthStatuses: [] };
const sick = (reason: string, message: unknown = expect.any(String)): unknown => ({
  volumeId: 'v',
  healthStatuses: [{ status: INACCESSIBLE, reason, message }],
});
const broken = (errno: string): MetricsError =>
  new MetricsError('METRICS_FS_INFO_FAILED', `failed with ${errno}`, {
    cause: Object.assign(new Error(errno), { code: errno, syscall: 'statfs' }),
  });

describe('a request', () => {
  test.each<[string, Partial<NodeGetVolumeHealthRequest>, RegExp]>([
    ['without an id', { volumeId: '' }, /^volume_id is missing$/],
    ['with an id of 5 KiB', { volumeId: 'v'.repeat(5 * 1024) }, /^volume_id has more than 4096 bytes$/],
    ['with a NUL in a path', { volumePublishPath: '/a\0' }, /^volume_publish_path has a NUL$/],
    ['with a relative path', { volumePublishPath: 'a/b' }, /^volume_publish_path is not absolute: a\/b$/],
    [
      'with a staging path that is too long',
      { stagingTargetPath: `/${'x/'.repeat(2048)}` },
      /^staging_target_path has more than 4095 bytes$/,
    ],
  ])('%s is refused before anything is asked', async (_, request, details) => {
    const server = await serve({ health: () => Promise.reject(new Error('not asked')) });
    expect(await server.askHealth(request)).toMatchObject({
      code: INVALID_ARGUMENT,
      details: expect.stringMatching(details) as string,
    });
  });

  test('for a volume that the driver does not know gets NOT_FOUND, and one that it knows an answer', async () => {
    const server = await serve({ knownVolume: ({ volumeId }) => volumeId === 'known' });
    expect(await server.askHealth({ volumeId: 'other' })).toMatchObject({
      code: NOT_FOUND,
      details: 'no volume other',
    });
    expect(healthOf(await server.askHealth({ volumeId: 'known' }))).toEqual({
      ...HEALTHY,
      volumeId: 'known',
    });
  });
});

describe('without a function, a volume', () => {
  test.each<[string, () => Partial<NodeGetVolumeHealthRequest>]>([
    ['without paths', () => ({})],
    ['that was never mounted', () => ({ volumePublishPath: join(directory, 'no/mount') })],
    [
      'whose mount was only attempted, and left its directory or its file',
      () => {
        mkdirSync(join(directory, 'left'), { recursive: true });
        writeFileSync(join(directory, 'left/file'), '');
        return {
          volumePublishPath: join(directory, 'left/file'),
          stagingTargetPath: join(directory, 'left'),
        };
      },
    ],
    ['that is there', () => ({ volumePublishPath: directory, stagingTargetPath: '/' })],
    [
      'of blocks, whose paths are as the kubelet gives them',
      () => {
        const folder = join(directory, DEVICE_FOLDER);
        mkdirSync(folder, { recursive: true });
        return { stagingTargetPath: folder };
      },
    ],
    ['with a name that no file can have', () => ({ volumePublishPath: `/${'x'.repeat(300)}` })],
  ])('%s has no problem', async (_, requestOf) => {
    const request = requestOf();
    for (const requireMount of [false, true]) {
      for (const health of [undefined, true, false, () => undefined]) {
        const server = await serve({ requireMount, health });
        expect(healthOf(await server.askHealth(request))).toEqual(HEALTHY);
      }
    }
  });

  test('is never measured by its provider, which may be a walk', async () => {
    const provider = new FakeMetrics({ script: ['hang'] });
    const server = await serve({ providerFor: () => provider });
    expect(healthOf(await server.askHealth({ volumePublishPath: directory }))).toEqual(HEALTHY);
    expect(provider.calls).toBe(0);
  });
});

describe.skipIf(needs({ loop: true, mkfs: ['ext4', 'xfs'], programs: ['python3', 'findmnt'] }))(
  'without a function, a filesystem',
  () => {
    /** FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH, which Node has no call for. */
    const SHUT_DOWN =
      'import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1],os.O_RDONLY),0x8004587d,struct.pack("I",2))';
    let mounts: TestMounts;

    beforeEach(() => {
      mounts = new TestMounts();
    });
    afterEach(() => {
      mounts.close();
    });

    const isListed = (path: string, option: string): boolean =>
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .some((line) => line.includes(` ${path} `) && line.includes(option));

    test.each([
      ['ext4', 'FilesystemShutDown'],
      ['xfs', 'InputOutputError'],
    ] as const)('of %s that was shut down is INACCESSIBLE, at either path', async (type, reason) => {
      const path = mounts.onLoop(type);
      const server = await serve({ requireMount: true });
      expect(healthOf(await server.askHealth({ volumePublishPath: path }))).toEqual(HEALTHY);
      execFileSync('python3', ['-c', SHUT_DOWN, path]);
      // Older kernels do not list it for ext4.
      const expected = type === 'xfs' || isListed(path, 'shutdown') ? sick(reason) : HEALTHY;
      for (const request of [
        { volumePublishPath: path },
        { volumePublishPath: join(directory, 'not/there'), stagingTargetPath: path },
        { volumePublishPath: path, stagingTargetPath: path },
      ]) {
        expect(healthOf(await server.askHealth(request))).toEqual(expected);
      }
    });

    test('that went read-only after an error is INACCESSIBLE, and one made read-only on purpose is not', async () => {
      const server = await serve();
      const path = mounts.onLoop('ext4');
      execFileSync('mount', ['-o', 'remount,errors=remount-ro', path]);
      const device = basename(execFileSync('findmnt', ['-no', 'SOURCE', path], { encoding: 'utf8' }).trim());
      writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, '1');
      // Older kernels make the whole filesystem read-only instead.
      const message = `${path}: the filesystem went read-only after an error`;
      const expected = isListed(path, 'emergency_ro') ? sick('ReadOnlyAfterError', message) : HEALTHY;
      expect(healthOf(await server.askHealth({ volumePublishPath: path }))).toEqual(expected);
      const tmpfs = mounts.tmpfs();
      mounts.makeReadOnly(tmpfs);
      expect(healthOf(await server.askHealth({ volumePublishPath: tmpfs }))).toEqual(HEALTHY);
    });
  },
);

describe.skipIf(needs({ fuse: true }))('without a function, a mount', () => {
  const STATFS = { frsize: 4096, blocks: 100n, bfree: 40n, bavail: 30n, files: 10n, ffree: 7n };
  let fuse: FuseServer;
  const mounted: FuseMount[] = [];

  beforeAll(() => {
    fuse = new FuseServer();
  });
  afterEach(async () => {
    for (const mount of mounted.splice(0)) await mount.unmount();
  });
  afterAll(async () => {
    await fuse.close();
  });
  const mountNew = async (...args: Parameters<FuseServer['mount']>): Promise<FuseMount> => {
    const mount = await fuse.mount(...args);
    mounted.push(mount);
    return mount;
  };

  test.each([
    ['EIO', 'InputOutputError'],
    ['ESTALE', 'StaleFileHandle'],
    ['ENOTCONN', 'NotConnected'],
    ['ENODEV', 'NoSuchDevice'],
  ])('whose other side is gone (%s) is INACCESSIBLE, and recovers', async (errno, reason) => {
    const mount = await mountNew({ statfs: STATFS, errors: { statfs: errno } });
    const server = await serve({ requireMount: true });
    const request = { volumePublishPath: mount.path };
    expect(healthOf(await server.askHealth(request))).toEqual(
      sick(reason, expect.stringContaining(errno) as string),
    );
    await mount.change({ statfs: STATFS });
    expect(healthOf(await server.askHealth(request))).toEqual(HEALTHY);
  });

  test('that is stuck is INACCESSIBLE, keeps nobody waiting, and is called so only when that is sure', async () => {
    const server = await serve();
    const [stuck, healthy] = await Promise.all([
      mountNew({ statfs: STATFS }, 'unanswered'),
      mountNew({ statfs: STATFS }),
    ]);
    // Too soon to know.
    expect(await server.askHealth({ volumePublishPath: stuck.path }, 400)).toMatchObject({
      code: DEADLINE_EXCEEDED,
      details: 'no verdict on volume v in time',
    });
    const waiting = server.askHealth({ volumePublishPath: stuck.path, stagingTargetPath: healthy.path });
    expect(healthOf(await server.askHealth({ volumePublishPath: healthy.path }))).toEqual(HEALTHY);
    const isStuck = sick('NotResponding', expect.stringMatching(/ is stuck: /) as string);
    expect(healthOf(await waiting)).toEqual(isStuck);
    // At once, and without another system call.
    expect(healthOf(await server.askHealth({ volumePublishPath: stuck.path }))).toEqual(isStuck);
    expect(await stuck.requests(process.pid)).toEqual({ getattr: 1 });
    await stuck.release();
    // The call that was out comes back, and with it the path.
    await expect
      .poll(async () => healthOf(await server.askHealth({ volumePublishPath: stuck.path })))
      .toEqual(HEALTHY);
  });
});

describe('a function of the driver', () => {
  test('decides, for a volume whose paths are empty too', async () => {
    const asked: CsiVolume[] = [];
    const problems: VolumeProblem[] = [
      { status: 'DEGRADED', reason: 'SlowDisk', message: 'reads take longer than a second' },
      { status: 'DATA_LOSS', reason: 'BadBlocks' },
    ];
    const server = await serve({
      health: (volume) => {
        asked.push(volume);
        return problems.splice(0);
      },
    });
    expect(healthOf(await server.askHealth({}))).toEqual({
      volumeId: 'v',
      healthStatuses: [
        { status: DATA_LOSS, reason: 'BadBlocks', message: '' },
        { status: DEGRADED, reason: 'SlowDisk', message: 'reads take longer than a second' },
      ],
    });
    expect(healthOf(await server.askHealth({ volumePublishPath: '/p', stagingTargetPath: '/s' }))).toEqual(
      HEALTHY,
    );
    await server.askHealth({ stagingTargetPath: '/s' });
    expect(asked).toEqual([
      { volumeId: 'v', volumePath: '', stagingTargetPath: '' },
      { volumeId: 'v', volumePath: '/p', stagingTargetPath: '/s' },
      { volumeId: 'v', volumePath: '/s', stagingTargetPath: '/s' },
    ]);
  });

  test('that gives undefined leaves it to what is at the path', async () => {
    const server = await serve({ health: () => Promise.resolve(undefined), requireMount: true });
    expect(healthOf(await server.askHealth({ volumePublishPath: '/' }))).toEqual(HEALTHY);
  });

  test('serves NodeGetVolumeStats as well: one answer in two forms', async () => {
    const server = await serve({
      providerFor: () => new FakeMetrics({ script: [{ capacity: 1n }] }),
      health: () => [{ status: 'INACCESSIBLE', reason: 'Offline', message: 'the disk is offline' }],
    });
    expect(healthOf(await server.askHealth({ volumePublishPath: '/p' }))).toEqual(
      sick('Offline', 'the disk is offline'),
    );
    expect(await server.ask('v', '/p')).toMatchObject({
      response: { volumeCondition: { abnormal: true, message: 'the disk is offline' } },
    });
  });

  test.each<[string, unknown, status, string]>([
    ['a bug', new Error('hunter2'), INTERNAL, 'the driver failed to find out the health of the volume'],
    ['a status', { code: UNAVAILABLE, details: 'later' }, UNAVAILABLE, 'later'],
    ['a failure that says nothing of the volume', broken('EMFILE'), INTERNAL, 'failed with EMFILE'],
    ['a call that was only late', new MetricsError('METRICS_TIMED_OUT', 'slow'), DEADLINE_EXCEEDED, 'slow'],
  ])(
    'that fails with %s makes the call fail, which keeps the last verdict',
    async (_, error, code, details) => {
      const told: unknown[] = [];
      const server = await serve({
        health: () => Promise.reject(error),
        onError: (each, { volumeId }) => told.push(each, volumeId),
      });
      expect(await server.askHealth({})).toMatchObject({ code, details });
      expect(told).toEqual([error, 'v']);
    },
  );

  test.each([
    ['broken', broken('EIO'), 'InputOutputError'],
    ['stuck', new MetricsError('METRICS_TIMED_OUT', 'stuck', { stuckSince: new Date(0) }), 'NotResponding'],
  ])('that meets a %s mount says so by its error', async (_, error, reason) => {
    const told: unknown[] = [];
    const server = await serve({
      health: () => Promise.reject(error),
      onError: (each) => told.push(each),
    });
    expect(healthOf(await server.askHealth({}))).toEqual(sick(reason, error.message));
    expect(told).toEqual([error]);
  });

  test('with a list that the API server would refuse is an error that says why', async () => {
    const server = await serve({ health: () => [{ status: 'DEGRADED', reason: 'the disk is slow' }] });
    expect(await server.askHealth({})).toMatchObject({
      code: INTERNAL,
      details:
        'Expected the reason of a problem to be a word in CamelCase of at most 256 characters, got "the disk is slow"',
    });
  });

  test('that hangs is answered in time, told to stop, and not called again for that volume while it hangs', async () => {
    const signals: AbortSignal[] = [];
    let release: (problems: VolumeProblem[]) => void = () => undefined;
    const server = await serve({
      timeoutMs: 100,
      health: ({ volumeId }, { signal }) => {
        if (volumeId === 'healthy') return [];
        signals.push(signal);
        return new Promise((resolve) => {
          release = resolve;
        });
      },
    });
    for (let call = 0; call < 3; call += 1) {
      expect(await server.askHealth({})).toMatchObject({ code: DEADLINE_EXCEEDED });
    }
    expect(await server.askHealth({ volumeId: 'healthy' })).toMatchObject({ code: OK });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    const joined = server.askHealth({});
    await server.askHealth({ volumeId: 'healthy' });
    release([{ status: 'DEGRADED', reason: 'Late' }]);
    expect(healthOf(await joined)).toMatchObject({ healthStatuses: [{ reason: 'Late' }] });
    expect(signals.length).toBe(1);
    const next = server.askHealth({});
    await expect.poll(() => signals.length).toBe(2);
    release([]);
    expect(healthOf(await next)).toEqual(HEALTHY);
  });
});

test('the capability is the one that clients look for', () => {
  const bytes = NodeGetCapabilitiesResponse.encode({ capabilities: [healthCapability] }).finish();
  expect(Buffer.from(bytes).toString('hex')).toBe('0a040a020807');
});

test.each<[object | null, string]>([
  [null, 'Expected options to be an object, got null'],
  [
    { condition: true },
    'Unknown option "condition": the options are knownVolume, providerFor, requireMount, health, maxAgeMs, timeoutMs, onError, codec',
  ],
  [{ health: {} }, 'Expected health to be a boolean or a function, got object'],
  [{ codec: 5 }, "Expected codec to be 'ts-proto' or 'proto-loader', got 5"],
  [{ maxAgeMs: -1 }, 'Expected maxAgeMs to be a number of milliseconds of at least 0, got -1'],
])('the options %j are refused', (options, message) => {
  expect(() => nodeGetVolumeHealth(options!)).toThrow(new TypeError(message));
});
