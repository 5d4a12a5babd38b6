import { describe, expect, test } from 'vitest';
import { factsOf } from '../../src/explain/volume-facts.js';
import type { VolumeDescription } from '../../src/kubelet/described-volume.js';
import { answered, description, facts, pod } from './support/facts.js';

describe('how many other volumes are on the same filesystem', () => {
  const sharedWith = (...described: readonly VolumeDescription[]): number => {
    const pods = described.map((each, index) => [`uid-${String(index + 1)}`, [each]] as const);
    const disk = answered({ described: new Map(pods), stats: new Map(), drivers: [], warnings: [] });
    const subject = { namespace: 'shop', claimName: 'data', pod: pod(), isHere: true, volumeName: 'data' };
    return factsOf(subject, facts({ disk })).sharedWith;
  };
  const onPv = (persistentVolume: string, over: Partial<VolumeDescription> = {}): VolumeDescription =>
    description({ persistentVolume, ...over });

  test('counts the volumes of other pods', () => {
    expect(sharedWith(onPv('pv-1'))).toBe(0);
    expect(sharedWith(onPv('pv-1'), onPv('pv-2'), onPv('pv-3'))).toBe(2);
    expect(sharedWith(description(), description())).toBe(1);
  });

  test('counts a claim that several pods use as one volume', () => {
    expect(sharedWith(onPv('pv-1'), onPv('pv-1'), onPv('pv-2'))).toBe(1);
  });

  test('leaves out block volumes: the files of all are on /dev', () => {
    const block = { mode: 'Block' } as const;
    expect(sharedWith(onPv('pv-1', block), onPv('pv-2', block))).toBe(0);
    expect(sharedWith(onPv('pv-1'), onPv('pv-2', block))).toBe(0);
  });
});
