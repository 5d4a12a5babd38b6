import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiClient, type ApiClientOptions } from '../../src/kubelet/index.js';
import { FakeApiServer } from '../../src/testing/kubelet/index.js';

const claims = Array.from({ length: 1_201 }, (_, index) => ({
  metadata: { name: `c${String(index)}`, namespace: index % 2 === 0 ? 'a' : 'b', uid: `u${String(index)}` },
}));

describe('ApiClient over https', () => {
  let server: FakeApiServer;
  let client: ApiClient;

  beforeAll(async () => {
    const user = { name: 'ada', groups: ['readers'] };
    server = await FakeApiServer.start({
      objects: {
        persistentvolumeclaims: claims,
        nodes: [{ metadata: { name: 'node1' } }],
        storageclasses: [{ metadata: { name: 'fast' } }],
      },
      tokens: { good: user },
      rules: [{ subject: 'readers', resources: ['persistentvolumeclaims', 'nodes', 'storageclasses'] }],
    });
    client = new ApiClient({
      endpoint: server.endpoint,
      caFile: server.caFile,
      auth: { type: 'serviceAccount', tokenFile: await server.tokenFile('good') },
    });
  });

  afterAll(async () => {
    client.close();
    await server.stop();
  });

  test('gets an object, and nothing where there is none', async () => {
    expect(await client.get('/api/v1/nodes/node1')).toEqual({
      kind: 'Node',
      apiVersion: 'v1',
      metadata: { name: 'node1' },
    });
    expect(await client.get('/apis/storage.k8s.io/v1/storageclasses/fast')).toMatchObject({
      kind: 'StorageClass',
    });
    expect(await client.get('/api/v1/nodes/node2')).toBeUndefined();
  });

  test('lists in pages, in one namespace or in all', async () => {
    const before = server.requests.length;
    expect(await client.list('/api/v1/persistentvolumeclaims')).toEqual(claims);
    expect(server.requests.slice(before)).toEqual([
      '/api/v1/persistentvolumeclaims?limit=500',
      '/api/v1/persistentvolumeclaims?limit=500&continue=500',
      '/api/v1/persistentvolumeclaims?limit=500&continue=1000',
    ]);
    expect(await client.list('/api/v1/namespaces/b/persistentvolumeclaims')).toHaveLength(600);
  });

  test('gives the objects of a list one after the other, and ends once one is refused', async () => {
    const taken: unknown[] = [];
    const path = '/api/v1/persistentvolumeclaims';
    await client.each(path, (item) => taken.push(item));
    expect(taken).toEqual(claims);
    const before = server.requests.length;
    const refuse = (): void => {
      throw new Error('enough');
    };
    await expect(client.each(path, refuse)).rejects.toThrow();
    expect(server.requests.length - before).toBe(1);
  });

  test('says what is missing, with the rule', async () => {
    const paths: [string, string][] = [
      [
        '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode1',
        'apiGroups: [""], resources: ["pods"], verbs: ["list"]',
      ],
      ['/api/v1/namespaces/a/pods/x', 'apiGroups: [""], resources: ["pods"], verbs: ["get"]'],
      [
        '/apis/storage.k8s.io/v1/csinodes/n',
        'apiGroups: ["storage.k8s.io"], resources: ["csinodes"], verbs: ["get"]',
      ],
      [
        '/api/v1/nodes/node1/proxy/stats/summary',
        'apiGroups: [""], resources: ["nodes/proxy"], verbs: ["get"]',
      ],
    ];
    for (const [path, rule] of paths) {
      await expect(client.get(path)).rejects.toMatchObject({
        code: 'API_FORBIDDEN',
        user: 'ada',
        rule: expect.stringContaining(rule) as string,
      });
    }
  });

  test('answers that are none', async () => {
    const path = '/api/v1/nodes/odd';
    const cases: [object, string][] = [
      [{ body: '<html>' }, 'API_BAD_ANSWER'],
      [{ body: '[]' }, 'API_BAD_ANSWER'],
      [{ body: '{"a":' }, 'API_BAD_ANSWER'],
      [{ body: { x: 'x'.repeat(5 * 2 ** 20) } }, 'API_BAD_ANSWER'],
      [{ status: 404, body: '404 page not found' }, 'API_FAILED'],
      [{ status: 302, headers: { location: '/' } }, 'API_BAD_ANSWER'],
      [{ status: 503, body: { kind: 'Status', message: 'etcd is away' } }, 'API_FAILED'],
      [{ status: 401, body: 'Unauthorized' }, 'API_UNAUTHENTICATED'],
      [{ body: Buffer.alloc(40 * 2 ** 20) }, 'API_TOO_LARGE'],
    ];
    for (const [answer, code] of cases) {
      server.answer(path, answer);
      await expect(client.get(path)).rejects.toMatchObject({ name: 'KubeletError', code });
    }
    server.answer(path, { status: 503, body: { kind: 'Status', message: 'etcd is away' } });
    await expect(client.get(path)).rejects.toMatchObject({
      transient: true,
      message: expect.stringContaining('etcd is away') as string,
    });
  });

  test('a list that never ends its pages ends', async () => {
    server.answer('/api/v1/events', {
      body: { kind: 'EventList', metadata: { continue: 'again' }, items: [1] },
    });
    expect(await client.list('/api/v1/events')).toEqual([1, 1]);
    server.answer('/api/v1/events', { body: { kind: 'Event', items: [] } });
    await expect(client.list('/api/v1/events')).rejects.toMatchObject({ code: 'API_BAD_ANSWER' });
    server.answer('/api/v1/events', { body: { kind: 'EventList', items: {} } });
    const notAList = {
      code: 'API_BAD_ANSWER',
      message: expect.stringContaining('its items are not a list') as string,
    };
    await expect(client.list('/api/v1/events')).rejects.toMatchObject(notAList);
  });

  test.each(['', '/', '/healthz', 'api/v1/nodes', '/api/v1/no des', 'https://x/api/v1', '/api/ä'])(
    'the path %j is a TypeError',
    async (path) => {
      await expect(client.get(path)).rejects.toThrow(TypeError);
    },
  );
});

