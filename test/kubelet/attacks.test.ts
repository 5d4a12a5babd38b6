import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KubeletNode } from '../../src/kubelet/kubelet-node.js';
import type { VolumeDescription } from '../../src/kubelet/described-volume.js';
import { podsOnDisk } from '../../src/kubelet/pods-on-disk.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { ApiPod } from '../../src/testing/kubelet/lay-out-pod.js';
import { makeKubeletRoot, type KubeletRoot } from '../../src/testing/kubelet/make-kubelet-root.js';
import { FuseServer } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { apiPod, boundVolume, claimed, claimSource, podSource } from './support/node-pods.js';

/** What decides which number of which volume is shown: nothing of it may depend on what a pod writes. */
const identity = (described: readonly VolumeDescription[] | undefined) =>
  described!.map(({ name, path, driver, volumeHandle, stagingPath, claim, persistentVolume, provider }) => ({
    name,
    path,
    driver,
    volumeHandle,
    stagingPath,
    claim,
    persistentVolume,
    provider,
  }));

const VICTIM = apiPod('victim', [
  { name: 'data', emptyDir: {} },
  { name: 'conf', configMap: {} },
  { name: 'inline', csi: { driver: 'fake.example' } },
  claimed('a'),
  claimed('b'),
]);
const VOLUMES = [boundVolume('pv-a', 'a-claim'), boundVolume('pv-b', 'b-claim', { local: { path: '/x' } })];

/** Everything that a container can do in a volume that it may write to. */
const WRITES: readonly (readonly [what: string, write: (volume: string, victim: string) => void])[] = [
  [
    'a vol_data.json of another volume',
    (volume, victim) => {
      writeFileSync(
        `${volume}/vol_data.json`,
        JSON.stringify({ driverName: 'evil.example', volumeHandle: 'handle-of-pv-a', specVolID: victim }),
      );
    },
  ],
  [
    'a tree like that of a pod',
    (volume) => {
      mkdirSync(`${volume}/volumes/kubernetes.io~csi/pv-a/mount`, { recursive: true });
      mkdirSync(`${volume}/mount`);
    },
  ],
  [
    'symlinks to the volumes of another pod',
    (volume, victim) => {
      for (const name of ['mount', 'data', 'pv-a', 'globalmount', 'ready'])
        symlinkSync(victim, `${volume}/${name}`);
    },
  ],
  [
    'sockets of drivers',
    (volume) => {
      mkdirSync(`${volume}/plugins/fake.csi.example`, { recursive: true });
      execFileSync('mkfifo', [`${volume}/plugins/fake.csi.example/csi.sock`, `${volume}/reg.sock`]);
    },
  ],
  [
    'names that are paths, options and lines of a list of mounts',
    (volume) => {
      for (const name of [
        '-rf',
        '%2e%2e',
        '..data',
        'a\nb',
        '36 35 98:0 ~ ~var rw - tmpfs tmpfs rw',
        'x'.repeat(255),
      ])
        mkdirSync(`${volume}/${name}`);
    },
  ],
];

describe('what a pod writes into its volumes', () => {
  let folder: string;
  let root: KubeletRoot;

  const reset = (): void => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-attack-')));
    const attacker = apiPod('attacker', [
      { name: 'data', emptyDir: {} },
      { name: 'pv-a', emptyDir: {} },
      claimed('own'),
    ]);
    root = makeKubeletRoot(join(folder, 'kubelet'), [VICTIM, attacker], {
      mount: false,
      persistentVolumes: [...VOLUMES, boundVolume('pv-own', 'own-claim')],
    });
  };

  test.each(WRITES)('does not change where another volume is measured: %s', async (_, write) => {
    reset();
    try {
      for (const pods of [podSource([VICTIM]), podsOnDisk(root.rootDir)]) {
        const node = new KubeletNode({ rootDir: root.rootDir, pods, claims: claimSource(VOLUMES) });
        await node.getPods();
        const before = identity(await node.describe('victim-uid'));
        const uids = (await podsOnDisk(root.rootDir).pods()).pods.map(({ folderUid }) => folderUid);
        const inPods = `${root.rootDir}/pods`;
        const writable = [
          `${inPods}/attacker-uid/volumes/kubernetes.io~empty-dir/data`,
          `${inPods}/attacker-uid/volumes/kubernetes.io~empty-dir/pv-a`,
          `${inPods}/attacker-uid/volumes/kubernetes.io~csi/pv-own/mount`,
          // The victim's own volumes, from the inside.
          `${inPods}/victim-uid/volumes/kubernetes.io~empty-dir/data`,
          `${inPods}/victim-uid/volumes/kubernetes.io~local-volume/pv-b`,
          `${inPods}/victim-uid/volumes/kubernetes.io~csi/pv-a/mount`,
        ];
        for (const volume of writable) {
          rmSync(volume, { recursive: true });
          mkdirSync(volume);
          write(volume, `${inPods}/victim-uid/volumes/kubernetes.io~csi/pv-a`);
        }
        await node.getPods();
        expect(identity(await node.describe('victim-uid'))).toEqual(before);
        expect(before.every(({ path }) => path?.startsWith(`${inPods}/victim-uid/volumes/`))).toBe(true);
        expect((await podsOnDisk(root.rootDir).pods()).pods.map(({ folderUid }) => folderUid)).toEqual(uids);
        expect(node.drivers()).toEqual([]);
        expect(node.warnings()).toEqual([]);
        node.close();
      }
    } finally {
      root.close();
      rmSync(folder, { recursive: true });
    }
  });
});

