import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Answer } from '../../src/cli/command.js';
import { problemOf, readCommandLine } from '../../src/cli/program.js';
import {
  FakeApiServer,
  FakeKubelet,
  makeKubeletRoot,
  type KubeletRoot,
} from '../../src/testing/kubelet/index.js';
import type { ApiPod } from '../../src/testing/kubelet/index.js';
import { apiPod, boundVolume, claimed } from '../kubelet/support/node-pods.js';
import { needs } from '../support/needs.js';
import { ended, run, start } from './run-main.js';

const READER = { name: 'system:serviceaccount:monitoring:reader' };
const OTHER = { name: 'system:serviceaccount:monitoring:other' };

let kubelet: FakeKubelet;
let folder: string;
let root: KubeletRoot | undefined;

beforeAll(async () => {
  kubelet = await FakeKubelet.start({
    tokens: { good: READER, weak: OTHER },
    rules: [{ subject: READER.name, resources: ['nodes/pods'] }],
  });
});

afterAll(async () => {
  await kubelet.stop();
});

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-volumes-')));
  // Not the cluster of the person who runs the tests.
  for (const name of ['KUBECONFIG', 'NODE_NAME', 'KUBERNETES_SERVICE_HOST']) vi.stubEnv(name, undefined);
  vi.stubEnv('HOME', folder);
  vi.stubEnv('FORCE_COLOR', undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
  root?.close();
  root = undefined;
  rmSync(folder, { recursive: true });
});

interface JsonRow {
  readonly node?: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly name?: string;
  readonly kind?: string;
  readonly plugin?: string;
  readonly claim?: { namespace: string; name: string };
  readonly persistentVolume?: string;
  readonly provider?: string;
  readonly state: string;
  readonly metrics?: Readonly<Record<string, unknown>>;
  readonly error?: { code: string; message: string };
  readonly unknown: string[];
}

interface JsonAnswer {
  readonly schema: string;
  readonly command: string;
  readonly source: string;
  readonly notes: string[];
  readonly volumes: JsonRow[];
}

async function volumes(...args: string[]): Promise<Answer> {
  return await readCommandLine(['volumes', ...args]).answer();
}

async function json(...args: string[]): Promise<JsonAnswer & { isComplete: boolean }> {
  const { text, isComplete } = await volumes(...args, '--json');
  return { ...(JSON.parse(text) as JsonAnswer), isComplete };
}

/** What the command refuses to do. */
async function problem(...args: string[]): Promise<string> {
  const request = readCommandLine(['volumes', ...args]);
  return await request.answer().then(
    ({ text }) => `no problem: ${text}`,
    (error: unknown) => problemOf(error, request),
  );
}

/** Lays these pods out, without mounts unless told; the kubelet answers with them. */
function layOut(pods: readonly ApiPod[], options: Parameters<typeof makeKubeletRoot>[2] = {}): string {
  root = makeKubeletRoot(join(folder, 'kubelet'), pods, { mount: false, ...options });
  kubelet.bodies.pods = { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods };
  return root.rootDir;
}

async function door(token = 'good'): Promise<string[]> {
  const file = await kubelet.tokenFile(token);
  return ['--kubelet', kubelet.endpoint, '--token-file', file, '--ca-file', kubelet.caFile];
}

const WEB = apiPod(
  'web-0',
  [
    claimed('data', 'data-web-0'),
    { name: 'cache', emptyDir: {} },
    { name: 'tls', secret: {} },
    { name: 'logs', hostPath: { path: '/' } },
    { name: 'assets', image: { reference: 'quay.io/x' } },
  ],
  { namespace: 'shop' },
);
const DATABASE = apiPod('db-0', [claimed('data', 'data-db-0'), claimed('more', 'more-db-0')], {
  namespace: 'db',
});
const local = { local: { path: '/disk' } };
const VOLUMES = [
  {
    ...boundVolume('pv-web', 'data-web-0', local),
    spec: { ...local, claimRef: { namespace: 'shop', name: 'data-web-0' } },
  },
  {
    ...boundVolume('pv-db', 'data-db-0', local),
    spec: { ...local, claimRef: { namespace: 'db', name: 'data-db-0' } },
  },
  {
    ...boundVolume('pv-more', 'more-db-0', local),
    spec: { ...local, claimRef: { namespace: 'db', name: 'more-db-0' } },
  },
];

