import { readFileSync } from 'node:fs';
import { get, type RequestOptions } from 'node:https';
import { get as httpGet } from 'node:http';
import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  FakeApiServer,
  FakeKubelet,
  type FakeKubeletBody,
  type FakeKubeletOptions,
} from '../../../src/testing/kubelet/index.js';
import { recordedJson, type AuthRow, type RecordedVersion } from '../../kubelet/recorded.js';

const PATHS: Readonly<Record<string, string>> = {
  configz: '/configz',
  healthz: '/healthz',
  'metrics-cadvisor': '/metrics/cadvisor',
  'metrics-probes': '/metrics/probes',
  'metrics-resource': '/metrics/resource',
  'metrics-slis': '/metrics/slis',
  metrics: '/metrics',
  pods: '/pods',
  'pods/': '/pods/',
  runningpods: '/runningpods',
  'runningpods/': '/runningpods/',
  'stats-summary': '/stats/summary',
  allocatedPods: '/allocatedPods',
  statusz: '/statusz',
  flagz: '/flagz',
  logs: '/logs/',
  unknown: '/no-such-path',
};

const account = (name: string) => ({ name: `system:serviceaccount:default:${name}` });
const may = (name: string, ...subresources: string[]) => ({
  subject: account(name).name,
  resources: subresources.map((each) => `nodes/${each}`),
});

/** The accounts of the recorded nodes. */
const USERS = {
  tokens: {
    norole: account('norole'),
    'all-fine': account('all-fine'),
    'all-old': account('all-old'),
    ...Object.fromEntries(
      ['proxy', 'pods', 'metrics', 'stats', 'healthz', 'configz'].map((each) => [
        `${each}-only`,
        account(`${each}-only`),
      ]),
    ),
  },
  rules: [
    may('all-fine', 'pods', 'metrics', 'stats', 'healthz', 'configz'),
    may('all-old', 'proxy', 'metrics', 'stats', 'log', 'spec'),
    ...['proxy', 'pods', 'metrics', 'stats', 'healthz', 'configz'].map((each) => may(`${each}-only`, each)),
  ],
};

const OPEN: FakeKubeletOptions = { anonymous: true, authorization: 'AlwaysAllow' };

/** How each case is asked: which kubelet, and with what. */
interface Way {
  readonly options?: FakeKubeletOptions;
  readonly token?: string;
  readonly certificate?: {
    readonly name: string;
    readonly groups?: readonly string[];
    readonly isTrusted?: boolean;
  };
  readonly readOnly?: boolean;
}

const token = (name: string): Way => ({ token: name });
const WAYS: Readonly<Record<string, Way>> = {
  'refused-no-credentials': {},
  'refused-wrong-token': token('not-a-token'),
  'refused-tampered-token': token('all-finf'),
  'refused-token-of-another-audience': token('for-someone-else'),
  'refused-right-token-without-role': token('norole'),
  'refused-right-certificate-without-role': { certificate: { name: 'nobody-in-particular' } },
  'refused-untrusted-client-certificate': {
    certificate: { name: 'admin', groups: ['system:masters'], isTrusted: false },
  },
  'auth-bearer-token-role-proxy-metrics-stats': token('all-old'),
  'auth-client-certificate': { certificate: { name: 'admin', groups: ['system:masters'] } },
  'read-only-port': { readOnly: true },
  ...Object.fromEntries(
    ['proxy', 'pods', 'metrics', 'stats', 'healthz', 'configz'].map((each) => [
      `auth-bearer-token-role-with-nodes-${each}-only`,
      token(`${each}-only`),
    ]),
  ),
  'auth-anonymous-always-allow': { options: OPEN },
  'standalone-anonymous-always-allow': { options: { ...OPEN, webhook: false } },
  'auth-anonymous-always-allow-with-wrong-token': { options: OPEN, token: 'not-a-token' },
  'auth-anonymous-always-allow-with-untrusted-certificate': {
    options: OPEN,
    certificate: { name: 'admin', isTrusted: false },
  },
};

const GOOD: Readonly<Record<RecordedVersion, string>> = { '1.26': 'all-old', '1.37': 'all-fine' };

