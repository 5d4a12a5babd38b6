import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { FakeApiServer } from '../../src/testing/kubelet/index.js';
import { claimOf, FakeNode, podOf, USER, volumeOf } from '../explain/support/fake-node.js';
import { needs } from '../support/needs.js';
import { UsageError } from '../../src/cli/command.js';
import { readCommandLine } from '../../src/cli/program.js';
import { ended, start, type Ended } from './run-main.js';

let node: FakeNode | undefined;

afterEach(async () => {
  await node?.stop();
  node = undefined;
});

/** kubectl keeps a cache there. */
const HOME = mkdtempSync(join(tmpdir(), 'kvm-home-'));

/** Nothing of this machine's own cluster is asked. */
const NO_CLUSTER = { KUBECONFIG: '', HOME, KUBERNETES_SERVICE_HOST: '', NODE_NAME: undefined };

afterAll(() => {
  rmSync(HOME, { recursive: true });
});

/** What the command prints on standard output, and its exit code. */
interface Explained {
  readonly code: number | undefined;
  readonly stdout: string;
}

/** Runs the command in this process, which costs less than one of its own. */
async function explainWith(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<Explained> {
  const before = process.listeners('SIGINT');
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  try {
    const { text, exitCode } = await readCommandLine(['explain', ...args]).answer();
    return { code: exitCode, stdout: text };
  } finally {
    vi.unstubAllEnvs();
    for (const each of process.listeners('SIGINT')) if (!before.includes(each)) process.off('SIGINT', each);
  }
}

async function explain(...args: readonly string[]): Promise<Explained> {
  return await explainWith(NO_CLUSTER, [...args, ...(node?.args() ?? [])]);
}

describe('explain', () => {
  test('says that a claim is exported, and exits with 0', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    const args = ['explain', 'shop/data', '--json', ...node.args()];
    const { code, stdout, stderr } = await ended(start(args, undefined, NO_CLUSTER));
    expect(stderr).toBe('');
    const { command, volumes } = JSON.parse(stdout) as { command: string; volumes: { result: string }[] };
    expect([command, volumes.map(({ result }) => result)]).toEqual(['explain', ['exported']]);
    expect(code).toBe(0);
  });

  test('without an argument explains every claim of the node, and exits with 1 if one is missing', async () => {
    node = await FakeNode.start([{ name: 'data' }, { name: 'logs', hasNumbers: false }], false);
    const { code, stdout } = await explain();
    expect(stdout).toMatch(/^shop\/data: exported\. \S.*\nshop\/logs: missing\. The volume is not mounted: /);
    expect(stdout).toMatch(
      /\n\nWhat to do:\n {2}shop\/data: Restart .*\n {2}shop\/logs: Look at the events of the pod .*\n$/,
    );
    expect(code).toBe(1);
  });

  test('says once what to do for many claims', async () => {
    const claims = Array.from({ length: 5 }, (_, index) => ({
      name: `c${String(index)}`,
      hasNumbers: false,
    }));
    node = await FakeNode.start(claims, false);
    const { stdout } = await explain();
    expect(stdout.match(/^shop\/c\d: missing\. /gm)).toHaveLength(5);
    expect(stdout.match(/Look at the events/g)).toHaveLength(1);
    expect(stdout).toMatch(/^ {2}shop\/c\d, shop\/c\d, shop\/c\d and 2 more: Look at/m);
  });

  test('explains one claim with what to do below it', async () => {
    node = await FakeNode.start([{ name: 'logs', hasNumbers: false }], false);
    const { stdout, code } = await explain('shop/logs');
    expect(stdout).toMatch(
      /^shop\/logs: missing\n {2}The volume is not mounted: .*\n {2}Look at the events/m,
    );
    expect(code).toBe(1);
  });

  test('with --all it explains volumes without a claim too', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    const web = {
      metadata: { uid: 'u', namespace: 'shop', name: 'web' },
      spec: { volumes: [{ name: 'tmp', emptyDir: {} }] },
    };
    node.kubelet.bodies.pods = { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: [web] };
    const podRef = { uid: 'u', namespace: 'shop', name: 'web' };
    node.kubelet.bodies['stats/summary'] = { node: { nodeName: 'node1' }, pods: [{ podRef }] };
    expect((await explain()).stdout).toContain('No volume is known');
    const { stdout } = await explain('--all');
    expect(stdout).toMatch(/^shop\/web tmp: missing\. The volume has no claim/);
  });

  test('shows the chain with --verbose', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    const { stdout } = await explain('--pod', 'shop/data-pod', '--volume', 'data', '--verbose');
    expect(stdout).toMatch(/^ {2}dashboard {7}skipped no Prometheus was given$/m);
    expect(stdout).toMatch(/^ {2}kubelet-metrics ok {6}the kubelet exports it/m);
  });

  test('exits with 3 and shows the rule if a right is missing', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    node.allowKubelet([{ subject: USER, resources: ['nodes/pods', 'nodes/stats'] }]);
    const doors = node.args().map((each) => (each === node?.root.rootDir ? '/nowhere' : each));
    const { code, stdout } = await explainWith(NO_CLUSTER, ['shop/data', '--verbose', ...doors]);
    expect(stdout).toMatch(/^shop\/data: unknown$/m);
    expect(stdout).toContain('may not get nodes/metrics');
    expect(stdout).toContain('resources: ["nodes/metrics"], verbs: ["get"]');
    expect(code).toBe(3);
  });

  test('with nobody to ask it is unknown', async () => {
    const args = ['explain', 'shop/data', '--root', '/nowhere'];
    const { code, stdout, stderr } = await ended(start(args, undefined, NO_CLUSTER));
    expect(stdout).toMatch(/^shop\/data: unknown$/m);
    expect(stderr).toBe('');
    expect(code).toBe(3);
  });

  test.skipIf(needs({ programs: ['kubectl'] }))(
    'needs no name of the node where the folder of the pod is here',
    async () => {
      node = await FakeNode.start([{ name: 'data' }], false);
      const kubeconfig = await node.api.kubeconfig({ token: 'secret' });
      const args = ['shop/data', '--root', node.root.rootDir, '--kubeconfig', kubeconfig, '--pods', 'api'];
      const { stdout } = await explainWith(NO_CLUSTER, [...args, '--verbose']);
      expect(stdout).toMatch(/^ {2}pod {13}ok {6}pod shop\/data-pod runs on this node/m);
      expect(stdout).not.toContain('This node was taken for');
    },
  );

  test('finds what it can on the disk of a pod that is named by its uid', async () => {
    const uid = '0a6e9a52-3b1c-4f44-9d8f-0123456789ab';
    node = await FakeNode.start([{ name: 'data' }], false);
    const { rootDir } = node.root;
    renameSync(`${rootDir}/pods/uid-of-data`, `${rootDir}/pods/${uid}`);
    const args = ['--pods', 'disk', '--pod', uid, '--root', rootDir, '--verbose'];
    const { stdout, code } = await explainWith(NO_CLUSTER, args);
    expect(stdout).toMatch(
      new RegExp(`^${uid} kubernetes\\.io~csi/pv-data: missing\n {2}The volume is not mounted: `),
    );
    expect(stdout).toMatch(
      /^ {2}kubelet-metrics unknown which claim the volume belongs to is not known here$/m,
    );
    expect(code).toBe(1);
    const none = await explainWith(NO_CLUSTER, [...args, '--volume', 'pv-other']);
    expect([none.code, none.stdout.split('\n')[0]]).toEqual([3, 'No volume is known that this is about.']);
  });

  test.each([
    [['a/b/c'], 'expected CLAIM to be NAMESPACE/NAME'],
    [['shop/data', '--pod', 'shop/web'], 'expected a claim or --pod, got both'],
    [['--volume', 'data'], '--volume needs --pod'],
    [['shop/data', '--prometheus', 'nonsense'], 'Expected --prometheus to be a URL'],
    [['shop/data', '--prometheus', 'http://p', '--prometheus-user', 'me'], 'go together'],
  ])('refuses %j', async (args, message) => {
    await expect(explain(...args)).rejects.toThrow(UsageError);
    await expect(explain(...args)).rejects.toThrow(message);
  });

  test('has exit code 2 for a wrong command line', async () => {
    const { code, stderr } = await ended(start(['explain', 'a/b/c'], undefined, NO_CLUSTER));
    expect(stderr).toContain("expected CLAIM to be NAMESPACE/NAME, got 'a/b/c'");
    expect(code).toBe(2);
  });
});

