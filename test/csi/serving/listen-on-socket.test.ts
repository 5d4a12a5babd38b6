import { Client, credentials, ServerCredentials } from '@grpc/grpc-js';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listenOnSocket } from '../../../src/csi/serving/listen-on-socket.js';
import { IdentityService } from '../../../src/csi/v1/index.js';
import { THREE_CALLS } from './grpc-go-1.47.js';
import { killed, leaveStale, otherListener, plainListener, ServingPlace } from './serving-place.js';

let place: ServingPlace;
let path: string;

beforeEach(() => {
  place = new ServingPlace();
  path = place.path('csi.sock');
});

afterEach(() => {
  place.close();
});

describe('a server on a socket', () => {
  test('answers there, with nothing beside it, and is gone once it is closed', async () => {
    const server = place.server('a');
    const listening = await listenOnSocket(server, `unix://${path}`);
    expect(listening.path).toBe(path);
    expect(await place.nameAt(path)).toBe('a');
    expect(await listening.isThere()).toBe(true);
    expect(readdirSync(place.directory)).toEqual(['csi.sock']);
    await listening.close();
    expect(readdirSync(place.directory)).toEqual([]);
    expect(await listening.isThere()).toBe(false);
    await listening.close();
  });

  test('is for the owner and the group, unless the mode says otherwise', async () => {
    await listenOnSocket(place.server('a'), path);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    await listenOnSocket(place.server('b'), place.path('own.sock'), { mode: 0o600 });
    expect(statSync(place.path('own.sock')).mode & 0o777).toBe(0o600);
  });

  test('ends its calls after it stopped listening', async () => {
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    let called: () => void = () => undefined;
    const isCalled = new Promise<void>((resolve) => (called = resolve));
    const server = place.server('slow', gate, called);
    const listening = await listenOnSocket(server, path);
    const answer = place.nameAt(path);
    await isCalled;
    await listening.close();
    const shutDown = new Promise<void>((resolve) => {
      server.tryShutdown(() => {
        resolve();
      });
    });
    open();
    expect(await answer).toBe('slow');
    await shutDown;
  });

  test('lasts when a client vanishes in the middle of a call', async () => {
    await listenOnSocket(place.server('a'), path);
    const client = connect(path);
    await once(client, 'connect');
    client.write(THREE_CALLS.subarray(0, 100));
    client.destroy();
    expect(await place.nameAt(path)).toBe('a');
  });

  test('is rid of a client that gave up thousands of calls at once, and can end', async () => {
    // Node's HTTP/2 reads no more of such a client.
    const server = place.server('slow', new Promise(() => undefined));
    await listenOnSocket(server, path);
    const client = new Client(`unix:${path}`, credentials.createInsecure());
    const { path: rpc, requestSerialize, responseDeserialize } = IdentityService.getPluginInfo;
    const givenUp = Array.from({ length: 2_000 }, async () => {
      await new Promise((resolve) => {
        const options = { deadline: Date.now() + 500 };
        client.makeUnaryRequest(rpc, requestSerialize, responseDeserialize, {}, options, resolve);
      });
    });
    await Promise.all(givenUp);
    client.close();
    await new Promise((resolve) => {
      server.tryShutdown(resolve);
    });
  });
});

