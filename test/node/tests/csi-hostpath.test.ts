import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VolumeCapability } from '../../../src/csi/v1/index.js';
import { CsiTestClient } from '../../../src/testing/csi/index.js';
import { BLOCK, DIRECTORY } from '../../examples/csi-hostpath/capabilities.js';
import { DriverProcess } from '../../examples/csi-hostpath/driver-process.js';
import { api, closeDoors, get, kubeletText } from '../doors.mjs';
import { make, makeClaim, makePod, pathOf, remove } from '../objects.mjs';
import { KUBELET_ROOT, NODE_NAME, STATE } from '../place.mjs';

// The example driver under a real kubelet: a process of its own that registers itself.

const DRIVER = 'hostpath.kube-volume-metrics.example';
const PLUGIN = join(KUBELET_ROOT, 'plugins', DRIVER);
const SOCKET = join(PLUGIN, 'csi.sock');
const REGISTRY = join(KUBELET_ROOT, 'plugins_registry');
const MAIN = join(import.meta.dirname, '../main.mjs');
const POD = 'with-example';
const BYTES = 16n << 20n;

/** A filesystem of its own, so that nothing else on the machine changes its numbers. */
const DISK = join(STATE, 'csi-hostpath');
const DATA_ROOT = join(DISK, 'data-root');

let driver: DriverProcess;
let caller: CsiTestClient;
/** The ids of the volumes that were made, by the names of their claims. */
const ids = new Map<string, string>();

async function start(): Promise<DriverProcess> {
  const args = ['--data-root', DATA_ROOT, '--node-id', NODE_NAME, '--kubelet-registry', REGISTRY];
  return await DriverProcess.start({ socket: SOCKET, args });
}

/** What an external provisioner does: a volume of the driver, and the claim and the PV that stand for it. */
async function provision(
  claim: string,
  capability: VolumeCapability,
  ownerReferences?: object[],
): Promise<void> {
  const { volume } = await caller.call('createVolume', {
    name: claim,
    capacityRange: { requiredBytes: BYTES, limitBytes: 0n },
    volumeCapabilities: [capability],
  });
  const { volumeId } = volume!;
  ids.set(claim, volumeId);
  await makeClaim(claim, {
    size: String(BYTES),
    source: { csi: { driver: DRIVER, volumeHandle: volumeId } },
    mode: capability.block === undefined ? 'Filesystem' : 'Block',
    ...(ownerReferences && { ownerReferences }),
  });
}

/** The volume's entry in the kubelet's /stats/summary. */
async function summaryOf(volume: string): Promise<Record<string, unknown> | undefined> {
  const { pods } = JSON.parse(await kubeletText('/stats/summary')) as {
    pods: { podRef: { name: string }; volume?: Record<string, unknown>[] }[];
  };
  const found = pods.find(({ podRef }) => podRef.name === POD);
  return found?.volume?.find(({ name }) => name === volume);
}

/** The six numbers in stat(1)'s words, as the kubelet names them. */
function statOf(path: string): Record<string, number> {
  const text = execFileSync('stat', ['-f', '-c', '%S %b %f %a %c %d', path], { encoding: 'utf8' });
  const [size = 0, blocks = 0, free = 0, available = 0, inodes = 0, inodesFree = 0] = text
    .split(' ')
    .map(Number);
  return {
    capacityBytes: blocks * size,
    availableBytes: available * size,
    usedBytes: (blocks - free) * size,
    inodes,
    inodesFree,
    inodesUsed: inodes - inodesFree,
  };
}

async function podOf(): Promise<{ metadata: { uid: string }; status: PodStatus }> {
  return (await get(pathOf('Pod', POD))) as { metadata: { uid: string }; status: PodStatus };
}

interface PodStatus {
  readonly phase: string;
  /** Without conditions: the volume has recovered. */
  readonly volumeHealth?: readonly { name: string; healthConditions?: readonly Condition[] }[];
}