describe('through the kubelet', () => {
  test('every volume is listed: with its numbers, or with the reason', async () => {
    const rootDir = layOut([WEB], { persistentVolumes: VOLUMES });
    const cache = join(rootDir, 'pods/web-0-uid/volumes/kubernetes.io~empty-dir/cache');
    writeFileSync(join(cache, 'file'), Buffer.alloc(100_000));
    const {
      volumes: rows,
      source,
      command,
      schema,
      notes,
      isComplete,
    } = await json('--root', rootDir, ...(await door()));
    expect({ schema, command, source, notes }).toEqual({
      schema: 'kube-volume-metrics/cli/v1',
      command: 'volumes',
      source: `kubelet ${kubelet.endpoint}`,
      notes: [],
    });
    expect(rows.map(({ pod, name, kind, provider, state }) => [pod, name, kind, provider, state])).toEqual([
      ['web-0', 'data', 'persistentVolumeClaim', 'statfs', 'failed'],
      ['web-0', 'cache', 'emptyDir', 'du', 'ok'],
      ['web-0', 'tls', 'secret', 'du', 'failed'],
      ['web-0', 'logs', 'hostPath', 'nil', 'unsupported'],
      ['web-0', 'assets', 'image', 'nil', 'unsupported'],
    ]);
    const [data, cached, tls, logs] = rows;
    expect(data).toMatchObject({
      claim: { namespace: 'shop', name: 'data-web-0' },
      persistentVolume: 'pv-web',
      plugin: 'kubernetes.io/local-volume',
      error: { code: 'METRICS_NOT_MOUNTED', docs: 'docs/errors.md#metrics_not_mounted' },
    });
    expect(Number(cached?.metrics?.['used'])).toBeGreaterThanOrEqual(100_000);
    expect(tls?.error?.code).toBe('METRICS_NOT_MOUNTED');
    expect(logs?.error?.message).toMatch(/^metrics are not supported for hostPath volumes/);
    expect(isComplete).toBe(false);
  });

  test('what has no numbers in any case leaves the answer complete', async () => {
    const pod = apiPod('p', [
      { name: 'cache', emptyDir: {} },
      { name: 'logs', hostPath: { path: '/' } },
    ]);
    const args = ['--root', layOut([pod]), ...(await door())];
    expect(await json(...args)).toMatchObject({
      isComplete: true,
      volumes: [{ state: 'ok' }, { state: 'unsupported' }],
    });
    const measured = await json(...args, '--host-path', 'statfs');
    expect(measured.volumes[1]).toMatchObject({ name: 'logs', provider: 'statfs', state: 'ok' });
  });

  test('errors name the options of the command', async () => {
    expect(await problem('--root', folder, '--pods', 'disk')).toContain(
      "it has no folder pods: --root is the --root-dir of this node's kubelet",
    );
    const file = await kubelet.tokenFile('good');
    const rootDir = layOut([WEB]);
    const { notes } = await json('--root', rootDir, '--kubelet', kubelet.endpoint, '--token-file', file);
    expect(notes[0]).toMatch(/is not trusted .*: --pinned-cert /);
  });

  test('a reason is given once', async () => {
    const rootDir = layOut([]);
    mkdirSync(`${rootDir}/pods/p/volumes/kubernetes.io~csi/v/mount`, { recursive: true });
    const { text } = await volumes('--root', rootDir, '--pods', 'disk');
    expect(text.split('vol_data.json is missing')).toHaveLength(2);
  });

  test('NODE_NAME may be empty, and --node may not', async () => {
    vi.stubEnv('NODE_NAME', '');
    expect((await json('--root', layOut([WEB]), '--pods', 'disk')).volumes).not.toHaveLength(0);
    vi.stubEnv('NODE_NAME', 'node1');
    expect(await problem('--node', '')).toContain("option '--node <NAME>'");
  });

  test('a claim that nobody knows says so', async () => {
    const { volumes: rows } = await json(
      ...['--root', layOut([DATABASE], { persistentVolumes: VOLUMES }), ...(await door())],
    );
    const folders = rows.filter(({ name }) => name?.startsWith('kubernetes.io~') === true);
    expect(folders.map(({ name }) => name)).toEqual([
      'kubernetes.io~local-volume/pv-db',
      'kubernetes.io~local-volume/pv-more',
    ]);
    for (const { unknown } of folders) {
      expect(unknown).toEqual(["which of the pod's volumes this is, and so its claim, is not known"]);
    }
    expect(
      rows.filter(({ claim }) => claim?.namespace === 'db').every(({ error }) => error !== undefined),
    ).toBe(true);
  });

  test('filters select pods, namespaces and claims', async () => {
    const rootDir = layOut([WEB, DATABASE], { persistentVolumes: VOLUMES });
    const args = ['--root', rootDir, ...(await door())];
    const names = async (...filter: string[]): Promise<string[]> =>
      (await json(...args, ...filter)).volumes.map(({ pod, name }) => `${pod ?? ''}/${name ?? ''}`);
    expect(await names('--pod', 'db/db-0', '--claim', 'more-db-0')).toEqual(['db-0/more']);
    expect(await names('--claim', 'shop/data-web-0')).toEqual(['web-0/data']);
    expect(await names('--pod', 'web-0-uid', '--claim', 'data-web-0')).toEqual(['web-0/data']);
    expect(new Set(await names('--namespace', 'shop'))).toEqual(
      new Set(['web-0/data', 'web-0/cache', 'web-0/tls', 'web-0/logs', 'web-0/assets']),
    );
  });

  test('what no volume matches is said, and is not complete', async () => {
    const args = ['--root', layOut([WEB]), ...(await door())];
    const { text, isComplete } = await volumes(...args, '--claim', 'nope', '--namespace', 'shop');
    expect(text).toContain(
      `No volume matches --namespace shop --claim nope (pods: kubelet ${kubelet.endpoint}).\n`,
    );
    expect(isComplete).toBe(false);
    kubelet.bodies.pods = { kind: 'PodList', items: [] };
    expect(await volumes(...args)).toMatchObject({
      text: expect.stringMatching(/^There are no volumes\.\n/) as string,
      isComplete: true,
    });
  });

  test.each(['used', 'use'])('--sort %s shows the fullest first, and what is not known last', async (key) => {
    const pods = ['a', 'b', 'c'].map((name) =>
      apiPod(name, [
        { name: 'logs', hostPath: { path: '/' } },
        { name: 'cache', emptyDir: {} },
      ]),
    );
    const rootDir = layOut(pods);
    for (const [pod, bytes] of [
      ['a', 300_000],
      ['b', 900_000],
      ['c', 600_000],
    ] as const) {
      writeFileSync(
        join(rootDir, `pods/${pod}-uid/volumes/kubernetes.io~empty-dir/cache/file`),
        Buffer.alloc(bytes),
      );
    }
    const { volumes: rows } = await json('--root', rootDir, '--sort', key, ...(await door()));
    expect(rows.map(({ pod, name }) => `${pod ?? ''} ${name ?? ''}`)).toEqual([
      ...['b cache', 'c cache', 'a cache'],
      ...['a logs', 'b logs', 'c logs'],
    ]);
  });

  test('names that a pod chooses cannot move the cursor', async () => {
    const hostile = { name: 'x\u001b[2J\u202ey', emptyDir: {} };
    const rootDir = layOut([apiPod('p', [])]);
    kubelet.bodies.pods = {
      kind: 'PodList',
      items: [apiPod('p', [{ name: 'good', emptyDir: {} }, hostile], { namespace: 'n\u001b[31m' })],
    };
    for (const output of [[], ['--json']]) {
      const { text } = await volumes('--root', rootDir, ...output, ...(await door()));
      expect(text).not.toMatch(/[\u001b\u202e]/u);
      expect(text).toContain('good');
    }
  });

  describe.skipIf(needs({ root: true }))('with mounts', () => {
    /** A pod with a volume of a driver that accepts connections and says nothing. */
    async function silentDriver(): Promise<{ rootDir: string; driver: Server }> {
      const csi = { csi: { driver: 'silent.example', volumeHandle: 'v' } };
      const pod = apiPod('p', [claimed('data'), { name: 'cache', emptyDir: {} }]);
      const rootDir = layOut([pod], {
        persistentVolumes: [boundVolume('pv', 'data-claim', csi)],
        mount: true,
      });
      mkdirSync(join(rootDir, 'plugins/silent.example'));
      const driver = createServer().listen(join(rootDir, 'plugins/silent.example/csi.sock'));
      await once(driver, 'listening');
      return { rootDir, driver };
    }

    test('a driver that says nothing is stuck after --timeout, and the other volumes are measured', async () => {
      const { rootDir, driver } = await silentDriver();
      try {
        const answer = await json('--root', rootDir, '--timeout', '5s', ...(await door()));
        expect(answer.volumes.map(({ name, provider, state }) => [name, provider, state])).toEqual([
          ['data', 'silent.example', 'stuck'],
          ['cache', 'du', 'ok'],
        ]);
        expect(answer.volumes[0]?.error?.code).toBe('METRICS_TIMED_OUT');
        expect(answer.isComplete).toBe(false);
      } finally {
        driver.close();
      }
    });

    test('at Ctrl-C, what is not measured yet says so', async () => {
      const { rootDir, driver } = await silentDriver();
      try {
        const child = start(['volumes', '--root', rootDir, '--timeout', '1h', ...(await door())]);
        const end = ended(child);
        await once(driver, 'connection');
        child.kill('SIGINT');
        const { code, stdout, stderr } = await end;
        expect([code, stderr]).toEqual([1, '']);
        expect(stdout).toMatch(
          /^default +p +data +data-claim +csi +silent\.example +pending +- .*ABORT_ERR: not measured: the command was interrupted$/m,
        );
      } finally {
        driver.close();
      }
    });

    test('a claim has the numbers of its own filesystem', async () => {
      const rootDir = layOut([WEB], { persistentVolumes: VOLUMES, mount: true });
      const args = ['--root', rootDir, ...(await door())];
      const { volumes: rows, isComplete } = await json(...args);
      expect(rows.map(({ name, state }) => [name, state])).toEqual([
        ...[
          ['data', 'ok'],
          ['cache', 'ok'],
          ['tls', 'ok'],
        ],
        ...[
          ['logs', 'unsupported'],
          ['assets', 'unsupported'],
        ],
      ]);
      expect(rows[0]?.metrics).toMatchObject({ capacity: 64 * 1024 * 1024 });
      expect(isComplete).toBe(true);
      const { text } = await volumes(...args);
      const row = text.split('\n').find((line) => line.includes('data-web-0'));
      expect(row).toMatch(/^shop +web-0 +data +data-web-0 +local-volume +statfs +ok +64\.0 MiB +/);
      expect(text).toMatch(/^shop +web-0 +tls +- +secret +du \(statfs\) +ok /m);
      const exact = await volumes(...args, '--bytes');
      expect(exact.text).toContain(' 67108864 ');
    });
  });
});

