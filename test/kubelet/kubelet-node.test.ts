import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KubeletNodeOptions } from '../../src/kubelet/kubelet-node-options.js';
import { KubeletNode } from '../../src/kubelet/kubelet-node.js';
import { podsOnDisk } from '../../src/kubelet/pods-on-disk.js';
import { MEASURED_BY } from '../../src/kubelet/measured-by.js';
import type { PodListing } from '../../src/kubelet/sources.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { ApiPod } from '../../src/testing/kubelet/lay-out-pod.js';
import { makeKubeletRoot, type KubeletRoot } from '../../src/testing/kubelet/make-kubelet-root.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { recordedJson } from './recorded.js';
import { apiPod, boundVolume, claimed, claimSource, nodePod, podSource } from './support/node-pods.js';

let folder: string;
let root: KubeletRoot | undefined;
let nodes: KubeletNode[];

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-node-')));
  nodes = [];
});

afterEach(() => {
  for (const each of nodes) each.close();
  root?.close();
  root = undefined;
  rmSync(folder, { recursive: true });
});

type Given = Parameters<typeof makeKubeletRoot>[2];

function nodeOf(
  pods: readonly ApiPod[],
  layOut: Given = {},
  more: Partial<KubeletNodeOptions> = {},
): KubeletNode {
  root = makeKubeletRoot(join(folder, 'kubelet'), pods, { mount: false, ...layOut });
  const node = new KubeletNode({ rootDir: root.rootDir, pods: podSource(pods), ...more });
  nodes.push(node);
  return node;
}

/** Why each volume of a pod has no numbers, or `ok`, after the provider's name. */
async function states(node: KubeletNode, uid: string): Promise<Record<string, string>> {
  const stats = await new FsResourceAnalyzer(node, { walkShare: 1 }).calculate();
  const pod = stats.find(({ podRef }) => podRef.uid === uid)!;
  const all = [...pod.ephemeralVolumes, ...pod.persistentVolumes];
  return Object.fromEntries(
    all.map(({ name, provider, state, error }) => [
      name,
      `${provider} ${error === undefined ? state : `${error.code}: ${error.message}`}`,
    ]),
  );
}

describe('options', () => {
  const pods = podSource([]);
  test.each([
    [{}, 'Expected pods to be an object, got undefined'],
    [{ pods: {} }, 'Expected pods to have the method pods'],
    [{ pods: { pods: 'x' } }, 'Expected pods to have the method pods'],
    [{ pods, claims: {} }, 'Expected claims to have the method claim'],
    [{ pods, summary: {} }, 'Expected summary to have the method statsSummary'],
    [{ pods, rootDir: '' }, 'Expected rootDir to be a path, got an empty text'],
    [{ pods, rootDir: 7 }, 'Expected rootDir to be a string, got number'],
    [{ pods, hostPath: 'walk' }, "Expected hostPath to be 'unsupported' or 'statfs' or 'du', got \"walk\""],
    [{ pods, root: '/x' }, 'Unknown option "root": the options are rootDir, pods, claims, hostPath, summary'],
  ])('%j are refused', (options, message) => {
    expect(() => new KubeletNode(options as never)).toThrow(new TypeError(message));
  });
});

