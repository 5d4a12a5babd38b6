import type { ApiClient } from '../kubelet/api-client.js';
import { isObjectName } from '../kubelet/checked-json.js';
import type { KubeletClient } from '../kubelet/kubelet-client.js';
import {
  checkedFlag,
  checkedMs,
  checkedNotEmpty,
  checkedObject,
  checkedOptions,
  checkedSignal,
  checkedText,
} from '../options.js';
import type { PersistentVolumeClaimRef } from '../stats/pod.js';
import { DASHBOARD_LABELS } from './dashboard-queries.js';
import type { Labels, PrometheusClient } from './prometheus-api/prometheus-client.js';

/** Options of {@link explain}: whom to ask, and about what. Each door that is left out is not asked. */
export interface ExplainOptions {
  /** The node that this process runs on: its disk and its CSI drivers are looked at. */
  readonly node?: ExplainedNode | undefined;
  /** Asks the node's kubelet: `/pods`, `/stats/summary`, `/metrics` and `/configz`. */
  readonly kubelet?: KubeletClient | undefined;
  /** Asks the API server for claims, their volumes, the node's drivers, and pods that are not on the node. */
  readonly api?: ApiClient | undefined;
  /** Asks Prometheus. Without it, its stages are `skipped`, and the result rests on the kubelet. */
  readonly prometheus?: PrometheusClient | undefined;
  /**
   * What dashboards and alerts select the kubelet's series by.
   *
   * @defaultValue `{ job: 'kubelet', metrics_path: '/metrics' }`, as kube-prometheus has them
   */
  readonly dashboardLabels?: Labels | undefined;
  /** One claim. */
  readonly claim?: PersistentVolumeClaimRef | undefined;
  /** One pod; or, with an empty namespace, the one whose uid is `name`. */
  readonly pod?: { readonly namespace: string; readonly name: string } | undefined;
  /** One volume of `pod`, by its name there. */
  readonly volume?: string | undefined;
  /** Whether volumes without a claim are explained too. @defaultValue `false` */
  readonly all?: boolean | undefined;
  /**
   * Milliseconds for each question. More than 0, at most 2147483647.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /** Ends the call: it rejects with `signal.reason`, unwrapped. */
  readonly signal?: AbortSignal | undefined;
}

/** The node that this process runs on. */
export interface ExplainedNode {
  /** As the API server calls it. What the kubelet says of itself counts more. */
  readonly name?: string | undefined;
  /** The kubelet's root. @defaultValue the first of `KUBELET_ROOTS` that is one */
  readonly rootDir?: string | undefined;
}

/** {@link ExplainOptions}, checked, with all defaults. */
export type CheckedExplain = Omit<ExplainOptions, 'all' | 'timeoutMs' | 'dashboardLabels'> & {
  readonly all: boolean;
  readonly timeoutMs: number;
  readonly dashboardLabels: Labels;
};

const OPTIONS = [
  'node',
  'kubelet',
  'api',
  'prometheus',
  'dashboardLabels',
  'claim',
  'pod',
  'volume',
  'all',
  'timeoutMs',
  'signal',
] as const;

const METHODS = { kubelet: 'statsSummary', api: 'request', prometheus: 'query' } as const;

/** Whether a pod is named by its uid, which of a static pod is a hash. */
function isByUid({ namespace, name }: { readonly namespace: string; readonly name: string }): boolean {
  return namespace === '' && /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/.test(name);
}

/** @throws TypeError naming the option that is wrong or unknown, and for options that exclude each other */
export function checkedExplain(given: ExplainOptions): CheckedExplain {
  const options = checkedOptions(given, OPTIONS);
  const { node, claim, pod, volume, dashboardLabels = DASHBOARD_LABELS } = options;
  if (node !== undefined) {
    const { name, rootDir } = checkedOptions(node, ['name', 'rootDir']);
    for (const [key, value] of Object.entries({ name, rootDir })) {
      if (value !== undefined) checkedNotEmpty(`node.${key}`, value);
    }
  }
  for (const [name, method] of Object.entries(METHODS)) {
    const door: unknown = options[name as keyof typeof METHODS];
    if (door === undefined) continue;
    const found = (checkedObject(name, door as object) as Record<string, unknown>)[method];
    if (typeof found !== 'function') throw new TypeError(`Expected ${name} to have the method ${method}`);
  }
  for (const [what, value] of Object.entries({ claim, pod })) {
    if (value === undefined) continue;
    checkedObject(what, value);
    for (const part of ['namespace', 'name'] as const) {
      if (part === 'namespace' && value === pod && isByUid(pod)) continue;
      if (!isObjectName(checkedText(`${what}.${part}`, value[part])))
        throw new TypeError(
          `Expected ${what}.${part} to be a name of Kubernetes, got ${JSON.stringify(value[part])}`,
        );
    }
  }
  if (claim !== undefined && pod !== undefined) throw new TypeError('Expected only one of claim and pod');
  if (volume !== undefined) {
    checkedText('volume', volume);
    if (pod === undefined) throw new TypeError('Expected pod with volume: a volume has a name in its pod');
  }
  for (const [name, value] of Object.entries(checkedObject('dashboardLabels', dashboardLabels))) {
    checkedText(`dashboardLabels.${name}`, value);
    if (!/^[a-zA-Z_]\w*$/.test(name))
      throw new TypeError(`Expected dashboardLabels to have names of labels, got ${JSON.stringify(name)}`);
  }
  return {
    ...options,
    dashboardLabels,
    all: checkedFlag('all', options.all),
    timeoutMs: checkedMs('timeoutMs', options.timeoutMs, 10_000),
    signal: checkedSignal(options.signal),
  };
}
