import { rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { KubeletClient, type KubeletClientOptions, type KubeletError } from '../../src/kubelet/index.js';
import { FakeKubelet, type FakeKubeletOptions } from '../../src/testing/kubelet/index.js';
import { recordedText } from './recorded.js';

const READER = { name: 'system:serviceaccount:monitoring:reader' };
const ALL = {
  subject: READER.name,
  resources: ['nodes/pods', 'nodes/stats', 'nodes/metrics', 'nodes/healthz'],
};

const ended: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function startKubelet(options: FakeKubeletOptions = {}): Promise<FakeKubelet> {
  const kubelet = await FakeKubelet.start({
    tokens: { good: READER },
    rules: [ALL],
    ...options,
    bodies: { pods: recordedText('1.37', 'pods.json'), ...options.bodies },
  });
  ended.push(() => kubelet.stop());
  return kubelet;
}

function client(options: KubeletClientOptions): KubeletClient {
  const made = new KubeletClient({ timeoutMs: 20_000, ...options });
  ended.push(() => {
    made.close();
  });
  return made;
}

async function clientOf(kubelet: FakeKubelet, options: KubeletClientOptions = {}): Promise<KubeletClient> {
  const trust = options.pinnedCertificateFile ?? options.insecureSkipTlsVerify;
  return client({
    endpoint: kubelet.endpoint,
    auth: { type: 'serviceAccount', tokenFile: await kubelet.tokenFile('good') },
    ...(trust === undefined && { caFile: kubelet.caFile }),
    ...options,
  });
}

const failure = (promise: Promise<unknown>): Promise<KubeletError> =>
  promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${JSON.stringify(value)}`);
    },
    (error: unknown) => error as KubeletError,
  );

describe('what a kubelet answers', () => {
  test('its pods, its summary, its metrics and its health', async () => {
    const kubelet = await startKubelet({
      bodies: {
        'stats/summary': recordedText('1.37', 'stats-summary.json'),
        metrics: 'kubelet_volume_stats_used_bytes 1\n',
      },
    });
    const asked = await clientOf(kubelet);
    const { pods, problems } = await asked.pods();
    expect(problems).toEqual([]);
    expect(pods.map(({ name }) => name)).toContain('static-node1');
    const summary = await asked.statsSummary();
    expect(summary.node?.nodeName).toBe('node1');
    const csi = summary.pods.find(({ podRef }) => podRef.name === 'csi')!;
    expect(csi.volume?.find(({ name }) => name === 'dir')).toEqual({
      time: '2026-11-27T09:55:51Z',
      availableBytes: 489783296n,
      capacityBytes: 510873600n,
      usedBytes: 10354688n,
      inodesFree: 32744n,
      inodes: 32768n,
      inodesUsed: 24n,
      name: 'dir',
      pvcRef: { name: 'csi-dir', namespace: 'default' },
    });
    expect(csi.ephemeralStorage?.usedBytes).toBe(61440n);
    expect(
      csi.containers.map(({ name, rootfs, logs }) => [name, rootfs?.usedBytes, logs?.usedBytes]),
    ).toEqual([['main', 57344n, 0n]]);
    expect(await asked.metrics()).toBe('kubelet_volume_stats_used_bytes 1\n');
    expect(await asked.healthz()).toEqual({ healthy: true, message: 'ok' });
  });

  test('all over one connection', async () => {
    const kubelet = await startKubelet();
    const asked = await clientOf(kubelet);
    for (let round = 0; round < 5; round += 1) await asked.pods();
    expect(kubelet.connections).toBe(1);
  });

  test('numbers that a double cannot hold', async () => {
    const pod = (bytes: string): string =>
      `{"podRef":{"uid":"u","name":"a \\"1234567890123456789\\"","namespace":"n"},"volume":[{"name":"v","usedBytes":${bytes},"inodes":1e3}]}`;
    const summary = (bytes: string): string => `{"node":{"nodeName":"n"},"pods":[${pod(bytes)}]}`;
    const kubelet = await startKubelet();
    const asked = await clientOf(kubelet);
    for (const bytes of ['9007199254740993', '18446744073709551615', '0', '7']) {
      kubelet.bodies['stats/summary'] = summary(bytes);
      const { pods } = await asked.statsSummary();
      expect(pods[0]?.volume?.[0]?.usedBytes).toBe(BigInt(bytes));
      expect(pods[0]?.volume?.[0]?.inodes).toBe(1000n);
      expect(pods[0]?.podRef.name).toBe('a "1234567890123456789"');
    }
    kubelet.bodies['stats/summary'] = summary('-1');
    expect((await asked.statsSummary()).pods[0]?.volume?.[0]).not.toHaveProperty('usedBytes');
  });

  test('that it is not healthy, and which check says so', async () => {
    const kubelet = await startKubelet();
    const body = '[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n';
    kubelet.answer('/healthz', { status: 500, body });
    const asked = await clientOf(kubelet);
    expect(await asked.healthz()).toEqual({
      healthy: false,
      message: String.raw`[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed`,
    });
    kubelet.answer('/healthz', { status: 500, body: 'Authorization error (user=x, verb=get)' });
    expect(await failure(asked.healthz())).toMatchObject({
      code: 'KUBELET_FAILED',
      status: 500,
      transient: true,
    });
  });

  test('over the read-only port, without credentials', async () => {
    const kubelet = await startKubelet({ readOnlyPort: true });
    const asked = client({ endpoint: kubelet.readOnlyEndpoint! });
    expect((await asked.pods()).pods).toHaveLength(16);
    expect(() => client({ endpoint: kubelet.readOnlyEndpoint!, auth: { type: 'serviceAccount' } })).toThrow(
      TypeError,
    );
  });

  test('to a client certificate', async () => {
    const kubelet = await startKubelet({ rules: [{ subject: 'volume-readers', resources: ['nodes/pods'] }] });
    const files = await kubelet.clientCertificate({ name: 'ada', groups: ['volume-readers'] });
    const asked = await clientOf(kubelet, { auth: { type: 'tls', ...files } });
    expect((await asked.pods()).pods).toHaveLength(16);
    expect(await failure(asked.metrics())).toMatchObject({ code: 'KUBELET_FORBIDDEN', user: 'ada' });
  });
});

describe('a kubelet that refuses', () => {
  test('says who may not do what, and the error has the rule that is missing', async () => {
    const kubelet = await startKubelet({ rules: [{ subject: READER.name, resources: ['nodes/metrics'] }] });
    const asked = await clientOf(kubelet);
    const error = await failure(asked.pods());
    expect(error).toMatchObject({
      name: 'KubeletError',
      code: 'KUBELET_FORBIDDEN',
      status: 403,
      user: READER.name,
      verb: 'get',
      subresources: ['pods', 'proxy'],
      transient: false,
    });
    expect(error.rule).toBe(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: kube-volume-metrics-nodes-pods }
rules:
  - { apiGroups: [""], resources: ["nodes/pods"], verbs: ["get"] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: kube-volume-metrics-nodes-pods }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kube-volume-metrics-nodes-pods }
subjects:
  - kind: ServiceAccount
    namespace: "monitoring"
    name: "reader"
`);
    expect(error.message).toContain('remembers a refusal for 30 s');
    expect(error.message).toContain(error.rule);
    expect(await asked.metrics()).toBe('');
  });

  test('answers the other way round when two roles are swapped', async () => {
    const kubelet = await startKubelet();
    const asked = await clientOf(kubelet);
    const outcome = async (): Promise<string[]> =>
      await Promise.all(
        [asked.pods(), asked.statsSummary()].map((each) =>
          each.then(
            () => 'allowed',
            (error: unknown) => (error as KubeletError).code,
          ),
        ),
      );
    kubelet.users.rules = [{ subject: READER.name, resources: ['nodes/pods'] }];
    expect(await outcome()).toEqual(['allowed', 'KUBELET_FORBIDDEN']);
    kubelet.users.rules = [{ subject: READER.name, resources: ['nodes/stats'] }];
    expect(await outcome()).toEqual(['KUBELET_FORBIDDEN', 'allowed']);
  });

  test('that is older than 1.33 has only nodes/proxy, and the message says what that opens', async () => {
    const kubelet = await startKubelet({ version: '1.26' });
    const error = await failure((await clientOf(kubelet)).pods());
    expect(error.subresources).toEqual(['proxy']);
    expect(error.message).toContain('run commands in every container');
    expect(error.rule).toContain('"nodes/proxy"');
  });

  test('gets no rule for everybody, nor for a node', async () => {
    const kubelet = await startKubelet({ anonymous: true, rules: [] });
    const nobody = await failure((await clientOf(kubelet, { auth: { type: 'none' } })).pods());
    expect(nobody).toMatchObject({ code: 'KUBELET_FORBIDDEN', user: 'system:anonymous' });
    expect(nobody.message).toContain('no credentials arrived');
    expect(nobody).not.toHaveProperty('rule');
    const files = await kubelet.clientCertificate({ name: 'system:node:node1', groups: ['system:nodes'] });
    const node = await failure((await clientOf(kubelet, { auth: { type: 'tls', ...files } })).pods());
    expect(node.message).toContain('Ask the API server');
    expect(node).not.toHaveProperty('rule');
  });

  test('does not know who asks', async () => {
    const kubelet = await startKubelet();
    const asked = await clientOf(kubelet, { auth: { type: 'none' } });
    expect(await failure(asked.pods())).toMatchObject({ code: 'KUBELET_UNAUTHENTICATED', status: 401 });
    const files = await kubelet.clientCertificate({ name: 'ada' }, false);
    const stranger = await clientOf(kubelet, { auth: { type: 'tls', ...files } });
    expect(await failure(stranger.pods())).toMatchObject({ code: 'KUBELET_UNAUTHENTICATED' });
  });

  test('quotes a user with line breaks on one line', async () => {
    const kubelet = await startKubelet();
    const user = 'eve, verb=get\n\u001b[2Jkind: x';
    const body = `Forbidden (user=${user}, verb=get, resource=nodes, subresource(s)=[pods proxy])\n`;
    kubelet.answer('/pods', { status: 403, body });
    const error = await failure((await clientOf(kubelet)).pods());
    expect(error.user).toBe(user);
    expect(error.message).not.toContain('\u001b');
    expect(error.rule).toContain(`name: ${JSON.stringify(user)}`);
  });
});