/** Hides the kubelet's folder of a machine that is a node itself. */
const LAPTOP = {
  KVM_PLATFORM: 'linux',
  NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, '../support/other-platform.mjs')).href}`,
};

async function onLaptopWith(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<Ended> {
  return await ended(start(['explain', ...args], undefined, { ...NO_CLUSTER, ...LAPTOP, ...env }));
}

/** A pod that has this program and sees the kubelet's folder. */
function exporter(nodeName: string, container: object, path = '/var/lib/kubelet'): object {
  return {
    metadata: { uid: `exporter-${nodeName}`, namespace: 'monitoring', name: `exporter-${nodeName}` },
    spec: {
      nodeName,
      volumes: [{ name: 'kubelet', hostPath: { path } }],
      containers: [{ name: 'main', ...container }],
    },
    status: { phase: 'Running' },
  };
}

describe.skipIf(needs({ programs: ['kubectl'] }))('explain on a laptop', () => {
  let api: FakeApiServer;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    api = await FakeApiServer.start({
      tokens: { secret: { name: 'admin' } },
      rules: [{ subject: 'admin', resources: ['*'] }],
      objects: {
        persistentvolumeclaims: [claimOf({ name: 'data' })],
        persistentvolumes: [volumeOf({ name: 'data' })],
      },
    });
    env = { KUBECONFIG: await api.kubeconfig({ token: 'secret' }) };
  });

  afterAll(async () => {
    await api.stop();
  });

  async function onLaptop(pods: readonly object[], ...args: readonly string[]): Promise<Ended> {
    api.objects.pods = [podOf({ name: 'data', nodeName: 'node7' }), ...pods];
    return await onLaptopWith(env, ['shop/data', '--timeout', '60s', ...args]);
  }

  test('finds the pod, and prints the command for the exporter on its node', async () => {
    const command = ['/usr/bin/node', '/opt/x/dist/cli/main.js'];
    const pods = [
      exporter('node6', {}),
      exporter('node7', { command, args: ['serve', 'kube-volume-metrics'] }),
    ];
    const { code, stdout } = await onLaptop(pods);
    expect(stdout).toMatch(/^shop\/data: unknown\n {2}Pod shop\/data-pod runs on node node7, /);
    expect(stdout).toContain(
      '\n  kubectl exec -n monitoring exporter-node7 -c main -- /usr/bin/node /opt/x/dist/cli/main.js explain shop/data --verbose\n',
    );
    expect(code).toBe(3);
  });

  test('gives the command as JSON, and passes on which cluster it is', async () => {
    const { stdout } = await onLaptop(
      [exporter('node7', { image: 'ghcr.io/x/kube-volume-metrics:1' })],
      '--json',
      '--context',
      'fake',
    );
    const { commands } = JSON.parse(stdout) as { commands: { node: string; command: string }[] };
    expect(commands).toMatchObject([
      {
        node: 'node7',
        command:
          'kubectl --context fake exec -n monitoring exporter-node7 -c main -- kube-volume-metrics explain shop/data --verbose',
      },
    ]);
  });

  test('without an exporter there, prints a debug pod with the image of another, and quotes it', async () => {
    const { stdout } = await onLaptop([exporter('node6', { image: "kube-volume-metrics:1'; reboot" }, '/')]);
    expect(stdout).toContain(
      String.raw`kubectl debug node/node7 -it --profile=sysadmin '--image=kube-volume-metrics:1'\''; reboot' -- sh -c `,
    );
    expect(stdout).toContain(
      "sh -c 'mkdir -p /var/lib/kubelet && mount --rbind /host/var/lib/kubelet /var/lib/kubelet && exec kube-volume-metrics explain --pods disk --pod uid-of-data --verbose'\n",
    );
    expect(stdout).not.toContain('IMAGE');
  });

  test('a pod that does not see the folder of the kubelet, or does not run, is of no use', async () => {
    const blind = exporter('node7', { image: 'kube-volume-metrics' }, '/etc');
    const ended = { ...exporter('node7', { image: 'kube-volume-metrics' }), status: { phase: 'Failed' } };
    const { stdout } = await onLaptop([blind, ended]);
    expect(stdout).toContain('kubectl debug node/node7 -it --profile=sysadmin --image=IMAGE -- sh -c ');
    expect(stdout).toContain('put an image that has kube-volume-metrics for IMAGE');
  });

  test('a pod that has ended needs no command', async () => {
    api.objects.pods = [podOf({ name: 'data', nodeName: 'node7', status: { phase: 'Succeeded' } })];
    const { code, stdout } = await onLaptopWith(env, ['shop/data', '--timeout', '60s']);
    expect(stdout).toMatch(/^shop\/data: missing\n {2}Pod shop\/data-pod: the pod has ended/);
    expect(stdout).not.toContain('kubectl debug');
    expect(code).toBe(1);
  });

  test('without a claim it says that one is needed', async () => {
    const { code, stdout } = await onLaptopWith(env, []);
    expect(stdout).toContain('This is not a node: name a claim, or a pod with --pod.');
    expect(code).toBe(3);
  });

  test('without a cluster it says what it takes', async () => {
    const { code, stdout } = await onLaptopWith({}, ['shop/data']);
    expect(stdout).toMatch(/^shop\/data: unknown$/m);
    expect(stdout).toContain('This is not a node, and no cluster can be asked. That needs ');
    expect(code).toBe(3);
  });
});
