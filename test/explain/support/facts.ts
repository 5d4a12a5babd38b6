import { expect, test } from 'vitest';
import type { MetricsErrorCode } from '../../../src/errors.js';
import { MetricsError } from '../../../src/errors.js';
import type { Answer } from '../../../src/explain/answer.js';
import { notAsked } from '../../../src/explain/answer.js';
import { DASHBOARD_LABELS } from '../../../src/explain/dashboard-queries.js';
import type { Facts, PrometheusFacts } from '../../../src/explain/facts.js';
import type { Finding, Stage, Verdict } from '../../../src/explain/finding.js';
import type { KubeletMetrics } from '../../../src/explain/kubelet-exposition.js';
import type {
  Labels,
  PrometheusSample,
  PrometheusTarget,
} from '../../../src/explain/prometheus-api/prometheus-client.js';
import type { VolumeFacts } from '../../../src/explain/volume-facts.js';
import type { VolumeDescription } from '../../../src/kubelet/described-volume.js';
import type { NodeContainer, NodePod } from '../../../src/kubelet/node-pod.js';
import type { Claim, PersistentVolume } from '../../../src/kubelet/sources.js';
import type { VolumeStats } from '../../../src/stats/volume-stats.js';

export const NODE = 'node1';
export const DRIVER = 'csi.example';
const PLACE = { nodeName: NODE, kubeletEndpoint: 'https://10.0.0.1:10250' };
export const NOW_MS = Date.parse('2026-11-27T12:00:00Z');

export function answered<T>(value: T): Answer<T> {
  return { state: 'answered', value };
}

export const NOT_ASKED = notAsked('nobody was asked');
export const REFUSED = {
  state: 'unanswered',
  problem: 'me may not get nodes/metrics',
  fix: 'Give me the right.',
  rule: 'rules: []',
  code: 'KUBELET_FORBIDDEN',
  status: 403,
} as const;

export function container(over: Partial<NodeContainer> = {}): NodeContainer {
  const volumeMounts = [{ index: 0, name: 'data' }];
  return {
    ...{ name: 'main', type: 'container', volumeMounts, volumeDevices: [], restartCount: 0 },
    state: { name: 'running' },
    ...over,
  };
}

export function pod(over: Partial<NodePod> = {}): NodePod {
  return {
    ...{ apiUid: 'uid-1', folderUid: 'uid-1', namespace: 'shop', name: 'web-0', nodeName: NODE },
    ...{ phase: 'Running', startTime: '2026-11-27T10:00:00Z', isStatic: false },
    volumes: [{ name: 'data', kind: 'persistentVolumeClaim', claimName: 'data' }],
    containers: [container()],
    ...over,
  };
}

/** A pod none of whose containers runs. */
export function idle(
  phase: string,
  state: NodeContainer['state'] | undefined,
  over: Partial<NodePod> = {},
): NodePod {
  const { name, type, volumeMounts, volumeDevices } = container();
  const stopped = {
    name,
    type,
    volumeMounts,
    volumeDevices,
    restartCount: 7,
    ...(state !== undefined && { state }),
  };
  return pod({ phase, containers: [stopped], ...over });
}

export function persistentVolume(over: Partial<PersistentVolume> = {}): PersistentVolume {
  return {
    ...{ name: 'pv-1', uid: 'pv-uid', kind: 'csi', volumeMode: 'Filesystem', claimUid: 'claim-uid' },
    csi: { driver: DRIVER, volumeHandle: 'handle' },
    ...over,
  };
}

export function claim(over: Partial<Claim> = {}): Claim {
  return {
    ...{ namespace: 'shop', name: 'data', uid: 'claim-uid', phase: 'Bound', volumeMode: 'Filesystem' },
    ...{ volumeName: 'pv-1', ownerUids: [], volume: persistentVolume() },
    ...over,
  };
}

const PATH = '/var/lib/kubelet/pods/uid-1/volumes/kubernetes.io~csi/pv-1/mount';

export const MOUNT: NonNullable<VolumeDescription['mount']> = {
  ...{ mountPoint: PATH, root: '/', fsType: 'ext4', source: '/dev/sdb', options: ['rw'] },
  ...{ readOnly: false, id: 7, device: '8:16', hidden: false },
};

export function description(over: Partial<VolumeDescription> = {}): VolumeDescription {
  return {
    ...{ name: 'data', kind: 'persistentVolumeClaim', plugin: 'kubernetes.io/csi', mode: 'Filesystem' },
    ...{ path: PATH, mount: MOUNT, driver: DRIVER, provider: DRIVER, unknown: [] },
    ...over,
  };
}

/** What was measured here: 100 bytes of capacity. */
export function measured(over: Partial<VolumeStats> = {}): VolumeStats {
  const metrics = { capacity: 100n, used: 40n, available: 60n, time: new Date(NOW_MS), source: DRIVER };
  return {
    ...{ name: 'data', kind: 'persistentVolumeClaim', provider: DRIVER, state: 'ok', durationMs: 3 },
    metrics,
    ...over,
  };
}

/** A volume that could not be measured here. */
export function unmeasured(
  code: MetricsErrorCode,
  message: string,
  details: { readonly cause?: unknown; readonly stuckSince?: Date } = {},
): VolumeStats {
  const state =
    code === 'METRICS_TIMED_OUT' ? 'stuck' : code === 'METRICS_NOT_SUPPORTED' ? 'unsupported' : 'failed';
  const about = { name: 'data', kind: 'persistentVolumeClaim', provider: DRIVER };
  return { ...about, state, error: new MetricsError(code, message, details) };
}

