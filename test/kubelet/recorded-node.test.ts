import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { PodVolumeStats, VolumeStats } from '../../src/stats/volume-stats.js';
import {
  ApiClient,
  apiServerClaims,
  apiServerPods,
  KubeletClient,
  KubeletNode,
  kubeletPods,
  podsOnDisk,
  type ClaimSource,
  type PodSource,
} from '../../src/kubelet/index.js';
import { NodeServiceCapability_RPC_Type as Capability } from '../../src/csi/v1/index.js';
import { FakeCsiDriver } from '../../src/testing/csi/index.js';
import {
  FakeApiServer,
  FakeKubelet,
  makeKubeletRoot,
  type ApiPersistentVolume,
  type ApiPod,
  type KubeletRoot,
} from '../../src/testing/kubelet/index.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { recordedJson, recordedText } from './recorded.js';
import { podSource } from './support/node-pods.js';
import { FakeRegistration } from './support/fake-registration.js';

const items = <T>(file: string): T[] => recordedJson<{ items: T[] }>('1.26', file).items;

const READER = { name: 'system:serviceaccount:monitoring:reader' };
const DRIVERS = ['hostpath.csi.k8s.io', 'hostpath.kube-volume-metrics.example'] as const;

/** Pod/volume, claim, provider, state; in the order of the recorded pods. */
const EXPECTED = [
  ['shared-b', 'data', 'default/shared', 'statfs', 'ok'],
  ['shared-b', 'kube-api-access-lt2l2', '', 'du', 'ok'],
  ['csi-ts', 'fs', 'default/ts-fs', DRIVERS[1], 'ok'],
  ['csi-ts', 'blk', 'default/ts-block', DRIVERS[1], 'ok'],
  ['csi-ts', 'sick', 'default/ts-sick', DRIVERS[1], 'ok'],
  ['csi-ts', 'kube-api-access-m5gtg', '', 'du', 'ok'],
  ['static-node1', 'cache', '', 'du', 'ok'],
  ['static-node1', 'etc', '', 'nil', 'unsupported'],
  ['plain', 'data', '', 'du', 'ok'],
  ['plain', 'mem', '', 'du', 'ok'],
  ['plain', 'memlim', '', 'du', 'ok'],
  ['plain', 'limited', '', 'du', 'ok'],
  ['plain', 'empty', '', 'du', 'ok'],
  ['plain', 'conf', '', 'du', 'ok'],
  ['plain', 'sec', '', 'du', 'ok'],
  ['plain', 'down', '', 'du', 'ok'],
  ['plain', 'token', '', 'du', 'ok'],
  ['plain', 'mixed', '', 'du', 'ok'],
  ['plain', 'host', '', 'nil', 'unsupported'],
  ['plain', 'kube-api-access-4b4s7', '', 'du', 'ok'],
  ['local', 'fs', 'default/local-fs', 'statfs', 'ok'],
  ['local', 'btr', 'default/local-btrfs', 'statfs', 'ok'],
  ['local', 'blk', 'default/local-block', 'block', 'ok'],
  ['local', 'kube-api-access-cnp94', '', 'du', 'ok'],
  ['csi-go', 'fs', 'default/go-fs', DRIVERS[0], 'ok'],
  ['csi-go', 'blk', 'default/go-block', DRIVERS[0], 'ok'],
  ['csi-go', 'inline', '', DRIVERS[0], 'ok'],
  ['csi-go', 'kube-api-access-46n7q', '', 'du', 'ok'],
  ['shared-a', 'vol', 'default/shared', 'statfs', 'ok'],
  ['shared-a', 'kube-api-access-frg69', '', 'du', 'ok'],
  ['generic', 'eph', 'default/generic-eph', 'statfs', 'ok'],
  ['generic', 'kube-api-access-2lbm5', '', 'du', 'ok'],
  ['crash', 'data', '', 'du', 'ok'],
  ['done', 'data', '', 'nil', 'unsupported'],
  ['done', 'kube-api-access-vrgbg', '', 'nil', 'unsupported'],
] as const;

