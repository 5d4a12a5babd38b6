import { status } from '@grpc/grpc-js';
import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, test } from 'vitest';
import {
  NodeServiceCapability_RPC_Type as Capability,
  VolumeUsage_Unit as Unit,
} from '../../src/csi/gen/csi/v1/csi.js';
import { explain } from '../../src/explain/explain.js';
import type { ExplainOptions } from '../../src/explain/explain-options.js';
import type { Stage, VolumeExplanation } from '../../src/explain/finding.js';
import { KubeletClient } from '../../src/kubelet/kubelet-client.js';
import { FuseServer, type FuseMount } from '../support/fuse.mjs';
import { needs } from '../support/needs.js';
import {
  DRIVER,
  FakeNode,
  findingOf,
  metricsOf,
  NODE,
  stagesWith,
  USER,
  type FakeClaim,
} from './support/fake-node.js';
import { FakePrometheus, json } from './support/fake-prometheus.js';

let node: FakeNode;

afterEach(async () => {
  await node.stop();
});

const DATA: FakeClaim = { name: 'data' };
const WITHOUT_NUMBERS: FakeClaim = { name: 'data', hasNumbers: false };
const HOSTPATH = { hostPath: { path: '/opt/local-path-provisioner/pv-1' } };
const NFS = { nfs: { server: 'nfs.example', path: '/export' } };

/** A status of a pod none of whose containers runs. */
function notRunning(phase: string, state: object, restartCount = 0): Record<string, unknown> {
  return { phase, containerStatuses: [{ name: 'main', state, restartCount }] };
}

/** A fault that is made for real, what is said about it, and how it is mended. */
interface Fault {
  readonly title: string;
  /** @defaultValue the claim `data`, without numbers */
  readonly claims?: readonly FakeClaim[];
  readonly make?: (fake: FakeNode) => unknown;
  readonly cause: RegExp;
  readonly remedy: RegExp;
  /** The only one that is blamed. */
  readonly stage: Stage;
  /** @defaultValue `missing`; a number that is odd is exported */
  readonly result?: VolumeExplanation['result'];
  /** What else is mended before the kubelet has its number. */
  readonly mend?: (fake: FakeNode) => unknown;
  readonly options?: ExplainOptions;
}

/** @param others - stages that may have something to say where nothing is mounted */
async function expectBlamed(fault: Fault, others: readonly Stage[] = []): Promise<void> {
  const { make, cause, remedy, stage, result = 'missing', mend, options } = fault;
  await make?.(node);
  const broken = await node.one('data', options);
  expect(broken.cause).toMatch(cause);
  expect(broken.remedy).toMatch(remedy);
  expect(broken.result).toBe(result);
  expect(stagesWith(broken, 'cause')).toEqual([stage]);
  await mend?.(node);
  node.serve([DATA]);
  const mended = await node.one('data', options);
  expect(mended.result).toBe('exported');
  expect(stagesWith(mended, 'cause').filter((each) => !others.includes(each))).toEqual([]);
}

function tableOf(faults: readonly Fault[]): [string, Fault][] {
  return faults.map((each) => [each.title, each]);
}

