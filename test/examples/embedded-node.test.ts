import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { mayMount } from '../../examples/csi-hostpath/may-mount.js';
import { WEB } from '../../examples/embedded-node/pods.js';
import { programOptions, USAGE } from '../../examples/embedded-node/program-options.js';
import { stopSignal } from '../../examples/embedded-node/terminal.js';
import { activeBinding } from '../../src/index.js';
import { needs } from '../support/needs.js';
import { builtNode, builtNodeWithoutAddon, NodeProcess } from './embedded-node-process.js';

const started: NodeProcess[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.close()));
});

function start(...args: string[]): NodeProcess {
  return started[started.push(new NodeProcess(process.execPath, [builtNode(), ...args])) - 1]!;
}

function startAs(command: string, args: readonly string[], options?: { detached: boolean }): NodeProcess {
  return started[started.push(new NodeProcess(command, args, options)) - 1]!;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Whether this process, or one in a user namespace, may mount. */
const cannotUnshare =
  spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'true']).status === 0
    ? false
    : needs({ programs: ['unshare (with user namespaces)'] });
const cannotMount = mayMount() ? false : cannotUnshare;

/** Pod, volume, kind, claim, provider and state of each row of the first table. */
function rowsOf(stdout: string): string[][] {
  const [, table = ''] = /^(POD .*\n(?:\S.*\n)+)/m.exec(stdout) ?? [];
  const [, ...lines] = table.trimEnd().split('\n');
  return lines.map((line) => line.split(/ {2,}/).slice(0, 6));
}

const ROWS = [
  ['shop/web-0', 'cache', 'emptyDir', '-', 'du', 'ok'],
  // A tmpfs of its own answers for itself.
  ['shop/web-0', 'scratch', 'emptyDir', '-', 'du (statfs)', 'ok'],
  ['shop/web-0', 'certificate', 'secret', '-', 'du (statfs)', 'ok'],
  ['shop/web-0', 'api-access', 'projected', '-', 'du (statfs)', 'ok'],
  ['shop/web-0', 'site', 'persistentVolumeClaim', 'site-web-0', 'ssd.csi.example', 'ok'],
  ['shop/database-0', 'data', 'persistentVolumeClaim', 'data-database-0', 'statfs', 'ok'],
  ['shop/database-0', 'journal', 'persistentVolumeClaim', 'journal-database-0', 'block', 'ok'],
  ['backup/backup-0', 'archive', 'persistentVolumeClaim', 'archive', 'tape.csi.example', 'ok'],
  ['kube-system/log-agent', 'logs', 'hostPath', '-', 'nil', 'unsupported'],
];