describe.skipIf(needs({ root: true, loop: true, mkfs: ['ext4', 'btrfs'] }))(
  'the recorded node of 1.26, on disk',
  () => {
    const mounts = new TestMounts();
    const pods = [...items<ApiPod>('pods.json'), ...items<ApiPod>('pods-ended-and-crashing.json')];
    const volumes = items<ApiPersistentVolume>('api-persistentvolumes.json');
    const drivers: FakeCsiDriver[] = [];
    const registrations: FakeRegistration[] = [];
    const ended: (() => unknown)[] = [];
    let root: KubeletRoot;
    let kubelet: KubeletClient;
    let api: ApiClient;
    let device: string;

    beforeAll(async () => {
      const ext4 = mounts.onLoop('ext4');
      device = mounts.loopDevice(mounts.image(32 * 1024 * 1024));
      const folder = (name: string): string => {
        const path = join(ext4, name);
        mkdirSync(path);
        return path;
      };
      root = makeKubeletRoot(join(mounts.newDirectory(), 'kubelet'), pods, {
        persistentVolumes: volumes,
        sources: {
          'pv-local-fs': ext4,
          'pv-local-btrfs': mounts.onLoop('btrfs'),
          'pv-shared': ext4,
          'pv-generic': ext4,
          'pv-local-block': device,
          'pv-go-block': device,
          'pv-ts-block': device,
          'pv-go-fs': folder('go-fs'),
          'pv-ts-fs': folder('ts-fs'),
          'pv-ts-sick': folder('ts-sick'),
          inline: folder('inline'),
        },
      });
      mounts.onClose(() => {
        root.close();
      });
      const list = { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods };
      const fakeKubelet = await FakeKubelet.start({
        version: '1.26',
        tokens: { good: READER },
        rules: [{ subject: READER.name, resources: ['nodes/proxy', 'nodes/stats'] }],
        bodies: { pods: list, 'stats/summary': recordedText('1.26', 'stats-summary.json') },
      });
      const fakeApi = await FakeApiServer.start({
        tokens: { good: READER },
        rules: [{ subject: READER.name, resources: ['persistentvolumeclaims', 'persistentvolumes', 'pods'] }],
        objects: {
          pods: items('api-pods-of-node.json'),
          persistentvolumes: volumes,
          persistentvolumeclaims: items('api-persistentvolumeclaims.json'),
        },
      });
      const auth = async (fake: FakeKubelet | FakeApiServer) =>
        ({ type: 'serviceAccount', tokenFile: await fake.tokenFile('good') }) as const;
      kubelet = new KubeletClient({
        endpoint: fakeKubelet.endpoint,
        caFile: fakeKubelet.caFile,
        auth: await auth(fakeKubelet),
      });
      api = new ApiClient({ endpoint: fakeApi.endpoint, caFile: fakeApi.caFile, auth: await auth(fakeApi) });
      ended.push(
        () => {
          kubelet.close();
          api.close();
        },
        () => fakeKubelet.stop(),
        () => fakeApi.stop(),
      );
      for (const name of DRIVERS) {
        const driver = await FakeCsiDriver.start();
        drivers.push(driver);
        registrations.push(
          await FakeRegistration.start(`${root.rootDir}/plugins_registry/${name}-reg.sock`, {
            name,
            endpoint: driver.endpoint.replace('unix://', ''),
          }),
        );
      }
    });

    afterAll(async () => {
      for (const each of registrations) await each.stop();
      for (const each of drivers) await each.stop();
      for (const each of ended) await each();
      mounts.close();
    });

    const doors = (): { pods: PodSource; claims: ClaimSource; summary: KubeletClient } => ({
      pods: kubeletPods(kubelet),
      claims: apiServerClaims(api),
      summary: kubelet,
    });

    const measured = async (node: KubeletNode): Promise<PodVolumeStats[]> => {
      const analyzer = new FsResourceAnalyzer(node, { walkShare: 1 });
      try {
        return [...(await analyzer.calculate())];
      } finally {
        node.close();
      }
    };
    const inOrder = (stats: readonly PodVolumeStats[], pod: string, volume: string): VolumeStats => {
      const found = stats.find(({ podRef }) => podRef.name === pod)!;
      return [...found.ephemeralVolumes, ...found.persistentVolumes].find(({ name }) => name === volume)!;
    };

    test('each volume has the claim, the provider and the state that the kubelet has', async () => {
      const stats = await measured(new KubeletNode({ rootDir: root.rootDir, ...doors() }));
      const found = EXPECTED.map(([pod, volume]) => {
        const { pvcRef, provider, state } = inOrder(stats, pod, volume);
        return [pod, volume, pvcRef ? `${pvcRef.namespace}/${pvcRef.name}` : '', provider, state];
      });
      expect(found).toEqual(EXPECTED);
      const all = stats.flatMap((each) => [...each.ephemeralVolumes, ...each.persistentVolumes]);
      expect(all).toHaveLength(EXPECTED.length);
    });

    test('what the kubelet had numbers of has numbers, and nothing else has, but for the crashing pod', () => {
      const summary = recordedJson<{ pods: { podRef: { name: string }; volume?: { name: string }[] }[] }>(
        '1.26',
        'stats-summary.json',
      );
      const inSummary = summary.pods.flatMap(({ podRef, volume }) =>
        (volume ?? []).map((each) => `${podRef.name}/${each.name}`),
      );
      expect(inSummary).toHaveLength(30);
      const ok = EXPECTED.filter(([, , , , state]) => state === 'ok').map(
        ([pod, volume]) => `${pod}/${volume}`,
      );
      expect(ok.filter((each) => each !== 'crash/data').sort()).toEqual(inSummary.sort());
    });

    test('the numbers are those of what is mounted', async () => {
      const stats = await measured(new KubeletNode({ rootDir: root.rootDir, ...doors() }));
      const metrics = (pod: string, volume: string) => inOrder(stats, pod, volume).metrics!;
      const df = (path: string): bigint =>
        BigInt(
          execFileSync('stat', ['-f', '-c', '%b %S', path], { encoding: 'utf8' })
            .trim()
            .split(' ')
            .map(Number)
            .reduce((a, b) => a * b),
        );
      const folder = (pod: string) =>
        `${root.rootDir}/pods/${pods.find(({ metadata }) => metadata.name === pod)!.metadata.uid}/volumes`;
      expect(metrics('local', 'fs').capacity).toBe(
        df(`${folder('local')}/kubernetes.io~local-volume/pv-local-fs`),
      );
      expect(metrics('local', 'btr').capacity).toBe(512n * 1024n * 1024n);
      expect(metrics('local', 'btr').inodes).toBeUndefined();
      expect(metrics('local', 'blk')).toMatchObject({ source: 'block', capacity: 32n * 1024n * 1024n });
      expect(metrics('plain', 'sec')).toMatchObject({ source: 'statfs', capacity: 64n * 1024n * 1024n });
      expect(metrics('plain', 'data').source).toBe('du');
      expect(metrics('csi-go', 'fs').source).toBe(DRIVERS[0]);
    });

    test('the drivers are asked as the kubelet asks them, with the handles and paths on disk', () => {
      const uidOf = (pod: string) => pods.find(({ metadata }) => metadata.name === pod)!.metadata.uid;
      const csi = `${root.rootDir}/plugins/kubernetes.io/csi`;
      const asked = drivers[0]!.requests('nodeGetVolumeStats');
      const paths = Object.fromEntries(asked.map(({ volumeId, volumePath }) => [volumeId, volumePath]));
      expect(paths).toEqual({
        '352869f2-ea30-11f1-8b61-1e6bb6471562': `${root.rootDir}/pods/${uidOf('csi-go')}/volumes/kubernetes.io~csi/pv-go-fs/mount`,
        '352d2f02-ea30-11f1-8b61-1e6bb6471562': `${csi}/volumeDevices/pv-go-block/dev/${uidOf('csi-go')}`,
        'csi-d76cccb51f56696e16e793e961519ab1694aa2b49eff70becb4c823a694e45c5': `${root.rootDir}/pods/${uidOf('csi-go')}/volumes/kubernetes.io~csi/inline/mount`,
      });
      // These drivers do not stage.
      expect(asked.every(({ stagingTargetPath }) => stagingTargetPath === '')).toBe(true);
      expect(drivers[1]!.connections).toBe(2);
    });

    test('a driver that stages gets the staging path of a filesystem, and none of a device', async () => {
      drivers[0]!.script.capabilities = [Capability.GET_VOLUME_STATS, Capability.STAGE_UNSTAGE_VOLUME];
      await drivers[0]!.restart();
      const before = drivers[0]!.requests('nodeGetVolumeStats').length;
      await measured(new KubeletNode({ rootDir: root.rootDir, ...doors() }));
      const asked = drivers[0]!.requests('nodeGetVolumeStats').slice(before);
      const staging = Object.fromEntries(asked.map((each) => [each.volumeId, each.stagingTargetPath]));
      const csi = `${root.rootDir}/plugins/kubernetes.io/csi`;
      expect(staging).toEqual({
        '352869f2-ea30-11f1-8b61-1e6bb6471562': expect.stringMatching(
          new RegExp(`^${csi}/[^/]+/[0-9a-f]{64}/globalmount$`),
        ) as string,
        '352d2f02-ea30-11f1-8b61-1e6bb6471562': '',
        'csi-d76cccb51f56696e16e793e961519ab1694aa2b49eff70becb4c823a694e45c5': '',
      });
    });

    test('what is laid out has the notes that the real kubelet wrote', async () => {
      const node = new KubeletNode({ rootDir: root.rootDir, ...doors() });
      await node.getPods();
      const described = await Promise.all(pods.map(({ metadata }) => node.describe(metadata.uid)));
      const handles = described.flatMap((each) => each!.flatMap(({ volumeHandle }) => volumeHandle ?? []));
      const recorded = recordedText('1.26', 'vol_data.txt');
      expect(handles).toHaveLength(6);
      for (const handle of handles) expect(recorded).toContain(`"volumeHandle":"${handle}"`);
      const staged = described.flatMap((each) => each!.flatMap(({ stagingPath }) => stagingPath ?? []));
      for (const each of staged.filter((path) => path.endsWith('/globalmount'))) {
        expect(recorded).toContain(each.slice(root.rootDir.length).replace('/globalmount', '/vol_data.json'));
      }
      expect(node.warnings()).toEqual([]);
      node.close();
    });

    test('without a source of claims, a pod with several says so, and the others are not affected', async () => {
      const stats = await measured(new KubeletNode({ rootDir: root.rootDir, pods: kubeletPods(kubelet) }));
      const open = EXPECTED.filter(([pod, volume]) => inOrder(stats, pod, volume).state !== 'ok').map(
        ([pod, volume]) => `${pod}/${volume}`,
      );
      expect(open).toEqual([
        'csi-ts/fs',
        'csi-ts/sick',
        'static-node1/etc',
        'plain/host',
        'local/fs',
        'local/btr',
        'done/data',
        'done/kube-api-access-vrgbg',
      ]);
      expect(inOrder(stats, 'local', 'fs').error?.message).toBe(
        "which of the volumes on disk (pv-local-btrfs, pv-local-fs) is this claim's is not known; with a source of claims, the API server tells",
      );
      // The numbers are there, under the name on disk.
      expect(inOrder(stats, 'local', 'kubernetes.io~local-volume/pv-local-fs')).toMatchObject({
        state: 'ok',
        kind: 'unknown',
      });
    });

    test('with the disk alone, the same volumes are measured, and each says what is not known', async () => {
      const node = new KubeletNode({ rootDir: root.rootDir, pods: podsOnDisk(root.rootDir) });
      const stats = await measured(node);
      const all = stats.flatMap((each) => [...each.ephemeralVolumes, ...each.persistentVolumes]);
      expect(all.filter(({ state }) => state === 'ok')).toHaveLength(31);
      expect(all.filter(({ state }) => state !== 'ok')).toEqual([]);
      const described = await node.describe(
        pods.find(({ metadata }) => metadata.name === 'local')!.metadata.uid,
      );
      const byName = new Map(described!.map((each) => [each.name, each]));
      expect(byName.get('kubernetes.io~local-volume/pv-local-fs')).toMatchObject({
        kind: 'unknown',
        plugin: 'kubernetes.io/local-volume',
        persistentVolume: 'pv-local-fs',
        provider: 'statfs',
        unknown: [
          "the pod's name and namespace are not known: nobody who knows them was asked",
          "which of the pod's volumes this is, and so its claim, is not known",
        ],
      });
    });

    test('through the API server, the pods of the node have the same volumes, also the static one', async () => {
      const stats = await measured(
        new KubeletNode({ rootDir: root.rootDir, ...doors(), pods: apiServerPods(api, 'node1') }),
      );
      const listed = EXPECTED.filter(([pod]) => pod !== 'crash' && pod !== 'done');
      const found = listed.map(([pod, volume]) => {
        const { pvcRef, provider, state } = inOrder(stats, pod, volume);
        return [pod, volume, pvcRef ? `${pvcRef.namespace}/${pvcRef.name}` : '', provider, state];
      });
      expect(found).toEqual(listed);
      const uids = stats.map(({ podRef }) => podRef.uid).sort();
      expect(uids).toEqual(
        pods
          .filter(({ metadata }) => metadata.name !== 'crash' && metadata.name !== 'done')
          .map(({ metadata }) => metadata.uid)
          .sort(),
      );
    });

    test('the ephemeral sum is that of the kubelet, but for what was written into the volumes', async () => {
      const node = new KubeletNode({ rootDir: root.rootDir, ...doors() });
      const analyzer = new FsResourceAnalyzer(node, { walkShare: 1 });
      const stats = await analyzer.calculate();
      const recorded = await kubelet.statsSummary();
      for (const name of ['shared-a', 'local', 'csi-ts', 'csi-go', 'generic']) {
        const of = stats.find(({ podRef }) => podRef.name === name)!;
        const there = recorded.pods.find(({ podRef }) => podRef.name === name)!.ephemeralStorage!;
        expect(await node.ephemeralStorage(of)).toMatchObject({
          used: there.usedBytes,
          inodesUsed: there.inodesUsed,
        });
      }
      node.close();
    });

    test('hostPath volumes are measured if asked for', async () => {
      const path = mounts.tmpfs('size=8m');
      writeFileSync(join(path, 'file'), 'x'.repeat(4096));
      const edited = pods.map((pod) => ({
        ...pod,
        spec: {
          ...pod.spec,
          volumes: pod.spec.volumes!.map((each) =>
            each['hostPath'] ? { name: each.name, hostPath: { path } } : each,
          ),
        },
      }));
      for (const hostPath of ['statfs', 'du'] as const) {
        const stats = await measured(
          new KubeletNode({ rootDir: root.rootDir, pods: podSource(edited), hostPath }),
        );
        expect(inOrder(stats, 'plain', 'host')).toMatchObject({
          state: 'ok',
          provider: hostPath,
          metrics: { capacity: 8n * 1024n * 1024n, used: 4096n },
        });
      }
    });
  },
);
