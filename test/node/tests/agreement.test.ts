import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changed, NodeComparison } from './comparison.js';
import { isKnown, KNOWN_DIFFERENCES, type Difference, type KnownDifference } from './differences.js';
import { closeDoors, get } from '../doors.mjs';
import { NodeVolumes } from './node-volumes.js';
import { make, makeClaim, makePod, pathOf, remove, SLEEP } from '../objects.mjs';
import { DRIVER, KUBELET_ROOT } from '../place.mjs';
import { podsRun } from '../pods.mjs';

/**
 * Both sides measure a node that lives. A difference counts once both have come to rest: the kubelet has
 * measured each volume this many times, and nothing has moved on either side.
 */
const ROUNDS_AT_REST = 5;

/** For a node that never comes to rest. */
const MOST_TRIES = 300;

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

/** Compares until the two agree, but for what is known, or until both have come to rest and do not. */
async function expectAgreement(): Promise<void> {
  let state: ReadonlyMap<string, string> = new Map();
  let seen = new Map<string, Set<string>>();
  let moved: readonly string[] = [];
  for (let tries = 1; ; tries += 1) {
    const comparison = await node.compare();
    const unknown = comparison.differences.filter(
      (each) => !KNOWN_DIFFERENCES.some((known) => isKnown(each, known)),
    );
    if (unknown.length === 0) {
      for (const known of KNOWN_DIFFERENCES) {
        if (comparison.differences.some((each) => isKnown(each, known))) met.add(known);
      }
      return;
    }
    const moves = changed(state, comparison.state).map(
      (each) => `${each}: ${state.get(each) ?? 'nothing'}, then ${comparison.state.get(each) ?? 'nothing'}`,
    );
    if (moves.length > 0) {
      moved = moves;
      seen = new Map();
    }
    state = comparison.state;
    for (const [volume, time] of comparison.times)
      seen.set(volume, (seen.get(volume) ?? new Set()).add(time));
    const isAtRest =
      seen.size > 0 && Array.from(seen.values()).every((times) => times.size >= ROUNDS_AT_REST);
    if (isAtRest) expect(unknown.map(lineOf)).toStrictEqual([]);
    if (tries === MOST_TRIES) {
      throw new Error(
        ['they never came to rest:', ...moved, 'and differ:', ...unknown.map(lineOf)].join('\n  '),
      );
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
    const folder = join(KUBELET_ROOT, 'pods', metadata.uid, 'volumes/kubernetes.io~empty-dir/unused');
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
    await podsRun();
    await expectAgreement();
  });
});

test('the list of differences has at most ten entries, and each of them happens', () => {
  expect(KNOWN_DIFFERENCES.length).toBeLessThanOrEqual(10);
  expect(KNOWN_DIFFERENCES.filter((known) => !met.has(known))).toStrictEqual([]);
});
