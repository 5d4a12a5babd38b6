import { describe, expect, test } from 'vitest';
import { readJsonList, UnexpectedJson } from '../../src/kubelet/json-list.js';
import { readPodList } from '../../src/kubelet/pod-listing.js';
import type { NodePod } from '../../src/kubelet/index.js';
import { recordedJson, recordedText } from './recorded.js';

const never = (): void => undefined;
type Origin = Parameters<typeof readPodList>[1];

async function read(list: object | string | Buffer, origin: Origin = 'kubelet') {
  const body = Buffer.isBuffer(list)
    ? list
    : Buffer.from(typeof list === 'string' ? list : JSON.stringify(list));
  return await readPodList(body, origin, never);
}

const podList = (...items: unknown[]): object => ({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
const pod = (name: string, uid: unknown = name, volumes?: unknown, more: object = {}): object => ({
  metadata: { name, namespace: 'shop', uid, ...more },
  spec: { volumes },
});

const itemsOf = (list: unknown): object[] =>
  Array.isArray(list) ? (list as object[]) : (list as { items: object[] }).items;

const one = async (volume: unknown): Promise<NodePod['volumes'][number] | undefined> =>
  (await read(podList(pod('web', 'u', [volume])))).pods[0]?.volumes[0];

describe.each(['1.26', '1.37'] as const)('the pods of a real node of %s', (version) => {
  test('are read without a problem, from the kubelet and from the API server', async () => {
    const kubelet = await read(recordedText(version, 'pods.json'));
    const api = await read(recordedText(version, 'api-pods-of-node.json'), 'API server');
    const ended = await read(podList(...itemsOf(recordedJson(version, 'pods-ended-and-crashing.json'))));
    for (const { problems } of [kubelet, api, ended]) expect(problems).toEqual([]);
    const items = recordedJson<{ items: object[] }>(version, 'pods.json').items;
    expect(kubelet.pods).toHaveLength(items.length);
    // A pod's directory is the same, wherever the pod comes from.
    const folders = (pods: readonly NodePod[]): string[] =>
      pods.map(({ name, folderUid }) => `${name} ${folderUid}`).sort();
    expect(folders(api.pods)).toEqual(folders(kubelet.pods));
    const [mirror, fromFile] = [api.pods, kubelet.pods].map((pods) => pods.find(({ isStatic }) => isStatic)!);
    expect(mirror).toMatchObject({ name: 'static-node1', folderUid: fromFile!.folderUid, nodeName: 'node1' });
    expect(mirror!.apiUid).not.toBe(fromFile!.apiUid);
    expect(fromFile!.apiUid).toBe(fromFile!.folderUid);
    expect(api.pods.filter(({ isStatic }) => isStatic)).toHaveLength(1);
    const states = ended.pods.map(({ name, phase, containers }) => [
      name,
      phase,
      containers[0]?.state?.name,
      containers[0]?.state?.reason,
    ]);
    expect(states).toEqual([
      ['crash', 'Running', 'waiting', 'CrashLoopBackOff'],
      ['done', 'Succeeded', 'terminated', 'Completed'],
    ]);
    expect(ended.pods[0]?.containers[0]?.restartCount).toBeGreaterThan(0);
  });
});

test('the volumes, mounts and devices of a real node', async () => {
  const { pods } = await read(recordedText('1.37', 'pods.json'));
  const volumes = (name: string) =>
    pods
      .find((each) => each.name === name)!
      .volumes.filter((each) => !each.name.startsWith('kube-api-access'));
  expect(volumes('kinds')).toEqual([
    { name: 'disk', kind: 'emptyDir' },
    { name: 'limited', kind: 'emptyDir', sizeLimit: '10Mi' },
    { name: 'memory', kind: 'emptyDir', medium: 'Memory', sizeLimit: '8Mi' },
    { name: 'memory-free', kind: 'emptyDir', medium: 'Memory' },
    { name: 'cm', kind: 'configMap' },
    { name: 'sec', kind: 'secret' },
    { name: 'down', kind: 'downwardAPI' },
    { name: 'token', kind: 'projected' },
    { name: 'host', kind: 'hostPath', hostPath: { path: '/srv/k8s/run/hostpath', type: 'Directory' } },
    { name: 'unused', kind: 'emptyDir' },
  ]);
  expect(volumes('generic')).toEqual([{ name: 'scratch', kind: 'ephemeral', claimName: 'generic-scratch' }]);
  expect(volumes('shared-b')).toEqual([
    { name: 'data', kind: 'persistentVolumeClaim', readOnly: true, claimName: 'shared' },
  ]);
  expect(volumes('inline')).toEqual([
    { name: 'inline', kind: 'csi', csi: { driver: 'hostpath.mini.example' } },
  ]);
  expect(volumes('image')).toEqual([{ name: 'img', kind: 'image', imageReference: 'localhost/k8s/box:1' }]);
  const csi = pods.find(({ name }) => name === 'csi')!.containers[0]!;
  expect(csi.volumeDevices).toEqual([{ name: 'block', devicePath: '/dev/block' }]);
  const kinds = pods.find(({ name }) => name === 'kinds')!.containers[0]!;
  expect(kinds.volumeMounts.filter(({ subPath }) => subPath !== undefined)).toEqual([
    { index: 9, name: 'disk', mountPath: '/sub/disk', subPath: 'inner/dir' },
    { index: 10, name: 'cm', mountPath: '/sub/a.txt', subPath: 'a.txt' },
  ]);
});

describe('a list with wrong entries', () => {
  test.each([
    ['null', null],
    ['a text', 'pod'],
    ['a list', []],
    ['without metadata', {}],
    ['without a name', { metadata: { uid: 'u', namespace: 'n' } }],
    ['whose name is a number', { metadata: { uid: 'u', namespace: 'n', name: 1 } }],
    ['without a uid', pod('bad', null)],
    ['with an empty uid', pod('bad', '')],
    ['whose uid is an object', pod('bad', {})],
    ['whose uid leads elsewhere', pod('bad', '../../etc')],
    ['whose uid is ..', pod('bad', '..')],
    ['whose uid has a NUL', pod('bad', 'a\0b')],
    ['whose uid has 256 bytes', pod('bad', 'ä'.repeat(128))],
  ])('a pod that is %s is left out and named, and the others stay', async (_, bad) => {
    const { pods, problems } = await read(podList(pod('a'), bad, pod('b')));
    expect(pods.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/left out/);
  });

  test('of two pods with one uid, the first counts', async () => {
    const { pods, problems } = await read(podList(pod('a', 'u'), pod('b', 'u'), pod('c')));
    expect(pods.map(({ name }) => name)).toEqual(['a', 'c']);
    expect(problems).toEqual(['pod "shop/b" has the uid of pod "shop/a": it was left out']);
  });

  test('control characters of names do not reach the reader', async () => {
    const { problems } = await read(podList(pod('evil\n\u001b[2J\u202e', '..')));
    expect(problems[0]).toContain(String.raw`"shop/evil\n\x1b[2J\u202e"`);
  });

  test('thousands of problems become a hundred, and how many more there are', async () => {
    const { problems } = await read(podList(...Array.from({ length: 5_000 }, () => pod('bad', ''))));
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)).toBe('and 4900 more problems');
  });

  test('a pod of more than 4 MiB is left out', async () => {
    const large = pod('large', 'l', [], { annotations: { x: 'x'.repeat(5 * 2 ** 20) } });
    const { pods, problems } = await read(podList(pod('a'), large, pod('b')));
    expect(pods.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(problems[0]).toMatch(/pod 1 of the list has \d+ bytes/);
  });

  test('a list of no pods', async () => {
    for (const list of [podList(), { ...podList(), items: null }, { kind: 'PodList' }]) {
      expect(await read(list)).toEqual({ pods: [], problems: [] });
    }
  });
});

describe('a static pod', () => {
  const node = { ownerReferences: [{ kind: 'Node', name: 'node1', uid: 'n', controller: true }] };
  const mirror = (name: string, hash: string, owner: object = node): object =>
    pod(name, name, [], {
      annotations: { 'kubernetes.io/config.mirror': hash, 'kubernetes.io/config.hash': hash },
      ...owner,
    });

  test('is found by its mirror', async () => {
    const { pods } = await read(podList(mirror('etcd', 'abc')), 'API server');
    expect(pods).toMatchObject([{ apiUid: 'etcd', folderUid: 'abc', isStatic: true }]);
  });

  test('is not what a pod says that nobody but the API server has: it has the directory of its own uid', async () => {
    const attack = mirror('attack', 'victim', {});
    const { pods } = await read(podList(pod('victim'), attack), 'API server');
    expect(pods.map(({ name, folderUid, isStatic }) => [name, folderUid, isStatic])).toEqual([
      ['victim', 'victim', false],
      ['attack', 'attack', false],
    ]);
    // At the kubelet the uid is the directory, whatever is written in annotations.
    expect((await read(podList(mirror('attack', 'victim')))).pods[0]).toMatchObject({
      folderUid: 'attack',
      isStatic: false,
    });
  });

  test.each([
    ['of a pod that has it as its uid', [pod('victim'), mirror('attack', 'victim')], ['victim']],
    ['of another mirror', [mirror('real', 'abc'), mirror('attack', 'abc'), pod('other')], ['other']],
    ['that leads elsewhere', [mirror('attack', '../../etc'), pod('other')], ['other']],
  ])('that claims the directory %s does not get it', async (_, items, names) => {
    for (const list of [items, items.toReversed()]) {
      const { pods, problems } = await read(podList(...list), 'API server');
      expect(pods.map(({ name }) => name)).toEqual(names);
      expect(problems.length).toBeGreaterThan(0);
    }
  });
});

describe('a volume', () => {
  test.each([
    ['that is null', null],
    ['without a name', { emptyDir: {} }],
    ['whose name leads elsewhere', { name: '../x', emptyDir: {} }],
    ['whose name is a number', { name: 1, emptyDir: {} }],
  ])('%s is left out and named', async (_, volume) => {
    const { pods, problems } = await read(podList(pod('a', 'u', [volume, { name: 'v', emptyDir: {} }])));
    expect(pods[0]?.volumes).toEqual([{ name: 'v', kind: 'emptyDir' }]);
    expect(problems).toEqual([
      'pod "shop/a": volume 0 has no name that a directory can have: it was left out',
    ]);
  });

  test.each([
    ['without a source', { name: 'v' }],
    ['whose source is a text', { name: 'v', emptyDir: 'x' }],
    ['of a claim without a name', { name: 'v', persistentVolumeClaim: {} }],
    ['of a claim that leads elsewhere', { name: 'v', persistentVolumeClaim: { claimName: '../x' } }],
    ['hostPath without a path', { name: 'v', hostPath: {} }],
    ['csi without a driver', { name: 'v', csi: { driver: 1 } }],
    ['nfs without a server', { name: 'v', nfs: { path: '/x' } }],
  ])('%s is unknown, and the reader learns it', async (_, volume) => {
    const { pods, problems } = await read(podList(pod('a', 'u', [volume])));
    expect(pods[0]?.volumes).toEqual([{ name: 'v', kind: 'unknown' }]);
    expect(problems).toHaveLength(1);
  });

  test('of a kind that is not known here keeps its kind', async () => {
    expect(await one({ name: 'v', quantumDisk: { x: 1 } })).toEqual({ name: 'v', kind: 'quantumDisk' });
    expect(await one({ name: 'v', constructor: {} })).toEqual({ name: 'v', kind: 'constructor' });
    expect(await one({ name: 'v', flexVolume: { driver: 'acme/fast', readOnly: true } })).toEqual({
      ...{ name: 'v', kind: 'flexVolume', readOnly: true, flexDriver: 'acme/fast' },
    });
  });

  test('of two with one name, the first counts; volumes that are no list are none', async () => {
    const volumes = [
      { name: 'v', emptyDir: {} },
      { name: 'v', secret: {} },
    ];
    const { pods, problems } = await read(podList(pod('a', 'u', volumes), pod('b', 'b', 'volumes')));
    expect(pods.map((each) => each.volumes)).toEqual([[{ name: 'v', kind: 'emptyDir' }], []]);
    expect(problems).toEqual([
      'pod "shop/a": it has two volumes called "v": the second was left out',
      'pod "shop/b": its volumes are not a list',
    ]);
  });
});

describe('what is no list of pods', () => {
  const whole = JSON.stringify(podList(pod('a {"]}', 'u', [{ name: 'v\\"', emptyDir: {} }])));

  test('cut short anywhere', async () => {
    expect((await read(whole)).pods).toHaveLength(1);
    for (let end = 0; end < whole.length; end += 1) {
      await expect(read(whole.slice(0, end)), whole.slice(0, end)).rejects.toThrow(/Error|JSON|list|end/);
    }
  });

  test.each([
    ['', 'not a JSON object'],
    ['<html>', 'not a JSON object'],
    ['[]', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['{"kind":"Status"}', 'not a PodList but "Status"'],
    ['{}', 'not a PodList'],
    ['{"kind":"PodList","items":{}}', 'its items are not a list'],
    [`${whole}x`, 'something follows'],
    [`{"kind":${'['.repeat(100_000)}`, 'ends in the middle'],
  ])('%.30s', async (text, message) => {
    await expect(read(text)).rejects.toThrow(message);
  });
});

describe('a list of entries', () => {
  const rules = { list: 'items', mostBytes: 1_000, onTooLarge: never, check: never };

  test('has the entries that JSON.parse gives, whatever is in them', async () => {
    const values = [
      1,
      -1.5,
      'a,b',
      '}]"\\',
      [],
      [[], [{}]],
      {},
      { a: [1, 2], b: { c: '"' } },
      null,
      true,
      'ä\u2028€',
    ];
    for (let count = 0; count <= values.length; count += 1) {
      const items = values.slice(0, count);
      for (const indent of [0, 2]) {
        const seen: unknown[] = [];
        const text = JSON.stringify(
          { kind: 'L', nested: { items: [1, { a: '],' }] }, items, after: [1, [2]] },
          null,
          indent,
        );
        const others = await readJsonList(Buffer.from(text), {
          ...rules,
          onEntry: (each) => seen.push(JSON.parse(each)),
        });
        expect(seen).toEqual(items);
        expect(Object.fromEntries(others)).toEqual({
          kind: 'L',
          nested: { items: [1, { a: '],' }] },
          after: [1, [2]],
        });
      }
    }
  });

  test('a text with more quotes than an entry may have bytes ends the reading', async () => {
    const body = Buffer.from(`{"x":"${String.raw`\"`.repeat(1_002)}"}`);
    await expect(readJsonList(body, { ...rules, onEntry: never })).rejects.toThrow(UnexpectedJson);
  });
});

test('30 MB leave the event loop its turns, and a reading that nobody waits for ends', async () => {
  const filler = { annotations: { x: 'x'.repeat(20_000) } };
  const list = Buffer.from(
    JSON.stringify(
      podList(
        ...Array.from({ length: 1_500 }, (_, index) =>
          pod(`p${String(index)}`, `u${String(index)}`, [], filler),
        ),
      ),
    ),
  );
  expect(list.length).toBeGreaterThan(30e6);
  let turns = 0;
  const count = (): void => {
    turns += 1;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  const { pods } = await read(list);
  clearImmediate(timer);
  expect(pods).toHaveLength(1_500);
  expect(turns).toBeGreaterThan(50);
  let checks = 0;
  const stop = new Error('enough');
  const reading = readPodList(list, 'kubelet', () => {
    checks += 1;
    if (checks === 3) throw stop;
  });
  await expect(reading).rejects.toBe(stop);
  expect(checks).toBe(3);
});

test('a million entries that hold nothing leave the event loop its turns too', async () => {
  const list = Buffer.from(`{"kind":"PodList","items":[${'{},'.repeat(999_999)}{}]}`);
  let turns = 0;
  const count = (): void => {
    turns += 1;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);
  const { pods, problems } = await read(list);
  clearImmediate(timer);
  expect(pods).toEqual([]);
  expect(problems).toHaveLength(101);
  expect(turns).toBeGreaterThan(500);
});