describe("a kubelet's certificate", () => {
  test('is not trusted when it signed it itself', async () => {
    const kubelet = await startKubelet();
    const auth = { type: 'serviceAccount', tokenFile: await kubelet.tokenFile('good') } as const;
    const error = await failure(client({ endpoint: kubelet.endpoint, auth }).pods());
    expect(error).toMatchObject({ code: 'KUBELET_CERTIFICATE_NOT_TRUSTED', reason: 'self-signed' });
    expect(error.message).toContain('pinnedCertificateFile /var/lib/kubelet/pki/kubelet.crt');
    expect(kubelet.requests).toEqual([]);
  });

  test('is pinned, whatever its name and dates are', async () => {
    const past = { from: new Date('2020-01-01'), to: new Date('2021-01-01') };
    const kubelet = await startKubelet({ hosts: ['another-name'], validity: past });
    const asked = await clientOf(kubelet, { pinnedCertificateFile: kubelet.certificateFile });
    expect((await asked.pods()).pods).toHaveLength(16);
  });

  test('that is not the pinned one gets no token', async () => {
    const [kubelet, other] = [await startKubelet(), await startKubelet()];
    const asked = await clientOf(kubelet, { pinnedCertificateFile: other.certificateFile });
    expect(await failure(asked.pods())).toMatchObject({
      code: 'KUBELET_CERTIFICATE_NOT_TRUSTED',
      reason: 'not-the-pinned-one',
    });
    expect(kubelet.requests).toEqual([]);
  });

  test('that was renewed is trusted once it is in the file', async () => {
    const kubelet = await startKubelet();
    const asked = await clientOf(kubelet, { pinnedCertificateFile: kubelet.certificateFile });
    await asked.pods();
    await kubelet.renewCertificate();
    expect((await asked.pods()).pods).toHaveLength(16);
  });

  test.each([
    ['wrong-name', { hosts: ['another-name'] }],
    ['expired', { validity: { from: new Date('2020-01-01'), to: new Date('2021-01-01') } }],
    ['not-yet-valid', { validity: { from: new Date('2090-01-01'), to: new Date('2091-01-01') } }],
  ] as const)('is not trusted: %s', async (reason, options) => {
    const kubelet = await startKubelet(options);
    expect(await failure((await clientOf(kubelet)).pods())).toMatchObject({
      code: 'KUBELET_CERTIFICATE_NOT_TRUSTED',
      reason,
    });
  });

  test('has the name that serverName gives', async () => {
    const kubelet = await startKubelet({ hosts: ['node1'] });
    const asked = await clientOf(kubelet, { serverName: 'node1' });
    expect((await asked.pods()).pods).toHaveLength(16);
    const wrong = await failure((await clientOf(kubelet, { serverName: 'node2' })).pods());
    expect(wrong.reason).toBe('wrong-name');
  });

  test('is not looked at with insecureSkipTlsVerify', async () => {
    const kubelet = await startKubelet({ hosts: ['another-name'] });
    const asked = await clientOf(kubelet, { insecureSkipTlsVerify: true });
    expect((await asked.pods()).pods).toHaveLength(16);
  });
});