export function kubeletMetrics(over: Partial<KubeletMetrics> = {}): KubeletMetrics {
  return {
    claims: new Map([['shop/data', { capacity_bytes: 100, used_bytes: 40 }]]),
    measured: new Map([[DRIVER, 12]]),
    driverCalls: new Map([[DRIVER, new Map([['OK', 12]])]]),
    startedAtMs: Date.parse('2026-11-27T09:00:00Z'),
    ...over,
  };
}

export const SERIES_LABELS: Labels = {
  ...DASHBOARD_LABELS,
  ...{ namespace: 'shop', persistentvolumeclaim: 'data', node: NODE, instance: '10.0.0.1:10250' },
};

export function sample(labels: Record<string, string | undefined> = {}, value = 100): PrometheusSample {
  const all = Object.entries({ ...SERIES_LABELS, ...labels });
  return {
    labels: Object.fromEntries(all.filter((each): each is [string, string] => each[1] !== undefined)),
    value,
  };
}

export function target(over: Partial<PrometheusTarget> = {}): PrometheusTarget {
  return {
    labels: { job: 'kubelet', instance: '10.0.0.1:10250', node: NODE },
    discovered: { __address__: '10.0.0.1:10250' },
    ...{ scrapePool: 'kubelet', scrapeUrl: 'https://10.0.0.1:10250/metrics', health: 'up' },
    ...over,
  };
}

export function prometheus(over: Partial<PrometheusFacts> = {}): PrometheusFacts {
  const count = { labels: { job: 'kubelet', node: NODE, instance: '10.0.0.1:10250' }, value: 3 };
  return {
    ...{ dashboardLabels: DASHBOARD_LABELS, targetCount: 9 },
    dashboard: answered([sample({}, 40)]),
    series: answered([sample()]),
    counts: answered([count]),
    active: answered([target()]),
    dropped: NOT_ASKED,
    offering: answered([{ job: 'kubelet', instance: '10.0.0.1:10250' }]),
    ...over,
  };
}

/** A node on which nothing is wrong; Prometheus is asked. */
export function facts(over: Partial<Facts> = {}): Facts {
  const volume = { name: 'data', time: '2026-11-27T11:59:30Z', capacityBytes: 100n };
  const summary = {
    node: { nodeName: NODE },
    pods: [
      {
        podRef: { name: 'web-0', namespace: 'shop', uid: 'uid-1' },
        containers: [],
        volume: [{ ...volume, pvcRef: { name: 'data', namespace: 'shop' } }],
      },
    ],
    problems: [],
  };
  return {
    ...{ ...PLACE, nowMs: NOW_MS, podsFrom: 'kubelet', elsewhere: NOT_ASKED },
    pods: answered({ pods: [pod()], problems: [] }),
    summary: answered(summary),
    metrics: answered(kubeletMetrics()),
    config: answered({ periodMs: 60_000 }),
    disk: answered({ described: new Map(), stats: new Map(), warnings: [] }),
    claims: new Map(),
    csiNode: answered({ drivers: [DRIVER], health: [] }),
    events: answered([]),
    prometheus: prometheus(),
    ...over,
  };
}

/** A claim of a CSI driver of which everybody has numbers. */
export function volume(over: Partial<VolumeFacts> = {}): VolumeFacts {
  const mine = pod();
  return {
    ...{ namespace: 'shop', claimName: 'data', isHere: true, volumeName: 'data', pod: mine, place: PLACE },
    ...(mine.volumes[0] !== undefined && { volume: mine.volumes[0] }),
    claim: answered(claim()),
    description: description(),
    stats: measured(),
    stuckSiblings: [],
    sharedWith: 0,
    podSummary: { podRef: { name: 'web-0', namespace: 'shop', uid: 'uid-1' }, containers: [] },
    summary: {
      ...{ name: 'data', time: '2026-11-27T11:59:30Z', capacityBytes: 100n, usedBytes: 40n },
      pvcRef: { name: 'data', namespace: 'shop' },
    },
    exported: { capacity_bytes: 100, used_bytes: 40 },
    series: [sample()],
    ...over,
  };
}

/** Of which nobody has numbers but this process. */
export const NO_NUMBERS = { summary: undefined, exported: undefined, series: [] } as const;

/** What a stage says in one situation. */
export interface Situation {
  readonly title: string;
  /** What differs from {@link volume} and {@link facts}, in which all is as it should be. */
  readonly volume?: Partial<VolumeFacts>;
  readonly facts?: Partial<Facts>;
  readonly verdict: Verdict;
  readonly evidence: RegExp;
  /** Without, there is no fix. */
  readonly fix?: RegExp;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** A test of one stage for each situation. */
export function testStage(
  stage: Stage,
  judge: (volume: VolumeFacts, facts: Facts) => Finding,
  situations: readonly Situation[],
): void {
  test.each(situations.map((each) => [each.title, each] as const))('%s', (_, situation) => {
    const { verdict, evidence, fix, data } = situation;
    const found = judge(volume(situation.volume), facts(situation.facts));
    expect(found).toMatchObject({ stage, verdict, ...(data !== undefined && { data }) });
    expect(found.evidence).toMatch(evidence);
    if (fix === undefined) expect(found.fix).toBeUndefined();
    else expect(found.fix).toMatch(fix);
  });
}
