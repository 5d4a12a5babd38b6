import { readFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { Agent, get as httpsGet } from 'node:https';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ApiClient,
  apiServerClaims,
  apiServerPods,
  KubeletClient,
  kubeletPods,
  type DoorAuth,
  type KubeletError,
} from '../../../src/kubelet/index.js';
import {
  FakeApiServer,
  FakeKubelet,
  type FakeApiResource,
  type FakeKubeletBody,
} from '../../../src/testing/kubelet/index.js';
import { api, get } from '../doors.mjs';
import { API_SERVER, KUBELET, NODE_NAME, PKI, PORTS } from '../place.mjs';

/** What the accounts of the node may do at the kubelet (pods.mjs). */
const ACCOUNTS: Readonly<Record<string, readonly string[]>> = {
  norole: [],
  'proxy-only': ['proxy'],
  'pods-only': ['pods'],
  'metrics-only': ['metrics'],
  'stats-only': ['stats'],
  'healthz-only': ['healthz'],
  'configz-only': ['configz'],
  'all-fine': ['pods', 'metrics', 'stats', 'healthz', 'configz'],
};
const userOf = (account: string): { name: string } => ({ name: `system:serviceaccount:default:${account}` });

const pki = (name: string): string => join(PKI, name);
const certificate = (user: string): DoorAuth => ({
  type: 'tls',
  certFile: pki(`${user}.crt`),
  keyFile: pki(`${user}.key`),
});

async function tokenOf(account: string): Promise<string> {
  const { object } = (await api('POST', `/api/v1/namespaces/default/serviceaccounts/${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 3600 },
  })) as { object: { status: { token: string } } };
  return object.status.token;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

interface Shown {
  readonly token?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** What differs from moment to moment, or is of Node's server. */
const PASSING = ['date', 'connection', 'keep-alive', 'process-start-time-unix', 'last-modified', 'audit-id'];

function ask(url: string, caFile: string, { token, certFile, keyFile }: Shown): Promise<Answer> {
  const file = (name: string | undefined): Buffer | undefined =>
    name === undefined ? undefined : readFileSync(name);
  const options = {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(url.startsWith('https:') && {
      agent: new Agent({ ca: file(caFile), cert: file(certFile), key: file(keyFile) }),
    }),
  };
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? httpsGet : httpGet)(url, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const headers = Object.entries(response.headers).filter(([name]) => !PASSING.includes(name));
        const body = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode!, headers: Object.fromEntries(headers), body });
      });
    });
    request.once('error', reject);
  });
}

const directories: string[] = [];

async function fileWith(text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kvm-fakes-'));
  directories.push(directory);
  await writeFile(join(directory, 'file'), text);
  return join(directory, 'file');
}

afterAll(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});

const outcomeOf = (call: Promise<unknown>, endpoint: string): Promise<object> =>
  call.then(
    (value) => ({ value }),
    (error: unknown) => ({
      ...(error as KubeletError).toJSON(),
      message: (error as Error).message.replaceAll(endpoint, 'URL'),
    }),
  );

/** The kubelet lists its pods in another order each time. */
function sorted(outcome: object): unknown {
  const { value } = outcome as { value?: { pods?: { folderUid: string }[] } };
  return value?.pods === undefined ? outcome : new Map(value.pods.map((pod) => [pod.folderUid, pod]));
}

describe('a fake kubelet and the real one', () => {
  let fake: FakeKubelet;
  const tokens = new Map<string, string>();

  const PATHS: Readonly<Record<string, FakeKubeletBody>> = {
    '/pods': 'pods',
    '/runningpods/': 'runningpods',
    '/healthz': 'healthz',
    '/configz': 'configz',
    '/stats/summary': 'stats/summary',
    '/metrics': 'metrics',
    '/metrics/cadvisor': 'metrics/cadvisor',
    '/metrics/probes': 'metrics/probes',
    '/metrics/resource': 'metrics/resource',
    '/statusz': 'statusz',
    '/flagz': 'flagz',
  };

  beforeAll(async () => {
    for (const account of Object.keys(ACCOUNTS)) tokens.set(account, await tokenOf(account));
    fake = await FakeKubelet.start({
      readOnlyPort: true,
      tokens: Object.fromEntries([...tokens].map(([account, token]) => [token, userOf(account)])),
      rules: Object.entries(ACCOUNTS).map(([account, subresources]) => ({
        subject: userOf(account).name,
        resources: subresources.map((each) => `nodes/${each}`),
      })),
    });
  });

  afterAll(async () => {
    await fake.stop();
  });

  /** Asks both the same. The fake has the body that the real one has just given. */
  async function both(
    path: string,
    real: Shown,
    fakes: Shown = real,
    isReadOnly = false,
  ): Promise<[Answer, Answer]> {
    const [one, other] = isReadOnly
      ? [`http://127.0.0.1:${String(PORTS.kubeletReadOnly)}`, fake.readOnlyEndpoint!]
      : [KUBELET, fake.endpoint];
    const expected = await ask(`${one}${path}`, pki('ca.crt'), real);
    const body = PATHS[path];
    if (expected.status === 200 && body !== undefined) fake.bodies[body] = expected.body;
    return [await ask(`${other}${path}`, fake.caFile, fakes), expected];
  }

  test.each([...Object.keys(PATHS), '/runningpods', '/no-such-path'])(
    'answer %s alike to everybody',
    async (path) => {
      for (const token of [undefined, 'not-a-token', ...tokens.values()]) {
        const [answer, expected] = await both(path, token === undefined ? {} : { token });
        expect(answer).toEqual(expected);
      }
      const people = {
        admin: { name: 'admin', groups: ['system:masters'] },
        nobody: { name: 'nobody-in-particular' },
      };
      for (const [user, who] of Object.entries(people)) {
        const real = { certFile: pki(`${user}.crt`), keyFile: pki(`${user}.key`) };
        const [answer, expected] = await both(path, real, await fake.clientCertificate(who));
        expect(answer).toEqual(expected);
      }
      const stranger = { certFile: pki('untrusted.crt'), keyFile: pki('untrusted.key') };
      const [answer, expected] = await both(
        path,
        stranger,
        await fake.clientCertificate({ name: 'admin' }, false),
      );
      expect(answer).toEqual(expected);
      const [open, openExpected] = await both(path, {}, {}, true);
      expect(open).toEqual(openExpected);
    },
  );

  test.each(Object.keys(ACCOUNTS))('are the same to a client of %s', async (account) => {
    const tokenFile = await fileWith(tokens.get(account)!);
    const auth = { type: 'serviceAccount', tokenFile } as const;
    const real = new KubeletClient({ endpoint: KUBELET, caFile: pki('ca.crt'), auth });
    const other = new KubeletClient({ endpoint: fake.endpoint, caFile: fake.caFile, auth });
    for (const path of ['/pods', '/healthz'] as const) {
      const { body, status } = await ask(`${KUBELET}${path}`, pki('ca.crt'), {
        certFile: pki('admin.crt'),
        keyFile: pki('admin.key'),
      });
      expect(status).toBe(200);
      fake.bodies[PATHS[path]!] = body;
    }
    for (const call of ['pods', 'healthz'] as const) {
      const [expected, found] = [
        await outcomeOf(real[call](), KUBELET),
        await outcomeOf(other[call](), fake.endpoint),
      ];
      expect(sorted(found)).toEqual(sorted(expected));
    }
    // These change from call to call: what counts is whether they are given.
    for (const call of ['statsSummary', 'metrics'] as const) {
      const [expected, found] = [
        await outcomeOf(real[call](), KUBELET),
        await outcomeOf(other[call](), fake.endpoint),
      ];
      if ('value' in expected) expect(found).toHaveProperty('value');
      else expect(found).toEqual(expected);
    }
    real.close();
    other.close();
  });
});

