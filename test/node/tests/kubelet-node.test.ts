import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  FsResourceAnalyzer,
  statsSummary,
  type PodVolumeStats,
  type VolumeStats,
} from '../../../src/index.js';
import {
  ApiClient,
  apiServerClaims,
  apiServerPods,
  KubeletClient,
  KubeletNode,
  kubeletPods,
  podsOnDisk,
  type KubeletNodeOptions,
  type VolumeDescription,
} from '../../../src/kubelet/index.js';
import { needs } from '../../support/needs.js';
import { api, closeDoors } from '../doors.mjs';
import { makeAccount, makeClaim, makePod, remove, SLEEP } from '../objects.mjs';
import { API_SERVER, DRIVER, KUBELET, KUBELET_ROOT, LOGS, NODE_NAME, PKI } from '../place.mjs';
import { podsRun } from '../pods.mjs';
import { nodeTruth, NUMBERS, type TruePod, type TrueVolume } from './node-truth.js';
import { settled } from './settled.js';

// `new FsResourceAnalyzer(new KubeletNode(...))` on the real node, through each door.

const MAIN = join(import.meta.dirname, '../main.mjs');
const READER = 'reader';
const pki = (name: string): string => join(PKI, name);
const directory = mkdtempSync(join(tmpdir(), 'kvm-node-doors-'));
const tokenFile = join(directory, 'token');

/** A way in, and what it cannot know. */
interface Door {
  readonly title: string;
  readonly node: KubeletNode;
  readonly analyzer: FsResourceAnalyzer;
  /** Whether it can ask for claims: otherwise which folder is which of several claims stays open. */
  readonly hasClaims: boolean;
  /** Whether it can ask the kubelet for what containers use. */
  readonly hasSummary: boolean;
  /** Whether it knows nothing but folders. */
  readonly isDisk: boolean;
}

const clients: { close(): void }[] = [];
const doors: Door[] = [];

function open(title: string, options: Omit<KubeletNodeOptions, 'rootDir'>, isDisk = false): void {
  const node = new KubeletNode(options);
  clients.push(node);
  doors.push({
    title,
    node,
    analyzer: new FsResourceAnalyzer(node, { periodMs: 0, walkShare: 1 }),
    hasClaims: options.claims !== undefined,
    hasSummary: options.summary !== undefined,
    isDisk,
  });
}

const closing = <T extends { close(): void }>(client: T): T => {
  clients.push(client);
  return client;
};

beforeAll(async () => {
  await podsRun();
  await makeAccount(READER, ['pods', 'metrics', 'stats']);
  const path = `/api/v1/namespaces/default/serviceaccounts/${READER}/token`;
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const { object } = (await api('POST', path, asked)) as { object: { status: { token: string } } };
  writeFileSync(tokenFile, object.status.token);

  const admin = { type: 'tls', certFile: pki('admin.crt'), keyFile: pki('admin.key') } as const;
  const caFile = pki('ca.crt');
  const byCertificate = closing(new KubeletClient({ endpoint: KUBELET, caFile, auth: admin }));
  open('a client certificate', { pods: kubeletPods(byCertificate), summary: byCertificate });

  const auth = { type: 'serviceAccount', tokenFile } as const;
  const byAccount = closing(new KubeletClient({ endpoint: KUBELET, caFile, auth }));
  open('a service account with three rights', { pods: kubeletPods(byAccount), summary: byAccount });

  const server = closing(new ApiClient({ endpoint: API_SERVER, caFile, auth: admin }));
  open('the API server', { pods: apiServerPods(server, NODE_NAME), claims: apiServerClaims(server) });

  const own = { type: 'tls', certFile: pki('kubelet.crt'), keyFile: pki('kubelet.key') } as const;
  const kubectl = { kubeconfig: pki('kubelet.kubeconfig') };
  const worker = closing(
    needs({ programs: ['kubectl'] }) === false
      ? new ApiClient({ transport: 'kubectl', kubectl })
      : new ApiClient({ endpoint: API_SERVER, caFile, auth: own }),
  );
  const ofWorker = { pods: apiServerPods(worker, NODE_NAME), claims: apiServerClaims(worker) };
  open("a worker's own credentials", ofWorker);

  open('the disk alone', { pods: podsOnDisk() }, true);
});

afterAll(() => {
  for (const each of clients.reverse()) each.close();
  rmSync(directory, { recursive: true });
  closeDoors();
});

