import { credentials } from '@grpc/grpc-js';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, constants } from 'node:http2';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CsiNodeClient, socketPath } from '../../../src/csi/index.js';
import { NodeClient, VolumeUsage_Unit } from '../../../src/csi/v1/index.js';
import { CsiTestClient, FakeCsiDriver, type FakeCsiMode } from '../../../src/testing/csi/index.js';

const VOLUME = { volumeId: 'v', volumePath: '/p' };

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

describe('FakeCsiDriver on a path that it is given', () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'kvm-fake-'));
    path = join(directory, 'csi.sock');
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  test('listens there, also after a crash, and leaves nothing', async () => {
    const placed = await FakeCsiDriver.start({ endpoint: `unix://${path}`, name: 'placed' });
    expect(placed.endpoint).toBe(`unix://${path}`);
    const caller = new CsiTestClient(path);
    expect(await caller.call('getPluginInfo')).toMatchObject({ name: 'placed' });
    await placed.crash();
    expect(readdirSync(directory)).toEqual(['csi.sock']);
    await placed.restart();
    expect(await caller.call('getPluginInfo')).toMatchObject({ name: 'placed' });
    caller.close();
    await placed.stop();
    expect(readdirSync(directory)).toEqual([]);
    writeFileSync(path, 'of another');
    await placed.stop();
    expect(readdirSync(directory)).toEqual(['csi.sock']);
  });

  test('takes away nothing that is there', async () => {
    writeFileSync(path, 'precious');
    await expect(FakeCsiDriver.start({ endpoint: path })).rejects.toThrow(
      `something is at ${path}: remove it first`,
    );
    expect(readFileSync(path, 'utf8')).toBe('precious');
    const first = await FakeCsiDriver.start({ endpoint: join(directory, 'taken.sock') });
    await expect(FakeCsiDriver.start({ endpoint: join(directory, 'taken.sock') })).rejects.toThrow(
      'something is at',
    );
    await first.stop();
  });

  test.each([
    ['csi.sock', 'the path is relative'],
    ['/nowhere/csi.sock', 'there is no directory /nowhere'],
    ['tcp://127.0.0.1:1', 'unix sockets only'],
  ])('refuses %s', async (endpoint, message) => {
    await expect(FakeCsiDriver.start({ endpoint })).rejects.toThrow(message);
  });
});

