import { afterEach, describe, expect, test } from 'vitest';
import { ApiClient, apiServerClaims, type ClaimSource } from '../../src/kubelet/index.js';
import { FakeApiServer, type FakeApiServerOptions } from '../../src/testing/kubelet/index.js';
import { recordedJson } from './recorded.js';

const READER = { name: 'system:serviceaccount:monitoring:reader' };
const GET = [
  { subject: READER.name, resources: ['persistentvolumeclaims', 'persistentvolumes'], verbs: ['get'] },
];

interface Item {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string };
  readonly spec: object;
  readonly status: object;
}

const itemsOf = (version: '1.26' | '1.37', kind: string): Item[] =>
  recordedJson<{ items: Item[] }>(version, `api-${kind}.json`).items;

const ended: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function start(
  objects: FakeApiServerOptions['objects'],
): Promise<{ server: FakeApiServer; claims: ClaimSource; asked: () => string[] }> {
  const server = await FakeApiServer.start({ objects, tokens: { good: READER }, rules: GET });
  const api = new ApiClient({
    endpoint: server.endpoint,
    caFile: server.caFile,
    auth: { type: 'serviceAccount', tokenFile: await server.tokenFile('good') },
  });
  ended.push(
    () => server.stop(),
    () => {
      api.close();
    },
  );
  let seen = 0;
  const asked = (): string[] => {
    const fresh = server.requests.slice(seen).map((path) => path.replace('/api/v1/', ''));
    seen = server.requests.length;
    return fresh;
  };
  return { server, claims: apiServerClaims(api), asked };
}

const claim = (uid: string, spec: object = { volumeName: 'pv' }, phase = 'Bound'): object => ({
  metadata: { name: 'data', namespace: 'shop', uid },
  spec,
  status: { phase, capacity: { storage: '1Gi' } },
});
const volume = (claimUid: unknown, spec: object = { csi: { driver: 'd', volumeHandle: 'h' } }): object => ({
  metadata: { name: 'pv', uid: 'pv-uid' },
  spec: { capacity: { storage: '1Gi' }, claimRef: { uid: claimUid }, ...spec },
});

describe.each(['1.26', '1.37'] as const)('the claims of a real cluster of %s', (version) => {
  test('have the volumes that they are bound to', async () => {
    const [persistentvolumeclaims, persistentvolumes] = [
      itemsOf(version, 'persistentvolumeclaims'),
      itemsOf(version, 'persistentvolumes'),
    ];
    const { claims } = await start({ persistentvolumeclaims, persistentvolumes });
    for (const { metadata, spec } of persistentvolumeclaims) {
      const found = await claims.claim(metadata.namespace!, metadata.name);
      const name = (spec as { volumeName: string }).volumeName;
      const pv = persistentvolumes.find((each) => each.metadata.name === name)!;
      expect(found).toMatchObject({
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        phase: 'Bound',
      });
      expect(found?.volume).toMatchObject({ name, uid: pv.metadata.uid, claimUid: metadata.uid });
      const { csi, local, hostPath, volumeMode } = pv.spec as Record<string, object | undefined>;
      expect(found?.volume?.volumeMode).toBe(volumeMode);
      expect(found?.volume?.kind).toBe(csi ? 'csi' : local ? 'local' : 'hostPath');
      if (csi) expect(csi).toMatchObject(found!.volume!.csi!);
      if (local) expect(found?.volume?.local).toEqual(local);
      if (hostPath) expect(hostPath).toMatchObject(found!.volume!.hostPath!);
    }
  });
});

