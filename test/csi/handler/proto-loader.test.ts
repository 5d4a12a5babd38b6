import {
  Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import type { GrpcObject, ServiceClientConstructor, ServiceError } from '@grpc/grpc-js';
import { loadSync, type Options } from '@grpc/proto-loader';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  nodeGetStorageHealth,
  nodeGetVolumeHealth,
  nodeGetVolumeStats,
  type CsiVolume,
  type NodeGetVolumeStatsOptions,
  type StorageProblem,
  type VolumeProblem,
} from '../../../src/csi/index.js';
import {
  NodeGetStorageHealthRequest,
  NodeGetVolumeHealthRequest,
  NodeGetVolumeStatsRequest,
  NodeService,
  VolumeCapability_AccessMode_Mode as Mode,
} from '../../../src/csi/v1/index.js';
import { MetricsError } from '../../../src/errors.js';
import { FakeMetrics, type FakeStep } from '../../../src/testing/index.js';

/** As democratic-csi loads it. */
const KEEP_CASE: Options = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };

const PROTO = join(import.meta.dirname, '../../../proto');

let directory: string;
const ends: (() => void)[] = [];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kvm-proto-loader-'));
});
afterEach(() => {
  for (const end of ends.splice(0)) end();
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** The node service as proto-loader makes it. */
function loaded(options: Options): ServiceClientConstructor['service'] {
  const root = loadPackageDefinition(loadSync('csi/v1/csi.proto', { ...options, includeDirs: [PROTO] }));
  const v1 = (root['csi'] as GrpcObject)['v1'] as GrpcObject;
  return (v1['Node'] as ServiceClientConstructor).service;
}

/** What a server answers to a request of bytes: the bytes of a response, or a status. */
async function ask(
  add: (server: Server) => void,
  request: Uint8Array,
  rpc = 'NodeGetVolumeStats',
): Promise<{ bytes: string } | { code: status; details: string }> {
  const server = new Server();
  ends.push(() => {
    server.forceShutdown();
  });
  add(server);
  const socket = join(directory, `${String(ends.length)}.sock`);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  ends.push(() => {
    client.close();
  });
  return await new Promise((resolve) => {
    client.makeUnaryRequest(
      `/csi.v1.Node/${rpc}`,
      (message: Uint8Array) => Buffer.from(message),
      (bytes: Buffer) => bytes.toString('hex'),
      request,
      new Metadata(),
      (error: ServiceError | null, bytes) => {
        if (error) resolve({ code: error.code, details: error.details });
        else resolve({ bytes: bytes ?? '' });
      },
    );
  });
}

/** The same question to the same handler in both kinds of server. */
async function answers(
  step: FakeStep,
  options: NodeGetVolumeStatsOptions<'ts-proto'>,
  loader: Options,
  request: Partial<NodeGetVolumeStatsRequest> = {},
): Promise<unknown[]> {
  const message = { volumeId: 'v', volumePath: '/p', stagingTargetPath: '/s', ...request };
  const asked = NodeGetVolumeStatsRequest.encode(message).finish();
  const common = { providerFor: () => new FakeMetrics({ script: [step] }), ...options };
  return [
    await ask((server) => {
      server.addService(NodeService, { nodeGetVolumeStats: nodeGetVolumeStats(common) });
    }, asked),
    await ask((server) => {
      const handler = nodeGetVolumeStats({ ...common, codec: 'proto-loader' });
      server.addService(loaded(loader), { NodeGetVolumeStats: handler });
    }, asked),
  ];
}

const ALL = { capacity: 100n, available: 99n, used: 1n, inodes: 10n, inodesFree: 7n, inodesUsed: 3n };

const LOADERS: [string, Options][] = [
  ['texts', KEEP_CASE],
  ['Long', { keepCase: true }],
  ['numbers', { keepCase: true, longs: Number, enums: Number }],
];

for (const [name, loader] of LOADERS) {
  test.each<[string, FakeStep, string]>([
    ['all six', ALL, '0a0808631064180120010a080807100a18032002'],
    ['a size alone', { capacity: 1073741824n }, '0a081080808080042001'],
    ['a full volume', { capacity: 1n, available: 0n, used: 1n }, '0a06100118012001'],
    [
      'the largest numbers',
      { capacity: 2n ** 63n - 1n, available: 9223372036853727232n, used: 9007199254740993n },
      '',
    ],
  ])(`ts-proto and proto-loader with ${name} send the same bytes for %s`, async (_, step, expected) => {
    const [ours, theirs] = await answers(step, {}, loader);
    expect(ours).toEqual({ bytes: expected === '' ? (expect.any(String) as string) : expected });
    expect(theirs).toEqual(ours);
  });
}

test.each([
  [{ abnormal: true, message: 'x' }, '12050801120178'],
  [{ abnormal: false, message: 'ok' }, '120412026f6b'],
  [{ abnormal: false, message: '' }, '1200'],
  // Half of a surrogate pair, of which no client of Go's would take the bytes.
  [{ abnormal: true, message: '\ud83d' }, '120708011203efbfbd'],
])('they send the same bytes for the condition %j', async (condition, expected) => {
  const [ours, theirs] = await answers({ ...ALL, condition }, { health: true }, KEEP_CASE);
  expect(ours).toEqual({ bytes: `0a0808631064180120010a080807100a18032002${expected}` });
  expect(theirs).toEqual(ours);
});

test.each<[string, FakeStep, Partial<NodeGetVolumeStatsRequest>, status]>([
  ['an id that is missing', {}, { volumeId: '' }, status.INVALID_ARGUMENT],
  ['a path that is missing', {}, { volumePath: '' }, status.INVALID_ARGUMENT],
  ['a volume that is gone', new MetricsError('METRICS_NOT_FOUND', 'gone'), {}, status.NOT_FOUND],
])('they refuse alike %s', async (_, step, request, code) => {
  for (const loader of [KEEP_CASE, { keepCase: true }]) {
    const [ours, theirs] = await answers(step, {}, loader, request);
    expect(ours).toMatchObject({ code });
    expect(theirs).toEqual(ours);
  }
});

test('they see the same request', async () => {
  const seen: unknown[] = [];
  const providerFor = (volume: object): FakeMetrics => {
    seen.push({ ...volume });
    return new FakeMetrics({ script: [ALL] });
  };
  await answers({}, { providerFor }, KEEP_CASE);
  expect(seen[0]).toEqual({ volumeId: 'v', volumePath: '/p', stagingTargetPath: '/s' });
  expect(seen[1]).toEqual(seen[0]);
});

/** What the official Go package of CSI encodes: see ../wire/main.go. */
const GOLDEN = JSON.parse(
  readFileSync(join(import.meta.dirname, '../wire/recorded/messages.json'), 'utf8'),
) as readonly { readonly name: string; readonly hex: string; readonly orderedHex?: string }[];

function golden(name: string): { bytes: string } {
  const found = GOLDEN.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no message ${name}`);
  return { bytes: found.orderedHex ?? found.hex };
}

const LOST: readonly VolumeProblem[] = [
  { status: 'DEGRADED', reason: 'SlowDisk', message: 'reads take longer than a second' },
  { status: 'DATA_LOSS', reason: 'BadBlocks', message: '3 blocks are lost' },
  { status: 'INACCESSIBLE', reason: 'Gone' },
];

test.each<[string, readonly VolumeProblem[]]>([
  ['a healthy volume', []],
  ['a sick volume', LOST],
])('they send the bytes of the official Go package for %s', async (name, problems) => {
  const seen: CsiVolume[] = [];
  const health = (volume: CsiVolume): readonly VolumeProblem[] => {
    seen.push({ ...volume });
    return problems;
  };
  const request = NodeGetVolumeHealthRequest.encode({
    volumeId: 'v',
    volumePublishPath: '/p',
    stagingTargetPath: '/s',
  }).finish();
  const ours = await ask(
    (server) => {
      server.addService(NodeService, { nodeGetVolumeHealth: nodeGetVolumeHealth({ health }) });
    },
    request,
    'NodeGetVolumeHealth',
  );
  expect(ours).toEqual(golden(name));
  for (const [, loader] of LOADERS) {
    const theirs = await ask(
      (server) => {
        const handler = nodeGetVolumeHealth({ health, codec: 'proto-loader' });
        server.addService(loaded(loader), { NodeGetVolumeHealth: handler });
      },
      request,
      'NodeGetVolumeHealth',
    );
    expect(theirs).toEqual(ours);
  }
  expect(seen.length).toBe(1 + LOADERS.length);
  for (const each of seen) expect(each).toEqual(seen[0]);
});

const OFF: readonly StorageProblem[] = [
  { status: 'STORAGE_DEGRADED', reason: 'PathLost', message: 'one of two paths is gone' },
  {
    status: 'STORAGE_UNREACHABLE',
    reason: 'Offline',
    message: 'no answer',
    volumeCapability: { block: {}, accessMode: { mode: Mode.SINGLE_NODE_WRITER } },
  },
  {
    status: 'STORAGE_DEGRADED',
    reason: 'PathLost',
    volumeCapability: {
      mount: { fsType: 'ext4', mountFlags: ['noatime', 'ro'], volumeMountGroup: '' },
      accessMode: { mode: Mode.MULTI_NODE_READER_ONLY },
    },
  },
];

test.each<[string, readonly StorageProblem[]]>([
  ['healthy storage', []],
  ['sick storage', OFF],
])('they send the bytes of the official Go package for %s', async (name, problems) => {
  const seen: unknown[] = [];
  const health = ({ secrets }: { secrets: object }): readonly StorageProblem[] => {
    seen.push({ ...secrets });
    return problems;
  };
  const request = NodeGetStorageHealthRequest.encode({ secrets: { user: 'a' } }).finish();
  const ours = await ask(
    (server) => {
      server.addService(NodeService, { nodeGetStorageHealth: nodeGetStorageHealth({ health }) });
    },
    request,
    'NodeGetStorageHealth',
  );
  expect(ours).toEqual(golden(name));
  for (const [, loader] of LOADERS) {
    const theirs = await ask(
      (server) => {
        const handler = nodeGetStorageHealth({ health, codec: 'proto-loader' });
        server.addService(loaded(loader), { NodeGetStorageHealth: handler });
      },
      request,
      'NodeGetStorageHealth',
    );
    expect(theirs).toEqual(ours);
  }
  expect(seen).toEqual([{ user: 'a' }, ...LOADERS.map(() => ({ user: 'a' }))]);
});

test('a request without fields is refused alike, though proto-loader may leave out what is empty', async () => {
  for (const loader of [KEEP_CASE, { keepCase: true }]) {
    const refused = await ask(
      (server) => {
        server.addService(loaded(loader), {
          NodeGetVolumeHealth: nodeGetVolumeHealth({ codec: 'proto-loader' }),
        });
      },
      Buffer.alloc(0),
      'NodeGetVolumeHealth',
    );
    expect(refused).toEqual({ code: status.INVALID_ARGUMENT, details: 'volume_id is missing' });
    const answered = await ask(
      (server) => {
        const handler = nodeGetStorageHealth({ health: () => undefined, codec: 'proto-loader' });
        server.addService(loaded(loader), { NodeGetStorageHealth: handler });
      },
      Buffer.alloc(0),
      'NodeGetStorageHealth',
    );
    expect(answered).toEqual({ bytes: '' });
  }
});
