import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CsiTestClient, FakeCsiDriver, type CsiRpc } from '../../../src/testing/csi/index.js';

let driver: FakeCsiDriver;
let client: CsiTestClient;

beforeEach(async () => {
  driver = await FakeCsiDriver.start();
  client = new CsiTestClient(driver.endpoint);
});

afterEach(async () => {
  client.close();
  await driver.stop();
});

test('calls any RPC, and fills in what is left out of a request', async () => {
  expect(await client.call('nodeGetInfo')).toMatchObject({ nodeId: 'fake-node' });
  await client.call('nodeUnpublishVolume', { volumeId: 'v' });
  expect(driver.requests('nodeUnpublishVolume')).toEqual([{ volumeId: 'v', targetPath: '' }]);
  driver.answer('nodeGetVolumeStats', { usage: [] });
  expect(await client.call('nodeGetVolumeStats')).toMatchObject({ usage: [] });
});

test('gives the status of a call that must fail', async () => {
  driver.answer('nodeStageVolume', { code: status.ABORTED, details: 'one at a time' });
  expect(await client.failure('nodeStageVolume')).toEqual({ code: status.ABORTED, details: 'one at a time' });
  await expect(client.call('nodeStageVolume')).rejects.toMatchObject({ code: status.ABORTED });
  expect((await client.failure('controllerGetCapabilities')).code).toBe(status.UNIMPLEMENTED);
});

test('fails if the call succeeds', async () => {
  await expect(client.failure('probe')).rejects.toThrow('probe succeeded');
});

test('gives up in time: its own, or that of one call', async () => {
  driver.mode = 'mute';
  expect((await client.failure('probe', {}, { timeoutMs: 50 })).code).toBe(status.DEADLINE_EXCEEDED);
  const hasty = new CsiTestClient(driver.endpoint, { timeoutMs: 50 });
  expect((await hasty.failure('probe')).code).toBe(status.DEADLINE_EXCEEDED);
  hasty.close();
});

test('ends its calls when it is closed', async () => {
  driver.mode = 'mute';
  const failure = client.failure('probe');
  await expect.poll(() => driver.connections).toBe(1);
  client.close();
  expect((await failure).code).toBe(status.CANCELLED);
  await expect(client.call('probe')).rejects.toThrow('Channel has been shut down');
});

test('refuses what it does not know', async () => {
  await expect(client.call('nodeExplode' as CsiRpc)).rejects.toThrow('Unknown RPC "nodeExplode"');
  await expect(client.failure('nodeExplode' as CsiRpc)).rejects.toThrow('Unknown RPC "nodeExplode"');
  await expect(client.call('probe', {}, { timeoutMs: 0 })).rejects.toThrow('Expected timeoutMs');
  expect(() => new CsiTestClient('csi.sock')).toThrow('the path is relative');
  expect(() => new CsiTestClient('/x.sock', { timeout: 1 } as object)).toThrow('Unknown option "timeout"');
});