describe('FakeCsiDriver', () => {
  test('says what its script says, at any time', async () => {
    expect(await client.getPluginInfo()).toMatchObject({ name: 'fake.csi.example', vendorVersion: '1.0.0' });
    driver.script.name = 'other';
    expect(await client.getPluginInfo()).toMatchObject({ name: 'other' });
    driver.script.usage = ({ volumeId }) => [
      { unit: VolumeUsage_Unit.BYTES, total: BigInt(volumeId.length) },
    ];
    driver.script.condition = { abnormal: true, message: 'x' };
    expect(await client.nodeGetVolumeStats(VOLUME)).toEqual({
      usage: [{ unit: VolumeUsage_Unit.BYTES, total: 1n, available: 0n, used: 0n }],
      volumeCondition: { abnormal: true, message: 'x' },
    });
    const started = await FakeCsiDriver.start({ name: 'n', version: 'v', mode: 'mute' });
    expect([started.script.name, started.script.version, started.mode]).toEqual(['n', 'v', 'mute']);
    await started.stop();
  });

  test('counts calls and keeps their requests', async () => {
    expect(driver.calls()).toBe(0);
    await client.nodeGetVolumeStats(VOLUME);
    await client.nodeGetVolumeStats({ ...VOLUME, volumeId: 'w' });
    await client.probe();
    expect(driver.calls()).toBe(3);
    expect(driver.calls('nodeGetVolumeStats')).toBe(2);
    expect(driver.requests('nodeGetVolumeStats').map(({ volumeId }) => volumeId)).toEqual(['v', 'w']);
    expect(driver.requests('nodeGetInfo')).toEqual([]);
  });

  test('answers as it is told for one call', async () => {
    driver.answer('nodeGetInfo', { nodeId: 'told', maxVolumesPerNode: 1n });
    expect(await client.nodeGetInfo()).toMatchObject({ nodeId: 'told' });
    driver.answer('nodeGetInfo', Buffer.from('0a0162', 'hex'));
    expect(await client.nodeGetInfo()).toMatchObject({ nodeId: 'b' });
    driver.answer('nodeGetInfo', () => Promise.resolve({ code: 7, details: 'no' }));
    await expect(client.nodeGetInfo()).rejects.toMatchObject({ cause: { code: 7, details: 'no' } });
    driver.answer('nodeGetInfo', () => Promise.reject(new Error('bug')));
    await expect(client.nodeGetInfo()).rejects.toMatchObject({ cause: { code: 2, details: 'bug' } });
    driver.answer('nodeGetInfo', undefined);
    expect(await client.nodeGetInfo()).toMatchObject({ nodeId: 'fake-node' });
  });

  test('takes the calls of staging and publishing', async () => {
    const node = new NodeClient(driver.endpoint, credentials.createInsecure());
    const request = { volumeId: 'v', targetPath: '/p' };
    await new Promise<void>((resolve, reject) => {
      node.nodeUnpublishVolume(request, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
    node.close();
    expect(driver.requests('nodeUnpublishVolume')).toEqual([request]);
  });

  test('crashes as if killed, starts again on the same path, and stops without a trace', async () => {
    const path = socketPath(driver.endpoint);
    await client.probe();
    await driver.crash();
    expect(driver.openConnections).toBe(0);
    expect(statSync(path).isSocket()).toBe(true);
    await expect(client.probe()).rejects.toThrow('nothing listens on this socket');
    await driver.crash();
    await driver.restart();
    expect(await client.probe()).toBe(true);
    await driver.restart();
    expect(await client.probe()).toBe(true);
    await driver.stop();
    expect(existsSync(dirname(path))).toBe(false);
    await driver.stop();
  });

  test.each<[FakeCsiMode, string]>([
    ['serve', 'a frame'],
    ['mute', 'nothing'],
    ['nonsense', 'nonsense'],
  ])('that is %s sends %s to a new connection', async (mode, expected) => {
    driver.mode = mode;
    const socket = connect(socketPath(driver.endpoint));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(socket, 'connect');
    // The client's preface, and then time for an answer: another connection is served or muted meanwhile.
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    driver.mode = 'serve';
    await client.probe();
    await client.probe();
    const bytes = Buffer.concat(chunks);
    // The fourth byte of a frame is its type, and 4 is SETTINGS.
    const got = bytes.length === 0 ? 'nothing' : bytes[3] === 4 ? 'a frame' : 'nonsense';
    expect(got).toBe(expected);
    socket.destroy();
  });

  test('refuses an unknown option, by name', async () => {
    await expect(FakeCsiDriver.start({ capacity: 5 } as object)).rejects.toThrow(
      new TypeError(
        'Unknown option "capacity": the options are mode, endpoint, name, version, capabilities, usage, condition, health, storageHealth, delayMs',
      ),
    );
  });

  test.each<[object, RegExp]>([
    [{ mode: 'x' }, /^Expected mode to be one of serve, slow, mute, kill, nonsense, got "x"$/],
    [{ name: 5 }, /^Expected name to be a string/],
    [{ version: null }, /^Expected version to be a string/],
    [{ usage: 5 }, /^Expected usage to be a list of objects or a function, got the number 5$/],
    [{ usage: [5] }, /^Expected usage to be a list of objects or a function/],
    [{ capabilities: ['GET_VOLUME_STATS'] }, /^Expected capabilities to be a list of numbers/],
    [{ health: {} }, /^Expected health to be a list of objects/],
    [{ condition: 'bad' }, /^Expected condition to be an object, got a string$/],
    [{ delayMs: -1 }, /^Expected delayMs to be a number of milliseconds/],
  ])('refuses to start with %j', async (options, message) => {
    const started = FakeCsiDriver.start(options);
    await expect(started).rejects.toThrow(TypeError);
    await expect(started).rejects.toThrow(message);
  });

  test('refuses an unknown mode, an unknown RPC and what is no answer, and goes on', async () => {
    expect(() => (driver.mode = 'x' as never)).toThrow(/^Expected mode to be one of /);
    for (const call of [
      () => driver.calls('nodeGetVolumeStat' as never),
      () => driver.requests('toString' as never),
      () => {
        driver.answer('NodeGetInfo' as never, undefined);
      },
    ]) {
      expect(call).toThrow(TypeError);
      expect(call).toThrow(/^Unknown RPC "\w+": the RPCs are getPluginInfo, /);
    }
    expect(() => {
      driver.answer('nodeGetInfo', 5 as never);
    }).toThrow(
      new TypeError(
        'Expected the answer of nodeGetInfo to be a message, a Buffer or { code, details }, got the number 5',
      ),
    );
    expect(await client.nodeGetInfo()).toMatchObject({ nodeId: 'fake-node' });
  });

  test.each([5, null, 'text'])('tells the caller that a function gave no answer but %j', async (answer) => {
    driver.answer('nodeGetInfo', () => answer as never);
    await expect(client.nodeGetInfo()).rejects.toMatchObject({
      cause: { code: 2, details: expect.stringMatching(/^Expected the answer of nodeGetInfo /) as string },
    });
  });

  test('that is stopped cannot start again, and may be stopped again', async () => {
    const path = socketPath(driver.endpoint);
    await driver.stop();
    await expect(driver.restart()).rejects.toThrow('the fake driver has been stopped: start a new one');
    await driver.stop();
    expect(existsSync(dirname(path))).toBe(false);
  });

  // What an old kubelet sends, and no server of Node takes.
  test('refuses the path as :authority, like every server of Node', async () => {
    const session = connectHttp2('http://localhost', {
      createConnection: () => connect(socketPath(driver.endpoint)),
    });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/csi.v1.Identity/Probe',
      ':authority': '/csi/csi.sock',
      'content-type': 'application/grpc',
    });
    await expect(once(stream, 'response')).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' });
    expect(stream.rstCode).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    expect(driver.calls()).toBe(0);
    session.destroy();
  });
});
