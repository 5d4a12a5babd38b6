import { existsSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { KUBELET_ROOTS } from '../../src/kubelet/kubelet-root.js';
import { FakeNode, USER } from '../explain/support/fake-node.js';
import { ended, start, type Ended } from './run-main.js';

let node: FakeNode | undefined;

afterEach(async () => {
  await node?.stop();
  node = undefined;
});

/** Nothing of this machine's own cluster is asked. */
const NO_CLUSTER = { KUBECONFIG: '', HOME: '/nowhere', KUBERNETES_SERVICE_HOST: '', NODE_NAME: undefined };

async function explain(...args: readonly string[]): Promise<Ended> {
  const doors = node?.args() ?? [];
  return await ended(start(['explain', ...args, ...doors], undefined, NO_CLUSTER));
}

describe('explain', () => {
  test('says that a claim is exported, and exits with 0', async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    const { code, stdout, stderr } = await explain('shop/data', '--json');
    expect(stderr).toBe('');
    const { command, volumes } = JSON.parse(stdout) as { command: string; volumes: { result: string }[] };
    expect([command, volumes.map(({ result }) => result)]).toEqual(['explain', ['exported']]);
    expect(code).toBe(0);
  });

  test('without an argument explains every claim of the node, and exits with 1 if one is missing', async () => {
    node = await FakeNode.start([{ name: 'data' }, { name: 'logs', hasNumbers: false }], false);
    const { code, stdout } = await explain();
    expect(stdout).toMatch(/^shop\/data: exported$/m);
    expect(stdout).toMatch(
      /^shop\/logs: missing\n {2}The volume is not mounted: .*\n {2}Look at the events/m,
    );
    expect(code).toBe(1);
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
    const { code, stdout } = await ended(
      start(['explain', 'shop/data', '--verbose', ...doors], undefined, NO_CLUSTER),
    );
    expect(stdout).toMatch(/^shop\/data: unknown$/m);
    expect(stdout).toContain('may not get nodes/metrics');
    expect(stdout).toContain('resources: ["nodes/metrics"], verbs: ["get"]');
    expect(code).toBe(3);
  });

  test('with nobody to ask it is unknown', async () => {
    const { code, stdout, stderr } = await explain('shop/data', '--root', '/nowhere');
    expect(stdout).toMatch(/^shop\/data: unknown$/m);
    expect(stderr).toBe('');
    expect(code).toBe(3);
  });

  // A machine that is a node itself has a root.
  test.skipIf(KUBELET_ROOTS.some((each) => existsSync(each)))(
    'outside a node it prints the command that does the rest there',
    async () => {
      const { code, stdout } = await explain('shop/data');
      expect(stdout).toMatch(/^shop\/data: unknown$/m);
      expect(stdout).toContain(
        'kubectl exec -n NAMESPACE EXPORTER-POD-ON-NODE -- kube-volume-metrics explain shop/data',
      );
      expect(code).toBe(3);
    },
  );

  test.each([
    [['a/b/c'], 'expected CLAIM to be NAMESPACE/NAME'],
    [['shop/data', '--pod', 'shop/web'], 'expected a claim or --pod, got both'],
    [['--volume', 'data'], '--volume needs --pod'],
    [['shop/data', '--prometheus', 'nonsense'], 'Expected --prometheus to be a URL'],
    [['shop/data', '--prometheus', 'http://p', '--prometheus-user', 'me'], 'go together'],
  ])('refuses %j with exit code 2', async (args, message) => {
    const { code, stderr } = await explain(...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