type Row = Readonly<Record<string, string | undefined>>;

/** The rows that a door has to show of a pod, by the name of the volume. */
function expectedRows(pod: TruePod, { hasClaims, isDisk }: Door): ReadonlyMap<string, Row> {
  const open = hasClaims ? [] : openClaims(pod);
  return new Map(
    pod.volumes.flatMap((volume): [string, Row][] => {
      const { name, plugin, persistentVolume } = volume;
      const folder = `${plugin ?? ''}/${persistentVolume ?? ''}`;
      if (isDisk) {
        if (plugin === undefined) return [];
        return persistentVolume === undefined
          ? [[name, rowOf(volume, { claim: undefined })]]
          : [[folder, rowOf(volume, { claim: undefined })]];
      }
      // Without a folder, only the claim tells the PersistentVolume.
      const isNamed = plugin !== undefined || hasClaims;
      if (!open.includes(volume)) {
        return [[name, rowOf(volume, isNamed ? {} : { persistentVolume: undefined })]];
      }
      const unknown = { claim: volume.claim, state: 'failed', provider: 'unknown' };
      // Its numbers are there under the name of the folder, and it says itself why it has none.
      const rows: [string, Row][] = [[name, unknown]];
      return plugin === undefined ? rows : [...rows, [folder, rowOf(volume, { claim: undefined })]];
    }),
  );
}

/** The claims of which the disk does not tell which folder is which. */
function openClaims({ volumes }: TruePod): readonly TrueVolume[] {
  return (['Filesystem', 'Block'] as const).flatMap((mode) => {
    const claims = volumes.filter((each) => each.claim !== undefined && each.mode === mode);
    return claims.length > 1 && claims.some(({ plugin }) => plugin !== undefined) ? claims : [];
  });
}

function rowOf(volume: TrueVolume, change: Row = {}): Row {
  const { claim, state, provider, driver, volumeHandle, persistentVolume, mode } = volume;
  const numbers = Object.fromEntries(
    Object.keys(NUMBERS).map((field) => {
      const value = volume.numbers?.[field];
      // Of a device only the capacity is known, and the kubelet writes 0 for what it does not know.
      const isUnknown = mode === 'Block' && field !== 'capacityBytes' && value === 0;
      return [field, isUnknown ? undefined : value?.toString()];
    }),
  );
  return { claim, state, provider, driver, volumeHandle, persistentVolume, ...numbers, ...change };
}

/** Of the filesystem that a directory is on. */
const OF_FILESYSTEM = ['availableBytes', 'capacityBytes', 'inodesFree', 'inodes'];

function foundRow(stats: VolumeStats, known: VolumeDescription, expected: Row, since: number): Row {
  const { pvcRef, state, provider, metrics } = stats;
  const found: Record<string, string | undefined> = {
    claim: pvcRef && `${pvcRef.namespace}/${pvcRef.name}`,
    state,
    provider,
    driver: known.driver,
    // What the kubelet makes up for an inline volume is not in the API.
    volumeHandle: known.kind === 'csi' ? undefined : known.volumeHandle,
    persistentVolume: known.persistentVolume,
  };
  // The disk does not tell an inline volume's kind but by its mode, which is in its handle.
  if (known.kind === 'csi' && !/^csi-[0-9a-f]{64}$/.test(known.volumeHandle ?? '')) {
    found['volumeHandle'] = `not made up: ${known.volumeHandle ?? 'none'}`;
  }
  // The kubelet leaves a pod that crashes out of its summary: there is nothing to compare the numbers with.
  const isCompared = Object.keys(NUMBERS).some((field) => expected[field] !== undefined);
  const numbers = isCompared ? Object.entries(NUMBERS) : [];
  // That of a configMap is kept, here for a minute and in the kubelet until it syncs the pod.
  const isKept = known.plugin === 'kubernetes.io/configmap' && metrics!.time.getTime() < since;
  for (const [field, name] of numbers) {
    if (!isKept || !OF_FILESYSTEM.includes(field)) found[field] = metrics?.[name]?.toString();
  }
  return found;
}