function wayOf(row: AuthRow, version: RecordedVersion): Way {
  const name = row.case.replace(/-http1$/, '');
  const way = name === 'auth-bearer-token' ? token(GOOD[version]) : WAYS[name];
  if (way === undefined) throw new Error(`nobody says how ${row.case} is asked`);
  // The webhook of the open kubelet of 1.26 was off.
  return version === '1.26' && way.options !== undefined
    ? { ...way, options: { ...way.options, webhook: false } }
    : way;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function askHttp1(url: string, options: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ask = url.startsWith('https:') ? get : httpGet;
    ask(url, { ...options, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { 'transfer-encoding': _, ...headers } = response.headers;
        resolve({
          status: response.statusCode!,
          headers: { ...headers, ...(_ !== undefined && { 'transfer-encoding': _ }) },
          body: Buffer.concat(chunks).toString('utf8'),
        });
      });
    }).on('error', reject);
  });
}

function askHttp2(url: string, options: RequestOptions): Promise<Answer> {
  const { origin, pathname } = new URL(url);
  const session = connect(origin, options as object);
  return new Promise<Answer>((resolve, reject) => {
    session.on('error', reject);
    const request = session.request({ ':path': pathname, ...(options.headers as object) });
    let answer: { status: number; headers: Record<string, unknown> } | undefined;
    const chunks: Buffer[] = [];
    request.on('response', ({ ':status': status, ...headers }) => {
      answer = { status: status!, headers };
    });
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', reject);
    request.on('end', () => {
      resolve({ ...answer!, body: Buffer.concat(chunks).toString('utf8') });
    });
  }).finally(() => {
    session.close();
  });
}

/** Headers that say nothing about the decision: of Node, or of the moment. */
const OWN = ['date', 'connection', 'keep-alive'];
const OF_THE_MOMENT = ['process-start-time-unix', 'last-modified'];

function comparable(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !OWN.includes(name))
      .map(([name, value]) => [name, OF_THE_MOMENT.includes(name) ? typeof value : value]),
  );
}

const FILES = [
  ['1.26', 'auth.json'],
  ['1.37', 'auth.json'],
  ['1.37', 'auth-open-and-http2.json'],
] as const;

describe.each(FILES)('a fake kubelet answers as %s did, in %s', (version, file) => {
  const rows = recordedJson<AuthRow[]>(version, file);
  const http2 = version === '1.26' || file.includes('http2');
  const kubelets = new Map<string, FakeKubelet>();

  beforeAll(async () => {
    for (const { options } of rows.map((row) => wayOf(row, version))) {
      const key = JSON.stringify(options);
      if (kubelets.has(key)) continue;
      kubelets.set(
        key,
        await FakeKubelet.start({ version, http2, readOnlyPort: true, ...USERS, ...options }),
      );
    }
  });

  afterAll(async () => {
    for (const kubelet of kubelets.values()) await kubelet.stop();
  });

  const titled = rows.map((row) => [row.case, row.endpoint, row] as const);

  test.each(titled)('%s: %s', async (_, endpoint, row) => {
    const way = wayOf(row, version);
    const kubelet = kubelets.get(JSON.stringify(way.options))!;
    const path = PATHS[endpoint]!;
    // The fake has bodies of its own: here one of the recorded length.
    const body = path.replace(/^\/|\/$/g, '') as FakeKubeletBody;
    if (row.status === 200) kubelet.bodies[body] = 'x'.repeat(row.bytes);
    const files =
      way.certificate && (await kubelet.clientCertificate(way.certificate, way.certificate.isTrusted));
    const options = {
      ca: readFileSync(kubelet.caFile),
      ...(files && { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) }),
      headers: way.token === undefined ? {} : { authorization: `Bearer ${way.token}` },
    };
    const url = `${way.readOnly === true ? kubelet.readOnlyEndpoint! : kubelet.endpoint}${path}`;
    const answer = await (row.protocol === 'HTTP/2' ? askHttp2 : askHttp1)(url, options);
    expect({ ...answer, headers: comparable(answer.headers) }).toEqual({
      status: row.status,
      headers: comparable(row.headers),
      body: row.status === 200 ? 'x'.repeat(row.bytes) : row.body,
    });
  });
});

test('the rows are those of three files, all asked', () => {
  expect(FILES.map(([version, file]) => recordedJson<AuthRow[]>(version, file).length)).toEqual([
    144, 323, 51,
  ]);
});

test('a path that is none is refused, and the next one is answered', async () => {
  const servers = [await FakeKubelet.start(OPEN), await FakeApiServer.start({ anonymous: true })];
  for (const server of servers) {
    const { hostname: host, port } = new URL(server.endpoint);
    const statusOf = (path: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        get({ host, port, path, rejectUnauthorized: false, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).once('error', reject);
      });
    for (const path of ['//', 'http://[', '/api/v1/nodes/%zz']) expect(await statusOf(path)).toBe(400);
    expect(await statusOf('/no-such-path')).toBe(404);
    await server.stop();
  }
});