describe('a path that is taken', () => {
  test('by the socket of a killed process is taken over', async () => {
    await leaveStale(path);
    expect(lstatSync(path).isSocket()).toBe(true);
    await listenOnSocket(place.server('next'), path);
    expect(await place.nameAt(path)).toBe('next');
  });

  test('by a process that listens stays its own', async () => {
    const other = await otherListener(path);
    const { ino } = lstatSync(path);
    await expect(listenOnSocket(place.server('a'), path)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: `another process listens on ${path}`,
    });
    expect(lstatSync(path).ino).toBe(ino);
    expect(readdirSync(place.directory)).toEqual(['csi.sock']);
    await killed(other);
  });

  test.each(['a file', 'a directory', 'a symlink'])('by %s is left alone', async (what) => {
    const elsewhere = place.path('elsewhere.sock');
    if (what === 'a directory') mkdirSync(path);
    else if (what === 'a symlink') symlinkSync(elsewhere, path);
    else writeFileSync(path, 'precious');
    await expect(listenOnSocket(place.server('a'), path)).rejects.toMatchObject({
      code: 'EEXIST',
      message: `${path} is there and is no socket: remove it, or choose another path`,
    });
    if (what === 'a file') expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(existsSync(elsewhere)).toBe(false);
  });

  test('goes to one of several servers that want it at once', async () => {
    await leaveStale(path);
    const servers = ['a', 'b', 'c', 'd'].map((name) => listenOnSocket(place.server(name), path));
    const settled = await Promise.allSettled(servers);
    expect(settled.map(({ status }) => status).sort()).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
    ]);
    for (const each of settled) {
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'EADDRINUSE' });
    }
    const winner = 'abcd'[settled.findIndex(({ status }) => status === 'fulfilled')];
    expect(await place.nameAt(path)).toBe(winner);
    expect(readdirSync(place.directory)).toEqual(['csi.sock']);
  });

  test('later by another process stays that process’s own when the server closes', async () => {
    const listening = await listenOnSocket(place.server('a'), path);
    rmSync(path);
    expect(await listening.isThere()).toBe(false);
    const other = await plainListener(path);
    expect(await listening.isThere()).toBe(false);
    await listening.close();
    expect(lstatSync(path).isSocket()).toBe(true);
    await other.close();
  });

  test('is followed when it moves: the server never removes the file that takes its place', async () => {
    const listening = await listenOnSocket(place.server('a'), path);
    renameSync(path, place.path('moved.sock'));
    writeFileSync(path, 'precious');
    await listening.close();
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });
});

describe('a path that cannot be used', () => {
  test('for want of its directory says so', async () => {
    await expect(listenOnSocket(place.server('a'), place.path('none/csi.sock'))).rejects.toMatchObject({
      code: 'ENOENT',
      message: `there is no directory ${place.path('none')} for the socket`,
    });
  });

  test('below a file says so', async () => {
    writeFileSync(place.path('file'), '');
    await expect(listenOnSocket(place.server('a'), place.path('file/csi.sock'))).rejects.toMatchObject({
      code: 'ENOTDIR',
    });
  });

  test.skipIf(process.platform !== 'linux')('is one of 108 bytes; 107 are enough for any name', async () => {
    const folder = place.path('d'.repeat(107 - Buffer.byteLength(place.directory) - 8));
    mkdirSync(folder);
    const longest = `${folder}/a.sock`;
    expect(Buffer.byteLength(longest)).toBe(107);
    await listenOnSocket(place.server('a'), longest);
    expect(await place.nameAt(longest)).toBe('a');
    expect(readdirSync(folder)).toEqual(['a.sock']);
    await expect(listenOnSocket(place.server('b'), `${folder}/ab.sock`)).rejects.toThrow(
      "the path has 108 bytes, and a socket's has at most 107",
    );
  });

  test.each<[string, string, object, string]>([
    ['a relative path', 'csi.sock', {}, 'relative'],
    ['a network address', 'tcp://127.0.0.1:1', {}, 'unix sockets only'],
    ['an invalid mode', '/tmp/x.sock', { mode: 0o1777 }, 'between 0 and 0o777'],
    ['an unknown option', '/tmp/x.sock', { umask: 1 }, 'Unknown option "umask"'],
  ])('or options that cannot: %s', async (_, endpoint, options, message) => {
    await expect(listenOnSocket(place.server('a'), endpoint, options)).rejects.toThrow(message);
    await expect(listenOnSocket(place.server('a'), endpoint, options)).rejects.toBeInstanceOf(TypeError);
  });
});

describe('a caller that names the socket’s path as the authority, as kubelets before 1.26 do,', () => {
  test('is served, and by bindAsync it is not', async () => {
    await listenOnSocket(place.server('a'), path);
    expect(await place.nameAt(path, path)).toBe('a');
    expect(await place.nameAt(path, 'localhost')).toBe('a');
    const bound = place.path('bound.sock');
    const server = place.server('b');
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${bound}`, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else reject(error);
      });
    });
    expect(await place.nameAt(bound, 'localhost')).toBe('b');
    expect(await place.nameAt(bound, bound)).toContain('13 Received RST_STREAM with code 1');
  });

  test('is served as grpc-go 1.47 writes it, call after call', async () => {
    let calls = 0;
    let third: () => void = () => undefined;
    const three = new Promise<void>((resolve) => (third = resolve));
    const server = place.server('a', Promise.resolve(), () => {
      calls += 1;
      if (calls === 3) third();
    });
    await listenOnSocket(server, path);
    const client = connect(path);
    client.resume();
    client.write(THREE_CALLS);
    await three;
    client.destroy();
  });
});