describe("a node's own credentials", () => {
  test('open its node, its pods, and the claims and volumes of these by name', async () => {
    const pod = (name: string, nodeName: string, claimName: string): object => ({
      metadata: { name, namespace: 'shop', uid: name },
      spec: {
        nodeName,
        volumes: [
          { name: 'data', persistentVolumeClaim: { claimName } },
          { name: 'tmp', ephemeral: {} },
        ],
      },
    });
    const claim = (name: string): object => ({
      metadata: { name, namespace: 'shop' },
      spec: { volumeName: `pv-${name}` },
    });
    const server = await FakeApiServer.start({
      objects: {
        nodes: ['node1', 'node2'].map((name) => ({ metadata: { name } })),
        csinodes: [{ metadata: { name: 'node1' } }],
        csidrivers: [{ metadata: { name: 'driver' } }],
        pods: [pod('mine', 'node1', 'a'), pod('other', 'node2', 'b')],
        persistentvolumeclaims: ['a', 'b', 'mine-tmp'].map(claim),
        persistentvolumes: ['pv-a', 'pv-b', 'pv-mine-tmp'].map((name) => ({ metadata: { name } })),
      },
    });
    const files = await server.clientCertificate({ name: 'system:node:node1', groups: ['system:nodes'] });
    const client = new ApiClient({
      endpoint: server.endpoint,
      caFile: server.caFile,
      auth: { type: 'tls', ...files },
    });
    const core = '/api/v1';
    const storage = '/apis/storage.k8s.io/v1';
    for (const path of [
      `${core}/nodes/node1`,
      `${storage}/csinodes/node1`,
      `${core}/namespaces/shop/pods/mine`,
      `${core}/namespaces/shop/persistentvolumeclaims/a`,
      `${core}/namespaces/shop/persistentvolumeclaims/mine-tmp`,
      `${core}/persistentvolumes/pv-a`,
      `${core}/persistentvolumes/pv-mine-tmp`,
    ]) {
      expect(await client.get(path), path).toBeDefined();
    }
    expect(await client.list(`${core}/pods?fieldSelector=spec.nodeName%3Dnode1`)).toHaveLength(1);
    expect(await client.list(`${storage}/csidrivers`)).toHaveLength(1);
    for (const path of [
      `${core}/nodes`,
      `${core}/nodes/node2`,
      `${core}/nodes/node1/proxy/metrics`,
      `${core}/pods`,
      `${core}/namespaces/shop/pods/other`,
      `${core}/persistentvolumeclaims`,
      `${core}/namespaces/shop/persistentvolumeclaims/b`,
      `${core}/persistentvolumes`,
      `${core}/persistentvolumes/pv-b`,
      `${core}/events`,
      `${storage}/storageclasses`,
    ]) {
      const refused = expect(client.get(path), path).rejects;
      await refused.toMatchObject({ code: 'API_FORBIDDEN', user: 'system:node:node1' });
      // It is the Node authorizer's, and no rule's, what a node may do.
      await expect(client.get(path)).rejects.not.toHaveProperty('rule');
    }
    client.close();
    await server.stop();
  });
});