describe('credentials that change or are wrong', () => {
  test('a token that is renewed while the client runs is used at once', async () => {
    const kubelet = await startKubelet();
    const tokenFile = await kubelet.tokenFile('good');
    const asked = await clientOf(kubelet, { auth: { type: 'serviceAccount', tokenFile } });
    await asked.pods();
    kubelet.users.tokens.clear();
    kubelet.users.tokens.set('renewed', READER);
    expect(await failure(asked.pods())).toMatchObject({ code: 'KUBELET_UNAUTHENTICATED' });
    // As the kubelet does it: another file takes the place of the old one.
    await writeFile(`${tokenFile}.new`, 'renewed\n');
    await rename(`${tokenFile}.new`, tokenFile);
    expect((await asked.pods()).pods).toHaveLength(16);
  });

  test('a client certificate that is renewed is used from the next call on', async () => {
    const kubelet = await startKubelet({ rules: [{ subject: 'new', resources: ['nodes/pods'] }] });
    const [old, renewed] = [
      await kubelet.clientCertificate({ name: 'old' }),
      await kubelet.clientCertificate({ name: 'new' }),
    ];
    const asked = await clientOf(kubelet, { auth: { type: 'tls', ...old } });
    expect(await failure(asked.pods())).toMatchObject({ code: 'KUBELET_FORBIDDEN', user: 'old' });
    await rename(renewed.keyFile, old.keyFile);
    await rename(renewed.certFile, old.certFile);
    expect((await asked.pods()).pods).toHaveLength(16);
  });

  test.each([
    ['', 'is empty'],
    [' \n', 'is empty'],
    ['two\nlines', 'something that is not a token'],
    ['pass word', 'something that is not a token'],
    ['x'.repeat(2 ** 20 + 1), 'has 1048577 bytes'],
  ])('a token file with %j', async (text, message) => {
    const kubelet = await startKubelet();
    const tokenFile = await kubelet.tokenFile(text);
    const error = await failure(
      (await clientOf(kubelet, { auth: { type: 'serviceAccount', tokenFile } })).pods(),
    );
    expect(error).toMatchObject({ code: 'KUBELET_BAD_CREDENTIALS', path: tokenFile });
    expect(error.message).toContain(message);
  });

  test('files that are missing, are directories, or hold no certificate', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kvm-credentials-'));
    ended.push(() => {
      rmSync(directory, { recursive: true });
    });
    const garbage = join(directory, 'garbage');
    writeFileSync(garbage, 'not PEM');
    const kubelet = await startKubelet();
    const files = await kubelet.clientCertificate({ name: 'ada' });
    const other = await kubelet.clientCertificate({ name: 'eve' });
    const cases: [KubeletClientOptions, RegExp][] = [
      [
        { auth: { type: 'serviceAccount', tokenFile: join(directory, 'gone') } },
        /gone cannot be read.*ENOENT/,
      ],
      [{ auth: { type: 'serviceAccount', tokenFile: directory } }, /it is not a file/],
      [{ auth: { type: 'serviceAccount' } }, /this is no pod/],
      [{ caFile: garbage }, /holds no certificate in PEM/],
      [{ pinnedCertificateFile: garbage }, /holds no certificate in PEM/],
      [{ auth: { type: 'tls', certFile: garbage, keyFile: files.keyFile } }, /cannot be used/],
      [
        { auth: { type: 'tls', certFile: files.certFile, keyFile: other.keyFile } },
        /cannot be used.*key values mismatch/,
      ],
    ];
    for (const [options, message] of cases) {
      const error = await failure((await clientOf(kubelet, options)).pods());
      expect(error.code).toBe('KUBELET_BAD_CREDENTIALS');
      expect(error.message).toMatch(message);
    }
    expect(kubelet.requests).toEqual([]);
  });
});