const DRIVER_FAULTS: readonly Fault[] = [
  {
    title: 'a driver that is not registered',
    make: (fake) => fake.unregister(),
    mend: (fake) => fake.register(),
    cause: /^The driver fake\.csi\.example is not registered on this node/,
    remedy: /pod of the driver fake\.csi\.example runs/,
    stage: 'csi',
  },
  {
    title: 'a driver with a dead socket',
    make: (fake) => fake.driver.crash(),
    mend: (fake) => fake.driver.restart(),
    cause: /is registered, and nobody answers at its socket/,
    remedy: /Restart the driver's pod/,
    stage: 'csi',
  },
  {
    title: 'a driver without the capability',
    make: (fake) => (fake.driver.script.capabilities = []),
    mend: (fake) => (fake.driver.script.capabilities = [Capability.GET_VOLUME_STATS]),
    cause: /does not have the capability GET_VOLUME_STATS/,
    remedy: /version of the driver that has it/,
    stage: 'csi',
  },
  {
    title: 'a driver that fails',
    make: (fake) => {
      fake.driver.answer('nodeGetVolumeStats', { code: status.INTERNAL, details: 'no \u001b[31mquota' });
    },
    mend: (fake) => {
      fake.driver.answer('nodeGetVolumeStats', undefined);
    },
    cause: /fails: NodeGetVolumeStats of .* failed with 13 INTERNAL: no \\x1b\[31mquota/,
    remedy: /log of the driver's pod/,
    stage: 'csi',
  },
  {
    title: 'a driver that answers without usage',
    make: (fake) => (fake.driver.script.usage = []),
    mend: (fake) =>
      (fake.driver.script.usage = [{ unit: Unit.BYTES, total: 100n, available: 60n, used: 40n }]),
    cause: /answers without usage: .*usage is nil/,
    remedy: /makers of the driver/,
    stage: 'csi',
  },
  {
    title: 'a driver that does not answer',
    make: (fake) => (fake.driver.mode = 'mute'),
    mend: (fake) => (fake.driver.mode = 'serve'),
    cause: /does not answer/,
    remedy: /log of the driver's pod/,
    stage: 'csi',
    options: { timeoutMs: 2_000 },
  },
  {
    title: 'a kubelet that was restarted and treats its mount as uncertain',
    make: (fake) => {
      const startedSeconds = String(Date.now() / 1000 - 600);
      fake.kubelet.bodies.metrics = metricsOf(
        [{ name: 'other' }],
        [`process_start_time_seconds ${startedSeconds}`],
      );
    },
    cause: /which was restarted at .* treats its mount as uncertain/,
    remedy: /Restart the pod/,
    stage: 'kubelet-summary',
  },
  {
    title: 'a kubelet of 1.34.0 that measures and exports nothing',
    claims: [DATA],
    make: (fake) => {
      const reading = 'kubelet_volume_metric_collection_duration_seconds_count{metric_source="csi"} 12';
      const build = 'kubernetes_build_info{git_version="v1.34.0"} 1';
      fake.kubelet.bodies.metrics = metricsOf([], [reading, build]);
    },
    cause: /\(v1\.34\.0\) measures volumes \(12 readings so far\)/,
    remedy: /later patch release/,
    stage: 'kubelet-metrics',
  },
  {
    title: 'a pod that has just started and waits for the first round',
    claims: [{ ...WITHOUT_NUMBERS, status: { startTime: new Date(Date.now() + 3_600_000).toISOString() } }],
    cause: /^The pod started 0 s ago, .* within 120 s\.$/,
    remedy: /Wait/,
    stage: 'analyzer',
  },
  {
    title: 'measuring that is turned off',
    make: (fake) => (fake.kubelet.bodies.configz = { kubeletconfig: { volumeStatsAggPeriod: '-1s' } }),
    mend: (fake) => (fake.kubelet.bodies.configz = { kubeletconfig: { volumeStatsAggPeriod: '1m0s' } }),
    cause: /its volumeStatsAggPeriod is -1 s/,
    remedy: /such as 1m/,
    stage: 'analyzer',
  },
  {
    title: 'a capacity of 0',
    claims: [{ ...DATA, numbers: { capacityBytes: 0 } }],
    cause: /The kubelet has the capacity 0/,
    remedy: /makers of the driver/,
    stage: 'number',
    result: 'exported',
  },
  {
    title: 'a number that is old',
    claims: [{ ...DATA, numbers: { time: '2020-01-01T00:00:00Z' } }],
    cause: /number is \d{8,} s old, .* its measuring hangs/,
    remedy: /does not answer/,
    stage: 'number',
    result: 'exported',
  },
  {
    title: 'a number that differs from ours',
    claims: [DATA],
    make: (fake) =>
      (fake.driver.script.usage = [{ unit: Unit.BYTES, total: 4_096n, available: 0n, used: 4_096n }]),
    mend: (fake) =>
      (fake.driver.script.usage = [{ unit: Unit.BYTES, total: 100n, available: 60n, used: 40n }]),
    cause: /^The kubelet says 100 bytes of capacity, and here 4\.0 KiB were measured\.$/,
    remedy: /resized/,
    stage: 'number',
    result: 'exported',
  },
];

describe.skipIf(needs({ root: true }))('a node on which volumes are mounted', () => {
  test('with nothing wrong: exported, and no stage is blamed', async () => {
    node = await FakeNode.start([DATA]);
    const found = await node.one('data');
    expect(found.result).toBe('exported');
    expect(found.cause).toContain('Capacity 100 bytes, used 40 bytes, the same as measured here');
    expect(found.remedy).toBe('');
    expect(stagesWith(found, 'cause')).toEqual([]);
    expect(stagesWith(found, 'unknown')).toEqual([]);
    expect(stagesWith(found, 'ok')).toEqual([
      'kubelet-metrics',
      'kubelet-summary',
      'analyzer',
      'pod',
      'provider',
      'disk',
      'csi',
      'number',
    ]);
  });

  test('with nothing wrong in Prometheus either: all stages are ok', async () => {
    node = await FakeNode.start([DATA]);
    const prometheus = await FakePrometheus.start(new URL(node.kubelet.endpoint).host);
    const found = await node.one('data', { prometheus: prometheus.client });
    await prometheus.stop();
    expect(found.result).toBe('exported');
    expect(found.findings.map(({ verdict }) => verdict)).toEqual(found.findings.map(() => 'ok'));
  });

  test.each(tableOf(DRIVER_FAULTS))('%s: it alone is blamed, until it is mended', async (_, fault) => {
    node = await FakeNode.start(fault.claims ?? [WITHOUT_NUMBERS]);
    await expectBlamed(fault);
  });

  test('of two causes, the one nearest to the volume is named, and both are found', async () => {
    node = await FakeNode.start([WITHOUT_NUMBERS]);
    node.driver.script.capabilities = [];
    node.kubelet.bodies.configz = { kubeletconfig: { volumeStatsAggPeriod: '0s' } };
    const found = await node.one('data');
    expect(found.cause).toContain('GET_VOLUME_STATS');
    expect(stagesWith(found, 'cause')).toEqual(['analyzer', 'csi']);
  });

  test('many volumes on one filesystem have its numbers', async () => {
    node = await FakeNode.start(['one', 'two', 'three'].map((name) => ({ name, sharedDirectory: true })));
    const found = await node.one('one');
    expect(found.result).toBe('exported');
    expect(found.cause).toMatch(/those of a filesystem that 2 other volumes of this node are on\.$/);
    expect(findingOf(found, 'disk').data['sharedWith']).toBe(2);
  });

  test('what the storage reported in the status of the pod and of the CSINode is evidence', async () => {
    const health = [{ name: 'data', healthConditions: [{ status: 'Degraded', message: '1 of 3 replicas' }] }];
    node = await FakeNode.start([{ ...DATA, status: { volumeHealth: health } }]);
    node.api.objects.csinodes = [csiNode([{ status: 'StorageUnreachable', reason: 'Fenced' }])];
    const found = await node.one('data');
    expect(found.result).toBe('exported');
    const csi = findingOf(found, 'csi');
    expect(csi.evidence).toContain(
      'the storage reported: Degraded 1 of 3 replicas; StorageUnreachable Fenced',
    );
    expect(csi.data['reported']).toEqual(['Degraded 1 of 3 replicas', 'StorageUnreachable Fenced']);
    node.api.objects.csinodes = [csiNode([])];
    node.serve([DATA]);
    expect(findingOf(await node.one('data'), 'csi').data['reported']).toBeUndefined();
  });

  test('what the storage reported by events before 1.37 is evidence, and needs no right to be without', async () => {
    node = await FakeNode.start([WITHOUT_NUMBERS]);
    node.driver.answer('nodeGetVolumeStats', { code: status.INTERNAL, details: 'no quota' });
    node.api.objects.events = [
      event('Pod', 'data-pod', 'VolumeConditionAbnormal', 'Volume data: a replica is lost'),
      event('PersistentVolumeClaim', 'data', 'VolumeConditionAbnormal', 'the pool is full'),
      event('Pod', 'data-pod', 'Scheduled', 'Volume data: on node1'),
    ];
    const found = await node.one('data');
    expect(found.cause).toMatch(
      /no quota; the storage reported: Volume data: a replica is lost; the pool is full/,
    );
    const listed = node.api.requests.filter((each) => each.includes('/events'));
    expect(listed).toEqual([
      '/api/v1/namespaces/shop/events?fieldSelector=reason%3DVolumeConditionAbnormal&limit=500',
    ]);
    node.api.users.rules = [
      { subject: USER, resources: ['pods', 'persistentvolumeclaims', 'persistentvolumes', 'csinodes'] },
    ];
    node.driver.answer('nodeGetVolumeStats', undefined);
    node.serve([DATA]);
    const { volumes, problems } = await node.explain({ claim: { namespace: 'shop', name: 'data' } });
    expect(volumes.map(({ result }) => result)).toEqual(['exported']);
    expect(problems).toEqual([]);
  });

  test('a private mount of the root hides volumes that are mounted later: unknown, with what to set', async () => {
    node = await FakeNode.start([DATA], false);
    const { rootDir } = node.root;
    const volume = `${rootDir}/pods/uid-of-data/volumes/kubernetes.io~csi/pv-data/mount`;
    execFileSync('mount', ['--bind', rootDir, rootDir]);
    try {
      execFileSync('mount', ['--make-private', rootDir]);
      const { volumes, problems } = await node.explain({ claim: { namespace: 'shop', name: 'data' } });
      expect(problems.join()).toMatch(/will seem not mounted: .*"mountPropagation: HostToContainer"/);
      const disk = volumes[0] && findingOf(volumes[0], 'disk');
      expect(disk?.verdict).toBe('unknown');
      expect(disk?.evidence).toMatch(
        /the kubelet has numbers of it, and this process sees no mount: .* private/,
      );
      expect(disk?.fix).toContain('mountPropagation: HostToContainer');
      expect(volumes[0]?.result).toBe('exported');
      execFileSync('mount', ['--make-shared', rootDir]);
      execFileSync('mount', ['-t', 'tmpfs', 'kvm-test', volume]);
      const found = await node.one('data');
      expect(findingOf(found, 'disk').verdict).toBe('ok');
      expect(found.result).toBe('exported');
    } finally {
      execFileSync('umount', ['-R', rootDir]);
    }
  });
});

function csiNode(healthConditions: readonly object[]): object {
  return {
    metadata: { name: NODE },
    spec: { drivers: [{ name: DRIVER }] },
    status: { storageHealth: [{ name: DRIVER, healthConditions }] },
  };
}

function event(kind: string, name: string, reason: string, message: string): object {
  const involvedObject = { kind, namespace: 'shop', name };
  return { metadata: { namespace: 'shop', name: `${name}.${reason}` }, involvedObject, reason, message };
}

describe.skipIf(needs({ fuse: true }))('a node with a filesystem that misbehaves', () => {
  /** 100 bytes, 40 of them used: what the kubelet says too. */
  const STATFS = { statfs: { frsize: 1, blocks: 100n, bfree: 60n, bavail: 60n } };
  const LOGS: FakeClaim = { name: 'logs', withPodOf: 'data', source: NFS };

  async function withMount(use: (mount: FuseMount) => Promise<void>): Promise<void> {
    await using fuse = new FuseServer();
    const mount = await fuse.mount(STATFS);
    try {
      await use(mount);
    } finally {
      await mount.release();
      // Before the mounts of it go.
      await node.stop();
    }
  }

  test('a filesystem that hangs is blamed for its own volume, and for the others of the pod, which wait', async () => {
    await withMount(async (mount) => {
      const logs = { ...LOGS, directory: mount.path, hasNumbers: false };
      node = await FakeNode.start([WITHOUT_NUMBERS, logs, { name: 'other' }]);
      await mount.hold();
      const options = { timeoutMs: 1_000 };
      const stuck = await node.one('logs', options);
      expect(stuck.cause).toMatch(/^The filesystem does not answer/);
      expect(stuck.remedy).toMatch(/server or device behind the mount/);
      expect(stagesWith(stuck, 'cause')).toEqual(['disk']);
      const waiting = await node.one('data', options);
      expect(waiting.cause).toMatch(/^Another volume of the same pod does not answer \(logs\)/);
      expect(waiting.remedy).toMatch(/^Repair that volume/);
      expect(stagesWith(waiting, 'cause')).toEqual(['analyzer']);
      expect((await node.one('other', options)).result).toBe('exported');
      await mount.release();
      node.serve([DATA, { ...logs, hasNumbers: true }]);
      const { volumes } = await node.explain({ pod: { namespace: 'shop', name: 'data-pod' } });
      expect(volumes.map(({ volume, result }) => [volume, result])).toEqual([
        ['data', 'exported'],
        ['logs', 'exported'],
      ]);
      for (const each of volumes) expect(stagesWith(each, 'cause')).toEqual([]);
    });
  });

  test('a filesystem that fails is blamed, with its errno, until it is mended', async () => {
    await withMount(async (mount) => {
      const broken = { ...WITHOUT_NUMBERS, source: NFS, directory: mount.path };
      node = await FakeNode.start([broken]);
      await expectBlamed({
        title: '',
        make: () => mount.change({ ...STATFS, errors: { statfs: 'EIO' } }),
        mend: () => mount.change(STATFS),
        cause: /^The filesystem fails with EIO/,
        remedy: /dmesg/,
        stage: 'disk',
      });
    });
  });
});

const POD_FAULTS: readonly Fault[] = [
  {
    title: 'a pod that is pending',
    claims: [
      { ...WITHOUT_NUMBERS, status: notRunning('Pending', { waiting: { reason: 'ContainerCreating' } }) },
    ],
    cause: /main waits \(ContainerCreating\)/,
    remedy: /kubectl describe pod/,
    stage: 'pod',
  },
  {
    title: 'a pod that has ended',
    claims: [
      {
        ...WITHOUT_NUMBERS,
        status: { ...notRunning('Failed', { terminated: {} }), message: 'Evicted: disk' },
      },
    ],
    cause: /has ended \(Failed\): Evicted: disk/,
    remedy: /Nothing to do/,
    stage: 'pod',
  },
  {
    title: 'a pod that crashes',
    claims: [
      { ...WITHOUT_NUMBERS, status: notRunning('Running', { waiting: { reason: 'CrashLoopBackOff' } }, 7) },
    ],
    cause: /CrashLoopBackOff after 7 restarts/,
    remedy: /kubectl logs --previous/,
    stage: 'pod',
  },
  {
    title: 'a pod on another node',
    claims: [{ ...DATA, nodeName: 'node2' }, { name: 'other' }],
    cause: /Pod shop\/data-pod runs on node node2, and this is node node1/,
    remedy: /^Run this on node node2\.$/,
    stage: 'pod',
  },
  {
    title: 'a claim that no pod mounts',
    claims: [{ ...DATA, hasPod: false }, { name: 'other' }],
    cause: /^No pod in namespace shop mounts the claim data/,
    remedy: /claimName in the spec of the pod/,
    stage: 'pod',
  },
  {
    title: 'a list of stats that fails',
    make: (fake) => {
      fake.kubelet.answer('/stats/summary', {
        status: 500,
        body: 'Internal Error: failed to list pod stats',
      });
    },
    mend: (fake) => {
      fake.kubelet.answer('/stats/summary', undefined);
    },
    cause: /no volume of the node has numbers: .*failed to list pod stats/,
    remedy: /container runtime/,
    stage: 'kubelet-summary',
    options: { node: undefined },
  },
  {
    title: 'a driver that the API server does not list on the node',
    make: (fake) => (fake.api.objects.csinodes = [csiNodeOf('b.example')]),
    mend: (fake) => (fake.api.objects.csinodes = [csiNodeOf(DRIVER)]),
    cause:
      /^The driver fake\.csi\.example is not registered on node node1, whose CSINode lists b\.example\.$/,
    remedy: /pod of the driver/,
    stage: 'csi',
    options: { node: undefined },
  },
];

function csiNodeOf(driver: string): object {
  return { metadata: { name: NODE }, spec: { drivers: [{ name: driver }] } };
}

describe('a node on which nothing is mounted', () => {
  test.each(tableOf(POD_FAULTS))('%s: it alone is blamed, until it is mended', async (_, fault) => {
    node = await FakeNode.start(fault.claims ?? [WITHOUT_NUMBERS], false);
    await expectBlamed({ ...fault, options: fault.options ?? {} }, ['disk']);
  });

  test('asks each door once for 250 pods, Prometheus as well', async () => {
    const names = Array.from({ length: 250 }, (_, index) => `claim-${String(index)}`);
    node = await FakeNode.start(
      names.map((name) => ({ name })),
      false,
    );
    const prometheus = await FakePrometheus.start(new URL(node.kubelet.endpoint).host, names);
    const { volumes } = await node.explain({ prometheus: prometheus.client });
    await prometheus.stop();
    expect(volumes).toHaveLength(250);
    expect(volumes.every(({ result }) => result === 'exported')).toBe(true);
    expect([...node.kubelet.requests].sort()).toEqual(['/configz', '/metrics', '/pods', '/stats/summary']);
    expect(node.api.requests.map((each) => each.split('?')[0]).sort()).toEqual([
      '/api/v1/events',
      '/api/v1/persistentvolumeclaims',
      '/api/v1/persistentvolumes',
      '/apis/storage.k8s.io/v1/csinodes/node1',
    ]);
    expect([...prometheus.questions].sort()).toEqual(['active', 'counts', 'dashboard', 'offering', 'series']);
  });

  test('asks for claims by name where lists are refused, and not on once the server is away', async () => {
    const claims = Array.from({ length: 20 }, (_, index) => ({ name: `claim-${String(index)}` }));
    node = await FakeNode.start(claims, false);
    node.api.users.rules = [
      { subject: USER, resources: ['persistentvolumeclaims', 'persistentvolumes'], verbs: ['get'] },
    ];
    const doors = node.doors();
    const { volumes } = await node.explain({ ...doors, node: undefined });
    expect(volumes.map((each) => findingOf(each, 'csi').verdict)).toEqual(claims.map(() => 'ok'));
    expect(node.api.requests.filter((each) => each.includes('claims/claim-'))).toHaveLength(20);
    let asked = 0;
    const away = new Proxy(doors.api!, {
      get: (target, name): unknown => {
        const hang = (): Promise<never> => {
          asked += 1;
          return new Promise(() => undefined);
        };
        const found: unknown = name === 'get' ? hang : Reflect.get(target, name, target);
        return typeof found === 'function' ? (found.bind(target) as unknown) : found;
      },
    });
    const found = await node.explain({ ...doors, node: undefined, api: away, timeoutMs: 2_000 });
    expect(found.volumes).toHaveLength(20);
    for (const each of found.volumes)
      expect(findingOf(each, 'provider').evidence).toMatch(/did not answer within/);
    // Four claims, the CSINode and the events.
    expect(asked).toBe(6);
  });

  test('a query of the dashboard that fails with duplicate series, until they are gone', async () => {
    node = await FakeNode.start([DATA], false);
    const prometheus = await FakePrometheus.start(new URL(node.kubelet.endpoint).host);
    const options = { node: undefined, prometheus: prometheus.client };
    const error = 'found duplicate series for the match group {persistentvolumeclaim="data"}';
    prometheus.answers.set('dashboard', json({ status: 'error', errorType: 'execution', error }, 422));
    const broken = await node.one('data', options);
    expect(broken.result).toBe('missing');
    expect(broken.cause).toMatch(
      /^The query of the dashboard fails: .*found duplicate series for the match group/,
    );
    expect(broken.remedy).toMatch(/two jobs or targets: keep the one with job="kubelet"/);
    expect(stagesWith(broken, 'cause')).toEqual(['dashboard']);
    prometheus.answerAll(undefined);
    expect((await node.one('data', options)).result).toBe('exported');
    await prometheus.stop();
  });

  test('a pod on another node whose number Prometheus has is exported, and nobody is blamed', async () => {
    node = await FakeNode.start([{ ...DATA, nodeName: 'node2' }, { name: 'other' }], false);
    const prometheus = await FakePrometheus.start('10.0.0.2:10250');
    const found = await node.one('data', { prometheus: prometheus.client });
    await prometheus.stop();
    expect(found.result).toBe('exported');
    expect(stagesWith(found, 'cause')).toEqual([]);
    expect(findingOf(found, 'pod').evidence).toMatch(/runs on node node2, and Prometheus has numbers/);
  });

  test('a target that is down, and a pod that crashes: the pod is named, and both are found', async () => {
    const crashing = notRunning('Running', { waiting: { reason: 'CrashLoopBackOff' } });
    node = await FakeNode.start([{ ...WITHOUT_NUMBERS, status: crashing }], false);
    const prometheus = await FakePrometheus.start(new URL(node.kubelet.endpoint).host, []);
    const scrapeUrl = `${node.kubelet.endpoint}/metrics`;
    const down = { labels: {}, scrapeUrl, health: 'down', lastError: 'context deadline exceeded' };
    prometheus.answers.set('active', json({ status: 'success', data: { activeTargets: [down] } }));
    const found = await node.one('data', { prometheus: prometheus.client });
    await prometheus.stop();
    expect(found.result).toBe('missing');
    expect(found.cause).toContain('CrashLoopBackOff');
    expect(stagesWith(found, 'cause')).toEqual(['target', 'pod']);
    expect(findingOf(found, 'target').evidence).toContain("the kubelet's /metrics is slow, or a firewall");
  });

  test('from a laptop, a driver that is not registered on the node of the pod', async () => {
    node = await FakeNode.start([{ ...DATA, nodeName: 'node2' }], false);
    node.api.objects.csinodes = [{ metadata: { name: 'node2' }, spec: { drivers: [] } } as object];
    const found = await node.one('data', { node: undefined, kubelet: undefined });
    expect(found.cause).toBe(
      'The driver fake.csi.example is not registered on node node2, whose CSINode lists none.',
    );
    expect(stagesWith(found, 'cause')).toEqual(['csi']);
    node.api.objects.csinodes = [
      { metadata: { name: 'node2' }, spec: { drivers: [{ name: DRIVER }] } } as object,
    ];
    const mended = await node.one('data', { node: undefined, kubelet: undefined });
    expect(mended).toMatchObject({ result: 'unknown', remedy: 'Run this on node node2.' });
  });

  test('a volume that is not mounted', async () => {
    node = await FakeNode.start([WITHOUT_NUMBERS], false);
    const found = await node.one('data');
    expect(found.cause).toMatch(/^The volume is not mounted: nothing is mounted on .*\/mount/);
    expect(found.remedy).toMatch(/events of the pod/);
    expect(stagesWith(found, 'cause')).toEqual(['disk']);
  });

  test.each([
    [
      'a hostPath of local-path-provisioner',
      HOSTPATH,
      /\(\/opt\/local-path-provisioner\/pv-1\)/,
      /volumeType: local/,
    ],
    [
      'Fibre Channel with a filesystem',
      { fc: { lun: 1 } },
      /Fibre Channel filesystem/,
      /CSI driver of the storage/,
    ],
  ])('%s: never measured, and another kind is', async (_, source, cause, remedy) => {
    node = await FakeNode.start([{ ...WITHOUT_NUMBERS, source }], false);
    const found = await node.one('data');
    expect(found.cause).toMatch(cause);
    expect(found.remedy).toMatch(remedy);
    expect(found.result).toBe('missing');
    expect(stagesWith(found, 'cause')).toEqual(['provider']);
    await node.stop();
    node = await FakeNode.start([{ ...DATA, source: { local: { path: '/disk' } } }], false);
    expect((await node.one('data')).result).toBe('exported');
  });

  test.each([
    ['image', { image: { reference: 'registry.example/model' } }, /is an image/],
    ['gitRepo', { gitRepo: { repository: 'https://git.example/x' } }, /is a gitRepo/],
    ['hostPath', { hostPath: { path: '/var/log' } }, /is a hostPath.*\(\/var\/log\)/],
  ])('a volume of the kind %s: never measured', async (_, inline, cause) => {
    node = await FakeNode.start([{ ...WITHOUT_NUMBERS, inline }], false);
    const { volumes } = await node.explain({ all: true });
    expect(volumes).toHaveLength(1);
    expect(volumes[0]?.cause).toMatch(cause);
    expect(volumes[0]?.result).toBe('missing');
    expect(volumes[0] && stagesWith(volumes[0], 'cause')).toEqual(['kubelet-metrics', 'provider']);
  });

  test('a claim that does not exist', async () => {
    node = await FakeNode.start([{ name: 'other' }], false);
    const found = await node.one('data');
    expect(found.cause).toBe('There is no claim data in this namespace.');
  });

  test('a right that is missing at the kubelet is unknown, with the rule to add', async () => {
    node = await FakeNode.start([DATA], false);
    node.allowKubelet([{ subject: USER, resources: ['nodes/pods'] }]);
    const found = await node.one('data', { node: undefined });
    expect(found.result).toBe('unknown');
    expect(stagesWith(found, 'cause')).toEqual([]);
    const metrics = findingOf(found, 'kubelet-metrics');
    expect(metrics.verdict).toBe('unknown');
    expect(metrics.evidence).toContain(`${USER} may not get nodes/metrics`);
    expect(metrics.fix).toContain('the right to get nodes/metrics');
    expect(metrics.data['rule']).toContain('resources: ["nodes/metrics"], verbs: ["get"]');
    node.allowKubelet();
    expect((await node.one('data', { node: undefined })).result).toBe('exported');
  });

  test('a token that the kubelet does not know is unknown', async () => {
    node = await FakeNode.start([DATA], false);
    node.kubelet.users.tokens.delete('secret');
    const found = await node.one('data', { node: undefined });
    expect(found.result).toBe('unknown');
    expect(stagesWith(found, 'cause')).toEqual([]);
    expect(findingOf(found, 'kubelet-metrics').evidence).toMatch(/401|does not know/);
    expect(findingOf(found, 'kubelet-metrics').data['code']).toBe('KUBELET_UNAUTHENTICATED');
    expect(findingOf(found, 'kubelet-metrics').fix).toMatch(/credentials/);
  });

  test('a pod of which the API server alone says that it is on this node is on this node', async () => {
    node = await FakeNode.start([DATA], false);
    node.allowKubelet([{ subject: USER, resources: ['nodes/metrics', 'nodes/stats', 'nodes/configz'] }]);
    node.api.answer('/api/v1/pods', { status: 500, body: 'not of all namespaces' });
    const found = await node.one('data', { node: undefined });
    expect(found.result).toBe('exported');
    expect(findingOf(found, 'pod')).toMatchObject({
      verdict: 'ok',
      evidence: 'pod shop/data-pod runs on this node (Running) and uses it',
    });
    expect(findingOf(found, 'kubelet-summary').verdict).toBe('ok');
  });

  test('a read-only port that is closed is unknown', async () => {
    node = await FakeNode.start([DATA], false);
    const kubelet = new KubeletClient({ endpoint: 'http://127.0.0.1:1', auth: { type: 'none' } });
    const found = await node.one('data', { node: undefined, kubelet });
    kubelet.close();
    expect(found.result).toBe('unknown');
    expect(findingOf(found, 'kubelet-metrics').evidence).toMatch(
      /ECONNREFUSED 127\.0\.0\.1:1\. Nothing listens there/,
    );
    expect(findingOf(found, 'kubelet-metrics').data['code']).toBe('KUBELET_UNREACHABLE');
  });

  test('no right at all: unknown, with the rules to add, and no stage is ok', async () => {
    node = await FakeNode.start([DATA], false);
    node.allowKubelet([]);
    node.api.users.rules = [];
    const claim = { namespace: 'shop', name: 'data' };
    const { volumes, problems } = await node.explain({ node: undefined, claim });
    expect(volumes[0]?.result).toBe('unknown');
    expect(volumes[0] && stagesWith(volumes[0], 'ok')).toEqual([]);
    expect(volumes[0] && stagesWith(volumes[0], 'cause')).toEqual([]);
    expect(volumes[0]?.remedy).toMatch(/Give .* the right to get nodes\/pods/);
    expect(problems.join('\n')).toMatch(/nodes\/metrics/);
    expect(problems.join('\n')).toMatch(/pods/);
  });

  test('a kubelet that does not answer is unknown, and the rest is judged', async () => {
    node = await FakeNode.start([DATA], false);
    node.kubelet.mode = 'mute';
    const { kubelet } = node.doors({ timeoutMs: 500 });
    const found = await node.one('data', { kubelet, node: { name: NODE, rootDir: node.root.rootDir } });
    expect(findingOf(found, 'kubelet-metrics').evidence).toContain('did not answer /metrics within 500 ms');
    expect(stagesWith(found, 'unknown')).toEqual(['kubelet-metrics', 'kubelet-summary', 'analyzer']);
    expect(findingOf(found, 'pod').verdict).toBe('ok');
    expect(found.cause).toMatch(/^The volume is not mounted/);
  });

  test('a kubelet that refuses its pods still says which claims it has numbers of', async () => {
    node = await FakeNode.start([DATA, { name: 'logs' }], false);
    node.allowKubelet([{ subject: USER, resources: ['nodes/stats', 'nodes/metrics'] }]);
    const { volumes } = await node.explain({ node: undefined, api: undefined });
    expect(volumes.map(({ claim, result }) => [claim?.name, result])).toEqual([
      ['data', 'exported'],
      ['logs', 'exported'],
    ]);
    expect(volumes[0] && findingOf(volumes[0], 'kubelet-summary').verdict).toBe('ok');
    expect(volumes[0] && findingOf(volumes[0], 'pod').verdict).toBe('unknown');
  });

  test('nobody to ask: unknown, and what is needed', async () => {
    node = await FakeNode.start([], false);
    const { volumes, problems } = await explain({
      node: { rootDir: `${node.root.rootDir}/nowhere` },
      claim: { namespace: 'shop', name: 'data' },
    });
    expect(volumes).toHaveLength(1);
    expect(volumes[0]?.result).toBe('unknown');
    expect(volumes[0] && stagesWith(volumes[0], 'ok')).toEqual([]);
    expect(problems.join()).toContain('/kubelet/nowhere does not exist');
  });

  test('nobody to ask for pods: no volume, and what is missing', async () => {
    node = await FakeNode.start([], false);
    const { volumes, problems } = await explain({});
    expect(volumes).toEqual([]);
    expect(problems).toEqual(['which pods there are is not known: the kubelet was not asked']);
  });

  test('a pod that is not there, or has no such volume, is said to be so', async () => {
    node = await FakeNode.start([DATA], false);
    const asked = async (name: string, volume?: string): Promise<readonly string[]> => {
      const { volumes, problems } = await node.explain({ pod: { namespace: 'shop', name }, volume });
      expect(volumes).toEqual([]);
      return problems;
    };
    expect(await asked('web-9')).toEqual(['there is no pod shop/web-9']);
    expect(await asked('data-pod', 'logs')).toEqual(['pod shop/data-pod has no volume logs']);
    node.serve([{ ...DATA, inline: { emptyDir: {} } }]);
    expect(await asked('data-pod')).toEqual(['pod shop/data-pod has no volume with a claim']);
  });

  test('what a pod or the API server says is escaped', async () => {
    const ended = { ...notRunning('Failed', { terminated: {} }), message: 'gone\u001b[2J\u202e' };
    node = await FakeNode.start([{ ...WITHOUT_NUMBERS, status: ended }], false);
    const found = await node.one('data');
    expect(found.cause).toContain('gone\\x1b[2J\\u202e');
  });

  test('options that are wrong are named', async () => {
    node = await FakeNode.start([], false);
    const wrong: [ExplainOptions, string][] = [
      [{ claims: {} } as never, 'Unknown option "claims"'],
      [{ claim: { namespace: 'A', name: 'b' } }, 'Expected claim.namespace to be a name of Kubernetes'],
      [{ volume: 'data' }, 'Expected pod with volume'],
      [{ kubelet: {} as never }, 'Expected kubelet to have the method statsSummary'],
      [{ timeoutMs: 0 }, 'Expected timeoutMs'],
    ];
    for (const [options, message] of wrong) await expect(explain(options)).rejects.toThrow(message);
  });
});