interface Condition {
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

const shown = ({ status, reason, message }: Condition): Condition => ({ status, reason, message });

/** What the kubelet wrote about a volume's health into the pod's status. */
async function volumeHealth(volume: string): Promise<Condition[]> {
  const { volumeHealth: all = [] } = (await podOf()).status;
  return all
    .filter(({ name }) => name === volume)
    .flatMap(({ healthConditions = [] }) => healthConditions.map(shown));
}

/** What it wrote about the driver's storage into the CSINode. */
async function storageHealth(): Promise<Condition[]> {
  const { status } = (await get(`/apis/storage.k8s.io/v1/csinodes/${NODE_NAME}`)) as {
    status?: { storageHealth?: { name: string; healthConditions?: Condition[] }[] };
  };
  const all = status?.storageHealth ?? [];
  return all
    .filter(({ name }) => name === DRIVER)
    .flatMap(({ healthConditions = [] }) => healthConditions.map(shown));
}

async function isRegistered(): Promise<boolean> {
  const { spec } = (await get(`/apis/storage.k8s.io/v1/csinodes/${NODE_NAME}`)) as {
    spec: { drivers?: { name: string; nodeID: string }[] };
  };
  return spec.drivers?.some(({ name, nodeID }) => name === DRIVER && nodeID === NODE_NAME) ?? false;
}

/** Removes an object that waits for a controller, of which none runs. */
async function removeProtected(kind: string, name: string): Promise<void> {
  const path = pathOf(kind, name);
  await api('PATCH', path, { metadata: { finalizers: null } }, 'application/merge-patch+json');
  await remove(kind, name, 'default');
}

const PATIENCE = { timeout: 300_000, interval: 500 };

beforeAll(async () => {
  mkdirSync(DISK);
  writeFileSync(`${DISK}.img`, '');
  truncateSync(`${DISK}.img`, 128 << 20);
  execFileSync('mkfs.ext4', ['-q', '-F', `${DISK}.img`]);
  execFileSync('mount', ['-o', 'loop', `${DISK}.img`, DISK]);
  mkdirSync(PLUGIN, { recursive: true });
  await make('CSIDriver', DRIVER, {
    spec: {
      attachRequired: false,
      podInfoOnMount: true,
      volumeLifecycleModes: ['Persistent', 'Ephemeral'],
      fsGroupPolicy: 'File',
    },
  });
  driver = await start();
  await driver.said('registered with the kubelet');
  caller = new CsiTestClient(SOCKET);
  await provision('example-dir', DIRECTORY);
  await provision('example-block', BLOCK);
  const pod = (await makePod(POD, {
    volumes: [
      { name: 'dir', persistentVolumeClaim: { claimName: 'example-dir' } },
      { name: 'block', persistentVolumeClaim: { claimName: 'example-block' } },
      { name: 'inline', csi: { driver: DRIVER } },
      {
        name: 'scratch',
        ephemeral: {
          volumeClaimTemplate: {
            spec: {
              accessModes: ['ReadWriteOnce'],
              storageClassName: 'manual',
              resources: { requests: { storage: String(BYTES) } },
            },
          },
        },
      },
    ],
    devices: ['block'],
    shell: 'for v in dir inline scratch; do echo hello > /v/$v/file; done; sleep 1000000',
  })) as { metadata: { uid: string } };
  await provision(`${POD}-scratch`, DIRECTORY, [
    { apiVersion: 'v1', kind: 'Pod', name: POD, uid: pod.metadata.uid, controller: true },
  ]);
  while ((await podOf()).status.phase !== 'Running') await delay(100);
});

afterAll(async () => {
  await remove('Pod', POD, 'default');
  // The kubelet goes on after the pod is gone. The loop device of the block volume is on the disk.
  for (const id of ids.values()) {
    await driver.said(`NodeUnstageVolume ${JSON.stringify(id)} is done`);
  }
  for (const claim of ids.keys()) {
    await removeProtected('PersistentVolumeClaim', claim);
    await removeProtected('PersistentVolume', `pv-${claim}`);
  }
  await api('DELETE', pathOf('CSIDriver', DRIVER));
  caller.close();
  await driver.stop();
  execFileSync('umount', [DISK]);
  rmSync(`${DISK}.img`);
  rmSync(DISK, { recursive: true });
  rmSync(PLUGIN, { recursive: true, force: true });
  closeDoors();
});

describe('the example driver under a real kubelet', () => {
  test('is registered, without a sidecar', async () => {
    expect(await isRegistered()).toBe(true);
  });

  test.each(['dir', 'inline', 'scratch'])('has the numbers of stat -f for the volume %s', async (volume) => {
    const { metadata } = await podOf();
    const pv = { dir: 'pv-example-dir', inline: 'inline', scratch: `pv-${POD}-scratch` }[volume] ?? '';
    const path = join(KUBELET_ROOT, 'pods', metadata.uid, 'volumes/kubernetes.io~csi', pv, 'mount');
    expect(readFileSync(join(path, 'file'), 'utf8')).toBe('hello\n');
    await expect.poll(() => summaryOf(volume), PATIENCE).toMatchObject(statOf(path));
  });

  test('has the size of a block volume', async () => {
    await expect
      .poll(() => summaryOf('block'), PATIENCE)
      .toMatchObject({ capacityBytes: Number(BYTES), pvcRef: { name: 'example-block' } });
    const { metadata } = await podOf();
    const devices = join(KUBELET_ROOT, 'plugins/kubernetes.io/csi/volumeDevices');
    const published = join(devices, 'pv-example-block/dev', metadata.uid);
    expect(statSync(published).isBlockDevice()).toBe(true);
    const size = execFileSync('blockdev', ['--getsize64', published], { encoding: 'utf8' });
    expect(BigInt(size.trim())).toBe(BYTES);
  });

  test.each([
    ['dir', 'example-dir'],
    ['block', 'example-block'],
    ['scratch', `${POD}-scratch`],
  ])(
    'that calls the volume %s ill is believed, and so it is when the volume recovers',
    async (volume, claim) => {
      const folder = join(DATA_ROOT, 'volumes', ids.get(claim) ?? '');
      const marker = join(folder, 'abnormal');
      expect(await volumeHealth(volume)).toEqual([]);
      writeFileSync(marker, 'reads take a second');
      await expect
        .poll(() => volumeHealth(volume), PATIENCE)
        .toEqual([{ status: 'Degraded', reason: 'MarkedAbnormal', message: 'reads take a second' }]);
      rmSync(marker);
      await expect.poll(() => volumeHealth(volume), PATIENCE).toEqual([]);
    },
  );

  test('that has lost a volume’s data says so', async () => {
    const data = join(DATA_ROOT, 'volumes', ids.get('example-dir') ?? '', 'data');
    renameSync(data, `${data}-away`);
    await expect
      .poll(() => volumeHealth('dir'), PATIENCE)
      .toEqual([{ status: 'DataLoss', reason: 'DataMissing', message: 'the data of the volume is gone' }]);
    renameSync(`${data}-away`, data);
    await expect.poll(() => volumeHealth('dir'), PATIENCE).toEqual([]);
  });

  test('says of its storage what is wrong, and takes it back', async () => {
    const marker = join(DATA_ROOT, 'abnormal');
    expect(await storageHealth()).toEqual([]);
    writeFileSync(marker, 'one of two disks is gone');
    await expect
      .poll(storageHealth, PATIENCE)
      .toEqual([
        { status: 'StorageDegraded', reason: 'MarkedAbnormal', message: 'one of two disks is gone' },
      ]);
    rmSync(marker);
    await expect.poll(storageHealth, PATIENCE).toEqual([]);
  });

  test('is registered again after it was killed', async () => {
    driver.kill('SIGKILL');
    await driver.ended;
    driver = await start();
    await driver.said('registered with the kubelet');
    expect(await isRegistered()).toBe(true);
    const { metadata } = await podOf();
    const volumes = join(KUBELET_ROOT, 'pods', metadata.uid, 'volumes/kubernetes.io~csi');
    await expect
      .poll(() => summaryOf('dir'), PATIENCE)
      .toMatchObject(statOf(join(volumes, 'pv-example-dir/mount')));
  });

  test('is gone from the node once it has ended, and there again when it starts', async () => {
    await driver.stop();
    await expect.poll(isRegistered, PATIENCE).toBe(false);
    driver = await start();
    await driver.said('registered with the kubelet');
    expect(await isRegistered()).toBe(true);
  });

  test('is registered again after the kubelet was killed', async () => {
    const before = driver.lines.filter((line) => line === 'registered with the kubelet').length;
    execFileSync(process.execPath, [MAIN, 'restart', 'kubelet'], { stdio: 'ignore' });
    await expect
      .poll(() => driver.lines.filter((line) => line === 'registered with the kubelet').length, PATIENCE)
      .toBeGreaterThan(before);
    expect(await isRegistered()).toBe(true);
  });

  test('serves two pods of one claim that are deleted together', async () => {
    const names = ['example-twin-a', 'example-twin-b'];
    for (const name of names) {
      await makePod(name, {
        volumes: [{ name: 'dir', persistentVolumeClaim: { claimName: 'example-dir' } }],
      });
    }
    for (const name of names) {
      await expect
        .poll(async () => ((await get(pathOf('Pod', name))) as { status: PodStatus }).status.phase, PATIENCE)
        .toBe('Running');
    }
    const unpublished = (): string[] => driver.lines.filter((line) => line.startsWith('NodeUnpublishVolume'));
    const before = unpublished().length;
    await Promise.all(names.map((name) => remove('Pod', name, 'default')));
    await expect.poll(() => unpublished().length, PATIENCE).toBeGreaterThanOrEqual(before + 2);
    for (const line of unpublished().slice(before)) expect(line).toContain('is done');
  });
});
