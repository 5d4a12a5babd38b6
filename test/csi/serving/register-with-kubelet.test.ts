import { existsSync, lstatSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  registerWithKubelet,
  type KubeletRegistration,
  type KubeletRegistrationStatus,
  type RegisterWithKubeletOptions,
} from '../../../src/csi/index.js';
import { PluginWatcher } from './plugin-watcher.js';
import { killed, leaveStale, otherListener, plainListener, ServingPlace } from './serving-place.js';

const DRIVER = 'hostpath.csi.example';
const ENDPOINT = '/var/lib/kubelet/plugins/hostpath.csi.example/csi.sock';

let place: ServingPlace;
let socket: string;
let registrations: KubeletRegistration[];
let heard: KubeletRegistrationStatus[];

beforeEach(() => {
  place = new ServingPlace();
  socket = place.path(`${DRIVER}-reg.sock`);
  registrations = [];
  heard = [];
});

afterEach(async () => {
  vi.useRealTimers();
  for (const each of registrations) await each.close();
  place.close();
});

async function register(options: Partial<RegisterWithKubeletOptions> = {}): Promise<KubeletRegistration> {
  const registration = await registerWithKubelet({
    driver: DRIVER,
    endpoint: ENDPOINT,
    registryDir: place.directory,
    onStatus: (status) => heard.push(status),
    ...options,
  });
  registrations.push(registration);
  return registration;
}

