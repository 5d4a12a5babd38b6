import { describe, expect, test } from 'vitest';
import { readKubeletMetrics } from '../../src/explain/kubelet-exposition.js';
import { recordedText } from '../kubelet/recorded.js';

describe("the kubelet's /metrics", () => {
  test('of 1.37 has claims, readings and calls of drivers', async () => {
    const more = [
      'csi_operations_seconds_count{driver_name="hostpath.mini.example",grpc_status_code="OK",method_name="/csi.v1.Node/NodeGetVolumeStats",migrated="false"} 27',
      'csi_operations_seconds_count{driver_name="hostpath.mini.example",grpc_status_code="OK",method_name="/csi.v1.Node/NodePublishVolume",migrated="false"} 11',
      'process_start_time_seconds 1.79577e+09',
      'kubernetes_build_info{git_version="v1.37.2",major="1"} 1',
    ];
    const text = [recordedText('1.37', 'volume-metrics.txt'), ...more].join('\n');
    const { claims, measured, driverCalls, startedAtMs, version } = await readKubeletMetrics(text);
    expect(claims.size).toBeGreaterThan(3);
    for (const numbers of claims.values()) expect(numbers['capacity_bytes']).toBeGreaterThan(0);
    expect(measured.get('block')).toBe(2);
    expect([...(driverCalls.get('hostpath.mini.example') ?? [])]).toEqual([['OK', 27]]);
    expect(startedAtMs).toBe(1_795_770_000_000);
    expect(version).toBe('v1.37.2');
  });

  test('escaped labels are read, and malformed lines are left out', async () => {
    const { claims } = await readKubeletMetrics(
      [
        'kubelet_volume_stats_capacity_bytes{namespace="a\\"b",persistentvolumeclaim="c\\\\}d"} 1e+03 1700000000000',
        'kubelet_volume_stats_capacity_bytes{namespace="a"',
        'kubelet_volume_stats_capacity_bytes{namespace="a",persistentvolumeclaim="x"} many',
        'kubelet_volume_stats_capacity_bytes',
      ].join('\n'),
    );
    expect([...claims]).toEqual([['a"b/c\\}d', { capacity_bytes: 1000 }]]);
  });
});
