import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from 'vitest';
import {
  NodeServiceCapability_RPC_Type as Capability,
  VolumeUsage_Unit as Unit,
} from '../../src/csi/gen/csi/v1/csi.js';
import { explain } from '../../src/explain/explain.js';
import type { ExplainOptions } from '../../src/explain/explain-options.js';
import { needs } from '../support/needs.js';
import {
  DRIVER,
  FakeNode,
  findingOf,
  metricsOf,
  stagesWith,
  USER,
  type FakeClaim,
} from './support/fake-node.js';

let node: FakeNode;

afterEach(async () => {
  await node.stop();
});

const HOSTPATH = { hostPath: { path: '/opt/local-path-provisioner/pv-1' } };

/** Nothing that a container of the pod could use runs. */
function notRunning(phase: string, state: object, restartCount = 0): Record<string, unknown> {
  return { phase, containerStatuses: [{ name: 'main', state, restartCount }] };
}

describe.skipIf(needs({ root: true }))('a node on which volumes are mounted', () => {
  test('with nothing wrong: exported, and no stage is blamed', async () => {
    node = await FakeNode.start([{ name: 'data' }]);
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

  test('asks each door once for 250 pods', async () => {
    const claims = Array.from({ length: 250 }, (_, index) => ({ name: `claim-${String(index)}` }));
    node = await FakeNode.start(claims, false);
    const { volumes } = await node.explain({ node: undefined });
    expect(volumes).toHaveLength(250);
    expect(volumes.every(({ result }) => result === 'exported')).toBe(true);
    expect([...node.kubelet.requests].sort()).toEqual(['/configz', '/metrics', '/pods', '/stats/summary']);
    expect(node.api.requests.map((each) => each.split('?')[0]).sort()).toEqual([
      '/api/v1/events',
      '/api/v1/persistentvolumeclaims',
      '/api/v1/persistentvolumes',
      '/apis/storage.k8s.io/v1/csinodes/node1',
    ]);
  });

  /** Faults of the driver: made, found, and gone again. */
  const DRIVER_FAULTS: readonly [string, (fake: FakeNode) => unknown, (fake: FakeNode) => unknown, RegExp][] =
    [
      [
        'is not registered',
        (fake) => fake.unregister(),
        (fake) => fake.register(),
        /^The driver fake\.csi\.example is not registered on this node/,
      ],
      [
        'has a dead socket',
        (fake) => fake.driver.crash(),
        (fake) => fake.driver.restart(),
        /is registered, and nobody answers at its socket/,
      ],
      [
        'lacks the capability',
        (fake) => (fake.driver.script.capabilities = []),
        (fake) => (fake.driver.script.capabilities = [Capability.GET_VOLUME_STATS]),
        /does not have the capability GET_VOLUME_STATS/,
      ],
      [
        'fails',
        (fake) => {
          fake.driver.answer('nodeGetVolumeStats', { code: status.INTERNAL, details: 'no \u001b[31mquota' });
        },
        (fake) => {
          fake.driver.answer('nodeGetVolumeStats', undefined);
        },
        /fails: NodeGetVolumeStats of .* failed with 13 INTERNAL: no \\x1b\[31mquota/,
      ],
      [
        'answers without usage',
        (fake) => (fake.driver.script.usage = []),
        (fake) => (fake.driver.script.usage = [{ unit: Unit.BYTES, total: 100n, available: 60n, used: 40n }]),
        /answers without usage: .*usage is nil/,
      ],
      [
        'does not answer',
        (fake) => (fake.driver.mode = 'mute'),
        (fake) => (fake.driver.mode = 'serve'),
        /does not answer/,
      ],
    ];

  test.each(DRIVER_FAULTS)(
    'the driver %s: it alone is blamed, until it is repaired',
    async (_, make, mend, cause) => {
      const claim: FakeClaim = { name: 'data', hasNumbers: false };
      node = await FakeNode.start([claim]);
      await make(node);
      const broken = await node.one('data', { timeoutMs: 2_000 });
      expect(broken.cause).toMatch(cause);
      expect(broken.result).toBe('missing');
      expect(stagesWith(broken, 'cause')).toEqual(['csi']);
      expect(broken.remedy).not.toBe('');
      await mend(node);
      node.serve([{ ...claim, hasNumbers: true }]);
      expect((await node.one('data', { timeoutMs: 5_000 })).result).toBe('exported');
    },
  );

  test('a kubelet that was restarted holds the volume for uncertain', async () => {
    const claim = { name: 'data', hasNumbers: false };
    node = await FakeNode.start([claim]);
    const startedSeconds = String(Date.now() / 1000 - 60);
    node.kubelet.bodies.metrics = metricsOf(['other'], [`process_start_time_seconds ${startedSeconds}`]);
    const found = await node.one('data');
    expect(found.cause).toMatch(/which was restarted at .* holds it for uncertain/);
    expect(stagesWith(found, 'cause')).toEqual(['kubelet-summary']);
  });

  test('a kubelet of 1.34.0 measures and exports nothing', async () => {
    node = await FakeNode.start([{ name: 'data' }]);
    node.kubelet.bodies.metrics = metricsOf(
      [],
      [
        'kubelet_volume_metric_collection_duration_seconds_count{metric_source="csi"} 12',
        'kubernetes_build_info{git_version="v1.34.0"} 1',
      ],
    );
    const found = await node.one('data');
    expect(found.cause).toContain('(v1.34.0) measures volumes (12 readings so far)');
    expect(found.remedy).toContain('later patch release');
    expect(stagesWith(found, 'cause')).toEqual(['kubelet-metrics']);
  });

  test('a pod that has just started waits for the first round', async () => {
    const startTime = new Date(Date.now() - 5_000).toISOString();
    node = await FakeNode.start([{ name: 'data', hasNumbers: false, status: { startTime } }]);
    const found = await node.one('data');
    expect(found.cause).toMatch(/^The pod started \d+ s ago, .* within 120 s\.$/);
    expect(stagesWith(found, 'cause')).toEqual(['analyzer']);
  });

  test('measuring that is turned off', async () => {
    node = await FakeNode.start([{ name: 'data', hasNumbers: false }]);
    node.kubelet.bodies.configz = { kubeletconfig: { volumeStatsAggPeriod: '-1s' } };
    const found = await node.one('data');
    expect(found.cause).toContain('its volumeStatsAggPeriod is -1 s');
    expect(stagesWith(found, 'cause')).toEqual(['analyzer']);
  });

  test('of two causes, the one nearest to the volume is named, and both are found', async () => {
    node = await FakeNode.start([{ name: 'data', hasNumbers: false }]);
    node.driver.script.capabilities = [];
    node.kubelet.bodies.configz = { kubeletconfig: { volumeStatsAggPeriod: '0s' } };
    const found = await node.one('data');
    expect(found.cause).toContain('GET_VOLUME_STATS');
    expect(stagesWith(found, 'cause')).toEqual(['analyzer', 'csi']);
  });

  test('many volumes on one filesystem have its numbers', async () => {
    const claims = ['one', 'two', 'three'].map((name) => ({ name, sharedDirectory: true }));
    node = await FakeNode.start(claims);
    const found = await node.one('one');
    expect(found.result).toBe('exported');
    expect(found.cause).toMatch(/those of a filesystem that 2 other volumes of this node are on\.$/);
  });

  test('numbers that differ from ours are odd, and there', async () => {
    node = await FakeNode.start([{ name: 'data' }]);
    node.driver.script.usage = [{ unit: Unit.BYTES, total: 4_096n, available: 0n, used: 4_096n }];
    const found = await node.one('data');
    expect(found.result).toBe('exported');
    expect(found.cause).toBe('The kubelet says 100 bytes of capacity, and here 4.0 KiB were measured.');
    expect(stagesWith(found, 'cause')).toEqual(['number']);
  });
});

describe('a node on which nothing is mounted', () => {
  test('a volume that is not mounted', async () => {
    node = await FakeNode.start([{ name: 'data', hasNumbers: false }], false);
    const found = await node.one('data');
    expect(found.cause).toMatch(/^The volume is not mounted: nothing is mounted on .*\/mount/);
    expect(stagesWith(found, 'cause')).toEqual(['disk']);
  });

  test('a hostPath of local-path-provisioner, and the annotation that changes it', async () => {
    node = await FakeNode.start([{ name: 'data', source: HOSTPATH, hasNumbers: false }], false);
    const found = await node.one('data');
    expect(found.cause).toContain('(/opt/local-path-provisioner/pv-1)');
    expect(found.remedy).toContain('volumeType: local');
    expect(stagesWith(found, 'cause')).toEqual(['provider']);
  });

  test.each([
    [
      'Pending',
      notRunning('Pending', { waiting: { reason: 'ContainerCreating' } }),
      /main waits \(ContainerCreating\)/,
    ],
    [
      'ended',
      { ...notRunning('Failed', { terminated: {} }), message: 'Evicted: disk' },
      /has ended \(Failed\): Evicted: disk/,
    ],
    [
      'crashing',
      notRunning('Running', { waiting: { reason: 'CrashLoopBackOff' } }, 7),
      /CrashLoopBackOff after 7 restarts/,
    ],
  ])('a pod that is %s', async (_, status, cause) => {
    node = await FakeNode.start([{ name: 'data', hasNumbers: false, status }], false);
    node.kubelet.bodies['stats/summary'] = { node: { nodeName: 'node1' }, pods: [] };
    const found = await node.one('data');
    expect(found.cause).toMatch(cause);
    expect(found.result).toBe('missing');
    expect(stagesWith(found, 'cause')).toEqual(['pod']);
  });

  test('a pod on another node', async () => {
    node = await FakeNode.start([{ name: 'data', nodeName: 'node2' }, { name: 'other' }], false);
    const found = await node.one('data');
    expect(found.cause).toContain('Pod shop/data-pod runs on node node2, and this is node node1');
    expect(found.remedy).toBe('Run this on node node2.');
    expect(stagesWith(found, 'cause')).toEqual(['pod']);
  });

  test('a claim that no pod mounts', async () => {
    node = await FakeNode.start([{ name: 'data', hasPod: false }, { name: 'other' }], false);
    const found = await node.one('data');
    expect(found.cause).toMatch(/^No pod in namespace shop mounts the claim data/);
    expect(stagesWith(found, 'cause')).toEqual(['pod']);
  });

  test('a claim that does not exist', async () => {
    node = await FakeNode.start([{ name: 'other' }], false);
    const found = await node.one('data');
    expect(found.cause).toBe('There is no claim data in this namespace.');
  });

  test('a driver that the API server does not list on the node', async () => {
    node = await FakeNode.start([{ name: 'data', hasNumbers: false }], false);
    node.api.objects.csinodes = [
      { metadata: { name: 'node1' }, spec: { drivers: [{ name: 'b.example' }] } } as never,
    ];
    const found = await node.one('data', { node: undefined });
    expect(found.cause).toBe(
      `The driver ${DRIVER} is not registered on node node1, whose CSINode lists b.example.`,
    );
  });

  test('a right that is missing at the kubelet is unknown, with the rule to add', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
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

  test('a kubelet whose list of stats fails has numbers of nobody', async () => {
    node = await FakeNode.start([{ name: 'data', hasNumbers: false }], false);
    node.kubelet.answer('/stats/summary', { status: 500, body: 'Internal Error: failed to list pod stats' });
    const found = await node.one('data', { node: undefined });
    expect(found.cause).toContain('failed to list pod stats');
    expect(stagesWith(found, 'cause')).toEqual(['kubelet-summary']);
  });

  test('a kubelet that does not answer is unknown, and the rest is judged', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    const options: ExplainOptions = { timeoutMs: 500, node: { name: 'node1', rootDir: node.root.rootDir } };
    node.kubelet.mode = 'mute';
    const found = await node.one('data', options);
    expect(findingOf(found, 'kubelet-metrics').evidence).toContain('did not answer within 500 ms');
    expect(stagesWith(found, 'unknown')).toEqual(['kubelet-metrics', 'kubelet-summary', 'analyzer']);
    expect(findingOf(found, 'pod').verdict).toBe('ok');
    expect(found.cause).toMatch(/^The volume is not mounted/);
  });

  test('nobody to ask: unknown, and what is needed', async () => {
    node = await FakeNode.start([], false);
    const { volumes, problems } = await explain({
      node: { rootDir: '/nowhere' },
      claim: { namespace: 'shop', name: 'data' },
    });
    expect(volumes).toHaveLength(1);
    expect(volumes[0]?.result).toBe('unknown');
    expect(volumes[0] && stagesWith(volumes[0], 'ok')).toEqual([]);
    expect(problems.join()).toContain('/nowhere does not exist');
  });

  test('an aborted signal ends it with its reason', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    node.kubelet.mode = 'mute';
    const controller = new AbortController();
    const answer = node.explain({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(answer).rejects.toThrow('enough');
  });

  test('what a pod or the API server says is escaped', async () => {
    const status = { ...notRunning('Failed', { terminated: {} }), message: 'gone\u001b[2J\u202e' };
    node = await FakeNode.start([{ name: 'data', hasNumbers: false, status }], false);
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