describe('volumes that have no numbers say why', () => {
  test('those that the kubelet has no numbers of either', async () => {
    const node = nodeOf([
      apiPod('p', [
        { name: 'host', hostPath: { path: '/' } },
        { name: 'image', image: { reference: 'quay.io/x' } },
        { name: 'repo', gitRepo: { repository: 'x' } },
      ]),
    ]);
    expect(await states(node, 'p-uid')).toEqual({
      host: 'nil METRICS_NOT_SUPPORTED: metrics are not supported for hostPath volumes, as in the kubelet; the option hostPath measures them',
      image:
        'nil METRICS_NOT_SUPPORTED: metrics are not supported for image volumes: the container runtime mounts the image, and the kubelet has no numbers of it either',
      repo: 'nil METRICS_NOT_SUPPORTED: metrics are not supported for kubernetes.io/git-repo volumes, as in the kubelet',
    });
  });

  test('those that must be mounts and are not, and the others are measured', async () => {
    const node = nodeOf(
      [
        apiPod('p', [
          { name: 's', secret: {} },
          { name: 'c', configMap: {} },
          { name: 'd', emptyDir: {} },
          { name: 'm', emptyDir: { medium: 'Memory' } },
          { name: 'csi', csi: { driver: 'fake.example' } },
          claimed('nfs'),
        ]),
      ],
      { persistentVolumes: [boundVolume('pv', 'nfs-claim', { nfs: { server: 's', path: '/' } })] },
    );
    const volumes = `${root!.rootDir}/pods/p-uid/volumes`;
    expect(await states(node, 'p-uid')).toEqual({
      s: `du METRICS_NOT_MOUNTED: nothing is mounted on ${volumes}/kubernetes.io~secret/s`,
      c: 'du ok',
      d: 'du ok',
      m: `du METRICS_NOT_MOUNTED: nothing is mounted on ${volumes}/kubernetes.io~empty-dir/m`,
      csi: `unknown METRICS_NOT_MOUNTED: nothing is mounted on ${volumes}/kubernetes.io~csi/csi/mount`,
      nfs: `statfs METRICS_NOT_MOUNTED: nothing is mounted on ${volumes}/kubernetes.io~nfs/pv`,
    });
  });

  test('those of a pod that has ended, and those that no container uses', async () => {
    const node = nodeOf([
      apiPod('done', [{ name: 'data', emptyDir: {} }], { phase: 'Succeeded' }),
      apiPod('p', [{ name: 'unused', emptyDir: {} }], { containers: [{ name: 'main' }] }),
    ]);
    expect(await states(node, 'done-uid')).toEqual({
      data: 'nil METRICS_NOT_SUPPORTED: the pod has ended (Succeeded), and the kubelet has taken its volumes down',
    });
    expect(await states(node, 'p-uid')).toEqual({
      unused: 'nil METRICS_NOT_SUPPORTED: no container of the pod uses it, so the kubelet does not set it up',
    });
  });

  test('those that are not on disk, and a claim of a hostPath where the API server is asked', async () => {
    const pods = [apiPod('p', [{ name: 'd', emptyDir: {} }, claimed('a')])];
    const hostPath = boundVolume('pv', 'a-claim', { hostPath: { path: '/srv' } });
    const node = nodeOf([], {}, { pods: podSource(pods) });
    const volumes = `${root!.rootDir}/pods/p-uid/volumes`;
    expect(await states(node, 'p-uid')).toEqual({
      d: `unknown METRICS_NOT_FOUND: the kubelet has not set it up: there is no folder for it below ${volumes}`,
      a: `unknown METRICS_NOT_FOUND: the kubelet has not set it up: there is no folder for it below ${volumes}, unless its PersistentVolume is a hostPath, which has none`,
    });
    const asking = new KubeletNode({
      rootDir: root!.rootDir,
      pods: podSource(pods),
      claims: claimSource([hostPath]),
    });
    nodes.push(asking);
    expect((await states(asking, 'p-uid'))['a']).toContain('metrics are not supported for hostPath volumes');
    expect((await asking.describe('p-uid'))![1]).toMatchObject({
      claim: { namespace: 'default', name: 'a-claim' },
      persistentVolume: 'pv',
    });
  });

  test.each(['relative', '/a/../b'])('a hostPath with the path %j is never measured', async (path) => {
    const node = nodeOf([apiPod('p', [{ name: 'h', hostPath: { path } }])], {}, { hostPath: 'du' });
    expect(await states(node, 'p-uid')).toEqual({
      h: 'nil METRICS_NOT_SUPPORTED: the hostPath volume has no path that the kubelet would mount',
    });
  });

  test('a CSI volume whose notes are broken, unless the PersistentVolume or the pod says what they would', async () => {
    const pods = [apiPod('p', [{ name: 'inline', csi: { driver: 'fake.example' } }, claimed('a')])];
    const volume = boundVolume('pv', 'a-claim');
    const node = nodeOf(pods, { persistentVolumes: [volume] });
    const csi = `${root!.rootDir}/pods/p-uid/volumes/kubernetes.io~csi`;
    await node.getPods();
    const before = (await node.describe('p-uid'))!;
    for (const name of ['inline', 'pv']) writeFileSync(`${csi}/${name}/vol_data.json`, '');
    const after = (await node.describe('p-uid'))!;
    expect(after[0]!.volumeHandle).toBe(before[0]!.volumeHandle);
    expect(after[1]).toMatchObject({
      name: 'a',
      provider: 'unknown',
      unknown: [
        'the CSI driver and its id of the volume are not known: vol_data.json is empty: the kubelet was about to write it, or its disk was full',
      ],
    });
    writeFileSync(`${csi}/pv/vol_data.json`, '{"driverName":"../../etc","volumeHandle":"x"}');
    expect((await node.describe('p-uid'))![1]!.unknown).toEqual([
      "the CSI driver is not known: ../../etc is no driver's name",
    ]);
  });
});

