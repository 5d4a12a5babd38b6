import { status } from '@grpc/grpc-js';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeCsiDriver } from '../../src/testing/csi/index.js';
import { makeKubeletRoot, type ApiPod } from '../../src/testing/kubelet/index.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { ended, ENV, MAIN, run, start } from './run-main.js';

/** Runs a program on a terminal of its own, as wide as told, and passes on what it writes there. */
const ON_A_TERMINAL = `
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 50, int(sys.argv[1]), 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    sys.stdout.buffer.write(data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

/** What the built command line writes to a terminal, standard error included. */
async function runOnTerminal(
  width: number,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const child = spawn('python3', ['-c', ON_A_TERMINAL, String(width), process.execPath, MAIN, ...args], {
    env: { ...ENV, TERM: 'xterm-256color', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await new Promise((resolve) => child.once('close', resolve));
  return text.replaceAll('\r\n', '\n');
}

const withoutStyles = (text: string): string => text.replace(/\u001b\[\d*m/g, '');

const UID = '6f3a2b1c-0d4e-4f5a-9b8c-7d6e5f4a3b2c';
const VOLUME = 'pvc-3c9d2e1f-5a6b-4c7d-8e9f-0a1b2c3d4e5f';

describe.skipIf(needs({ programs: ['python3'] }))('on a terminal', () => {
  let place: TestMounts;
  let volume: string;
  beforeAll(() => {
    place = new TestMounts();
    volume = join(place.newDirectory(), `pods/${UID}/volumes/kubernetes.io~csi/${VOLUME}/mount`);
    mkdirSync(volume, { recursive: true });
  });
  afterAll(() => {
    place.close();
  });

  test('80 columns wide, long paths stand whole above their numbers', async () => {
    const text = withoutStyles(await runOnTerminal(80, ['statfs', volume, '/']));
    const [path, titles, first, numbers, second] = text.split('\n');
    expect(path).toBe('PATH');
    expect(titles).toMatch(/^ {2}STATE +CAPACITY +USED +AVAILABLE +USE% +INODES +IUSED$/);
    expect(first).toBe(volume);
    expect(numbers).toMatch(/^ {2}ok +[\d.]+ [KMGTP]iB /);
    expect(second).toBe('/');
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([volume]);
  });

  test('80 columns wide, short paths have a line each', async () => {
    const text = withoutStyles(await runOnTerminal(80, ['statfs', '/', '/dev']));
    expect(text).toMatch(/^PATH .*\n\/ +(statfs +)?ok .*\n\/dev +(statfs +)?ok .*\n/);
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test('160 columns wide, long paths are shortened in the middle', async () => {
    const text = withoutStyles(await runOnTerminal(160, ['statfs', volume]));
    expect(text.split('\n')[1]).toMatch(new RegExp(`^${place.directory}/.*….*/${VOLUME}/mount +ok `));
    expect(text.split('\n').filter((line) => line.length > 160)).toEqual([]);
  });

  test('reasons are wrapped below the row', async () => {
    const text = withoutStyles(await runOnTerminal(80, ['statfs', '/nowhere']));
    const [, row, ...below] = text.split('\n');
    expect(row).toMatch(/^\/nowhere +(statfs +)?failed +- .*-$/);
    expect(below.slice(0, below.indexOf('')).every((line) => line.startsWith('    '))).toBe(true);
    expect(below.map((line) => line.trim()).join(' ')).toMatch(
      /^METRICS_NOT_FOUND: .* Check the spelling of the path\. .* See docs\/errors\.md#metrics_not_found /,
    );
    expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  test.each([40, 30])('%d columns wide, help is wrapped, except for what can be copied', async (width) => {
    for (const name of ['', 'du', 'mounts', 'volumes', 'csi stats']) {
      const text = withoutStyles(await runOnTerminal(width, [...name.split(' ').filter(Boolean), '--help']));
      const lines = text.split('\n').filter((line) => !/^(Usage:| {2}kube-volume-metrics )/.test(line));
      expect(lines.length).toBeGreaterThan(10);
      expect(lines.filter((line) => line.length > width)).toEqual([]);
    }
  });

  test.each([80, 120, 200])("%d columns wide, a node's volumes fit", async (width) => {
    const pod = (name: string): ApiPod => ({
      metadata: { uid: UID.replace(/^6/, name), namespace: 'shop', name },
      spec: {
        volumes: [{ name: 'cache', emptyDir: {} }],
        containers: [{ name: 'main', volumeMounts: [{ name: 'cache' }] }],
      },
    });
    using root = makeKubeletRoot(join(place.newDirectory(), 'kubelet'), [pod('1'), pod('2')], {
      mount: false,
    });
    // What a pod has chosen as a name of a volume cannot move the cursor, no matter who lists it.
    mkdirSync(join(root.rootDir, `pods/${UID}/volumes/kubernetes.io~configmap/x\u001b[2J\u202e`), {
      recursive: true,
    });
    const text = withoutStyles(
      await runOnTerminal(width, ['volumes', '--root', root.rootDir, '--pods', 'disk', '--timeout', '60s']),
    );
    const [first] = text.split('\n');
    const titles =
      width === 80
        ? /^NAMESPACE {2}POD {2}VOLUME {2}CLAIM$/
        : /^NAMESPACE +POD +VOLUME +CLAIM +(KIND .*)?STATE /;
    expect(first).toMatch(titles);
    expect(text.split('\n').filter((line) => line.length > width)).toEqual([]);
    expect(text).toContain('x\\x1b[2J\\u202e');
    expect(text).not.toMatch(/[\u001b\u202e]/u);
    expect(text.match(/ok +[\d.]+ [KMGTP]iB/g)).toHaveLength(3);
    expect(text).toMatch(/\nnote: The pods were found on disk: /);
  });

  test('the sentence for no mount is wrapped', async () => {
    const text = withoutStyles(await runOnTerminal(40, ['mounts', '--type', 'nope']));
    expect(text).toMatch(/^No mount matches --type nope\. The types\non this machine are /);
  });

  test('states have colours', async () => {
    const text = await runOnTerminal(200, ['statfs', '/', '/nowhere']);
    expect(text).toContain('\u001b[32mok\u001b[39m');
    expect(text).toContain('\u001b[31mfailed\u001b[39m');
    expect(text).toContain('\u001b[1mPATH\u001b[22m');
  });

  test.each([{ NO_COLOR: '1' }, { TERM: 'dumb' }, { FORCE_COLOR: '0' }])(
    '%j means no colours',
    async (env) => {
      expect(await runOnTerminal(200, ['statfs', '/', '/nowhere'], env)).not.toContain('\u001b');
      expect(await runOnTerminal(200, ['--help'], env)).not.toContain('\u001b');
    },
  );

  test("a driver's answer is wrapped beside its name, and its words cannot move the cursor", async () => {
    const driver = await FakeCsiDriver.start({});
    try {
      driver.answer('getPluginInfo', {
        code: status.UNKNOWN,
        details: `\u001b[2J\u202e${'several words '.repeat(12)}`,
      });
      const text = withoutStyles(await runOnTerminal(80, ['csi', 'probe', '--endpoint', driver.endpoint]));
      expect(text).toContain('\\x1b[2J\\u202e');
      expect(text).not.toMatch(/[\u001b\u202e]/);
      expect(text.split('\n').filter((line) => line.length > 80)).toEqual([]);
      expect(text).toMatch(/^driver .*\n {16}\S/m);
    } finally {
      await driver.stop();
    }
  });
});

describe('in a pipe', () => {
  test('each volume is one line with its whole path and reason, without colours', async () => {
    const path = `/nowhere/${'a-long-directory/'.repeat(12)}mount`;
    const { stdout } = await run('statfs', path, '/');
    expect(stdout).not.toContain('\u001b');
    expect(stdout.split('\n')[1]).toMatch(
      new RegExp(`^${path} +statfs +failed .*METRICS_NOT_FOUND: .*See docs/`),
    );
    expect(stdout.split('\n')[2]).toMatch(/^\/ +statfs +ok /);
  });
});

test('FORCE_COLOR means colours in a pipe too', async () => {
  const { stdout } = await ended(start(['statfs', '/'], undefined, { FORCE_COLOR: '1' }));
  expect(stdout).toContain('\u001b[32mok\u001b[39m');
});
