import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient, KubeletClient } from '../../src/kubelet/index.js';
import { FakeKubelet } from '../../src/testing/kubelet/index.js';

describe('a server that never finishes the handshake', () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    socket.resume();
  });
  let endpoint = '';

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    endpoint = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  });

  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const until = async (isTrue: () => boolean): Promise<void> => {
    while (!isTrue()) await setImmediate();
  };

  test('loses the connection once the call is given up', async () => {
    const client = new KubeletClient({ endpoint, insecureSkipTlsVerify: true, timeoutMs: 60_000 });
    const controller = new AbortController();
    const call = client.pods({ signal: controller.signal });
    await Promise.all([
      expect(call).rejects.toBe('enough'),
      until(() => sockets.size === 1).then(() => {
        controller.abort('enough');
      }),
    ]);
    await until(() => sockets.size === 0);
    client.close();
  });

  test('holds up no call of a client that is closed', async () => {
    const client = new KubeletClient({ endpoint, insecureSkipTlsVerify: true, timeoutMs: 60_000 });
    const calls = Promise.allSettled(Array.from({ length: 20 }, () => client.pods()));
    await until(() => sockets.size > 0);
    client.close();
    for (const call of [...(await calls), ...(await Promise.allSettled([client.pods()]))]) {
      expect(call).toMatchObject({
        reason: {
          code: 'KUBELET_UNREACHABLE',
          message: expect.stringContaining('the client is closed') as string,
        },
      });
    }
    await until(() => sockets.size === 0);
  });
});

describe('many calls at once', () => {
  test('are all answered, over a few connections at a time', async () => {
    const kubelet = await FakeKubelet.start({ authorization: 'AlwaysAllow', anonymous: true });
    const client = new KubeletClient({
      endpoint: kubelet.endpoint,
      caFile: kubelet.caFile,
      timeoutMs: 60_000,
    });
    let most = 0;
    const call = async (): Promise<boolean> => {
      const { healthy } = await client.healthz();
      most = Math.max(most, kubelet.openConnections);
      return healthy;
    };
    const answers = await Promise.all(Array.from({ length: 300 }, call));
    expect(answers.every((each) => each)).toBe(true);
    // 8, and those that are closing.
    expect(most).toBeLessThanOrEqual(20);
    client.close();
    await kubelet.stop();
  });

  test('of which some are given up leave the others their turns', async () => {
    const kubelet = await FakeKubelet.start({ authorization: 'AlwaysAllow', anonymous: true });
    const client = new KubeletClient({
      endpoint: kubelet.endpoint,
      caFile: kubelet.caFile,
      timeoutMs: 60_000,
    });
    kubelet.mode = 'mute';
    const controller = new AbortController();
    const given = Array.from({ length: 30 }, () => client.healthz({ signal: controller.signal }));
    const last = client.healthz();
    while (kubelet.requests.length < 8) await setImmediate();
    expect(kubelet.openConnections).toBe(8);
    kubelet.mode = 'serve';
    controller.abort('enough');
    for (const call of await Promise.allSettled(given)) expect(call).toMatchObject({ reason: 'enough' });
    expect(await last).toMatchObject({ healthy: true });
    client.close();
    await kubelet.stop();
  });
});

test('an answer in another protocol', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new KubeletClient({ endpoint: `http://127.0.0.1:${String(port)}`, timeoutMs: 60_000 });
  await expect(client.pods()).rejects.toMatchObject({ code: 'KUBELET_BAD_ANSWER', status: 101 });
  server.close();
});

test('credentials in the endpoint, and auth that is null, are refused, and no message shows them', () => {
  for (const endpoint of ['https://ada:pass@node1', 'https://:pass@node1']) {
    expect(() => new KubeletClient({ endpoint })).toThrow(
      new TypeError('Expected endpoint to be a URL without a user and a password: set auth'),
    );
  }
  const auth = null as unknown as undefined;
  expect(() => new KubeletClient({ auth })).toThrow('Expected auth to be an object, got null');
  expect(() => new ApiClient({ endpoint: 'https://node1', auth })).toThrow('Expected auth to be an object');
});
