import { afterEach, describe, expect, test } from 'vitest';
import {
  ApiClient,
  apiServerPods,
  KubeletClient,
  kubeletPods,
  type PodListing,
} from '../../src/kubelet/index.js';
import { FakeApiServer, FakeKubelet } from '../../src/testing/kubelet/index.js';
import { recordedJson, recordedText } from './recorded.js';

const ended: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

const STATIC_ONLY = {
  ...recordedJson<{ items: { metadata: { name: string } }[] }>('1.37', 'pods.json'),
  items: recordedJson<{ items: { metadata: { name: string } }[] }>('1.37', 'pods.json').items.filter(
    ({ metadata }) => metadata.name === 'static-node1',
  ),
};

describe('kubeletPods', () => {
  test('lists what the kubelet knows', async () => {
    const kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
    ended.push(() => kubelet.stop());
    kubelet.bodies.pods = recordedText('1.37', 'pods.json');
    const source = kubeletPods(new KubeletClient({ endpoint: kubelet.endpoint, caFile: kubelet.caFile }));
    expect(source.name).toBe(`kubelet ${kubelet.endpoint}`);
    expect((await source.pods()).pods).toHaveLength(16);
  });

  test('waits for the pods of the API server after the kubelet was restarted', async () => {
    const kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
    ended.push(() => kubelet.stop());
    kubelet.bodies.pods = recordedText('1.37', 'pods.json');
    const source = kubeletPods(new KubeletClient({ endpoint: kubelet.endpoint, caFile: kubelet.caFile }));
    await source.pods();
    await kubelet.restart();
    kubelet.bodies.pods = STATIC_ONLY;
    const before = kubelet.requests.length;
    const listing = source.pods();
    while (kubelet.requests.length < before + 2) await new Promise((resolve) => setTimeout(resolve, 10));
    kubelet.bodies.pods = recordedText('1.37', 'pods.json');
    expect((await listing).pods).toHaveLength(16);
  });

  test('waits for the rest while a kubelet that was restarted learns of its pods one by one', async () => {
    const kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
    ended.push(() => kubelet.stop());
    const all = recordedJson<{ items: { status: { phase: string } }[] }>('1.37', 'pods.json');
    all.items = all.items.filter(({ status }) => status.phase === 'Running');
    const client = new KubeletClient({ endpoint: kubelet.endpoint, caFile: kubelet.caFile });
    let known = all.items.length;
    const source = kubeletPods({
      endpoint: client.endpoint,
      pods: async (options) => {
        kubelet.bodies.pods = { ...all, items: all.items.slice(0, known) };
        known += 1;
        return await client.pods(options);
      },
    });
    expect((await source.pods()).pods).toHaveLength(all.items.length);
    known = all.items.length - 3;
    expect((await source.pods()).pods).toHaveLength(all.items.length);
  });

  test('believes that some are gone when two listings say so, and one if they were being deleted', async () => {
    const kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
    ended.push(() => kubelet.stop());
    const all = recordedJson<{ items: { metadata: object }[] }>('1.37', 'pods.json');
    const source = kubeletPods(new KubeletClient({ endpoint: kubelet.endpoint, caFile: kubelet.caFile }));
    kubelet.bodies.pods = all;
    await source.pods();
    const [deleted, ...others] = all.items.slice(1);
    const deletionTimestamp = '2026-11-27T10:00:00Z';
    const deleting = { ...deleted, metadata: { ...deleted!.metadata, deletionTimestamp } };
    kubelet.bodies.pods = { ...all, items: [deleting, ...others] };
    let asked = kubelet.requests.length;
    expect((await source.pods()).pods).toHaveLength(15);
    expect(kubelet.requests.length - asked).toBe(2);
    asked = kubelet.requests.length;
    kubelet.bodies.pods = { ...all, items: others };
    expect((await source.pods()).pods).toHaveLength(14);
    expect(kubelet.requests.length - asked).toBe(1);
  });

  test('believes after a while that all of them are gone, and is then told so at once', async () => {
    let asked = 0;
    const empty: PodListing = { pods: [], problems: [] };
    const kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
    ended.push(() => kubelet.stop());
    kubelet.bodies.pods = recordedText('1.37', 'pods.json');
    const client = new KubeletClient({ endpoint: kubelet.endpoint, caFile: kubelet.caFile });
    const source = kubeletPods({
      endpoint: client.endpoint,
      pods: async (options) => {
        asked += 1;
        return asked === 1 ? await client.pods(options) : empty;
      },
    });
    expect((await source.pods()).pods).toHaveLength(16);
    expect(await source.pods()).toBe(empty);
    const tries = asked;
    expect(tries).toBeGreaterThan(5);
    expect(await source.pods()).toBe(empty);
    expect(asked).toBe(tries + 1);
  });

  test('ends its waiting with the signal', async () => {
    const kubelet = await FakeKubelet.start({ anonymous: true, authorization: 'AlwaysAllow' });
    ended.push(() => kubelet.stop());
    kubelet.bodies.pods = recordedText('1.37', 'pods.json');
    const source = kubeletPods(new KubeletClient({ endpoint: kubelet.endpoint, caFile: kubelet.caFile }));
    await source.pods();
    kubelet.bodies.pods = STATIC_ONLY;
    const controller = new AbortController();
    const listing = source.pods({ signal: controller.signal });
    setTimeout(() => {
      controller.abort('enough');
    }, 50);
    await expect(listing).rejects.toBe('enough');
  });
});

describe('apiServerPods', () => {
  test('lists the pods of its node once, from the cache', async () => {
    const pods = recordedJson<{ items: object[] }>('1.37', 'api-pods-of-node.json').items;
    const elsewhere = { metadata: { name: 'x', namespace: 'x', uid: 'x' }, spec: { nodeName: 'node2' } };
    const user = { name: 'system:serviceaccount:monitoring:reader' };
    const server = await FakeApiServer.start({
      objects: { pods: [...pods, elsewhere] },
      tokens: { good: user },
      rules: [{ subject: user.name, resources: ['pods'], verbs: ['list'] }],
    });
    ended.push(() => server.stop());
    const auth = { type: 'serviceAccount', tokenFile: await server.tokenFile('good') } as const;
    const api = new ApiClient({ endpoint: server.endpoint, caFile: server.caFile, auth });
    const source = apiServerPods(api, 'node1');
    expect(source.name).toBe(`the API server at ${server.endpoint}, pods of node1`);
    const listing = await source.pods();
    expect(listing.pods).toHaveLength(16);
    expect(listing.problems).toEqual([]);
    expect(server.requests).toEqual(['/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1&resourceVersion=0']);
    server.users.rules = [];
    await expect(source.pods()).rejects.toMatchObject({
      code: 'API_FORBIDDEN',
      user: user.name,
      verb: 'list',
      rule: expect.stringContaining('resources: ["pods"], verbs: ["list"]') as string,
    });
    server.answer('/api/v1/pods', { body: '<html>' });
    await expect(source.pods()).rejects.toMatchObject({ code: 'API_BAD_ANSWER' });
    server.answer('/api/v1/pods', { status: 404, body: 'nginx' });
    await expect(source.pods()).rejects.toMatchObject({ code: 'API_FAILED', status: 404 });
    api.close();
  });

  test.each(['', 'Node1', 'a,spec.nodeName=b', 'a b', 'a\n'])('%j is no name of a node', (name) => {
    const api = new ApiClient({ transport: 'kubectl' });
    expect(() => apiServerPods(api, name)).toThrow(TypeError);
  });
});
