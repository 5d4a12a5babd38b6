import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PluginWatcher } from '../../csi/serving/plugin-watcher.js';
import { DriverProcess } from './driver-process.js';
import { Workplace } from './workplace.js';

// The driver makes itself known to a kubelet, without a sidecar. With a real one: test/node.

let place: Workplace;
let registry: string;
let socket: string;
let kubelet: PluginWatcher;

beforeEach(() => {
  place = new Workplace();
  registry = place.newDirectory();
  socket = join(registry, 'own.csi.example-reg.sock');
  kubelet = new PluginWatcher(socket);
});

afterEach(async () => {
  await place.close();
});

async function start(...more: string[]): Promise<DriverProcess> {
  const args = ['--place-by', 'symlink', '--driver-name', 'own.csi.example', '--kubelet-registry', registry];
  return await place.start({ args: [...args, ...more] });
}

test('a driver says where it is, what the kubelet answers, and is gone from the registry with its end', async () => {
  const driver = await start('--kubelet-endpoint', '/var/lib/kubelet/plugins/own/csi.sock');
  await driver.said(`waits for the kubelet at ${socket}`);
  expect(await kubelet.getInfo()).toEqual({
    type: 'CSIPlugin',
    name: 'own.csi.example',
    endpoint: '/var/lib/kubelet/plugins/own/csi.sock',
    supportedVersions: ['1.0.0'],
  });
  await kubelet.notify({ pluginRegistered: false, error: 'no\nsuch luck' });
  await driver.said('not registered with the kubelet: no\\nsuch luck');
  await kubelet.notify({ pluginRegistered: true, error: '' });
  await driver.said('registered with the kubelet');
  expect(await driver.stop()).toEqual({ code: 0, signal: null });
  expect(readdirSync(registry)).toEqual([]);
});

test('a killed driver is there again after its restart', async () => {
  const killed = await start();
  await killed.said('waits for the kubelet');
  killed.kill('SIGKILL');
  await killed.ended;
  expect(existsSync(socket)).toBe(true);
  const driver = await start();
  await driver.said('waits for the kubelet');
  expect(await kubelet.getInfo()).toMatchObject({ name: 'own.csi.example', endpoint: place.socket });
});

test('a second driver of the same name ends, and leaves the first alone', async () => {
  const first = await start();
  await first.said('waits for the kubelet');
  const second = new DriverProcess({
    socket: join(place.newDirectory(), 'csi.sock'),
    args: [
      '--data-root',
      place.newPath(),
      '--driver-name',
      'own.csi.example',
      '--kubelet-registry',
      registry,
    ],
  });
  expect(await second.ended).toEqual({ code: 1, signal: null });
  expect(second.lines.at(-1)).toBe(`another process listens on ${socket}`);
  expect(await kubelet.getInfo()).toMatchObject({ endpoint: place.socket });
});

test('a registry that is not there ends the driver with that, and leaves no socket', async () => {
  registry = join(place.directory, 'none');
  const driver = new DriverProcess({
    socket: place.socket,
    args: ['--data-root', place.dataRoot, '--place-by', 'symlink', '--kubelet-registry', registry],
  });
  expect(await driver.ended).toEqual({ code: 1, signal: null });
  expect(driver.lines.at(-1)).toBe(`there is no directory ${registry} for the socket`);
  expect(existsSync(place.socket)).toBe(false);
  mkdirSync(registry);
});