describe('the same volume', () => {
  test('keeps its provider as long as it is measured in the same way', async () => {
    const pods = [
      apiPod('p', [{ name: 'd', emptyDir: {} }, claimed('a')]),
      apiPod('q', [{ name: 'd', emptyDir: {} }]),
    ];
    const node = nodeOf(pods, {
      persistentVolumes: [boundVolume('pv', 'a-claim', { nfs: { server: 's', path: '/' } })],
    });
    await node.getPods();
    const first = (await node.listVolumesForPod('p-uid'))!;
    mkdirSync(`${root!.rootDir}/pods/p-uid/volumes/kubernetes.io~configmap/new`, { recursive: true });
    await node.getPods();
    const second = (await node.listVolumesForPod('p-uid'))!;
    expect(second).not.toBe(first);
    expect(second.get('d')).toBe(first.get('d'));
    expect(second.get('a')).toBe(first.get('a'));
    expect((await node.listVolumesForPod('q-uid'))!.get('d')).not.toBe(first.get('d'));
    rmSync(`${root!.rootDir}/pods/p-uid/volumes/kubernetes.io~empty-dir/d`, { recursive: true });
    expect((await node.listVolumesForPod('p-uid'))!.get('d')).not.toBe(first.get('d'));
  });

  test('is asked about at the API server only while its claim is open', async () => {
    const volumes = [boundVolume('pv-1', 'a-claim'), boundVolume('pv-2', 'b-claim')];
    const claims = claimSource(volumes);
    const node = nodeOf(
      [apiPod('p', [claimed('a'), claimed('b')])],
      { persistentVolumes: volumes },
      { claims },
    );
    await node.getPods();
    for (let round = 0; round < 3; round += 1) await node.listVolumesForPod('p-uid');
    expect(claims.asked.length).toBe(2);
  });

  test('pods that come and go', async () => {
    const pods = [apiPod('p', [{ name: 'd', emptyDir: {} }])];
    const node = nodeOf(pods);
    expect(await node.listVolumesForPod('p-uid')).toBeUndefined();
    await node.getPods();
    expect([...(await node.listVolumesForPod('p-uid'))!.keys()]).toEqual(['d']);
    root!.addPod(apiPod('q', [{ name: 'x', emptyDir: {} }]));
    pods.splice(0, 1, apiPod('q', [{ name: 'x', emptyDir: {} }]));
    expect((await node.getPods()).map(({ metadata }) => metadata.uid)).toEqual(['q-uid']);
    expect(await node.listVolumesForPod('p-uid')).toBeUndefined();
    expect(await node.describe('p-uid')).toBeUndefined();
    expect([...(await node.listVolumesForPod('q-uid'))!.keys()]).toEqual(['x']);
  });
});

describe('folders that the pod does not have', () => {
  test('are shown, under a name that no volume of a pod can have', async () => {
    const node = nodeOf([apiPod('p', [{ name: 'd', emptyDir: {} }])]);
    const volumes = `${root!.rootDir}/pods/p-uid/volumes`;
    mkdirSync(`${volumes}/kubernetes.io~empty-dir/old`);
    mkdirSync(`${volumes}/kubernetes.io~rbd/d`, { recursive: true });
    await node.getPods();
    expect(await node.describe('p-uid')).toMatchObject([
      { name: 'd', kind: 'emptyDir', unknown: [] },
      { name: expect.stringContaining('kubernetes.io~') as string },
      { name: expect.stringContaining('kubernetes.io~') as string },
    ]);
    const described = new Map((await node.describe('p-uid'))!.map((each) => [each.name, each]));
    expect(described.get('kubernetes.io~empty-dir/old')).toMatchObject({
      kind: 'unknown',
      unknown: ['the pod has no such volume; its folder was left over'],
    });
    expect(described.get('kubernetes.io~rbd/d')).toMatchObject({ persistentVolume: 'd', provider: 'statfs' });
  });
});

test('a pod whose uid no folder can have is left out, and said', async () => {
  const pod = nodePod(apiPod('p', []));
  const pods = {
    name: 'x',
    pods: () =>
      Promise.resolve({
        pods: ['..', 'a/b', '', '.', 'a\0b', 'u'.repeat(256), 'fine'].map((folderUid) => ({
          ...pod,
          folderUid,
        })),
        problems: [],
      }),
  };
  const node = nodeOf([], {}, { pods });
  expect((await node.getPods()).map(({ metadata }) => metadata.uid)).toEqual(['fine']);
  expect(node.warnings()).toContain('6 pods have a uid that no folder can have');
});

