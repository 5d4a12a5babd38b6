import { status } from '@grpc/grpc-js';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FuseServer } from '../../support/fuse.mjs';
import { needs } from '../../support/needs.js';
import { DIRECTORY } from './capabilities.js';
import { DriverProcess } from './driver-process.js';
import { Workplace } from './workplace.js';

const ROOT = resolve(import.meta.dirname, '../../..');

let place: Workplace;

beforeEach(() => {
  place = new Workplace();
});

afterEach(async () => {
  await place.close();
});

describe('the start', () => {
  test('as the README says, by npm in the root, and its end by SIGTERM to npm', async () => {
    const npm = spawn('npm', ['run', 'example:csi-hostpath', '--', '--place-by', 'symlink'], {
      cwd: ROOT,
      env: {
        ...process.env,
        CSI_ENDPOINT: `unix://${place.socket}`,
        HOSTPATH_DATA_ROOT: place.dataRoot,
        HOSTPATH_NODE_ID: 'of-the-environment',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(npm, 'close');
    for await (const line of createInterface({ input: npm.stderr })) {
      if (line.includes('listens on')) break;
    }
    expect(await place.caller.call('nodeGetInfo')).toMatchObject({ nodeId: 'of-the-environment' });
    npm.kill('SIGTERM');
    await ended;
    expect(existsSync(place.socket)).toBe(false);
  });

  test.each([
    ['without an endpoint', {}, 'CSI_ENDPOINT is not set'],
    ['with a network address', { CSI_ENDPOINT: 'tcp://127.0.0.1:9000' }, 'unix sockets only'],
    ['with a relative path', { CSI_ENDPOINT: 'unix:csi.sock' }, 'relative'],
    ['with a path too long for a socket', { CSI_ENDPOINT: `/${'s'.repeat(107)}` }, '108 bytes'],
    [
      'with a relative data root',
      { CSI_ENDPOINT: '/tmp/no.sock', HOSTPATH_DATA_ROOT: 'data' },
      'absolute path',
    ],
  ])('%s ends with what is wrong', async (_, env, message) => {
    const driver = new DriverProcess({ env: { CSI_ENDPOINT: undefined, ...env } });
    expect(await driver.ended).toEqual({ code: 2, signal: null });
    expect(driver.lines).toEqual([expect.stringContaining(message)]);
  });

  test.each([['--no-such-option'], ['--place-by', 'magic'], ['--driver-name', '-'], ['--node-id', '']])(
    'with the arguments %s %s ends with what is wrong',
    async (...args) => {
      const driver = new DriverProcess({
        socket: place.socket,
        args: ['--data-root', place.dataRoot, ...args],
      });
      expect((await driver.ended).code).toBe(2);
      expect(driver.lines).toHaveLength(1);
      expect(existsSync(place.dataRoot)).toBe(false);
    },
  );

  test('in a directory that is not there says so', async () => {
    const driver = new DriverProcess({
      socket: join(place.directory, 'none/csi.sock'),
      args: ['--data-root', place.dataRoot],
    });
    expect((await driver.ended).code).toBe(1);
    expect(driver.lines).toEqual([expect.stringContaining(`there is no directory ${place.directory}/none`)]);
  });

  test('with a file as data root says so', async () => {
    writeFileSync(place.dataRoot, '');
    const driver = new DriverProcess({ socket: place.socket, args: ['--data-root', place.dataRoot] });
    expect((await driver.ended).code).toBe(1);
    expect(driver.lines).toEqual([expect.stringContaining(place.dataRoot)]);
  });

  test('keeps everybody but owner and group from socket and data', async () => {
    await place.start();
    expect(statSync(place.socket).mode & 0o777).toBe(0o660);
    expect(statSync(place.dataRoot).mode & 0o777).toBe(0o700);
  });
});

describe('the socket', () => {
  test('that a killed driver has left is taken over', async () => {
    const killed = await place.start();
    killed.kill('SIGKILL');
    expect(await killed.ended).toEqual({ code: null, signal: 'SIGKILL' });
    expect(existsSync(place.socket)).toBe(true);
    await place.start();
    await expect(place.caller.call('probe')).resolves.toEqual({ ready: true });
  });

  test('that a driver listens on stays its own, and its data root untouched', async () => {
    const first = await place.start();
    const unfinished = join(place.dataRoot, 'volumes/.new-something');
    mkdirSync(unfinished);
    const second = new DriverProcess({ socket: place.socket, args: ['--data-root', place.dataRoot] });
    expect(await second.ended).toEqual({ code: 1, signal: null });
    expect(second.lines).toEqual([`another process listens on ${place.socket}`]);
    expect(existsSync(unfinished)).toBe(true);
    await expect(place.caller.call('probe')).resolves.toEqual({ ready: true });
    expect(await first.stop()).toEqual({ code: 0, signal: null });
  });

  test.each(['a file', 'a directory', 'a symlink'])('is not %s: that is left alone', async (what) => {
    const elsewhere = place.newPath();
    if (what === 'a directory') mkdirSync(place.socket);
    else if (what === 'a symlink') symlinkSync(elsewhere, place.socket);
    else writeFileSync(place.socket, 'precious');
    const driver = new DriverProcess({ socket: place.socket, args: ['--data-root', place.dataRoot] });
    expect((await driver.ended).code).toBe(1);
    expect(driver.lines).toEqual([expect.stringContaining('is no socket')]);
    if (what === 'a file') expect(readFileSync(place.socket, 'utf8')).toBe('precious');
    expect(existsSync(elsewhere)).toBe(false);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'is gone after %s, and nothing else stays beside it',
    async (signal) => {
      const driver = await place.start();
      await place.caller.call('probe');
      driver.kill(signal);
      expect(await driver.ended).toEqual({ code: 0, signal: null });
      expect(readdirSync(place.directory)).toEqual(['data-root']);
    },
  );
});

describe('the volumes', () => {
  test('are found again after SIGKILL, and what was half done is removed', async () => {
    const killed = await place.start();
    const request = { name: 'kept', volumeCapabilities: [DIRECTORY] };
    const { volume } = await place.caller.call('createVolume', request);
    const folder = join(place.dataRoot, 'volumes');
    writeFileSync(join(folder, volume!.volumeId, 'data/file'), 'content');
    killed.kill('SIGKILL');
    await killed.ended;
    mkdirSync(join(folder, '.new-half-made/data'), { recursive: true });
    mkdirSync(join(folder, '.gone-half-removed/data'), { recursive: true });
    const { said } = await restarted();
    expect(await said).toContain('1 volumes');
    expect(readdirSync(folder)).toEqual([volume!.volumeId]);
    expect(await place.caller.call('createVolume', request)).toEqual({ volume });
    expect(readFileSync(join(folder, volume!.volumeId, 'data/file'), 'utf8')).toBe('content');
  });

  test('that are damaged are left alone, and cost the others nothing', async () => {
    const first = await place.start();
    const { volume } = await place.caller.call('createVolume', {
      name: 'well',
      volumeCapabilities: [DIRECTORY],
    });
    await first.stop();
    const folder = join(place.dataRoot, 'volumes');
    mkdirSync(join(folder, 'vol-nonsense'));
    writeFileSync(join(folder, 'vol-nonsense/volume.json'), '{');
    const { driver } = await restarted();
    expect(await driver.said('is left alone')).toContain('vol-nonsense');
    expect(existsSync(join(folder, 'vol-nonsense/volume.json'))).toBe(true);
    const { confirmed } = await place.caller.call('validateVolumeCapabilities', {
      volumeId: volume!.volumeId,
      volumeCapabilities: [DIRECTORY],
    });
    expect(confirmed).toBeDefined();
  });

  test.skipIf(needs({ root: true }))('come back also when leftovers cannot be removed', async () => {
    const stuck = join(place.dataRoot, 'volumes/.gone-stuck/data');
    mkdirSync(stuck, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'kvm-test', stuck]);
    const driver = await place.start();
    expect(await driver.said('cannot be removed')).toContain('.gone-stuck');
    await expect(place.caller.call('probe')).resolves.toEqual({ ready: true });
  });

  async function restarted(): Promise<{ driver: DriverProcess; said: Promise<string> }> {
    const driver = await place.start();
    return { driver, said: driver.said('listens on') };
  }
});

const skipFuse = needs({ fuse: true });

describe.skipIf(skipFuse)('the end, with a call in flight', () => {
  let fuse: FuseServer;

  beforeAll(() => {
    fuse = new FuseServer();
  });

  afterAll(async () => {
    await fuse.close();
  });

  test('waits until the call is answered, and not for the mount that it hangs on', async () => {
    const driver = await place.start();
    const { volume } = await place.caller.call('createVolume', {
      name: 'v',
      volumeCapabilities: [DIRECTORY],
    });
    const dead = await fuse.mount();
    await dead.hold('unanswered');
    const call = place.caller.failure(
      'nodeStageVolume',
      {
        volumeId: volume!.volumeId,
        stagingTargetPath: join(dead.path, 'directory/staging'),
        volumeCapability: DIRECTORY,
      },
      { timeoutMs: 3_000 },
    );
    try {
      await dead.received('lookup', driver.pid);
      driver.kill('SIGTERM');
      expect((await call).code).toBe(status.DEADLINE_EXCEEDED);
      // The kernel does not let a process go whose thread it has not answered; all else of it has ended.
      await dead.release();
      expect(await driver.ended).toEqual({ code: 0, signal: null });
    } finally {
      await dead.release();
    }
    expect(existsSync(place.socket)).toBe(false);
  });
});
