import { describe, expect, test } from 'vitest';
import type { FolderVolume, SubPathUse } from '../../src/kubelet/disk/pod-folder.js';
import { joinClaims, type ClaimedVolume } from '../../src/kubelet/join-claims.js';
import type { ClaimSource } from '../../src/kubelet/sources.js';
import { apiPod, boundVolume, claimed, claimSource, nodePod } from './support/node-pods.js';

const entry = (name: string, mode: FolderVolume['mode'] = 'Filesystem'): FolderVolume => ({
  plugin: 'kubernetes.io/csi',
  name,
  mode,
  path: `/root/pods/uid/volumes/kubernetes.io~csi/${name}`,
});

interface Given {
  readonly entries: readonly FolderVolume[];
  readonly uses?: readonly SubPathUse[];
  readonly claims?: ClaimSource;
}

async function join(
  pod: ReturnType<typeof apiPod>,
  { entries, uses = [], claims }: Given,
): Promise<string[]> {
  const joined = await joinClaims(nodePod(pod), { entries, subPaths: () => uses, claims });
  return joined.map(
    ({ volume, entry: found, unknown }: ClaimedVolume) =>
      `${volume.name}: ${found?.name ?? unknown ?? 'nothing'}`,
  );
}

describe('which folder belongs to which claim', () => {
  test('the only claim has the only folder, and nobody is asked', async () => {
    const claims = claimSource([]);
    expect(await join(apiPod('p', [claimed('data')]), { entries: [entry('pvc-1')], claims })).toEqual([
      'data: pvc-1',
    ]);
    expect(claims.asked).toEqual([]);
  });

  test('a block volume and a filesystem are told apart by how containers use them', async () => {
    const pod = apiPod('p', [claimed('disk'), claimed('data')], {
      containers: [{ name: 'main', volumeMounts: [{ name: 'data' }], volumeDevices: [{ name: 'disk' }] }],
    });
    expect(await join(pod, { entries: [entry('pvc-1'), entry('pvc-2', 'Block')] })).toEqual([
      'disk: pvc-2',
      'data: pvc-1',
    ]);
  });

  test('two claims and one folder: the other may be mounted already, so it is open', async () => {
    expect(await join(apiPod('p', [claimed('a'), claimed('b')]), { entries: [entry('pvc-1')] })).toEqual([
      "a: which of the volumes on disk (pvc-1) is this claim's is not known; with a source of claims, the API server tells",
      "b: which of the volumes on disk (pvc-1) is this claim's is not known; with a source of claims, the API server tells",
    ]);
  });

  test('a claim that a pod names twice has one folder for both', async () => {
    const pod = apiPod('p', [claimed('a', 'same'), claimed('b', 'same')]);
    expect(await join(pod, { entries: [entry('pvc-1')] })).toEqual(['a: pvc-1', 'b: pvc-1']);
    const more = apiPod('p', [claimed('a', 'same'), claimed('other'), claimed('b', 'same')]);
    const claims = claimSource([boundVolume('pvc-1', 'same'), boundVolume('pvc-2', 'other-claim')]);
    expect(await join(more, { entries: [entry('pvc-2'), entry('pvc-1')], claims })).toEqual([
      'a: pvc-1',
      'other: pvc-2',
      'b: pvc-1',
    ]);
    expect(claims.asked.sort()).toEqual(['default/other-claim', 'default/same']);
  });

  test('10,000 claims of one pod cost no more than their number', async () => {
    const volumes = Array.from({ length: 10_000 }, (_, index) => claimed(`v${String(index)}`));
    let reads = 0;
    const pod = nodePod(apiPod('p', volumes));
    const counted = pod.containers.map((each) => ({
      ...each,
      get volumeMounts() {
        reads += 1;
        return each.volumeMounts;
      },
    }));
    const context = { entries: [], subPaths: () => [], claims: undefined };
    expect(await joinClaims({ ...pod, containers: counted }, context)).toHaveLength(10_000);
    expect(reads).toBe(1);
  });

  test('a claim that no container uses has no folder, and does not count', async () => {
    const pod = apiPod('p', [claimed('a'), claimed('unused')], {
      containers: [{ name: 'main', volumeMounts: [{ name: 'a' }] }],
    });
    expect(await join(pod, { entries: [entry('pvc-1')] })).toEqual(['a: pvc-1', 'unused: nothing']);
  });

  test('volume-subpaths tells one, and what is left over is the other', async () => {
    const pod = apiPod('p', [claimed('a'), claimed('b')], {
      containers: [
        { name: 'first', volumeMounts: [{ name: 'a' }] },
        { name: 'second', volumeMounts: [{ name: 'a' }, { name: 'b', subPath: 'x' }] },
      ],
    });
    const uses = [{ volume: 'pvc-2', container: 'second', index: 1 }];
    expect(await join(pod, { entries: [entry('pvc-1'), entry('pvc-2')], uses })).toEqual([
      'a: pvc-1',
      'b: pvc-2',
    ]);
  });

  test('an inline volume with the name of a PersistentVolume does not mislead it', async () => {
    // Both have the folder volume-subpaths/pvc-1.
    const pod = apiPod('p', [{ name: 'pvc-1', emptyDir: {} }, claimed('a'), claimed('b')], {
      containers: [
        {
          name: 'main',
          volumeMounts: [{ name: 'pvc-1', subPath: 'x' }, { name: 'a', subPath: 'y' }, { name: 'b' }],
        },
      ],
    });
    const uses = [
      { volume: 'pvc-1', container: 'main', index: 0 },
      { volume: 'pvc-1', container: 'main', index: 1 },
    ];
    expect(await join(pod, { entries: [entry('pvc-1'), entry('pvc-2')], uses })).toEqual([
      'a: pvc-1',
      'b: pvc-2',
    ]);
  });

  test.each([
    [{ volume: 'pvc-1', container: 'nobody', index: 0 }],
    [{ volume: 'pvc-1', container: 'main', index: 7 }],
    [{ volume: 'elsewhere', container: 'main', index: 0 }],
  ])('volume-subpaths that fits nothing tells nothing: %j', async (use) => {
    const found = await join(apiPod('p', [claimed('a'), claimed('b')]), {
      entries: [entry('pvc-1'), entry('pvc-2')],
      uses: [use],
    });
    expect(found.every((each) => each.includes('is not known'))).toBe(true);
  });

  test('the API server tells by name, of those that are open', async () => {
    const claims = claimSource([
      boundVolume('pvc-1', 'a-claim'),
      boundVolume('pvc-2', 'b-claim'),
      boundVolume('pvc-3', 'c-claim'),
    ]);
    const pod = apiPod('p', [claimed('a'), claimed('b'), claimed('c')]);
    expect(
      await join(pod, { entries: ['pvc-3', 'pvc-2', 'pvc-1'].map((name) => entry(name)), claims }),
    ).toEqual(['a: pvc-1', 'b: pvc-2', 'c: pvc-3']);
    expect(claims.asked.sort()).toEqual(['default/a-claim', 'default/b-claim', 'default/c-claim']);
  });

  test('what it knows of one claim can tell the other, too', async () => {
    const known = claimSource([boundVolume('pvc-1', 'a-claim')]);
    const claims: ClaimSource = {
      name: 'API server',
      claim: (namespace, name) =>
        name === 'a-claim' ? known.claim(namespace, name) : Promise.reject(new Error('forbidden\n')),
    };
    const pod = apiPod('p', [claimed('a'), claimed('b')]);
    expect(await join(pod, { entries: [entry('pvc-1'), entry('pvc-2')], claims })).toEqual([
      'a: pvc-1',
      'b: pvc-2',
    ]);
  });

  test('a claim that cannot be looked up is open, with what the source said', async () => {
    const claims: ClaimSource = {
      name: 'API server',
      claim: () => Promise.reject(new Error('forbidden\u001b[0m')),
    };
    const pod = apiPod('p', [claimed('a'), claimed('b')]);
    expect((await join(pod, { entries: [entry('pvc-1'), entry('pvc-2')], claims }))[0]).toBe(
      "a: which folder is this claim's is not known: API server was asked for it and failed: forbidden\\x1b[0m",
    );
  });

  test('a source that never answers holds up nothing for long', async () => {
    let signal: AbortSignal | undefined;
    const claims: ClaimSource = {
      name: 'API server',
      claim: (_namespace, _name, options) => {
        signal = options?.signal;
        return new Promise(() => undefined);
      },
    };
    const pod = apiPod('p', [claimed('a'), claimed('b')]);
    const found = await join(pod, { entries: [entry('pvc-1'), entry('pvc-2')], claims });
    expect(found[1]).toBe(
      "b: which folder is this claim's is not known: API server was asked for it and failed: no answer within 5000 ms",
    );
    expect(signal?.aborted).toBe(true);
  });

  test('a claim that does not exist, or is not bound, is open and says so', async () => {
    const bound = claimSource([boundVolume('pvc-1', 'b-claim')]);
    const claims: ClaimSource = {
      name: 'API server',
      claim: async (namespace, name) => {
        if (name === 'a-claim') return undefined;
        const found = (await bound.claim(namespace, 'b-claim'))!;
        const { namespace: of, uid, volumeMode, ownerUids } = found;
        return { namespace: of, name, uid, volumeMode, ownerUids, phase: 'Pending' };
      },
    };
    const pod = apiPod('p', [claimed('a'), claimed('b')]);
    expect(await join(pod, { entries: [], claims })).toEqual([
      'a: there is no claim a-claim',
      'b: the claim is Pending: it has no volume yet',
    ]);
  });

  test("the claim of an ephemeral volume must be the pod's own", async () => {
    const bound = claimSource([boundVolume('pvc-1', 'p-scratch'), boundVolume('pvc-2', 'a-claim')]);
    let ownerUids: string[] = [];
    const claims: ClaimSource = {
      name: 'API server',
      claim: async (namespace, name) => ({ ...(await bound.claim(namespace, name))!, ownerUids }),
    };
    const pod = apiPod('p', [
      { name: 'scratch', ephemeral: { volumeClaimTemplate: {} } },
      claimed('a'),
      claimed('b'),
    ]);
    const entries = [entry('pvc-1'), entry('pvc-2')];
    expect((await join(pod, { entries, claims: { ...claims } }))[0]).toBe(
      "scratch: the claim p-scratch is not this pod's, so the kubelet does not mount it",
    );
    ownerUids = ['p-uid'];
    expect((await join(pod, { entries, claims })).slice(0, 2)).toEqual(['scratch: pvc-1', 'a: pvc-2']);
  });
});