test('a source of pods that gives no listing is named', async () => {
  mkdirSync(join(folder, 'pods'));
  for (const given of [undefined, null, {}, { pods: [] }, { pods: [null], problems: [] }]) {
    const pods = { name: 'mine', pods: () => Promise.resolve(given as unknown as PodListing) };
    await expect(new KubeletNode({ rootDir: folder, pods }).getPods()).rejects.toMatchObject({
      code: 'METRICS_PROVIDER_FAILED',
      message: 'the source of pods "mine" gave something that is not a listing with pods and problems',
    });
  }
});

test('what a source of pods rejects with, and its problems, reach the caller', async () => {
  const error = new Error('refused');
  let fails = true;
  const pods = {
    name: 'x',
    pods: () =>
      fails ? Promise.reject(error) : Promise.resolve({ pods: [], problems: ['a pod without uid'] }),
  };
  const node = nodeOf([], {}, { pods });
  await expect(node.getPods()).rejects.toBe(error);
  fails = false;
  await node.getPods();
  expect(node.warnings()).toContain('a pod without uid');
});

describe('the etc-hosts and the ephemeral sum', () => {
  const pods = [
    ...recordedJson<{ items: ApiPod[] }>('1.26', 'pods.json').items,
    ...recordedJson<{ items: ApiPod[] }>('1.26', 'pods-ended-and-crashing.json').items,
  ];
  const uidOf = (name: string): string => pods.find(({ metadata }) => metadata.name === name)!.metadata.uid;

  test('etc-hosts is measured where the kubelet made one', async () => {
    const node = nodeOf(pods);
    await node.getPods();
    expect(await node.etcHosts(uidOf('plain'))).toMatchObject({ source: 'du', used: 4096n, inodesUsed: 1n });
    rmSync(`${root!.rootDir}/pods/${uidOf('plain')}/etc-hosts`);
    expect(await node.etcHosts(uidOf('plain'))).toBeUndefined();
    expect(await node.etcHosts('unknown')).toBeUndefined();
  });

  test('the sum is that of the containers, the ephemeral volumes and etc-hosts', async () => {
    let summary: unknown = recordedJson('1.26', 'stats-summary.json');
    let asked = 0;
    const statsSummary = (): Promise<unknown> => {
      asked += 1;
      return Promise.resolve(summary);
    };
    const node = nodeOf(pods, {}, { summary: { statsSummary } });
    const analyzer = new FsResourceAnalyzer(node, { walkShare: 1 });
    await analyzer.calculate();
    const of = (name: string) => node.ephemeralStorage(analyzer.getPodVolumeStats(uidOf(name))!);
    // 16384 of the container, 4096 of the empty volume and 4096 of etc-hosts: the kubelet had 4096 more in the volume.
    expect(await of('static-node1')).toMatchObject({ used: 24_576n, inodesUsed: 10n });
    expect(await of('shared-a')).toMatchObject({ used: 36_864n, inodesUsed: 13n });
    expect(asked).toBe(1);
    // Not in the summary: no container runs.
    expect(await of('crash')).toBeUndefined();
    expect(await of('done')).toBeUndefined();
    summary = {};
  });

  test('it is not known without a summary, or where the summary has no filesystems, or a volume no reading', async () => {
    const stats = recordedJson<{ pods: { containers: object[] }[] }>('1.26', 'stats-summary.json');
    const onlyCpu = {
      pods: stats.pods.map((pod) => ({ ...pod, containers: pod.containers.map(() => ({ name: 'main' })) })),
    };
    const without = nodeOf(pods);
    const analyzer = new FsResourceAnalyzer(without, { walkShare: 1 });
    await analyzer.calculate();
    const plain = analyzer.getPodVolumeStats(uidOf('plain'))!;
    expect(await without.ephemeralStorage(plain)).toBeUndefined();
    for (const summary of [
      onlyCpu,
      null,
      'x',
      { pods: [null, { podRef: null }, { podRef: { uid: uidOf('plain') } }] },
    ]) {
      const node = new KubeletNode({
        rootDir: root!.rootDir,
        pods: podSource(pods),
        summary: { statsSummary: () => Promise.resolve(summary) },
      });
      nodes.push(node);
      await node.getPods();
      expect(await node.ephemeralStorage(plain)).toBeUndefined();
    }
    const node = new KubeletNode({
      rootDir: root!.rootDir,
      pods: podSource(pods),
      summary: { statsSummary: () => Promise.resolve(stats) },
    });
    nodes.push(node);
    await node.getPods();
    expect(await node.ephemeralStorage(plain)).toBeDefined();
    const [first, ...others] = plain.ephemeralVolumes;
    const { name, kind } = first!;
    const unread = { name, kind, provider: 'du', state: 'pending' } as const;
    expect(await node.ephemeralStorage({ ...plain, ephemeralVolumes: [unread, ...others] })).toBeUndefined();
  });
});

