import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import type { Labels } from './prometheus-api/prometheus-client.js';

/** The metric by which Grafana finds claims. */
export const CAPACITY = 'kubelet_volume_stats_capacity_bytes';

/** What kube-prometheus renders into the kubelet's dashboards and alerts. */
export const DASHBOARD_LABELS: Labels = { job: 'kubelet', metrics_path: '/metrics' };

/** A selector of PromQL such as `{job="kubelet"}`. PromQL quotes texts as JSON does. */
export function selectorText(labels: Labels): string {
  const matchers = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `{${matchers.join(', ')}}`;
}

/**
 * The used space of the dashboard "Kubernetes / Persistent Volumes" of kubernetes-mixin, for each claim: its
 * `topk(1, ...)` becomes one for each claim.
 */
export function usedSpaceExpression(labels: Labels, claim: PersistentVolumeClaimRef | undefined): string {
  const chosen =
    claim === undefined
      ? labels
      : { ...labels, namespace: claim.namespace, persistentvolumeclaim: claim.name };
  const selector = selectorText(chosen);
  const one = (metric: string): string =>
    `sum without(instance, node) (topk by(cluster, namespace, persistentvolumeclaim) (1, ${metric}${selector}))`;
  return `(${one(CAPACITY)} - ${one('kubelet_volume_stats_available_bytes')})`;
}

/** The capacity of a claim, whatever job it comes from and whatever label has its namespace. */
export function anySeriesExpression(claim: PersistentVolumeClaimRef | undefined): string {
  return claim === undefined ? CAPACITY : `${CAPACITY}${selectorText({ persistentvolumeclaim: claim.name })}`;
}

export const COUNTS_EXPRESSION = `count by(job, metrics_path, node, instance, cluster) (${CAPACITY})`;

/** Whether a dashboard selects a series. */
export function isSelected(labels: Labels, namespace: string, wanted: Labels): boolean {
  return (
    labels['namespace'] === namespace &&
    Object.entries(wanted).every(([name, value]) => labels[name] === value)
  );
}