describe('a registered driver', () => {
  test('tells the kubelet its name, its socket and its version', async () => {
    const registration = await register();
    expect(registration.socket).toBe(socket);
    expect(registration.status).toBeUndefined();
    expect(await new PluginWatcher(socket).getInfo()).toEqual({
      type: 'CSIPlugin',
      name: DRIVER,
      endpoint: ENDPOINT,
      supportedVersions: ['1.0.0'],
    });
  });

  test('gives the path of an endpoint, and the versions that it is told', async () => {
    await register({ endpoint: `unix://${ENDPOINT}`, versions: ['1.12.0', '1.13.0'] });
    expect(await new PluginWatcher(socket).getInfo()).toMatchObject({
      endpoint: ENDPOINT,
      supportedVersions: ['1.12.0', '1.13.0'],
    });
  });

  test('answers kubelets that send the path of the socket as authority', async () => {
    await register();
    expect((await new PluginWatcher(socket, socket).getInfo()).name).toBe(DRIVER);
  });

  test('is for the kubelet’s user alone', async () => {
    await register();
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  test('hears that it is registered, and again after the kubelet was restarted', async () => {
    const registration = await register();
    const kubelet = new PluginWatcher(socket);
    await kubelet.notify({ pluginRegistered: true, error: '' });
    expect(registration.status).toEqual({ registered: true });
    await kubelet.getInfo();
    await kubelet.notify({ pluginRegistered: true, error: '' });
    expect(heard).toEqual([{ registered: true }, { registered: true }]);
  });

  test('hears why it is not', async () => {
    const registration = await register();
    const error = 'RegisterPlugin error -- plugin validation failed with err: no \u001b[31mversion\n';
    await new PluginWatcher(socket).notify({ pluginRegistered: false, error });
    const shown = 'RegisterPlugin error -- plugin validation failed with err: no \\x1b[31mversion\\n';
    expect(heard).toEqual([{ registered: false, error: shown }]);
    expect(registration.status).toEqual(heard[0]);
    await new PluginWatcher(socket).notify({ pluginRegistered: false, error: '' });
    expect(registration.status?.error).toBe('the kubelet gives no reason');
    await new PluginWatcher(socket).notify({ pluginRegistered: false, error: 'x'.repeat(100_000) });
    expect(registration.status?.error).toHaveLength(4_096);
  });

  test.each([
    // The texts of kubelets 1.25 and 1.37.
    [
      'rpc error: code = Internal desc = stream terminated by RST_STREAM with error code: PROTOCOL_ERROR',
      "let the driver's server listen with listenOnSocket",
    ],
    [
      'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /csi/csi.sock: connect: no such file or directory"',
      "endpoint is the path of the driver's socket as the kubelet sees it",
    ],
  ])('hears what to do about: %s', async (error, advice) => {
    await register();
    await new PluginWatcher(socket).notify({ pluginRegistered: false, error });
    expect(heard).toEqual([{ registered: false, error: expect.stringContaining(error) as string }]);
    expect(heard[0]?.error).toContain(advice);
  });

  test('is answered even if its listener throws', async () => {
    await register({
      onStatus: () => {
        throw new Error('a mistake');
      },
    });
    await new PluginWatcher(socket).notify({ pluginRegistered: true, error: '' });
    expect((await new PluginWatcher(socket).getInfo()).name).toBe(DRIVER);
  });

  test('is unregistered on close, twice without harm', async () => {
    const registration = await register();
    await Promise.all([registration.close(), registration.close()]);
    expect(existsSync(socket)).toBe(false);
    await registration.close();
  });

  test('is unregistered when its signal is aborted', async () => {
    const controller = new AbortController();
    const registration = await register({ signal: controller.signal });
    controller.abort();
    await registration.close();
    expect(existsSync(socket)).toBe(false);
  });

  test('is not registered at all when its signal was aborted before', async () => {
    const reason = new Error('no more');
    await expect(register({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const registering = register({ signal: controller.signal });
    controller.abort(reason);
    await expect(registering).rejects.toBe(reason);
    expect(existsSync(socket)).toBe(false);
  });
});

describe('the socket', () => {
  test('of a killed driver is replaced', async () => {
    await leaveStale(socket);
    await register();
    expect((await new PluginWatcher(socket).getInfo()).name).toBe(DRIVER);
  });

  test('of a driver that lives is not', async () => {
    const other = await otherListener(socket);
    await expect(register()).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: `another process listens on ${socket}`,
    });
    expect(lstatSync(socket).isSocket()).toBe(true);
    await killed(other);
  });

  test('is made again when it was removed, so that the kubelet finds the driver again', async () => {
    await register();
    rmSync(socket);
    while (!existsSync(socket)) await setTimeout(20);
    expect((await new PluginWatcher(socket).getInfo()).name).toBe(DRIVER);
  });

  test('that cannot be made again is said once, and made when that is possible', async () => {
    const registration = await register();
    rmSync(socket);
    const other = await plainListener(socket);
    while (heard.length === 0) await setTimeout(20);
    const error = `the registration's socket is gone, and cannot be made again: another process listens on ${socket}`;
    expect(registration.status).toEqual({ registered: false, error });
    await other.close();
    while (!existsSync(socket)) await setTimeout(20);
    expect((await new PluginWatcher(socket).getInfo()).name).toBe(DRIVER);
    expect(heard).toHaveLength(1);
  });

  test('is not made again after the end', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const registration = await register();
    rmSync(socket);
    vi.advanceTimersByTime(2_000);
    await registration.close();
    expect(existsSync(socket)).toBe(false);
    vi.advanceTimersByTime(10_000);
    await setTimeout(50);
    expect(existsSync(socket)).toBe(false);
  });

  test('that no kubelet finds in half a minute is said once, with what to look at', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
    await register();
    for (let i = 0; i < 30; i += 1) {
      await vi.advanceTimersByTimeAsync(2_000);
      await setTimeout(5);
    }
    expect(heard).toEqual([
      {
        registered: false,
        error: `no kubelet asked on ${socket} for 30 s: is this the folder plugins_registry below the kubelet's --root-dir, mounted from the host?`,
      },
    ]);
  });
});

describe('options that cannot work are refused before anything is made:', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an empty name', { driver: '' }, 'Expected driver to be a name'],
    ['a name with a slash', { driver: '../x' }, 'Expected driver to be a name'],
    ['a name of 64 characters', { driver: 'd'.repeat(64) }, 'at most 63 characters'],
    ['a name with an underscore', { driver: 'my_driver.example' }, 'Expected driver to be a name'],
    ['a name with an empty part', { driver: 'my..example' }, 'Expected driver to be a name'],
    ['a number as name', { driver: 7 }, 'Expected driver to be a string'],
    ['a relative endpoint', { endpoint: 'csi.sock' }, 'the path is relative'],
    ['an endpoint too long for a socket', { endpoint: `/${'e'.repeat(107)}` }, 'the path has 108 bytes'],
    ['a relative folder', { registryDir: 'plugins_registry' }, 'Expected registryDir to be an absolute path'],
    ['a folder too long for its socket', { registryDir: `/${'f'.repeat(90)}` }, "a socket's has at most 107"],
    ['no versions', { versions: [] }, "a list of versions such as ['1.0.0'], got []"],
    ['an invalid version', { versions: ['1.0.0', 'latest'] }, 'got ["1.0.0", "latest"]'],
    ['a version that is a bigint', { versions: [1n] }, 'got [bigint]'],
    ['nothing for the list', { versions: null }, 'got null'],
    ['one text for the list', { versions: '1.0.0' }, 'got "1.0.0"'],
    ['a listener that is no function', { onStatus: 'log' }, 'Expected onStatus to be a function'],
    ['an invalid signal', { signal: {} }, 'Expected signal to be an AbortSignal'],
    ['an unknown option', { registry: '/x' }, 'Unknown option "registry"'],
  ])('%s', async (_, options, message) => {
    const registering = register(options);
    await expect(registering).rejects.toBeInstanceOf(TypeError);
    await expect(registering).rejects.toThrow(message);
    expect(existsSync(socket)).toBe(false);
  });

  test('a folder that is not there', async () => {
    const registryDir = place.path('none');
    await expect(register({ registryDir })).rejects.toMatchObject({
      code: 'ENOENT',
      message: `there is no directory ${registryDir} for the socket`,
    });
    mkdirSync(registryDir);
    await expect(register({ registryDir })).resolves.toBeDefined();
  });
});