/** The samples of the text that the program ends with, by name and labels. */
function samplesOf(stdout: string): Map<string, number> {
  const lines = stdout.slice(stdout.indexOf('# HELP')).split('\n');
  const samples = lines
    .filter((line) => line !== '' && !/^# (HELP|TYPE) \w+ ./.test(line))
    .map((line) => {
      const [, series, value] = /^(\w+(?:\{(?:\w+="[^"\\]*",?)*\})?) (\S+)$/.exec(line) ?? [];
      expect(value, line).toBeDefined();
      expect(Number(value), line).not.toBeNaN();
      return [series!, Number(value)] as const;
    });
  return new Map(samples);
}

const CLAIM = '{namespace="backup",persistentvolumeclaim="archive"}';

async function expectWholeNode(node: NodeProcess): Promise<void> {
  expect(await node.ended, node.stdout + node.stderr).toEqual({ code: 0, signal: null });
  expect(node.stderr).toBe('');
  expect(rowsOf(node.stdout)).toEqual(ROWS);
  expect(node.stdout).toContain('abnormal: two of the three copies are lost\n');
  expect(node.stdout).toContain('\nbackup/backup-0: Volume archive: two of the three copies are lost\n');

  const samples = samplesOf(node.stdout);
  for (const end of [
    'capacity_bytes',
    'available_bytes',
    'used_bytes',
    'inodes',
    'inodes_free',
    'inodes_used',
  ]) {
    expect(samples.get(`kubelet_volume_stats_${end}${CLAIM}`), end).toBeGreaterThan(0);
  }
  expect(samples.get(`kubelet_volume_stats_health_status_abnormal${CLAIM}`)).toBe(1);
  const journal = '{namespace="shop",persistentvolumeclaim="journal-database-0"}';
  expect(samples.get(`kubelet_volume_stats_capacity_bytes${journal}`)).toBe(32 * 1024 * 1024);
  expect(samples.has(`kubelet_volume_stats_used_bytes${journal}`)).toBe(false);
  const certificate = '{namespace="shop",pod="web-0",volume_name="certificate"}';
  // Of the atomic writer's layout: the folder, the one with the time, two files, and a link for each and for
  // `..data`.
  expect(samples.get(`kubelet_volume_stats_pod_inodes_used${certificate}`)).toBe(7);

  expect(node.leftovers()).toEqual([]);
}

describe('the embedded node, once', () => {
  let npmStart: NodeProcess;
  beforeAll(async () => {
    npmStart = new NodeProcess('npm', ['start', '--silent']);
    await npmStart.ended;
  }, 60_000);
  afterAll(async () => {
    await npmStart.close();
  });

  test.skipIf(cannotMount)('is what npm start runs', async () => {
    await expectWholeNode(npmStart);
    const { binding, reason } = activeBinding();
    expect(npmStart.stdout).toContain(`\nbinding: ${binding} (`);
    expect(npmStart.stdout).toContain(reason ?? 'the addon');
  });

  test.skipIf(needs({ root: true, loop: true }))('has disks of its own if root runs it', () => {
    expect(npmStart.stdout).toMatch(/The block volume is \/dev\/loop\d+\./);
    expect(samplesOf(npmStart.stdout).get(`kubelet_volume_stats_capacity_bytes${CLAIM}`)).toBe(
      256 * 1024 * 1024,
    );
  });

  test.skipIf(cannotMount)('works without the addon, and says why it is not in use', async () => {
    const node = startAs(process.execPath, [builtNodeWithoutAddon()]);
    await expectWholeNode(node);
    expect(node.stdout).toContain('\nbinding: command (df, stat, du and find; the addon does not load: ');
  });

  describe.skipIf(needs({ root: true, programs: ['setpriv', 'env'] }))('without the right to mount', () => {
    const DROP = ['--bounding-set=-sys_admin', 'env'];

    test.skipIf(cannotUnshare)('mounts in a namespace of its own', async () => {
      const node = startAs('setpriv', [...DROP, process.execPath, builtNode()]);
      await expectWholeNode(node);
      expect(node.stdout).toContain(
        'The local volume and the CSI drivers have small disks of their own (tmpfs).',
      );
    });

    test('shows what is not mounted, where there is no such namespace', async () => {
      // Without unshare(1) in the PATH.
      const node = startAs('setpriv', [...DROP, 'PATH=/nowhere', process.execPath, builtNode()]);
      expect(await node.ended, node.stderr).toEqual({ code: 0, signal: null });
      expect(node.stdout).toContain('Nothing is mounted (this process may not mount)');
      const rows = rowsOf(node.stdout);
      expect(rows.map(([pod, volume]) => [pod, volume])).toEqual(ROWS.map(([pod, volume]) => [pod, volume]));
      const notMounted = node.stdout.match(/ failed .* METRICS_NOT_MOUNTED: nothing is mounted on /g);
      expect(notMounted).toHaveLength(7);
      expect(rows.filter((row) => row[5] !== 'failed').map((row) => row[1])).toEqual(['cache', 'logs']);
      expect(node.leftovers()).toEqual([]);
    });
  });

  test('leaves nothing behind when it is interrupted half way', async () => {
    const node = start();
    await vi.waitFor(
      () => {
        expect(node.nodes()).toHaveLength(1);
      },
      { timeout: 30_000, interval: 2 },
    );
    node.child.kill('SIGINT');
    expect(await node.ended).toEqual({ code: 130, signal: null });
    expect(node.stdout).toBe('');
    expect(node.leftovers()).toEqual([]);
  });

  test('leaves nothing behind when nobody reads what it says', async () => {
    const node = start();
    node.child.stdout.destroy();
    expect(await node.ended).toEqual({ code: 0, signal: null });
    expect(node.stderr).toBe('');
    expect(node.leftovers()).toEqual([]);
  });
});

describe('the embedded node, serving', () => {
  let node: NodeProcess;
  let address: string;
  beforeAll(async () => {
    node = new NodeProcess(process.execPath, [builtNode(), '--serve', '--port', '0']);
    address = await node.address();
  }, 60_000);
  afterAll(async () => {
    await node.close();
  });

  test('serves metrics, summary and health', async () => {
    const metrics = await fetch(`${address}/metrics`);
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(samplesOf(await metrics.text()).has(`kubelet_volume_stats_used_bytes${CLAIM}`)).toBe(true);

    const summary = (await (await fetch(`${address}/stats/summary`)).json()) as {
      node: object;
      pods: {
        podRef: { name: string };
        volume: { name: string; pvcRef?: object; volumeHealthStats?: object }[];
      }[];
    };
    expect(summary.node).toEqual({ nodeName: 'embedded' });
    expect(
      summary.pods.flatMap(({ podRef, volume }) => volume.map(({ name }) => [podRef.name, name])),
    ).toEqual(ROWS.map(([pod, volume]) => [pod!.split('/')[1], volume]));
    expect(summary.pods.find(({ podRef }) => podRef.name === 'backup-0')?.volume).toMatchObject([
      { pvcRef: { namespace: 'backup', name: 'archive' }, volumeHealthStats: { abnormal: true } },
    ]);

    const health = await fetch(`${address}/healthz`);
    expect([health.status, await health.text()]).toEqual([200, 'ok\n']);
    expect((await fetch(`${address}/nowhere`)).status).toBe(404);
    expect((await fetch(`${address}/metrics`, { method: 'POST' })).status).toBe(405);
    expect(await (await fetch(`${address}/metrics`, { method: 'HEAD' })).text()).toBe('');
  });

  test('shows how volumes fill', async () => {
    const used = async (): Promise<number> => {
      const text = await (await fetch(`${address}/metrics`)).text();
      return samplesOf(text).get(
        'kubelet_volume_stats_pod_used_bytes{namespace="shop",pod="web-0",volume_name="cache"}',
      )!;
    };
    const before = await used();
    await vi.waitFor(
      async () => {
        expect(await used()).not.toBe(before);
      },
      { timeout: 30_000 },
    );
    await vi.waitFor(
      () => {
        const lines = node.stdout
          .split('\n')
          .filter((line) => line.startsWith('shop/web-0') && line.includes(' cache '));
        expect(new Set(lines.map((line) => line.split(/ {2,}/)[7])).size).toBeGreaterThan(1);
      },
      { timeout: 30_000 },
    );
  });

  test('answers requests that are none', async () => {
    const { hostname, port } = new URL(address);
    const socket = connect(Number(port), hostname).end(
      'GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('ends by a signal, also by two, and leaves nothing', async () => {
    // A connection that is kept open holds up nothing.
    await (await fetch(`${address}/healthz`)).text();
    node.child.kill('SIGTERM');
    node.child.kill('SIGTERM');
    expect(await node.ended).toEqual({ code: 0, signal: null });
    expect(node.stderr).toBe('');
    expect(node.leftovers()).toEqual([]);
  });
});

describe('the embedded node, when serving ends', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s stops it', (name) => {
    const before = SIGNALS.map((each) => new Set(process.listeners(each)));
    const stop = stopSignal();
    const added = SIGNALS.map((each, at) => process.listeners(each).filter((one) => !before[at]?.has(one)));
    // Its own listeners alone: vitest has some too.
    for (const [at, each] of SIGNALS.entries()) {
      expect(added[at]).toHaveLength(1);
      process.removeListener(each, added[at]![0]!);
    }
    expect(stop.aborted).toBe(false);
    added[SIGNALS.indexOf(name)]![0]!(name);
    expect([stop.aborted, stop.reason]).toEqual([true, name]);
  });

  test('is not kept from that by more of Ctrl-C, which ends the commands of its group too', async () => {
    const node = startAs(process.execPath, [builtNode(), '--serve', '--port', '0'], { detached: true });
    await node.address();
    const impatience = setInterval(() => {
      process.kill(-node.child.pid!, 'SIGINT');
    }, 50);
    node.child.once('exit', () => {
      clearInterval(impatience);
    });
    // Its code says nothing: the last signal may come when it is about to exit, and does not listen any more.
    await node.ended;
    expect(node.stderr).toBe('');
    expect(node.leftovers()).toEqual([]);
  });

  test('ends by Ctrl-C under npm, which passes on what the terminal has sent already', async () => {
    const node = startAs('npm', ['start', '--silent', '--', '--serve', '--port', '0'], { detached: true });
    await node.address();
    process.kill(-node.child.pid!, 'SIGINT');
    await node.ended;
    expect(node.leftovers()).toEqual([]);
  });

  test('ends when its volumes are taken away, and leaves nothing', async () => {
    const node = start('--serve', '--port', '0');
    await node.address();
    const volumes = node.path(`kubelet/pods/${WEB.metadata.uid}/volumes/kubernetes.io~empty-dir`);
    renameSync(join(volumes, 'cache'), join(volumes, 'elsewhere'));
    expect(await node.ended).toEqual({ code: 1, signal: null });
    expect(node.stderr).toContain('ENOENT');
    expect(node.leftovers()).toEqual([]);
  });

  test('says so when the port is taken, and leaves nothing', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const node = start('--serve', '--port', String((server.address() as AddressInfo).port));
      expect(await node.ended).toEqual({ code: 1, signal: null });
      expect(node.stderr).toContain('EADDRINUSE');
      expect(node.leftovers()).toEqual([]);
    } finally {
      server.close();
    }
  });
});

describe('the embedded node, called wrongly', () => {
  test.each([
    '--port 80',
    '--serve --port http',
    '--serve --port=',
    '--serve --port 65536',
    '--sevre',
    'volumes',
  ])('refuses %s', (args) => {
    expect(() => programOptions(args.split(' '))).toThrow(TypeError);
    expect(() => programOptions(args.split(' '))).toThrow(/^[^\n]+$/);
  });

  test('ends with 2 and one line', async () => {
    const node = start('--sevre');
    expect(await node.ended).toEqual({ code: 2, signal: null });
    expect(node.stdout).toBe('');
    expect(node.stderr).toMatch(/^[^\n]+\n$/);
  });

  test('gives help', async () => {
    const node = start('--help');
    expect(await node.ended).toEqual({ code: 0, signal: null });
    expect(node.stdout).toBe(USAGE);
    expect(USAGE).toContain('--serve');
  });
});
