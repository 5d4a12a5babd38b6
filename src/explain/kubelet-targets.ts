import type { KubeletPlace } from './facts.js';
import type { PrometheusTarget } from './prometheus-api/prometheus-client.js';

/** Labels by which service discovery names the node of a target. */
const NODE_LABELS = [
  '__meta_kubernetes_node_name',
  '__meta_kubernetes_endpoint_node_name',
  '__meta_kubernetes_endpointslice_endpoint_topology_kubernetes_io_hostname',
  '__meta_kubernetes_pod_node_name',
];
const TARGET_KINDS = ['endpoint', 'endpointslice'];

/** The targets that are the kubelet of a node, whatever path of it is scraped. */
export function kubeletTargets(
  targets: readonly PrometheusTarget[],
  place: KubeletPlace,
): readonly PrometheusTarget[] {
  return targets.filter((each) => isKubelet(each, place));
}

function isKubelet(
  { labels, discovered, scrapeUrl }: PrometheusTarget,
  { nodeName, kubeletEndpoint }: KubeletPlace,
): boolean {
  const address = discovered['__address__'] ?? labels['instance'] ?? '';
  if (kubeletEndpoint !== undefined) {
    const host = hostOf(kubeletEndpoint);
    if (address === host || (scrapeUrl !== undefined && hostOf(scrapeUrl) === host)) return true;
  }
  // node_exporter and others are discovered with the same node.
  if (nodeName === undefined || !/:(10250|10255)$/.test(address)) return false;
  if (labels['node'] === nodeName || labels['instance']?.startsWith(`${nodeName}:`) === true) return true;
  if (NODE_LABELS.some((name) => discovered[name] === nodeName)) return true;
  return TARGET_KINDS.some(
    (kind) =>
      discovered[`__meta_kubernetes_${kind}_address_target_kind`] === 'Node' &&
      discovered[`__meta_kubernetes_${kind}_address_target_name`] === nodeName,
  );
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}

/** The path that a target is scraped at. */
export function scrapePathOf({ discovered, labels, scrapeUrl }: PrometheusTarget): string {
  if (scrapeUrl !== undefined && URL.canParse(scrapeUrl)) return new URL(scrapeUrl).pathname;
  return discovered['__metrics_path__'] ?? labels['metrics_path'] ?? '/metrics';
}
