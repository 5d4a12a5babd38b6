/** What is known of a claim, as Prometheus has it. */
export interface ClaimNumbers {
  readonly capacity: number;
  readonly available: number;
  readonly inodes: number;
  readonly inodesUsed: number;
}

/**
 * The six queries of kubernetes-mixin's dashboard "Persistent Volumes" (version 1.5.6, Apache-2.0), with what
 * they must come to.
 *
 * @param namespace - of the claim
 * @param claim - its name
 */
export function dashboardQueries(
  namespace: string,
  claim: string,
): readonly (readonly [title: string, query: string, expected: (numbers: ClaimNumbers) => number])[] {
  const sel = `cluster="", job="kubelet", namespace="${namespace}", persistentvolumeclaim="${claim}"`;
  return [
    [
      'used space',
      `(sum without(instance, node) (topk(1, (kubelet_volume_stats_capacity_bytes{${sel}}))) - sum without(instance, node) (topk(1, (kubelet_volume_stats_available_bytes{${sel}}))))`,
      ({ capacity, available }) => capacity - available,
    ],
    [
      'free space',
      `sum without(instance, node) (topk(1, (kubelet_volume_stats_available_bytes{${sel}})))`,
      ({ available }) => available,
    ],
    [
      'space in percent',
      `max without(instance,node) ((topk(1, kubelet_volume_stats_capacity_bytes{${sel}}) - topk(1, kubelet_volume_stats_available_bytes{${sel}})) / topk(1, kubelet_volume_stats_capacity_bytes{${sel}}) * 100)`,
      ({ capacity, available }) => ((capacity - available) / capacity) * 100,
    ],
    [
      'used inodes',
      `sum without(instance, node) (topk(1, (kubelet_volume_stats_inodes_used{${sel}})))`,
      ({ inodesUsed }) => inodesUsed,
    ],
    [
      'free inodes',
      `(sum without(instance, node) (topk(1, (kubelet_volume_stats_inodes{${sel}}))) - sum without(instance, node) (topk(1, (kubelet_volume_stats_inodes_used{${sel}}))))`,
      ({ inodes, inodesUsed }) => inodes - inodesUsed,
    ],
    [
      'inodes in percent',
      `max without(instance,node) (topk(1, kubelet_volume_stats_inodes_used{${sel}}) / topk(1, kubelet_volume_stats_inodes{${sel}}) * 100)`,
      ({ inodes, inodesUsed }) => (inodesUsed / inodes) * 100,
    ],
  ];
}