describe('a kubelet that is away', () => {
  test('nothing listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    const error = await failure(client({ endpoint: `https://127.0.0.1:${String(port)}` }).pods());
    expect(error).toMatchObject({ code: 'KUBELET_UNREACHABLE', transient: true });
    expect(error.message).toContain('Nothing listens there');
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('another program listens there, without TLS', async () => {
    const kubelet = await startKubelet({ readOnlyPort: true });
    const endpoint = kubelet.readOnlyEndpoint!.replace('http:', 'https:');
    expect(await failure(client({ endpoint, insecureSkipTlsVerify: true }).pods())).toMatchObject({
      code: 'KUBELET_BAD_ANSWER',
    });
  });

  test('it takes the request and never answers', async () => {
    const kubelet = await startKubelet();
    kubelet.mode = 'mute';
    const asked = await clientOf(kubelet, { timeoutMs: 300 });
    const error = await failure(asked.pods());
    expect(error).toMatchObject({ code: 'KUBELET_TIMED_OUT', transient: true });
    expect(error.message).toContain('within 300 ms');
    kubelet.mode = 'serve';
    expect((await asked.pods()).pods).toHaveLength(16);
  });

  test('it takes connections and speaks no TLS', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    ended.push(() => {
      server.close();
    });
    const { port } = server.address() as { port: number };
    const asked = client({ endpoint: `https://127.0.0.1:${String(port)}`, timeoutMs: 300 });
    expect(await failure(asked.pods())).toMatchObject({ code: 'KUBELET_TIMED_OUT' });
  });

  test('an aborted call rejects with the reason, and leaves the others alone', async () => {
    const kubelet = await startKubelet();
    kubelet.mode = 'mute';
    const asked = await clientOf(kubelet);
    const controller = new AbortController();
    const aborted = failure(asked.pods({ signal: controller.signal }));
    controller.abort('enough');
    expect(await aborted).toBe('enough');
    expect(await failure(asked.pods({ signal: AbortSignal.abort('before') }))).toBe('before');
    kubelet.mode = 'serve';
    expect((await asked.pods()).pods).toHaveLength(16);
  });

  test('it is restarted under 100 readings, and none is lost', async () => {
    const kubelet = await startKubelet();
    const asked = await clientOf(kubelet, { timeoutMs: 60_000 });
    const before = await asked.pods();
    const readings = Array.from({ length: 100 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * 5));
      return await asked.pods();
    });
    for (let round = 0; round < 3; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      await kubelet.crash();
      await new Promise((resolve) => setTimeout(resolve, 60));
      await kubelet.restart();
    }
    for (const reading of await Promise.all(readings)) expect(reading).toEqual(before);
  });

  test('after close, calls fail at once', async () => {
    const asked = await clientOf(await startKubelet());
    await asked.pods();
    asked.close();
    expect(await failure(asked.pods())).toMatchObject({ code: 'KUBELET_UNREACHABLE' });
  });
});