describe('a claim', () => {
  test('that is bound is asked for once per pod, and its volume once', async () => {
    const { claims, asked } = await start({
      persistentvolumeclaims: [claim('u')],
      persistentvolumes: [volume('u')],
    });
    const first = await claims.claim('shop', 'data', { podUid: 'a' });
    expect(first).toMatchObject({
      uid: 'u',
      capacity: '1Gi',
      volume: { kind: 'csi', csi: { driver: 'd', volumeHandle: 'h' } },
    });
    expect(asked()).toEqual(['namespaces/shop/persistentvolumeclaims/data', 'persistentvolumes/pv']);
    expect(await claims.claim('shop', 'data', { podUid: 'a' })).toEqual(first);
    expect(asked()).toEqual([]);
    expect(await claims.claim('shop', 'data', { podUid: 'b' })).toEqual(first);
    expect(asked()).toEqual(['namespaces/shop/persistentvolumeclaims/data']);
    // Nobody says for whom: the claim may be another one by now.
    await claims.claim('shop', 'data');
    expect(asked()).toEqual(['namespaces/shop/persistentvolumeclaims/data']);
  });

  test('that is not bound is asked for each time, until it is', async () => {
    const { server, claims, asked } = await start({ persistentvolumeclaims: [claim('u', {}, 'Pending')] });
    for (let round = 0; round < 2; round += 1) {
      const pending = await claims.claim('shop', 'data', { podUid: 'a' });
      expect(pending).toMatchObject({ phase: 'Pending' });
      expect(pending).not.toHaveProperty('volume');
      expect(pending).not.toHaveProperty('volumeProblem');
    }
    expect(asked()).toHaveLength(2);
    server.objects.persistentvolumeclaims = [claim('u')] as never;
    server.objects.persistentvolumes = [volume('u')] as never;
    expect((await claims.claim('shop', 'data', { podUid: 'a' }))?.volume?.uid).toBe('pv-uid');
    await claims.claim('shop', 'data', { podUid: 'a' });
    expect(asked()).toHaveLength(2);
  });

  test('that was replaced by one of the same name has its own volume for the new pod', async () => {
    const { server, claims } = await start({
      persistentvolumeclaims: [claim('old')],
      persistentvolumes: [volume('old')],
    });
    await claims.claim('shop', 'data', { podUid: 'a' });
    server.objects.persistentvolumeclaims = [claim('new')] as never;
    server.objects.persistentvolumes = [volume('new', { nfs: { server: 's', path: '/p' } })] as never;
    expect((await claims.claim('shop', 'data', { podUid: 'b' }))?.volume).toMatchObject({
      kind: 'nfs',
      nfs: { server: 's', path: '/p' },
    });
  });

  test('that is not there', async () => {
    const { claims } = await start({});
    expect(await claims.claim('shop', 'data')).toBeUndefined();
  });

  test.each([
    ['of another claim', volume('other'), /bound to another claim.*"other".*"u"/],
    ['of no claim', volume(undefined), /names no claim/],
    ['that is not there', { metadata: { name: 'another' } }, /there is no PersistentVolume "pv"/],
    ['that is no volume', { metadata: { name: 'pv' } }, /not this PersistentVolume/],
  ])('whose volume is one %s says so, and is asked for again', async (_, pv, problem) => {
    const { server, claims } = await start({ persistentvolumeclaims: [claim('u')], persistentvolumes: [pv] });
    const found = await claims.claim('shop', 'data', { podUid: 'a' });
    expect(found).not.toHaveProperty('volume');
    expect(found?.volumeProblem).toMatch(problem);
    server.objects.persistentvolumes = [volume('u')] as never;
    expect((await claims.claim('shop', 'data', { podUid: 'a' }))?.volume?.uid).toBe('pv-uid');
  });

  test('whose volume may not be read says what is missing', async () => {
    const { server, claims } = await start({
      persistentvolumeclaims: [claim('u')],
      persistentvolumes: [volume('u')],
    });
    server.users.rules = [{ subject: READER.name, resources: ['persistentvolumeclaims'], verbs: ['get'] }];
    const found = await claims.claim('shop', 'data');
    expect(found?.uid).toBe('u');
    expect(found?.volumeProblem).toContain('resources: ["persistentvolumes"], verbs: ["get"]');
    server.users.rules = [];
    await expect(claims.claim('shop', 'data')).rejects.toMatchObject({ code: 'API_FORBIDDEN' });
  });

  test('whose volume has a name that no directory can have has none', async () => {
    const { claims } = await start({ persistentvolumeclaims: [claim('u', { volumeName: '../pv' })] });
    const found = await claims.claim('shop', 'data');
    expect(found).not.toHaveProperty('volumeName');
    expect(found).not.toHaveProperty('volume');
  });

  test('is asked for once by those who ask at the same time, and each may give up', async () => {
    const { claims, asked } = await start({
      persistentvolumeclaims: [claim('u')],
      persistentvolumes: [volume('u')],
    });
    const controller = new AbortController();
    const all = [1, 2, 3].map(() => claims.claim('shop', 'data', { podUid: 'a' }));
    const given = claims.claim('shop', 'data', { podUid: 'a', signal: controller.signal });
    controller.abort('enough');
    await expect(given).rejects.toBe('enough');
    for (const each of await Promise.all(all)) expect(each?.uid).toBe('u');
    expect(asked()).toHaveLength(2);
  });

  test('with a name that would lead to another path is a TypeError', async () => {
    const { claims, asked } = await start({});
    for (const name of ['', '.', '..', 'a/b']) {
      await expect(claims.claim('shop', name)).rejects.toThrow(TypeError);
      await expect(claims.claim(name, 'data')).rejects.toThrow(TypeError);
    }
    expect(asked()).toEqual([]);
    expect(await claims.claim('shop', 'a?b#c%2F')).toBeUndefined();
    expect(asked()).toEqual(['namespaces/shop/persistentvolumeclaims/a%3Fb%23c%252F']);
  });

  test('that the API server answers with another one is refused', async () => {
    const { server, claims } = await start({});
    server.answer('/api/v1/namespaces/shop/persistentvolumeclaims/data', {
      body: { ...claim('u'), metadata: { name: 'x', namespace: 'shop', uid: 'u' } },
    });
    await expect(claims.claim('shop', 'data')).rejects.toMatchObject({ code: 'API_BAD_ANSWER' });
  });
});
