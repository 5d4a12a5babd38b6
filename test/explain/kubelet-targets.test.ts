import { describe, expect, test } from 'vitest';
import { kubeletTargets } from '../../src/explain/kubelet-targets.js';

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