describe('a door that stays shut', () => {
  test('is named, with the rule that opens it, and the disk tells what it knows', async () => {
    const args = ['--root', layOut([WEB]), ...(await door('weak'))];
    const { volumes: rows, source, notes } = await json(...args);
    expect(source).toBe(`the disk at ${root!.rootDir}`);
    expect(notes[0]).toMatch(
      /refuses \/pods \(403\): system:serviceaccount:monitoring:other may not get nodes\/pods/,
    );
    expect(notes[0]).toContain('kind: ClusterRole\n');
    expect(notes[1]).toMatch(/^The pods were found on disk: their names and claims are not known\. /);
    expect(rows.map(({ pod, name, namespace }) => [pod, name, namespace])).toEqual([
      ['web-0-uid', 'cache', undefined],
      ['web-0-uid', 'tls', undefined],
    ]);
    const { text } = await volumes(...args);
    // Once, and not for each volume.
    expect(text.match(/the pod's name and namespace are not known/g)).toHaveLength(1);
    expect(text).toContain('\nkind: ClusterRole\n');
    expect(text).toContain('\nnote: The pods were found on disk');
  });

  test('is an error where it is the only one that may be asked', async () => {
    const args = ['--root', layOut([WEB]), ...(await door('weak'))];
    expect(await problem(...args, '--pods', 'kubelet')).toMatch(/may not get nodes\/pods/);
  });

  test('is not asked where only the disk may be', async () => {
    const before = kubelet.requests.length;
    const { source } = await json('--root', layOut([WEB]), '--pods', 'disk', ...(await door()));
    expect(source).toMatch(/^the disk at /);
    expect(kubelet.requests).toHaveLength(before);
  });
});

describe('a command line that cannot be', () => {
  test.each([
    [
      ['--token-file', '/t', '--client-cert', '/c'],
      'expected one of --token-file and --client-cert, got both',
    ],
    [['--client-key', '/k'], '--client-key needs --client-cert'],
    [['--kubelet', 'node1'], /^Expected --kubelet to be a URL such as /],
    [['--kubelet', 'http://x', '--token-file', '/t'], /^Expected --kubelet to begin with https:/],
    [
      ['--ca-file', '/a', '--pinned-cert', '/b', '--pods', 'kubelet'],
      'Expected only one of --ca-file and --pinned-cert',
    ],
    [['--pods', 'api'], /^--pods api needs a pod's service account, --kubeconfig, /],
    [
      ['--pods', 'api', '--kubeconfig', '/k', '--node', 'Not A Node'],
      /^Expected --node to be a node's name, /,
    ],
    [['--through-api-server', 'all'], /^--through-api-server needs a pod's service account, /],
    [['--through-api-server', 'a,,b'], /Expected all, or names of nodes separated by commas\.$/],
    [
      ['--through-api-server', 'a', '--root', '/x'],
      '--root is about this node, and --through-api-server asks others',
    ],
    [
      ['--through-api-server', 'a', '--host-path', 'du'],
      '--host-path is about this node, and --through-api-server asks others',
    ],
    [['--root', '/no/such/root'], /^\/no\/such\/root does not exist: /],
    [['--sort', 'name'], /^option '--sort <KEY>' argument 'name' is invalid\. /],
  ])('%j', async (args, expected) => {
    const found = await problem(...args);
    if (typeof expected === 'string') expect(found).toBe(expected);
    else expect(found).toMatch(expected);
  });
});

describe.skipIf(needs({ programs: ['kubectl'] }))('with kubectl', () => {
  let api: FakeApiServer;
  const claim = (namespace: string, name: string, phase: string, volumeName?: string): object => ({
    metadata: { namespace, name, uid: `${namespace}-${name}-uid` },
    spec: { ...(volumeName !== undefined && { volumeName }) },
    status: { phase },
  });
  const summary = (node: string, pods: object[]): object => ({ node: { nodeName: node }, pods });

  beforeAll(async () => {
    const kubelets = {
      node1: {
        bodies: {
          'stats/summary': summary('node1', [
            {
              podRef: { namespace: 'shop', name: 'web-0', uid: 'web-0-uid' },
              volume: [
                {
                  name: 'data',
                  pvcRef: { namespace: 'shop', name: 'data-web-0' },
                  capacityBytes: 1000,
                  usedBytes: 400,
                  availableBytes: 600,
                },
                { name: 'cache', usedBytes: 7, capacityBytes: 5000, availableBytes: 4000 },
              ],
            },
          ]),
        },
      },
      node2: {
        bodies: {
          'stats/summary': summary('node2', [
            {
              podRef: { namespace: 'db', name: 'db-0', uid: 'db-0-uid' },
              volume: [
                {
                  name: 'data',
                  pvcRef: { namespace: 'db', name: 'data-db-0' },
                  capacityBytes: 1000,
                  usedBytes: 900,
                  availableBytes: 100,
                },
              ],
            },
          ]),
        },
      },
    };
    api = await FakeApiServer.start({
      objects: {
        nodes: ['node1', 'node2'].map((name) => ({ metadata: { name } })),
        pods: [WEB, DATABASE].map((pod) => ({ ...pod, spec: { ...pod.spec, nodeName: 'node1' } })),
        persistentvolumeclaims: [
          claim('shop', 'data-web-0', 'Bound', 'pv-web'),
          claim('db', 'data-db-0', 'Bound', 'pv-db'),
          claim('db', 'more-db-0', 'Bound', 'pv-more'),
          claim('shop', 'waits', 'Pending'),
        ],
        persistentvolumes: VOLUMES.map(({ metadata, spec }) => {
          const { namespace, name } = spec.claimRef;
          return {
            metadata: { ...metadata, uid: `${metadata.name}-uid` },
            spec: { ...spec, claimRef: { namespace, name, uid: `${namespace}-${name}-uid` } },
          };
        }),
      },
      tokens: { good: { name: 'ada' }, weak: { name: 'bob' } },
      rules: [
        { subject: 'ada', resources: ['nodes', 'nodes/proxy', 'persistentvolumeclaims'] },
        { subject: 'bob', resources: ['nodes'] },
      ],
      kubelets: kubelets as never,
    });
  });

  afterAll(async () => {
    await api.stop();
  });

  const through = async (token: string, ...args: string[]): Promise<string[]> => [
    ...['--kubeconfig', await api.kubeconfig({ token }), '--timeout', '60s'],
    ...['--through-api-server', ...args],
  ];

  test("a worker's own credentials name pods and claims", async () => {
    const kubeconfig = await api.kubeconfig({
      user: { name: 'system:node:node1', groups: ['system:nodes'] },
    });
    const rootDir = layOut([WEB, DATABASE], { persistentVolumes: VOLUMES });
    const args = ['--root', rootDir, '--kubeconfig', kubeconfig, '--timeout', '60s'];
    const { volumes: rows, source } = await json(...args, '--node', 'node1', '--namespace', 'db');
    expect(source).toMatch(/^kubectl .*, pods of node1$/);
    expect(rows.map(({ name, claim, persistentVolume }) => [name, claim?.name, persistentVolume])).toEqual([
      ['data', 'data-db-0', 'pv-db'],
      ['more', 'more-db-0', 'pv-more'],
    ]);
  });

  test('a node that the API server knows no pods of is looked up on disk', async () => {
    const kubeconfig = await api.kubeconfig({
      user: { name: 'system:node:node7', groups: ['system:nodes'] },
    });
    const { source, notes } = await json(
      ...['--root', layOut([WEB]), '--kubeconfig', kubeconfig, '--node', 'node7', '--timeout', '60s'],
    );
    expect(source).toMatch(/^the disk at /);
    expect(notes[0]).toMatch(
      /pods of node7: there are none, but some are on disk\. Is --node this node's name\?$/,
    );
  });

  test('all kubelets are asked, and the claims that none of them shows are named', async () => {
    const { volumes: rows, isComplete } = await json(...(await through('good', 'all', '--sort', 'use')));
    expect(rows.map(({ node, pod, claim, state }) => [node, pod, claim?.name, state])).toEqual([
      ['node2', 'db-0', 'data-db-0', 'ok'],
      ['node1', 'web-0', 'data-web-0', 'ok'],
      ['node1', 'web-0', undefined, 'ok'],
      [undefined, undefined, 'more-db-0', 'not shown'],
      [undefined, undefined, 'waits', 'not shown'],
    ]);
    expect(rows[0]?.metrics).toMatchObject({ source: 'kubelet', capacity: 1000, used: 900, available: 100 });
    expect(rows.slice(3).map(({ unknown }) => unknown)).toEqual([
      ['no running pod uses it, or its kubelet has no numbers of it'],
      ['it is Pending, not Bound'],
    ]);
    expect(isComplete).toBe(true);
  });

  test('a node that does not answer is named, and costs the others nothing', async () => {
    const { volumes: rows, notes, isComplete } = await json(...(await through('good', 'node1,node3')));
    expect(rows.map(({ node, name }) => [node, name])).toEqual([
      ['node1', 'data'],
      ['node1', 'cache'],
    ]);
    expect(notes).toEqual([expect.stringMatching(/^node node3: .*no kubelet of "node3"/)]);
    expect(isComplete).toBe(false);
  });

  test('a missing right is named with its rule', async () => {
    const { notes, isComplete } = await json(...(await through('weak', 'all')));
    expect(notes[0]).toMatch(/^node node1: .*cannot get resource "nodes\/proxy"/);
    expect(notes[0]).toContain('resources: ["nodes/proxy"], verbs: ["get"]');
    expect(notes.at(-1)).toMatch(/^claims that no kubelet shows are not known: .*persistentvolumeclaims/);
    expect(isComplete).toBe(false);
  });
});

describe('the program', () => {
  test('ends with 0 for a whole answer, 1 for an error with the rule on lines of its own, 2 for a wrong line', async () => {
    const rootDir = layOut([apiPod('p', [{ name: 'cache', emptyDir: {} }])]);
    mkdirSync(join(folder, 'empty'));
    const [good, refused, wrong] = await Promise.all([
      run('volumes', '--root', rootDir, ...(await door())),
      run('volumes', '--root', rootDir, '--pods', 'kubelet', ...(await door('weak'))),
      run('volumes', '--client-key', '/k'),
    ]);
    expect(good.stdout).toMatch(/^default +p +cache +- +emptyDir +du +ok /m);
    expect([good.code, good.stderr]).toEqual([0, '']);
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(
      /^kube-volume-metrics: .* Add this rule .*\napiVersion: .*\nkind: ClusterRole\n/,
    );
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      'kube-volume-metrics: --client-key needs --client-cert\nFor help: kube-volume-metrics volumes --help\n',
    ]);
  });

  test('ends at Ctrl-C while a kubelet is silent', async () => {
    const silent = await FakeKubelet.start({ authorization: 'AlwaysAllow', anonymous: true });
    try {
      silent.mode = 'mute';
      const rootDir = layOut([WEB]);
      const child = start([
        ...['volumes', '--root', rootDir, '--kubelet', silent.endpoint],
        ...['--insecure-skip-tls-verify', '--timeout', '1h'],
      ]);
      const end = ended(child);
      await vi.waitFor(
        () => {
          expect(silent.requests).toEqual(['/pods']);
        },
        { timeout: 60_000 },
      );
      child.kill('SIGINT');
      expect(await end).toEqual({ code: 1, stdout: '', stderr: 'kube-volume-metrics: aborted by SIGINT\n' });
    } finally {
      await silent.stop();
    }
  }, 90_000);
});
