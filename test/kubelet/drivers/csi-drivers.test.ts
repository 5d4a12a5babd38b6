import { createServer, type Server as NetServer } from 'node:net';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NodeServiceCapability_RPC_Type as Capability } from '../../../src/csi/v1/index.js';
import { CsiDrivers } from '../../../src/kubelet/drivers/csi-drivers.js';
import { FakeCsiDriver } from '../../../src/testing/csi/index.js';
import { FakeRegistration } from '../support/fake-registration.js';

let root: string;
let registry: string;
let drivers: CsiDrivers;
let end: (() => unknown)[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kvm-drivers-'));
  registry = join(root, 'plugins_registry');
  mkdirSync(registry);
  mkdirSync(join(root, 'plugins'));
  drivers = new CsiDrivers(() => root);
  end = [];
});

afterEach(async () => {
  drivers.close();
  for (const each of end) await each();
  rmSync(root, { recursive: true });
});

async function driver(): Promise<FakeCsiDriver> {
  const made = await FakeCsiDriver.start();
  end.push(() => made.stop());
  return made;
}

async function register(
  file: string,
  info: Parameters<typeof FakeRegistration.start>[1],
): Promise<FakeRegistration> {
  const made = await FakeRegistration.start(join(registry, file), info);
  end.push(() => made.stop());
  return made;
}

const socketOf = (each: FakeCsiDriver): string => each.endpoint.replace('unix://', '');

async function look(): Promise<void> {
  drivers.look();
  await drivers.answered();
}

const VOLUME = { volumeId: 'v', volumePath: '/v' };
const read = (name: string, staging?: string) => drivers.reader(name, () => staging).readVolume(VOLUME);

describe('a registered driver', () => {
  test('is found by its socket, whatever the file is called, and asked over one client', async () => {
    const fake = await driver();
    await register('any name.sock', { name: 'fake.example', endpoint: socketOf(fake) });
    await look();
    expect(drivers.registered()).toEqual([
      { name: 'fake.example', endpoint: socketOf(fake), registration: join(registry, 'any name.sock') },
    ]);
    expect(drivers.problems()).toEqual([]);
    await Promise.all([read('fake.example'), read('fake.example'), read('fake.example')]);
    expect(fake.connections).toBe(1);
  });

  test('is asked once what it is, not in each round', async () => {
    const fake = await driver();
    const registration = await register('fake.sock', { name: 'fake.example', endpoint: socketOf(fake) });
    await look();
    await look();
    await look();
    expect(registration.calls).toBe(1);
  });

  test('may give its endpoint as unix:// URL, or none when it serves CSI on the same socket', async () => {
    const fake = await driver();
    await register('url.sock', { name: 'url.example', endpoint: fake.endpoint });
    await register('same.sock', { name: 'same.example', endpoint: '' });
    await look();
    expect(drivers.registered().map(({ name, endpoint }) => [name, endpoint])).toEqual(
      expect.arrayContaining([
        ['url.example', socketOf(fake)],
        ['same.example', join(registry, 'same.sock')],
      ]),
    );
  });

  test('gets the staging path if it stages, and none otherwise', async () => {
    const fake = await driver();
    await register('fake.sock', { name: 'fake.example', endpoint: socketOf(fake) });
    await look();
    await read('fake.example', '/staged');
    expect(fake.requests('nodeGetVolumeStats').at(-1)?.stagingTargetPath).toBe('');
    fake.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.STAGE_UNSTAGE_VOLUME];
    await fake.restart();
    await read('fake.example', '/staged');
    expect(fake.requests('nodeGetVolumeStats').at(-1)?.stagingTargetPath).toBe('/staged');
  });
});