/** What a door shows that is not so, a line each. */
function differences(
  door: Door,
  pod: TruePod,
  stats: PodVolumeStats,
  described: readonly VolumeDescription[],
  since: number,
): readonly string[] {
  const lines: string[] = [];
  const say = (where: string, what: string, expected: unknown, found: unknown): void => {
    lines.push(`${door.title}: ${pod.name} ${where}: ${what} is ${String(expected)}, found ${String(found)}`);
  };
  const expected = expectedRows(pod, door);
  const all = [...stats.ephemeralVolumes, ...stats.persistentVolumes];
  const found = new Map(all.map((each) => [each.name, each]));
  const known = new Map(described.map((each) => [each.name, each]));
  const name = door.isDisk ? `/${pod.uid}` : pod.name;
  const { podRef } = stats;
  if (`${podRef.namespace}/${podRef.name}` !== name) say('pod', 'name', name, podRef.name);
  for (const volume of new Set([...expected.keys(), ...found.keys(), ...known.keys()])) {
    const [row, one, about] = [expected.get(volume), found.get(volume), known.get(volume)];
    if (row === undefined || one === undefined || about === undefined) {
      say(volume, 'volume', row && 'there', one === undefined ? about && 'described only' : 'there');
      continue;
    }
    const shown = foundRow(one, about, row, since);
    for (const field of Object.keys(shown)) {
      if (row[field] !== shown[field]) {
        say(volume, field, row[field], `${shown[field] ?? 'none'} ${one.error?.message ?? ''}`);
      }
    }
    // What is not known has its reason, and nothing else has one.
    const isOpen = row['state'] === 'failed' || volume.includes('/') || door.isDisk;
    if (isOpen !== about.unknown.length > 0) say(volume, 'unknown', isOpen, about.unknown.join('; '));
  }
  return lines;
}

/** The pod's sum as a summary writes it, beside the kubelet's. */
async function ephemeralDifferences(door: Door, pod: TruePod, stats: PodVolumeStats): Promise<string[]> {
  if (!door.hasSummary) return [];
  const sum = await door.node.ephemeralStorage(stats);
  const ephemeralStorage = new Map(sum && [[pod.uid, sum]]);
  const found = statsSummary([stats], { ephemeralStorage }).pods[0]?.['ephemeral-storage'];
  return (['usedBytes', 'inodesUsed'] as const).flatMap((field) => {
    const [expected, value] = [pod.ephemeral?.[field]?.toString(), found?.[field]?.toString()];
    const text = `${door.title}: ${pod.name}: ephemeral ${field} is ${String(expected)}, found ${String(value)}`;
    return expected === value ? [] : [text];
  });
}

/** Measures through a door, and compares with what is so. */
async function throughDoor(door: Door): Promise<{ lines: readonly string[]; round: string }> {
  const since = Date.now();
  const pods = await door.analyzer.calculate();
  const { pods: truth, round } = await nodeTruth();
  const expected = new Map(truth.map((each) => [each.uid, each]));
  const found = new Map(pods.map((each) => [each.podRef.uid, each]));
  const lines: string[] = [];
  for (const uid of new Set([...expected.keys(), ...found.keys()])) {
    const [pod, stats] = [expected.get(uid), found.get(uid)];
    if (pod === undefined || stats === undefined) {
      // A pod that was deleted, or has ended, may leave its folder for a while or for good.
      const isGone = door.isDisk && (pod === undefined || pod.volumes.every(({ plugin }) => !plugin));
      if (!isGone) lines.push(`${door.title}: the pod ${pod?.name ?? uid} is only on one side`);
      continue;
    }
    const described = await door.node.describe(uid);
    lines.push(...differences(door, pod, stats, described ?? [], since));
    lines.push(...(await ephemeralDifferences(door, pod, stats)));
  }
  for (const warning of door.node.warnings()) lines.push(`${door.title} warns: ${warning}`);
  return { lines, round };
}

async function expectAllDoorsRight(): Promise<void> {
  const lasting = [];
  for (const door of doors) lasting.push(...(await settled(() => throughDoor(door))));
  expect(lasting).toEqual([]);
}

const restart = (daemon: string): Promise<unknown> =>
  promisify(execFile)(process.execPath, [MAIN, 'restart', daemon]);

