import { describe, expect, test } from 'vitest';
import type { Metrics } from '../../src/metrics.js';
import { statsSummary } from '../../src/stats/stats-summary.js';
import type { PodVolumeStats, VolumeStats } from '../../src/stats/volume-stats.js';
import { stringify } from '../../src/stringify.js';

const full: Metrics = {
  time: new Date('2026-03-04T05:06:07.891Z'),
  source: 'statfs',
  capacity: 9223372036854775807n,
  available: 5n,
  used: 0n,
  inodes: 100n,
  inodesFree: 60n,
  inodesUsed: 40n,
  condition: { abnormal: true, message: 'broken' },
};
const blockOnly: Metrics = { time: full.time, source: 'block', capacity: 10n };

function volume(name: string, more: Partial<VolumeStats> = {}): VolumeStats {
  return { name, kind: 'emptyDir', provider: 'statfs', state: 'ok', ...more };
}

function pod(ephemeralVolumes: VolumeStats[], persistentVolumes: VolumeStats[], uid = 'u'): PodVolumeStats {
  return { podRef: { uid, namespace: 'shop', name: `web-${uid}` }, ephemeralVolumes, persistentVolumes };
}

describe('statsSummary', () => {
  test("has the kubelet's shape, order and key names, and every digit", () => {
    const summary = statsSummary(
      [
        pod(
          [volume('cache', { metrics: blockOnly })],
          [volume('data', { metrics: full, pvcRef: { namespace: 'shop', name: 'claim' } })],
        ),
      ],
      { nodeName: 'node-1' },
    );
    expect(stringify(summary)).toBe(
      '{"node":{"nodeName":"node-1"},"pods":[{"podRef":{"name":"web-u","namespace":"shop","uid":"u"},"volume":[' +
        '{"time":"2026-03-04T05:06:07Z","capacityBytes":10,"name":"cache"},' +
        '{"time":"2026-03-04T05:06:07Z","availableBytes":5,"capacityBytes":9223372036854775807,"usedBytes":0,' +
        '"inodesFree":60,"inodes":100,"inodesUsed":40,"name":"data","pvcRef":{"name":"claim","namespace":"shop"},' +
        '"volumeHealthStats":{"abnormal":true}}]}]}',
    );
  });

  test('zeroFill writes what the kubelet writes: zeros, and no volume without a reading', () => {
    const pods = [
      pod([volume('none', { state: 'failed' })], [volume('raw', { metrics: blockOnly })]),
      pod([volume('none')], [], 'v'),
    ];
    expect(stringify(statsSummary(pods, { zeroFill: true }))).toBe(
      '{"pods":[{"podRef":{"name":"web-u","namespace":"shop","uid":"u"},"volume":[' +
        '{"time":"2026-03-04T05:06:07Z","availableBytes":0,"capacityBytes":10,"usedBytes":0,"inodesFree":0,"inodes":0,' +
        '"inodesUsed":0,"name":"raw"}]},{"podRef":{"name":"web-v","namespace":"shop","uid":"v"}}]}',
    );
  });

  test('otherwise a volume without a reading is listed with its name and claim', () => {
    const pods = [
      pod([], [volume('data', { state: 'stuck', pvcRef: { namespace: 'shop', name: 'claim' } })]),
    ];
    expect(statsSummary(pods)).toEqual({
      pods: [
        {
          podRef: { name: 'web-u', namespace: 'shop', uid: 'u' },
          volume: [{ name: 'data', pvcRef: { name: 'claim', namespace: 'shop' } }],
        },
      ],
    });
  });

  test('a reading without capacity, available and used has no such numbers', () => {
    const unknownSpace: Metrics = {
      time: full.time,
      source: 'statfs',
      inodes: 9n,
      inodesFree: 4n,
      inodesUsed: 5n,
    };
    expect(stringify(statsSummary([pod([], [volume('pages', { metrics: unknownSpace })])]))).toBe(
      '{"pods":[{"podRef":{"name":"web-u","namespace":"shop","uid":"u"},"volume":[' +
        '{"time":"2026-03-04T05:06:07Z","inodesFree":4,"inodes":9,"inodesUsed":5,"name":"pages"}]}]}',
    );
  });

  test("what a pod uses of the node's disk is written where it is known, after its volumes", () => {
    const time = new Date('2026-03-04T05:06:08.900Z');
    const pods = [pod([volume('cache', { metrics: blockOnly })], []), pod([], [], 'v'), pod([], [], 'w')];
    const ephemeralStorage = new Map([
      ['u', { time, used: 2n ** 60n + 1n, inodesUsed: 7n }],
      ['v', { time, used: 0n }],
      ['gone', { time, used: 1n }],
    ]);
    expect(stringify(statsSummary(pods, { ephemeralStorage }))).toBe(
      '{"pods":[{"podRef":{"name":"web-u","namespace":"shop","uid":"u"},"volume":[' +
        '{"time":"2026-03-04T05:06:07Z","capacityBytes":10,"name":"cache"}],' +
        '"ephemeral-storage":{"time":"2026-03-04T05:06:08Z","usedBytes":1152921504606846977,"inodesUsed":7}},' +
        '{"podRef":{"name":"web-v","namespace":"shop","uid":"v"},' +
        '"ephemeral-storage":{"time":"2026-03-04T05:06:08Z","usedBytes":0}},' +
        '{"podRef":{"name":"web-w","namespace":"shop","uid":"w"}}]}',
    );
    expect(() => statsSummary(pods, { ephemeralStorage: {} as never })).toThrow(
      new TypeError('Expected ephemeralStorage to be a Map, got an object'),
    );
    const wrong = new Map([['u', { time, used: 5 as never }]]);
    expect(() => statsSummary(pods, { ephemeralStorage: wrong })).toThrow(
      /^Expected ephemeralStorage to have used as a bigint, but it is /,
    );
  });

  test('an unknown option is refused by name, and both options by type', () => {
    expect(() => statsSummary([], { zerofill: true } as never)).toThrow(
      new TypeError(
        'Unknown option "zerofill": the options are nodeName, zeroFill, kubeletVersion, ephemeralStorage',
      ),
    );
    expect(() => statsSummary([], { zeroFill: 'false' as never })).toThrow(
      new TypeError('Expected zeroFill to be a boolean, got string'),
    );
    expect(() => statsSummary([], { nodeName: 7 as never })).toThrow(
      new TypeError('Expected nodeName to be a string, got number'),
    );
  });

  test.each([
    ['1.23', false],
    ['1.24', true],
    ['v1.36.2', true],
    ['v1.29.4+k3s1', true],
    ['1.36.2-gke.1', true],
    ['1.37', false],
    ['2.30', false],
    [undefined, false],
  ])('zeroFill for kubelet %s writes volumeHealthStats: %s', (kubeletVersion, isWritten) => {
    const pods = [pod([], [volume('data', { metrics: full })])];
    const [written] = statsSummary(pods, { zeroFill: true, kubeletVersion }).pods[0]?.volume ?? [];
    expect(written?.volumeHealthStats).toEqual(isWritten ? { abnormal: true } : undefined);
    const [own] = statsSummary(pods, { kubeletVersion }).pods[0]?.volume ?? [];
    expect(own?.volumeHealthStats).toEqual({ abnormal: true });
  });

  test.each(['', '1', 'latest', '1.x', '1.36x', 37])('refuses %j as a version', (version) => {
    expect(() => statsSummary([], { kubeletVersion: version as never })).toThrow(
      /^Expected kubeletVersion to be a version such as 1\.36, got /,
    );
  });

  test('no pods is an empty list', () => {
    expect(stringify(statsSummary([]))).toBe('{"pods":[]}');
  });
});

test.each([null, 5, [null], [{}], [{ podRef: null, ephemeralVolumes: [], persistentVolumes: [] }]])(
  'statsSummary refuses what is not the stats of pods: %j',
  (given) => {
    expect(() => statsSummary(given as never)).toThrow(
      /^Expected podVolumeStats to be the stats of pods, as podVolumeStats\(\) of an analyzer gives them, got /,
    );
  },
);

test('statsSummary leaves out a number or a time that is invalid', () => {
  const metrics = { ...blockOnly, time: new Date(NaN), used: NaN as never };
  expect(statsSummary([pod([volume('a', { metrics })], [])]).pods[0]?.volume).toEqual([
    { name: 'a', capacityBytes: 10n },
  ]);
});