describe('where it is used', () => {
  const inPod = (host: string | undefined, check: () => void): void => {
    const { KUBERNETES_SERVICE_HOST: before } = process.env;
    if (host === undefined) delete process.env['KUBERNETES_SERVICE_HOST'];
    else process.env['KUBERNETES_SERVICE_HOST'] = host;
    try {
      check();
    } finally {
      if (before === undefined) delete process.env['KUBERNETES_SERVICE_HOST'];
      else process.env['KUBERNETES_SERVICE_HOST'] = before;
    }
  };

  test('in a pod it asks the API server, elsewhere kubectl', () => {
    inPod('10.96.0.1', () => {
      expect(new ApiClient().name).toBe('the API server at https://10.96.0.1');
      expect(new ApiClient({ transport: 'kubectl' }).name).toBe('kubectl');
    });
    inPod('fd00::1', () => {
      expect(new ApiClient().name).toBe('the API server at https://[fd00::1]');
    });
    inPod(undefined, () => {
      expect(new ApiClient().name).toBe('kubectl');
      expect(new ApiClient({ kubectl: { context: 'prod' } }).name).toBe('kubectl --context=prod');
      expect(() => new ApiClient({ transport: 'https' })).toThrow(/this is no pod/);
    });
  });

  test('in a pod without a token it says so', async () => {
    const client = new ApiClient({ endpoint: 'https://127.0.0.1:1' });
    await expect(client.get('/api/v1/nodes/x')).rejects.toMatchObject({
      code: 'API_BAD_CREDENTIALS',
      message: expect.stringContaining('this is no pod') as string,
    });
  });

  test.each<[ApiClientOptions | object, RegExp]>([
    [{ transport: 'grpc' }, /transport/],
    [{ transport: 'kubectl', endpoint: 'https://x' }, /no endpoint with the transport kubectl/],
    [{ transport: 'kubectl', caFile: 'x' }, /no caFile with the transport kubectl/],
    [{ transport: 'https', endpoint: 'https://x', kubectl: {} }, /no kubectl with the transport https/],
    [{ transport: 'kubectl', kubectl: { cluster: 'x' } }, /Unknown option "cluster"/],
    [{ transport: 'kubectl', kubectl: { context: 1 } }, /kubectl.context/],
    [{ transport: 'kubectl', timeoutMs: -1 }, /timeoutMs/],
    [{ server: 'x' }, /Unknown option "server"/],
  ])('%j is a TypeError', (options, message) => {
    expect(() => new ApiClient(options)).toThrow(TypeError);
    expect(() => new ApiClient(options)).toThrow(message);
  });
});