describe('claims, providers, states and numbers are those that the kubelet has, through every door,', () => {
  test('of pods with every kind of volume, one that has ended and one that crashes', async () => {
    expect(doors).toHaveLength(5);
    const { pods } = await nodeTruth();
    const volumes = pods.flatMap((pod) => pod.volumes);
    expect(volumes.length).toBeGreaterThan(35);
    expect(new Set(volumes.map(({ provider }) => provider)).size).toBe(6);
    await expectAllDoorsRight();
  });

  test('while pods come, go and are made anew under the same names', async () => {
    const names = ['comes-0', 'comes-1', 'comes-2'];
    const volumesOf = (name: string): object[] => [
      { name: 'disk', emptyDir: {} },
      { name: 'memory', emptyDir: { medium: 'Memory' } },
      { name: 'one', persistentVolumeClaim: { claimName: `${name}-one` } },
      { name: 'two', persistentVolumeClaim: { claimName: `${name}-two` } },
      { name: 'inline', csi: { driver: DRIVER, volumeAttributes: { size: '1Mi' } } },
    ];
    const makeAll = (): Promise<unknown> =>
      Promise.all(
        names.map(async (name, index) => {
          for (const part of ['one', 'two']) {
            const volumeHandle = `vol-${name}-${part}`;
            await makeClaim(`${name}-${part}`, {
              size: '1Gi',
              source: { csi: { driver: DRIVER, volumeHandle } },
            });
          }
          const shell = `echo x > /v/disk/f; ${index === 2 ? 'exit 1' : SLEEP}`;
          await makePod(name, { volumes: volumesOf(name), shell });
        }),
      );
    const measuring = new AbortController();
    const measured = doors.map(async ({ analyzer }) => {
      while (!measuring.signal.aborted) {
        await analyzer.calculate();
        await delay(200);
      }
    });
    try {
      await makeAll();
      await podsRun();
      await expectAllDoorsRight();
      for (const name of names) await remove('Pod', name);
      await makeAll();
      await podsRun();
    } finally {
      measuring.abort();
      await Promise.allSettled(measured);
    }
    await Promise.all(measured);
    await expectAllDoorsRight();
    for (const name of names) await remove('Pod', name);
    await expectAllDoorsRight();
  });

  test('when a driver is killed and started again', async () => {
    await restart('csi-driver');
    await expectAllDoorsRight();
  });

  test('when the kubelet is killed and started again, and no reading is lost', async () => {
    const readings = (): string[] =>
      doors.flatMap(({ title, analyzer }) =>
        analyzer
          .podVolumeStats()
          .flatMap(({ podRef, ephemeralVolumes, persistentVolumes }) =>
            [...ephemeralVolumes, ...persistentVolumes].flatMap(({ name, metrics }) =>
              metrics === undefined ? [] : [`${title}: ${podRef.uid} ${name}`],
            ),
          ),
      );
    await expectAllDoorsRight();
    const before = readings();
    expect(before.length).toBeGreaterThan(150);
    let isBack = false;
    const restarted = (async () => {
      await restart('kubelet');
      while (!(await nodeTruth().catch(() => undefined))) await delay(100);
      isBack = true;
    })();
    while (!isBack) {
      // A kubelet that takes its time fails a round; what was measured before stays.
      await Promise.allSettled(doors.map(({ analyzer }) => analyzer.calculate()));
      expect(readings()).toEqual(expect.arrayContaining(before));
    }
    await restarted;
    await expectAllDoorsRight();
  });
});

test('the drivers are asked for the volumes and paths that the kubelet asks for', async () => {
  const asked = (): string[] =>
    readFileSync(join(LOGS, 'csi-driver.log'), 'utf8')
      .split('\n')
      .flatMap((line) => /NodeGetVolumeStats \{(.*?)\} ->/.exec(line)?.[1] ?? []);
  const withoutStaging = (text: string): string => text.replace(/ +staging_target_path:"[^"]*"/, '');
  await expectAllDoorsRight();
  const ofKubelet = new Set(asked().filter((text) => !text.includes('staging_target_path')));
  const seen = asked().length;
  for (const { analyzer } of doors) await analyzer.calculate();
  const ours = asked().slice(seen);
  expect(ours.length).toBeGreaterThan(30);
  expect(ours.map(withoutStaging).filter((text) => !ofKubelet.has(text))).toEqual([]);
  // The kubelet names no staging path; where one is named, the kubelet has made it.
  const staged = ours.flatMap((text) => /staging_target_path:"([^"]*)"/.exec(text)?.[1] ?? []);
  expect(staged.filter((path) => !existsSync(path))).toEqual([]);
});

test('the drivers of the node are found by their registrations', () => {
  for (const { node } of doors) {
    expect(
      node
        .drivers()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([DRIVER, 'nostats.mini.example']);
    expect(node.drivers().every(({ endpoint }) => endpoint.startsWith(KUBELET_ROOT))).toBe(true);
  }
});