describe('a fake API server and the real one', () => {
  let fake: FakeApiServer;
  const people = {
    admin: { name: 'admin', groups: ['system:masters'] },
    kubelet: { name: `system:node:${NODE_NAME}`, groups: ['system:nodes'] },
    nobody: { name: 'nobody-in-particular' },
  };

  const LISTS: Partial<Record<FakeApiResource, string>> = {
    nodes: '/api/v1/nodes',
    pods: '/api/v1/pods',
    persistentvolumeclaims: '/api/v1/persistentvolumeclaims',
    persistentvolumes: '/api/v1/persistentvolumes',
    csidrivers: '/apis/storage.k8s.io/v1/csidrivers',
    csinodes: '/apis/storage.k8s.io/v1/csinodes',
    storageclasses: '/apis/storage.k8s.io/v1/storageclasses',
  };

  beforeAll(async () => {
    const objects: Partial<Record<FakeApiResource, object[]>> = {};
    for (const [resource, path] of Object.entries(LISTS)) {
      objects[resource as FakeApiResource] = ((await get(path)) as { items: object[] }).items;
    }
    fake = await FakeApiServer.start({ objects });
  });

  afterAll(async () => {
    await fake.stop();
  });

  /** What is the same for both: the Node authorizer adds a reason to its refusals. */
  function comparable({ status, body }: Answer): object {
    const { metadata, message, ...rest } = JSON.parse(body) as {
      metadata: { resourceVersion?: string };
      message?: string;
    };
    const isList = (rest as { kind?: string }).kind?.endsWith('List');
    const text = message?.replace(/(at the cluster scope|in the namespace "[^"]*").*$/, '$1');
    return {
      status,
      ...rest,
      ...(isList ? {} : { metadata }),
      ...(text !== undefined && { message: text }),
    };
  }

  test.each([
    ...Object.values(LISTS),
    `/api/v1/pods?fieldSelector=spec.nodeName%3D${NODE_NAME}&resourceVersion=0`,
    '/api/v1/pods?fieldSelector=spec.nodeName%3Danother&resourceVersion=0',
    `/api/v1/nodes/${NODE_NAME}`,
    '/api/v1/nodes/another',
    '/apis/storage.k8s.io/v1/csinodes/another',
    '/api/v1/nodes/another/proxy/stats/summary',
    `/apis/storage.k8s.io/v1/csinodes/${NODE_NAME}`,
    '/api/v1/namespaces/default/persistentvolumeclaims/csi-dir',
    '/api/v1/namespaces/other/persistentvolumeclaims/in-other',
    '/api/v1/namespaces/default/persistentvolumeclaims/none',
    '/api/v1/persistentvolumes/pv-csi-dir',
    '/api/v1/persistentvolumes/none',
    '/api/v1/namespaces/default/pods/csi',
    '/api/v1/namespaces/default/persistentvolumeclaims',
  ])('answer %s alike to everybody', async (path) => {
    for (const [user, who] of Object.entries(people)) {
      // There is no such node to ask.
      if (user === 'admin' && path.includes('/proxy/')) continue;
      const expected = await ask(`${API_SERVER}${path}`, pki('ca.crt'), {
        certFile: pki(`${user}.crt`),
        keyFile: pki(`${user}.key`),
      });
      const found = await ask(`${fake.endpoint}${path}`, fake.caFile, await fake.clientCertificate(who));
      expect(comparable(found), user).toEqual(comparable(expected));
      expect(found.headers['content-type']).toBe(expected.headers['content-type']);
    }
    for (const shown of [{ token: 'not-a-token' }]) {
      const expected = await ask(`${API_SERVER}${path}`, pki('ca.crt'), shown);
      expect(comparable(await ask(`${fake.endpoint}${path}`, fake.caFile, shown))).toEqual(
        comparable(expected),
      );
    }
  });
});

describe('the doors of the real node', () => {
  test('kubelet, API server and a worker alone know the same pods, with the same folders', async () => {
    const tokenFile = await fileWith(await tokenOf('pods-only'));
    const kubelet = new KubeletClient({
      endpoint: KUBELET,
      caFile: pki('ca.crt'),
      auth: { type: 'serviceAccount', tokenFile },
    });
    const administrator = new ApiClient({
      endpoint: API_SERVER,
      caFile: pki('ca.crt'),
      auth: certificate('admin'),
    });
    const worker = new ApiClient({
      endpoint: API_SERVER,
      caFile: pki('ca.crt'),
      auth: certificate('kubelet'),
    });
    const sources = [
      kubeletPods(kubelet),
      apiServerPods(administrator, NODE_NAME),
      apiServerPods(worker, NODE_NAME),
    ];
    const known = await Promise.all(
      sources.map(async (source) => {
        const { pods, problems } = await source.pods();
        expect(problems).toEqual([]);
        return pods
          .map(({ namespace, name, folderUid, volumes }) => ({ namespace, name, folderUid, volumes }))
          .sort((a, b) => (a.folderUid < b.folderUid ? -1 : 1));
      }),
    );
    expect(known[0]!.length).toBeGreaterThan(10);
    expect(known[1]).toEqual(known[0]);
    expect(known[2]).toEqual(known[0]);
    const [all, own] = [apiServerClaims(administrator), apiServerClaims(worker)];
    for (const { namespace, volumes } of known[0]!) {
      for (const { claimName } of volumes) {
        if (claimName === undefined) continue;
        const claim = await own.claim(namespace, claimName);
        expect(claim?.volume, claim?.volumeProblem).toBeDefined();
        expect(claim).toEqual(await all.claim(namespace, claimName));
      }
    }
    for (const client of [kubelet, administrator, worker]) client.close();
  });

  test("a worker's own credentials do not open its kubelet", async () => {
    const kubelet = new KubeletClient({
      endpoint: KUBELET,
      caFile: pki('ca.crt'),
      auth: certificate('kubelet'),
    });
    await expect(kubelet.pods()).rejects.toMatchObject({
      code: 'KUBELET_FORBIDDEN',
      user: `system:node:${NODE_NAME}`,
      message: expect.stringContaining('Ask the API server') as string,
    });
    kubelet.close();
  });
});