describe('options', () => {
  test.each([
    [{ endpoint: 'https://node1:10250/pods' }, /endpoint/],
    [{ endpoint: 'node1:10250' }, /endpoint/],
    [{ endpoint: 'ftp://node1' }, /endpoint/],
    [{ endpoint: 'https://user:pass@node1:10250' }, /endpoint/],
    [{ auth: { type: 'password' } }, /auth.type/],
    [{ auth: { type: 'tls', certFile: 'x' } }, /auth.keyFile/],
    [{ auth: { type: 'none', tokenFile: 'x' } }, /tokenFile/],
    [{ caFile: 'a', pinnedCertificateFile: 'b' }, /only one of caFile and pinnedCertificateFile/],
    [{ insecureSkipTlsVerify: true, caFile: 'a' }, /only one of/],
    [{ insecureSkipTlsVerify: 'false' }, /insecureSkipTlsVerify/],
    [{ timeoutMs: 0 }, /timeoutMs/],
    [{ maxAnswerBytes: 1.5 }, /maxAnswerBytes/],
    [{ serverName: '' }, /serverName/],
    [{ timeout: 1 }, /Unknown option "timeout"/],
  ])('%j is a TypeError', (options, message) => {
    expect(() => new KubeletClient(options as KubeletClientOptions)).toThrow(TypeError);
    expect(() => new KubeletClient(options as KubeletClientOptions)).toThrow(message);
  });

  test('an unknown option of a call is a TypeError', async () => {
    const asked = client({});
    await expect(asked.pods({ abort: 1 } as object)).rejects.toThrow(TypeError);
  });
});

test('an error as JSON has everything but the stack', async () => {
  const kubelet = await startKubelet({ rules: [] });
  const error = await failure((await clientOf(kubelet)).metrics());
  const json = JSON.parse(JSON.stringify(error)) as Record<string, unknown>;
  expect(json).toMatchObject({
    name: 'KubeletError',
    code: 'KUBELET_FORBIDDEN',
    subresources: ['metrics'],
    status: 403,
  });
  expect(json).not.toHaveProperty('stack');
  expect(JSON.stringify(error)).not.toContain('good');
});
