import { describe, expect, test } from 'vitest';
import { readKubeletMetrics } from '../../src/explain/kubelet-exposition.js';
import { kubeletTargets } from '../../src/explain/kubelet-targets.js';
import { PrometheusClient } from '../../src/explain/prometheus-api/prometheus-client.js';
import type { PrometheusClientOptions } from '../../src/explain/prometheus-api/prometheus-options.js';
import { scrapeErrorMeaning } from '../../src/explain/scrape-errors.js';
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

describe('what the error of a scrape means', () => {
  test.each([
    ['server returned HTTP status 401 Unauthorized', /token/],
    ['server returned HTTP status 403 Forbidden', /nodes\/metrics/],
    [
      "x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs",
      /insecureSkipVerify/,
    ],
    ['x509: certificate signed by unknown authority', /insecureSkipVerify/],
    ['sample limit exceeded', /sampleLimit/],
    ['Get "https://10.0.0.1:10250/metrics": context deadline exceeded', /scrapeTimeout/],
    ['Get "http://10.0.0.1:10255/metrics": dial tcp 10.0.0.1:10255: connect: connection refused', /10250/],
    ['dial tcp 10.0.0.1:10250: connect: connection refused', /kubelet runs/],
    ['dial tcp: lookup node1: no such host', /Endpoints/],
    ['something else', /Status > Targets/],
  ])('%s', (lastError, fix) => {
    expect(scrapeErrorMeaning(lastError).fix).toMatch(fix);
  });
});

describe('the targets that are the kubelet of a node', () => {
  const node = { nodeName: 'node1', kubeletEndpoint: 'https://127.0.0.1:10250' };
  const target = (address: string, discovered: Record<string, string> = {}, labels = {}): object => ({
    labels,
    discovered: { __address__: address, ...discovered },
  });

  test('are found by the name of the node, or by the address', () => {
    const kind = '__meta_kubernetes_endpoint_address_target_kind';
    const name = '__meta_kubernetes_endpoint_address_target_name';
    const found = [
      target('127.0.0.1:10250'),
      target('10.0.0.1:10250', { [kind]: 'Node', [name]: 'node1' }),
      target('10.0.0.1:10250', { __meta_kubernetes_node_name: 'node1' }),
      target('10.0.0.1:10255', {}, { node: 'node1' }),
    ];
    const others = [
      target('10.0.0.1:9100', { __meta_kubernetes_node_name: 'node1' }),
      target('10.0.0.2:10250', { [kind]: 'Node', [name]: 'node2' }),
      target('10.0.0.3:10250', { [kind]: 'Pod', [name]: 'node1' }),
    ];
    expect(kubeletTargets([...found, ...others] as never, node)).toEqual(found);
  });
});

describe('the options of PrometheusClient', () => {
  test.each<[Partial<PrometheusClientOptions>, string]>([
    [{ url: 'ftp://prometheus' }, 'Expected url to be a URL such as'],
    [{ url: 'https://me:secret@prometheus' }, 'Expected url without a name and password'],
    [{ auth: { type: 'bearer', tokenFile: '/t' } }, 'Expected url to begin with https://'],
    [{ auth: { type: 'digest' } as never }, 'Expected auth.type to be none, bearer or basic'],
    [{ tenant: 'a b' }, 'Expected tenant to be visible ASCII'],
    [{ timeoutMs: -1 }, 'Expected timeoutMs'],
    [{ token: 'x' } as never, 'Unknown option "token"'],
  ])('%j is refused', (options, message) => {
    expect(() => new PrometheusClient({ url: 'http://prometheus:9090', ...options })).toThrow(message);
  });
});