describe('a driver that is not registered', () => {
  test('is METRICS_NOT_FOUND, with the place to look', async () => {
    await look();
    await expect(read('fake.example')).rejects.toMatchObject({
      code: 'METRICS_NOT_FOUND',
      message: `driver name fake.example not found in the list of registered CSI drivers: no socket in ${registry} names it. Check that the driver's pod runs on this node`,
    });
  });

  test('is found by the folder of its name', async () => {
    const fake = await driver();
    mkdirSync(join(root, 'plugins/fake.example'));
    symlinkSync(socketOf(fake), join(root, 'plugins/fake.example/csi.sock'));
    // A symlink is not the socket that a driver makes there.
    await expect(read('fake.example')).rejects.toMatchObject({ code: 'METRICS_NOT_FOUND' });
    rmSync(join(root, 'plugins/fake.example/csi.sock'));
    linkSync(socketOf(fake), join(root, 'plugins/fake.example/csi.sock'));
    await expect(read('fake.example')).resolves.toBeDefined();
    expect(drivers.registered()).toEqual([]);
  });

  test('is found once its socket comes, and no longer once it goes', async () => {
    await look();
    await expect(read('fake.example')).rejects.toMatchObject({ code: 'METRICS_NOT_FOUND' });
    const fake = await driver();
    const registration = await register('fake.sock', { name: 'fake.example', endpoint: socketOf(fake) });
    drivers.look();
    // The reading waits for the answer of the socket.
    await expect(read('fake.example')).resolves.toBeDefined();
    await registration.stop();
    drivers.look();
    await expect(read('fake.example')).rejects.toMatchObject({ code: 'METRICS_NOT_FOUND' });
  });

  test('that was made anew elsewhere is asked there', async () => {
    const [first, second] = [await driver(), await driver()];
    const old = await register('fake.sock', { name: 'fake.example', endpoint: socketOf(first) });
    await look();
    await read('fake.example');
    await old.stop();
    await register('fake.sock', { name: 'fake.example', endpoint: socketOf(second) });
    await look();
    await read('fake.example');
    expect([first, second].map((each) => each.calls('nodeGetVolumeStats'))).toEqual([1, 1]);
  });
});

