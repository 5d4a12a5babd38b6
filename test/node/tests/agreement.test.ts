import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NodeComparison } from './comparison.js';
import { isKnown, KNOWN_DIFFERENCES, type Difference, type KnownDifference } from './differences.js';
import { closeDoors, get, kubeletText } from '../doors.mjs';
import { NodeVolumes } from './node-volumes.js';
import { make, makeClaim, makePod, pathOf, remove, SLEEP } from '../objects.mjs';
import { DRIVER, KUBELET_ROOT } from '../place.mjs';
import { podsRun } from '../pods.mjs';

/**
 * Both sides measure a node that lives, at different moments. A difference counts once the kubelet has
 * measured this many times, and every comparison between has shown the same difference.
 */
const ROUNDS = 5;

/** For a node on which something moves all the time. */
const MOST_TRIES = 400;

const MAIN = join(import.meta.dirname, '../main.mjs');
const volumes = new NodeVolumes();
const node = new NodeComparison(volumes);
const met = new Set<KnownDifference>();

beforeAll(async () => {
  await podsRun();
});

afterAll(() => {
  volumes.close();
  closeDoors();
});

/** Compares until the two agree, but for what is known, or until a difference has lasted. */
async function expectAgreement(): Promise<void> {
  let times: ReadonlyMap<string, string> = new Map();
  let rounds = new Map<string, number>();
  /** Each difference with the rounds of the volumes when it was first seen. */
  let lasting = new Map<string, ReadonlyMap<string, number>>();
  for (let tries = 1; ; tries += 1) {
    const { differences, times: newTimes } = await node.compare();
    rounds = new Map(
      Array.from(newTimes, ([volume, time]) => [
        volume,
        (rounds.get(volume) ?? 0) + (times.get(volume) === time ? 0 : 1),
      ]),
    );
    times = newTimes;
    const unknown = differences.filter((each) => !KNOWN_DIFFERENCES.some((known) => isKnown(each, known)));
    if (unknown.length === 0) {
      for (const known of KNOWN_DIFFERENCES) {
        if (differences.some((each) => isKnown(each, known))) met.add(known);
      }
      return;
    }
    lasting = new Map(unknown.map(lineOf).map((line) => [line, lasting.get(line) ?? rounds]));
    const established = unknown.filter((each) => {
      const first = lasting.get(lineOf(each))!;
      // What is no volume's, or of one that the kubelet does not have, waits for all.
      const volumes = rounds.has(each.where) ? [each.where] : [...rounds.keys()];
      return (
        volumes.length > 0 &&
        volumes.every((volume) => (rounds.get(volume) ?? 0) - (first.get(volume) ?? 0) >= ROUNDS)
      );
    });
    if (established.length > 0) expect(established.map(lineOf)).toStrictEqual([]);
    if (tries === MOST_TRIES) {
      throw new Error(`they do not come to rest, and differ:\n  ${unknown.map(lineOf).join('\n  ')}`);
    }
    await delay(500);
  }
}

function lineOf({ view, field, plugin, where, kubelet, ours }: Difference): string {
  return `${view} ${field} of ${plugin}, ${where}: kubelet ${kubelet ?? 'nothing'}, here ${ours ?? 'nothing'}`;
}

function restart(daemon: string): void {
  execFileSync(process.execPath, [MAIN, 'restart', daemon], { stdio: 'inherit' });
}

async function kubeletAnswers(): Promise<boolean> {
  try {
    await kubeletText('/stats/summary');
    return true;
  } catch {
    return false;
  }
}

interface PodObject {
  readonly metadata: { readonly uid: string };
  readonly status: { readonly containerStatuses?: readonly { readonly restartCount: number }[] };
}

const podNamed = async (name: string): Promise<PodObject> => (await get(pathOf('Pod', name))) as PodObject;
const claimed = (name: string, claimName: string): object => ({ name, persistentVolumeClaim: { claimName } });
const csi = (volumeHandle: string): object => ({ csi: { driver: DRIVER, volumeHandle } });

describe('a kubelet and this package agree about', () => {
  test('pods with every kind of volume', async () => {
    await expectAgreement();
  });

  test('a volume that is filled and emptied', async () => {
    const { metadata } = await podNamed('kinds');
    const folder = join(KUBELET_ROOT, 'pods', metadata.uid, 'volumes/kubernetes.io~empty-dir/limited');
    for (let index = 0; index < 50; index += 1) writeFileSync(join(folder, `f${index}`), 'x'.repeat(10_000));
    await expectAgreement();
    for (let index = 0; index < 50; index += 1) rmSync(join(folder, `f${index}`));
    await expectAgreement();
  });

  test('a pod whose container is restarted', async () => {
    await makeClaim('restarting', { size: '1Gi', source: csi('vol-restarting') });
    await makePod('restarting', {
      volumes: [{ name: 'disk', emptyDir: {} }, claimed('data', 'restarting')],
      shell: `echo x >> /v/disk/f; [ -e /v/disk/once ] || { touch /v/disk/once; exit 1; }; ${SLEEP}`,
    });
    await podsRun();
    while (((await podNamed('restarting')).status.containerStatuses?.[0]?.restartCount ?? 0) < 1)
      await delay(200);
    await podsRun();
    await expectAgreement();
  });

  test('a pod that is deleted and made again with the same name and claim', async () => {
    const spec = { volumes: [{ name: 'disk', emptyDir: {} }, claimed('data', 'again')] };
    await makeClaim('again', { size: '1Gi', source: csi('vol-again') });
    await makePod('again', { ...spec, shell: `echo first > /v/disk/f; ${SLEEP}` });
    await podsRun();
    await expectAgreement();
    const { uid } = (await podNamed('again')).metadata;
    await remove('Pod', 'again');
    await makePod('again', { ...spec, shell: SLEEP });
    await podsRun();
    expect((await podNamed('again')).metadata.uid).not.toBe(uid);
    await expectAgreement();
  });

  test('20 pods in quick succession, and the node without them', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `many-${index}`);
    await make('ConfigMap', 'many', { data: { 'a.txt': 'a'.repeat(3000) } });
    await Promise.all(
      names.map(async (name, index) => {
        await makeClaim(name, { size: '1Gi', source: csi(`vol-${name}`) });
        await makePod(name, {
          volumes: [
            { name: 'disk', emptyDir: {} },
            { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '4Mi' } },
            { name: 'cm', configMap: { name: 'many' } },
            claimed('data', name),
          ],
          shell: `for i in $(seq ${index * 10}); do echo $i > /v/disk/f$i; done; ${SLEEP}`,
        });
      }),
    );
    await podsRun();
    await expectAgreement();
    await Promise.all(names.map((name) => remove('Pod', name)));
    await expectAgreement();
  });

  test('volumes of a driver that is restarted', async () => {
    restart('csi-driver');
    await expectAgreement();
  });

  test('a node whose kubelet is restarted', async () => {
    restart('kubelet');
    while (!(await kubeletAnswers())) await delay(200);
    await podsRun();
    await expectAgreement();
  });
});

test('the list of differences has at most ten entries, and each of them happens', () => {
  expect(KNOWN_DIFFERENCES.length).toBeLessThanOrEqual(10);
  expect(KNOWN_DIFFERENCES.filter((known) => !met.has(known))).toStrictEqual([]);
});