describe('what a pod says in its spec', () => {
  test.each([
    ['a volume called like the PersistentVolume of another', [{ name: 'pv-a', emptyDir: {} }]],
    [
      'an inline volume called like the PersistentVolume of another',
      [{ name: 'pv-a', csi: { driver: 'evil.example' } }],
    ],
    [
      'a hostPath into the folder of another',
      [{ name: 'data', hostPath: { path: '/var/lib/kubelet/pods/victim-uid' } }],
    ],
    ["the claim of another namespace's name", [claimed('a')]],
  ] as const)('does not change where another volume is measured: %s', async (_, volumes) => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-attack-')));
    const attacker = apiPod('attacker', volumes, { namespace: 'evil' });
    const root = makeKubeletRoot(join(folder, 'kubelet'), [VICTIM, attacker], {
      mount: false,
      persistentVolumes: VOLUMES,
    });
    try {
      const alone = new KubeletNode({
        rootDir: root.rootDir,
        pods: podSource([VICTIM]),
        claims: claimSource(VOLUMES),
        hostPath: 'du',
      });
      const both = new KubeletNode({
        rootDir: root.rootDir,
        pods: podSource([attacker, VICTIM]),
        claims: claimSource(VOLUMES),
        hostPath: 'du',
      });
      for (const node of [alone, both]) await node.getPods();
      await both.describe('attacker-uid');
      expect(identity(await both.describe('victim-uid'))).toEqual(
        identity(await alone.describe('victim-uid')),
      );
      for (const node of [alone, both]) node.close();
    } finally {
      root.close();
      rmSync(folder, { recursive: true });
    }
  });
});

describe.skipIf(needs({ fuse: true, native: true }))('a volume that never answers', () => {
  const mounts = new TestMounts();
  const fuse = new FuseServer();
  let root: KubeletRoot;
  const pod: ApiPod = apiPod('p', [
    { name: 'dead', csi: { driver: 'fake.example' } },
    claimed('nfs'),
    { name: 'data', emptyDir: {} },
  ]);

  beforeAll(async () => {
    const dead = await fuse.mount({}, 'unanswered');
    root = makeKubeletRoot(join(mounts.newDirectory(), 'kubelet'), [pod], {
      persistentVolumes: [boundVolume('pv', 'nfs-claim', { nfs: { server: 's', path: '/' } })],
      mount: false,
    });
    const volumes = `${root.rootDir}/pods/p-uid/volumes`;
    mounts.bind(dead.path, `${volumes}/kubernetes.io~nfs/pv`);
    mounts.bind(dead.path, `${volumes}/kubernetes.io~csi/dead/mount`);
  });

  afterAll(async () => {
    mounts.close();
    await fuse.close();
  });

  test('is found and described without being touched', async () => {
    const node = new KubeletNode({ rootDir: root.rootDir, pods: podSource([pod]) });
    // The calls are synchronous: a look at the mount would never return.
    for (let round = 0; round < 3; round += 1) {
      await node.getPods();
      expect((await node.listVolumesForPod('p-uid'))!.size).toBe(3);
    }
    const described = (await node.describe('p-uid'))!;
    expect(described.map(({ name, mount }) => [name, mount?.fsType.startsWith('fuse')])).toEqual([
      ['dead', true],
      ['nfs', true],
      ['data', undefined],
    ]);
    await podsOnDisk(root.rootDir).pods();
    node.close();
  });

  test('is stuck, and the others of its pod are measured', async () => {
    const node = new KubeletNode({ rootDir: root.rootDir, pods: podSource([pod]) });
    const analyzer = new FsResourceAnalyzer(node, { timeoutMs: 300, walkShare: 1 });
    const [stats] = await analyzer.calculate();
    const states = [...stats!.ephemeralVolumes, ...stats!.persistentVolumes].map(({ name, state }) => [
      name,
      state,
    ]);
    expect(states).toEqual([
      ['data', 'ok'],
      ['dead', 'failed'],
      ['nfs', 'stuck'],
    ]);
    await analyzer.stop();
    node.close();
  });
});