describe('pods on disk', () => {
  test('have their uids, inline volumes and plugins', async () => {
    const pods = [
      apiPod('p', [
        { name: 'd', emptyDir: {} },
        { name: 's', secret: {} },
        { name: 'csi', csi: { driver: 'fake.example' } },
        claimed('a'),
      ]),
    ];
    nodeOf(pods, { persistentVolumes: [boundVolume('pv', 'a-claim')] });
    const listing = await podsOnDisk(root!.rootDir).pods();
    expect(listing.problems).toEqual([]);
    expect(listing.pods).toMatchObject([
      { apiUid: 'p-uid', folderUid: 'p-uid', namespace: '', name: 'p-uid', isStatic: false },
    ]);
    expect(listing.pods[0]!.volumes.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
      { name: 'csi', kind: 'csi', csi: { driver: 'fake.example' } },
      { name: 'd', kind: 'emptyDir' },
      { name: 's', kind: 'secret' },
    ]);
  });

  test('an emptyDir that is not ready may be one in memory, and is not measured', async () => {
    nodeOf([apiPod('p', [{ name: 'd', emptyDir: {} }])]);
    rmSync(`${root!.rootDir}/pods/p-uid/plugins`, { recursive: true });
    const [pod] = (await podsOnDisk(root!.rootDir).pods()).pods;
    expect(pod!.volumes).toEqual([{ name: 'd', kind: 'emptyDir', medium: 'Memory' }]);
  });
});

test("the table of who measures what is the kubelet's", () => {
  const rows = Object.entries(MEASURED_BY).map(
    ([plugin, { filesystem, mustBeMount, block }]) =>
      `${plugin}: ${filesystem}${mustBeMount ? ', a mount' : ''}; ${block}`,
  );
  expect(rows).toEqual([
    'kubernetes.io/empty-dir: du; none',
    'kubernetes.io/empty-dir Memory: own tmpfs, a mount; none',
    'kubernetes.io/empty-dir HugePages: du, a mount; none',
    'kubernetes.io/configmap: cached du; none',
    'kubernetes.io/secret: own tmpfs, a mount; none',
    'kubernetes.io/downward-api: own tmpfs, a mount; none',
    'kubernetes.io/projected: own tmpfs, a mount; none',
    'kubernetes.io/csi: csi, a mount; csi',
    'kubernetes.io/local-volume: statfs, a mount; block',
    'kubernetes.io/nfs: statfs, a mount; none',
    'kubernetes.io/iscsi: statfs, a mount; block',
    'kubernetes.io/fc: none, a mount; block',
    'kubernetes.io/git-repo: none; none',
  ]);
});

describe.skipIf(needs({ root: true }))('mounts', () => {
  test('that come and go are seen by the next listing', async () => {
    const mounts = new TestMounts();
    try {
      const node = nodeOf([
        apiPod('p', [
          { name: 's', secret: {} },
          { name: 'csi', csi: { driver: 'fake.example' } },
        ]),
      ]);
      const csi = `${root!.rootDir}/pods/p-uid/volumes/kubernetes.io~csi/csi/mount`;
      expect((await states(node, 'p-uid'))['csi']).toContain('METRICS_NOT_MOUNTED');
      mounts.mount(csi, '-t', 'tmpfs', 'tmpfs');
      mounts.mount(`${root!.rootDir}/pods/p-uid/volumes/kubernetes.io~secret/s`, '-t', 'tmpfs', 'tmpfs');
      expect(await states(node, 'p-uid')).toMatchObject({
        s: 'du ok',
        csi: expect.stringContaining(
          'driver name fake.example not found in the list of registered CSI drivers',
        ) as string,
      });
    } finally {
      mounts.close();
    }
    expect(existsSync(folder)).toBe(true);
  });

  test('that do not reach a private mount: the node says so', async () => {
    const mounts = new TestMounts();
    try {
      const at = mounts.tmpfs();
      const shared = makeKubeletRoot(join(at, 'kubelet'), [], { mount: false });
      const node = new KubeletNode({ rootDir: shared.rootDir, pods: podSource([]) });
      nodes.push(node);
      execFileSync('mount', ['--make-private', at]);
      await node.getPods();
      expect(node.warnings()).toEqual([
        'volumes that are mounted from now on will seem not mounted: the mount that the kubelet\'s root is on is private. In a pod, mount it with "mountPropagation: HostToContainer"',
      ]);
    } finally {
      mounts.close();
    }
  });
});