describe('sockets that lie', () => {
  const LONG = 'a'.repeat(10 * 1024);

  test.each([
    [
      { name: 'fake.example', endpoint: 'relative.sock' },
      /of fake\.example gave an endpoint that cannot be used: .*the path is relative/,
    ],
    [{ name: 'fake.example', endpoint: 'tcp://127.0.0.1:1' }, /CSI uses unix sockets only/],
    [
      { name: LONG, endpoint: '/x' },
      /gave a name that no CSI driver may have: a{80}\.\.\. \(10240 characters\)$/,
    ],
    [{ name: '../../etc', endpoint: '/x' }, /gave a name that no CSI driver may have: "\.\.\/\.\.\/etc"$/],
    [
      { name: 'a\n\u001b[31mb', endpoint: '/x' },
      /gave a name that no CSI driver may have: "a\\\\n\\\\x1b\[31mb"$/,
    ],
    [{ name: '', endpoint: '/x' }, /gave a name that no CSI driver may have: ""$/],
    [
      { name: 'fake.example', endpoint: '/x', type: 'SomethingElse' },
      /gave an unknown type of plugin: "SomethingElse"$/,
    ],
    [
      { name: 'fake.example', endpoint: '/x', supportedVersions: ['0.3.0'] },
      /of fake\.example offers no version 1 of CSI, only "0\.3\.0"$/,
    ],
  ])('%j is no driver, and says why', async (info, problem) => {
    await register('lie.sock', info);
    await look();
    expect(drivers.registered()).toEqual([]);
    expect(drivers.problems()).toEqual([expect.stringMatching(problem)]);
    expect(drivers.problems()[0]!.length).toBeLessThan(600);
  });

  test.each(['DevicePlugin', 'DRAPlugin'])(
    'a %s is not a driver, and nothing is wrong with it',
    async (type) => {
      await register('plugin.sock', { type, name: 'vendor.example/gpu', endpoint: '/x' });
      await look();
      expect(drivers.registered()).toEqual([]);
      expect(drivers.problems()).toEqual([]);
    },
  );

  const listen = async (path: string, greet: (server: NetServer) => NetServer): Promise<void> => {
    const server = greet(createServer());
    await new Promise<void>((resolve) => server.listen(path, resolve));
    end.push(() => server.close());
  };

  test('one that answers nonsense', async () => {
    await listen(join(registry, 'nonsense.sock'), (server) =>
      server.on('connection', (socket) => {
        socket.on('error', () => undefined);
        socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      }),
    );
    await look();
    expect(drivers.problems()).toEqual([
      expect.stringContaining('nonsense.sock gave no answer that can be used'),
    ]);
  });

  test('one that never answers holds up neither the round nor the other drivers, and is asked once at a time', async () => {
    const mute = await register('mute.sock', undefined);
    const fake = await driver();
    await register('fake.sock', { name: 'fake.example', endpoint: socketOf(fake) });
    drivers.look();
    await read('fake.example');
    drivers.look();
    drivers.look();
    await read('fake.example');
    expect(mute.calls).toBe(1);
    await drivers.answered();
    expect(drivers.problems()).toEqual([expect.stringContaining('no answer within 5000 ms')]);
    // The next round asks again.
    drivers.look();
    await expect.poll(() => mute.calls).toBe(2);
  });

  test('a second socket of the same driver is ignored, and said', async () => {
    const [first, second] = [await driver(), await driver()];
    await register('a.sock', { name: 'fake.example', endpoint: socketOf(first) });
    await look();
    await register('b.sock', { name: 'fake.example', endpoint: socketOf(second) });
    await look();
    await read('fake.example');
    expect(drivers.registered()).toMatchObject([{ endpoint: socketOf(first) }]);
    expect(drivers.problems()).toEqual([
      `${join(registry, 'b.sock')} names the driver fake.example once more, and is ignored`,
    ]);
    expect(second.connections).toBe(0);
  });

  test('what is no socket, or begins with a dot, is not asked', async () => {
    writeFileSync(join(registry, 'file.sock'), '');
    mkdirSync(join(registry, 'folder.sock'));
    const hidden = await register('.hidden.sock', { name: 'fake.example', endpoint: '/x' });
    await look();
    expect(drivers.registered()).toEqual([]);
    expect(drivers.problems()).toEqual([]);
    expect(hidden.calls).toBe(0);
  });

  test('sockets in folders of plugins_registry count, as for the kubelet', async () => {
    mkdirSync(join(registry, 'a/b'), { recursive: true });
    mkdirSync(join(registry, '.hidden'));
    const fake = await driver();
    await register('a/b/fake.sock', { name: 'fake.example', endpoint: socketOf(fake) });
    const hidden = await register('.hidden/x.sock', { name: 'hidden.example', endpoint: '/x' });
    symlinkSync(registry, join(registry, 'loop'));
    await look();
    expect(drivers.registered()).toMatchObject([{ name: 'fake.example', endpoint: socketOf(fake) }]);
    expect(drivers.problems()).toEqual([]);
    expect(hidden.calls).toBe(0);
  });

  test('of very many folders the first are read, and it is said', async () => {
    for (let folder = 0; folder < 70; folder += 1) mkdirSync(join(registry, `folder-${String(folder)}`));
    const fake = await driver();
    await register('fake.sock', { name: 'fake.example', endpoint: socketOf(fake) });
    await look();
    expect(drivers.registered()).toHaveLength(1);
    expect(drivers.problems()).toEqual([`${registry} has 71 folders; only the first 64 are read`]);
  });

  test('a node without plugins_registry says so', async () => {
    rmSync(registry, { recursive: true });
    await look();
    expect(drivers.problems()).toEqual([`the CSI drivers are not known: ${registry}: it does not exist`]);
    mkdirSync(registry);
    await look();
    expect(drivers.problems()).toEqual([]);
  });

  test('a reading ends when its signal does, though a socket does not answer', async () => {
    await register('mute.sock', undefined);
    drivers.look();
    const controller = new AbortController();
    const reading = drivers
      .reader('fake.example', () => undefined)
      .readVolume(VOLUME, { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
  });
});

test('after close, readings fail and no socket is asked', async () => {
  const fake = await driver();
  const registration = await register('fake.sock', { name: 'fake.example', endpoint: socketOf(fake) });
  await look();
  await read('fake.example');
  drivers.close();
  await expect(read('fake.example')).rejects.toMatchObject({ code: 'METRICS_CSI_FAILED' });
  drivers.look();
  expect(registration.calls).toBe(1);
});
