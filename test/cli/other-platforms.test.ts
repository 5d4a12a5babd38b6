import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeNode } from '../explain/support/fake-node.js';
import { needs } from '../support/needs.js';
import { ended, start, type Ended } from './run-main.js';

const FAKE = pathToFileURL(join(import.meta.dirname, '../support/other-platform.mjs')).href;
const ENTRIES = Object.keys(
  (createRequire(import.meta.url)('kube-volume-metrics/package.json') as { exports: object }).exports,
).filter((name) => name !== './package.json');

// The platform is faked: there is no /proc and no addon, and process.platform has another value.
describe.each(['darwin', 'win32'])('on %s', (platform) => {
  let node: FakeNode;
  let programs: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    node = await FakeNode.start([{ name: 'data' }], false);
    programs = mkdtempSync(join(tmpdir(), 'kvm-platform-'));
    env = {
      KVM_PLATFORM: platform,
      NODE_OPTIONS: `--import=${FAKE}`,
      ...{ HOME: programs, KUBERNETES_SERVICE_HOST: '', NODE_NAME: undefined },
      KUBECONFIG: await node.api.kubeconfig({ token: 'secret' }),
    };
  });

  afterAll(async () => {
    await node.stop();
    rmSync(programs, { recursive: true });
  });

  const command = async (...args: readonly string[]): Promise<Ended> =>
    await ended(start(args, undefined, env));

  test('every entry of the package can be imported, and measuring says why it cannot', () => {
    const names = ENTRIES.map((each) => `'kube-volume-metrics${each.slice(1)}'`);
    const script = `
      for (const name of [${names.join(', ')}]) await import(name);
      const { fsInfo, stringify, activeBinding } = await import('kube-volume-metrics');
      const error = await fsInfo('/').catch((error) => error);
      console.log(process.platform, error.code, error.message, activeBinding().binding, stringify({ a: 1n }));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    expect(ENTRIES.length).toBeGreaterThan(8);
    expect(output).toBe(
      `${platform} METRICS_NOT_SUPPORTED volumes are measured on Linux only, and this is ${platform} command {"a":1}\n`,
    );
  });

  test('explain asks the kubelet, and the disk is unknown', async () => {
    const kubelet = node.args().slice(2);
    const { code, stdout, stderr } = await command('explain', 'shop/data', '--verbose', ...kubelet);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^shop\/data: exported\n/);
    expect(stdout).toMatch(/^ {2}pod {13}ok /m);
    expect(stdout).toMatch(/^ {2}disk {12}unknown the disk of the node could not be looked at: /m);
    expect(code).toBe(0);
  });

  test('explain says that it is the disk of a node that cannot be read here', async () => {
    const { code, stdout, stderr } = await command('explain', 'shop/data', '--verbose', ...node.args());
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^shop\/data: exported\n/);
    expect(stdout).toMatch(/^ {2}disk {12}unknown /m);
    expect(code).toBe(0);
  });

  describe.skipIf(needs({ programs: ['kubectl'] }))('with kubectl', () => {
    beforeAll(() => {
      const folders = (process.env['PATH'] ?? '').split(delimiter);
      const kubectl = folders.map((each) => join(each, 'kubectl')).find((each) => existsSync(each))!;
      for (const name of ['kubectl', 'kubectl.EXE']) symlinkSync(kubectl, join(programs, name));
      env = { ...env, PATH: programs };
    });

    test('explain finds the pod and its node', async () => {
      const { code, stdout, stderr } = await command('explain', 'shop/data', '--timeout', '60s');
      expect(stderr).toBe('');
      expect(stdout).toMatch(/^shop\/data: unknown\n {2}Pod shop\/data-pod runs on node node1, /);
      expect(stdout).toContain('kubectl debug node/node1 ');
      expect(code).toBe(3);
    });

    test('volumes --through-api-server says what kubelets say', async () => {
      const { stdout, stderr } = await command(
        'volumes',
        '--through-api-server',
        'node1',
        '--timeout',
        '60s',
      );
      expect(stderr).toBe('');
      expect(stdout).toMatch(/data-pod/);
    });
  });
});
