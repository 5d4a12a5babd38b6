import { status } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import {
  nodeGetStorageHealth,
  storageHealthCapability,
  type NodeGetStorageHealthOptions,
  type StorageProblem,
} from '../../../src/csi/index.js';
import { NodeGetCapabilitiesResponse, StorageHealthErrorType } from '../../../src/csi/v1/index.js';
import { serve, type StatsServer } from './stats-server.js';

const { OK, INTERNAL, DEADLINE_EXCEEDED } = status;

const serveStorage = (options: NodeGetStorageHealthOptions<'ts-proto'>): Promise<StatsServer> =>
  serve({}, options);

test('the function’s problems are the answer, and none when it gives none', async () => {
  const answers: (readonly StorageProblem[] | undefined)[] = [
    [{ status: 'STORAGE_UNREACHABLE', reason: 'Offline', message: 'no answer' }],
    [],
    undefined,
  ];
  const server = await serveStorage({ health: () => Promise.resolve(answers.shift()) });
  expect(await server.askStorage()).toMatchObject({
    response: {
      backendHealth: [
        { status: StorageHealthErrorType.STORAGE_UNREACHABLE, reason: 'Offline', message: 'no answer' },
      ],
    },
  });
  for (let call = 0; call < 2; call += 1) {
    expect(await server.askStorage()).toMatchObject({ code: OK, response: { backendHealth: [] } });
  }
});

test('callers at the same time share a call, unless they bring other secrets', async () => {
  const seen: Readonly<Record<string, string>>[] = [];
  const releases: (() => void)[] = [];
  const server = await serveStorage({
    health: ({ secrets }) => {
      seen.push(secrets);
      return new Promise((resolve) => {
        releases.push(() => {
          resolve([]);
        });
      });
    },
  });
  const asked = [server.askStorage(), server.askStorage({ user: 'a', key: 'b' }), server.askStorage()];
  await expect.poll(() => seen.length).toBe(2);
  // Calls come over one connection in their order: all have been taken.
  await server.askHealth({ volumeId: '' });
  for (const release of releases) release();
  for (const outcome of await Promise.all(asked)) expect(outcome.code).toBe(OK);
  expect(seen).toEqual([{}, { user: 'a', key: 'b' }]);
});

test('a function that hangs is answered in time, told to stop, and not called again while it hangs', async () => {
  const signals: AbortSignal[] = [];
  const told: unknown[] = [];
  const server = await serveStorage({
    timeoutMs: 100,
    health: ({ signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    },
    onError: (error) => told.push(error),
  });
  for (let call = 0; call < 3; call += 1) {
    expect(await server.askStorage()).toMatchObject({ code: DEADLINE_EXCEEDED });
  }
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  expect(told.length).toBe(3);
});

test('a caller with an earlier deadline is answered before it', async () => {
  const server = await serveStorage({ health: () => new Promise(() => undefined), timeoutMs: 120_000 });
  expect(await server.askStorage({}, 1_000)).toMatchObject({
    code: DEADLINE_EXCEEDED,
    details: 'no verdict on the storage in time',
  });
});

test.each<[string, () => unknown, string]>([
  [
    'fails',
    () => Promise.reject(new Error('hunter2')),
    'the driver failed to find out the health of the storage',
  ],
  ['gives no list', () => 'bad', 'Expected health to give a list of problems, got a string'],
])('a function that %s makes the call fail, which keeps the last verdict', async (_, health, details) => {
  const told: unknown[] = [];
  const server = await serveStorage({ health: health as never, onError: (error) => told.push(error) });
  expect(await server.askStorage()).toMatchObject({ code: INTERNAL, details });
  expect(told.length).toBe(1);
});

test('the capability is the one that clients look for', () => {
  const bytes = NodeGetCapabilitiesResponse.encode({ capabilities: [storageHealthCapability] }).finish();
  expect(Buffer.from(bytes).toString('hex')).toBe('0a040a020808');
});

test.each<[object, string]>([
  [{}, 'Expected health to be a function, got undefined'],
  [{ health: true }, 'Expected health to be a function, got boolean'],
  [
    { health: () => [], volume: 1 },
    'Unknown option "volume": the options are health, timeoutMs, onError, codec',
  ],
  [{ health: () => [], onError: 1 }, 'Expected onError to be a function, got number'],
])('the options %j are refused', (options, message) => {
  expect(() => nodeGetStorageHealth(options as never)).toThrow(new TypeError(message));
});
