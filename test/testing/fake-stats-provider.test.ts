import { describe, expect, test } from 'vitest';
import { FakeMetrics } from '../../src/testing/fake-metrics.js';
import { FakeStatsProvider, type FakePod } from '../../src/testing/fake-stats-provider.js';

describe('FakeStatsProvider', () => {
  const [data, cache] = [new FakeMetrics(), new FakeMetrics()];
  const web = {
    name: 'web-0',
    namespace: 'shop',
    volumes: {
      cache,
      data: { provider: data, spec: { persistentVolumeClaim: { claimName: 'claim' } } },
      unmounted: { spec: { secret: {} } },
    },
  };

  test.each<[object, string]>([
    [{ name: 'p', nameSpace: 'shop' }, '"nameSpace"'],
    [{ name: 'p', volumes: { data: { provder: data } } }, '"provder"'],
  ])('refuses an unknown field of a pod, by name: %j', (pod, name) => {
    for (const add of [
      () => new FakeStatsProvider([pod as FakePod]),
      () => new FakeStatsProvider().addPod(pod as FakePod),
    ]) {
      expect(add).toThrow(TypeError);
      expect(add).toThrow(`Unknown option ${name}: the options are `);
    }
  });

  test.each([null, 'web-0', { name: 'web-0' }, 5])('refuses %j for a list of pods', (pods) => {
    expect(() => new FakeStatsProvider(pods as never)).toThrow(TypeError);
    expect(() => new FakeStatsProvider(pods as never)).toThrow(/^Expected pods to be a list, got /);
  });

  test.each<[unknown, RegExp]>([
    [undefined, /^Expected options to be an object/],
    [{}, /^Expected name to be a string/],
    [{ name: 5 }, /^Expected name to be a string/],
    [{ name: 'p', uid: 5 }, /^Expected uid to be a string/],
    [{ name: 'p', namespace: 5 }, /^Expected namespace to be a string/],
    [{ name: 'p', volumes: [] }, /^Expected volumes to be an object, got an array$/],
    [{ name: 'p', volumes: { v: null } }, /^Expected the volume "v" to be an object, got null$/],
    [{ name: 'p', volumes: { v: 'tmp' } }, /^Expected the volume "v" to be an object, got a string$/],
    [{ name: 'p', volumes: { v: { getMetrics: 5 } } }, /^Expected the provider of "v" to have a getMetrics/],
    [{ name: 'p', volumes: { v: { provider: {} } } }, /^Expected the provider of "v" to have a getMetrics/],
    [{ name: 'p', volumes: { v: { spec: 5 } } }, /^Expected the spec of "v" to be an object/],
  ])('refuses the pod %j, and keeps the others', async (pod, message) => {
    const fake = new FakeStatsProvider([web]);
    expect(() => fake.addPod(pod as FakePod)).toThrow(TypeError);
    expect(() => fake.addPod(pod as FakePod)).toThrow(message);
    expect(await fake.getPods()).toHaveLength(1);
  });

  test.each(['hangg', null, {}, new Error('x')])('refuses %j in place of an answer', async (instead) => {
    const fake = new FakeStatsProvider([web]);
    expect(() => {
      fake.listPods(instead as never);
    }).toThrow(TypeError);
    expect(() => {
      fake.listVolumes('web-0-uid', instead as never);
    }).toThrow(TypeError);
    expect(await fake.getPods()).toHaveLength(1);
  });

  test('gives its pods and who measures their volumes', async () => {
    const fake = new FakeStatsProvider([web, { name: 'bare', uid: 'u-2' }]);
    expect(await fake.getPods()).toEqual([
      {
        metadata: { uid: 'web-0-uid', name: 'web-0', namespace: 'shop' },
        spec: {
          volumes: [
            { name: 'cache', emptyDir: {} },
            { name: 'data', persistentVolumeClaim: { claimName: 'claim' } },
            { name: 'unmounted', secret: {} },
          ],
        },
      },
      { metadata: { uid: 'u-2', name: 'bare', namespace: 'default' }, spec: { volumes: [] } },
    ]);
    expect([...((await fake.listVolumesForPod('web-0-uid')) ?? [])]).toEqual([
      ['cache', cache],
      ['data', data],
    ]);
    expect(await fake.listVolumesForPod('u-2')).toEqual(new Map());
    expect(await fake.listVolumesForPod('other')).toBeUndefined();
    expect([fake.calls, fake.volumeCalls]).toEqual([1, 3]);
  });

  test('makes new objects at every call', async () => {
    const fake = new FakeStatsProvider([web]);
    expect((await fake.getPods())[0]).not.toBe((await fake.getPods())[0]);
    expect(await fake.listVolumesForPod('web-0-uid')).not.toBe(await fake.listVolumesForPod('web-0-uid'));
  });

  test('adds, replaces and removes pods', async () => {
    const fake = new FakeStatsProvider();
    expect(fake.addPod(web)).toBe('web-0-uid');
    fake.addPod({ name: 'web-1', uid: 'web-0-uid' });
    expect((await fake.getPods()).map(({ metadata }) => metadata.name)).toEqual(['web-1']);
    fake.removePod('web-0-uid');
    expect(await fake.getPods()).toEqual([]);
  });

  test('rejects as it is told, until it is told otherwise', async () => {
    const fake = new FakeStatsProvider([web]);
    const error = new Error('down');
    fake.listPods({ error });
    fake.listVolumes('web-0-uid', { error: 'a text' });
    await expect(fake.getPods()).rejects.toBe(error);
    await expect(fake.listVolumesForPod('web-0-uid')).rejects.toBe('a text');
    fake.listPods(undefined);
    fake.listVolumes('web-0-uid', undefined);
    expect(await fake.getPods()).toHaveLength(1);
    expect((await fake.listVolumesForPod('web-0-uid'))?.size).toBe(2);
  });

  test('hangs until it is told otherwise, and then does that', async () => {
    const fake = new FakeStatsProvider([web]);
    const settled: string[] = [];
    fake.listPods('hang');
    fake.listVolumes('web-0-uid', 'hang');
    const calls = [
      fake.getPods().then(() => settled.push('pods')),
      fake.listVolumesForPod('web-0-uid').catch(() => settled.push('volumes')),
    ];
    await fake.listVolumesForPod('other');
    expect(settled).toEqual([]);
    fake.listPods('hang');
    fake.listVolumes('web-0-uid', { error: new Error('x') });
    await calls[1];
    expect(settled).toEqual(['volumes']);
    fake.listPods(undefined);
    await calls[0];
    expect(settled).toEqual(['volumes', 'pods']);
  });
});
