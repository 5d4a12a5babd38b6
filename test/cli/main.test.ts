import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activeBinding } from '../../src/index.js';
import { FuseServer } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { ended, MAIN, run, runJson, start } from './run-main.js';

const ROOT = join(import.meta.dirname, '../..');

let place: TestMounts;
let directory: string;
beforeAll(() => {
  place = new TestMounts();
  directory = place.newDirectory();
  mkdirSync(join(directory, 'sub'));
  writeFileSync(join(directory, 'sub/file'), 'x');
});
afterAll(() => {
  place.close();
});

describe('statfs', () => {
  test('prints a line for each path, and which binding was used', async () => {
    const missing = join(directory, 'missing');
    const { code, stdout, stderr } = await run('statfs', directory, missing);
    expect(code).toBe(1);
    expect(stderr).toBe('');
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/^PATH +SOURCE +STATE +CAPACITY +USED +AVAILABLE +USE% +INODES +IUSED +REASON$/);
    expect(lines[1]).toMatch(
      / statfs +ok +[\d.]+ [KMGTPE]iB +[\d.]+ [KMGTPE]?i?B +[\d.]+ [KMGTPE]?i?B +\d+% /,
    );
    expect(lines[2]).toMatch(/ statfs +failed +(- +){6}METRICS_NOT_FOUND: .*ENOENT.*Check the spelling/);
    expect(lines[2]).toMatch(/ See docs\/errors\.md#metrics_not_found$/);
    expect(lines[4]).toMatch(new RegExp(`^binding: ${activeBinding().binding}`));
  });

  test('has exit code 0 and no reasons when all answered', async () => {
    const { code, stdout } = await run('statfs', directory, '/');
    expect(code).toBe(0);
    expect(stdout).not.toContain('REASON');
  });

  test('prints exact bytes on request', async () => {
    const { stdout } = await run('statfs', '--bytes', directory);
    expect(stdout.split('\n')[1]).toMatch(/ ok +\d+ +\d+ +\d+ +\d+% /);
  });

  test('answers in JSON, each number as a number', async () => {
    const { code, schema, command, binding, volumes } = await runJson('statfs', directory, '');
    expect({ code, schema, command, binding }).toEqual({
      code: 1,
      schema: 'kube-volume-metrics/cli/v1',
      command: 'statfs',
      binding: activeBinding().binding,
    });
    expect(volumes).toEqual([
      {
        path: directory,
        provider: 'statfs',
        state: 'ok',
        metrics: expect.objectContaining({
          source: 'statfs',
          capacity: expect.any(Number) as number,
        }) as object,
      },
      {
        path: '',
        provider: 'statfs',
        state: 'failed',
        error: {
          code: 'METRICS_NO_PATH_DEFINED',
          message: 'no path defined for disk usage metrics.',
          hint: 'Give a path that is not empty.',
          docs: 'docs/errors.md#metrics_no_path_defined',
        },
      },
    ]);
  });

  test.skipIf(needs({ root: true }))('shows that a volume is read-only', async () => {
    const path = place.tmpfs('size=1m');
    place.makeReadOnly(path);
    const { code, stdout } = await run('statfs', path);
    expect(code).toBe(0);
    expect(stdout).toMatch(/ statfs +ok, read-only +1\.0 MiB /);
    const { volumes } = await runJson('mounts', '--path', path);
    expect(volumes).toMatchObject([
      { path, state: 'ok', metrics: { readOnly: true }, mount: { readOnly: true } },
    ]);
  });

  test('can require a mount', async () => {
    const { code, volumes } = await runJson('statfs', '--require-mount', '/', directory);
    expect(code).toBe(1);
    expect(volumes.map(({ state, error }) => error?.['code'] ?? state)).toEqual([
      'ok',
      'METRICS_NOT_MOUNTED',
    ]);
  });

  test('takes names that look like options after --', async () => {
    const child = start(['statfs', '--', '--json'], directory);
    const { code, stdout } = await ended(child);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^--json +statfs +failed/m);
  });

  test('measures through the binding that is asked for', async () => {
    const { code, stdout } = await run('statfs', '--binding', 'command', '/');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^binding: command$/m);
  });

  test('writes control characters of a path as text, and JSON gives them back', async () => {
    const odd = 'a\u001b[31mb\n\u202ec\u009b';
    symlinkSync('/', join(directory, odd));
    const path = join(directory, odd);
    const { stdout } = await run('statfs', path, join(path, 'missing'));
    expect(stdout).toMatch(/\/a\\x1b\[31mb\\n\\u202ec\\x9b +statfs +ok/);
    expect(stdout.split('\n')).toHaveLength(6);
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    const json = await run('statfs', '--json', path);
    expect(json.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(json.stdout)).toMatchObject({ volumes: [{ path }] });
  });
});

describe('du', () => {
  test('prints what a tree uses', async () => {
    const { code, volumes } = await runJson('du', directory, join(directory, 'sub'));
    expect(code).toBe(0);
    expect(volumes.map(({ metrics }) => [metrics?.['source'], metrics?.['inodesUsed']])).toEqual([
      ['du', 4],
      ['du', 2],
    ]);
  });

  test.skipIf(needs({ root: true, programs: ['setpriv'] }))('tells an ordinary user to be root', async () => {
    const open = mkdtempSync(join(tmpdir(), 'kvm-cli-'));
    place.onClose(() => {
      rmSync(open, { recursive: true });
    });
    chmodSync(open, 0o755);
    mkdirSync(join(open, 'closed'), { mode: 0o700 });
    const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
    const child = spawn('setpriv', [...nobody, process.execPath, MAIN, 'du', open]);
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(1);
    expect(stdout).toMatch(/EACCES.* Run this command as root, or use --allow-partial to leave out /);
  });

  test('prints the same through the commands', async () => {
    const [native, command] = [
      await runJson('du', directory),
      await runJson('du', '--binding', 'command', directory),
    ];
    expect(command.code).toBe(0);
    expect(command.volumes[0]?.metrics?.['inodesUsed']).toBe(4);
    expect(command.volumes[0]?.metrics?.['used']).toBe(native.volumes[0]?.metrics?.['used']);
  });

  test('takes a relative path from the current directory', async () => {
    const { code, stdout, stderr } = await ended(start(['du', '--threads', '2', '.'], directory));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\. +du +ok +/m);
    expect(stderr).toBe('');
  });

  test.skipIf(needs({ fuse: true }))(
    'fails on what it cannot read, or leaves it out and says so',
    async () => {
      await using server = new FuseServer();
      const { path } = await server.mount({
        entries: { file: { blocks: 8 }, closed: { kind: 'directory', errors: { opendir: 'EACCES' } } },
      });
      const whole = await runJson('du', path);
      expect(whole).toMatchObject({ code: 1, volumes: [{ state: 'failed' }] });
      expect(whole.volumes[0]?.error).toMatchObject({
        code: 'METRICS_USAGE_FAILED',
        path: join(path, 'closed'),
        hint: 'Use --allow-partial to leave out what cannot be read and get a lower bound.',
        docs: 'docs/errors.md#metrics_usage_failed',
      });
      expect(whole.volumes[0]).not.toHaveProperty('metrics');
      expect(whole.volumes[0]?.filesystem).toMatchObject({ source: 'statfs', capacity: 4_096_000 });
      const table = await run('du', path);
      expect(table.code).toBe(1);
      expect(table.stdout).toMatch(
        / du +failed +3\.9 MiB +- +[\d.]+ [KM]iB +- +\d+ +- +METRICS_USAGE_FAILED: /,
      );
      expect(table.stdout).toContain('Use --allow-partial');
      const { code, stdout } = await run('du', '--allow-partial', path);
      expect(code).toBe(0);
      expect(stdout).toContain(`incomplete: 1 entry left out, first ${join(path, 'closed')} (EACCES)`);
    },
  );
});

describe('block', () => {
  test('prints the capacity, and nothing that is not known', async () => {
    const image = place.image(5 * 1_048_576);
    const { code, stdout } = await run('block', image);
    expect(code).toBe(0);
    expect(stdout).toMatch(/ block +ok +5\.0 MiB +- +- +- +- +-$/m);
    const { volumes } = await runJson('block', image);
    expect(Object.keys(volumes[0]?.metrics ?? {}).sort()).toEqual(['capacity', 'source', 'time']);
  });
});

describe('mounts', () => {
  test.skipIf(needs({ loop: true }))('shows a device that is mounted as a file by its own size', async () => {
    const device = place.loopDevice(place.image(5 * 1_048_576));
    const file = join(place.newDirectory(), 'uid');
    writeFileSync(file, '');
    place.bind(device, file);
    const { code, volumes } = await runJson('mounts', '--path', file);
    expect(code).toBe(0);
    expect(volumes).toMatchObject([
      { path: file, provider: 'block', state: 'ok', metrics: { source: 'block', capacity: 5_242_880 } },
    ]);
    expect(volumes[0]?.metrics).not.toHaveProperty('used');
    const { stdout } = await run('mounts', '--type', 'block', '--path', file);
    expect(stdout).toMatch(new RegExp(`^${file} +block +${device} +ok +5\\.0 MiB +- +- +- +- +-$`, 'm'));
  });

  test.skipIf(needs({ root: true }))('leaves out a character device that is mounted as a file', async () => {
    const file = join(place.newDirectory(), 'null');
    writeFileSync(file, '');
    place.bind('/dev/null', file);
    expect((await runJson('mounts', '--path', file)).volumes).toEqual([]);
    expect((await runJson('mounts', '--path', file, '--all')).volumes).toMatchObject([{ path: file }]);
  });

  test.skipIf(needs({ root: true }))('can list the volumes of one kubelet only', async () => {
    const root = place.newDirectory();
    const volume = join(root, 'pods/6f3a2b1c/volumes/kubernetes.io~csi/pvc-1/mount');
    for (const path of [volume, join(root, 'pods/6f3a2b1c/plugins')]) {
      mkdirSync(path, { recursive: true });
      place.mount(path, '-t', 'tmpfs', '-o', 'size=1m', 'kvm-test');
    }
    const { volumes } = await runJson('mounts', '--kubelet', root);
    expect(volumes.map(({ path }) => path)).toEqual([volume]);
    expect((await runJson('mounts', '--kubelet', root, '--type', 'ext4')).volumes).toEqual([]);
  });

  test.each([
    [['--type', 'EXT4'], /^No mount matches --type EXT4\. The types on this machine are .*\bproc\b.*\.$/],
    [['--path', 'sub'], /^No mount matches --path \/.*\/sub\.$/],
    [['--kubelet', '/nope', '--path', '/'], /^No mount matches --path \/ --kubelet \/nope\.$/],
  ])('%j that no mount matches are answered in words', async (args, sentence) => {
    const { code, stdout, stderr } = await ended(start(['mounts', ...args], directory));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [first, second, third] = stdout.split('\n');
    expect(first).toMatch(sentence);
    expect(second).toBe('');
    expect(third).toMatch(/^binding: /);
    const json = await runJson('mounts', ...args);
    expect(json).toMatchObject({ code: 0, volumes: [] });
  });

  test('says that a relative path needs a current directory', async () => {
    const gone = place.newDirectory();
    const script = 'rmdir "$PWD" && exec "$@"';
    for (const args of [
      ['--path', '.'],
      ['--kubelet', 'k'],
    ]) {
      mkdirSync(gone, { recursive: true });
      const child = spawn('sh', ['-c', script, 'sh', process.execPath, MAIN, 'mounts', ...args], {
        cwd: gone,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      expect(await ended(child)).toEqual({
        code: 1,
        stdout: '',
        stderr: `kube-volume-metrics: the relative path '${String(args[1])}' cannot be resolved: the current directory no longer exists\n`,
      });
    }
    mkdirSync(gone, { recursive: true });
  });

  test('lists real mounts, each with what is mounted', async () => {
    const { volumes } = await runJson('mounts');
    expect(volumes.find(({ path }) => path === '/')).toMatchObject({
      provider: 'statfs',
      state: 'ok',
      mount: { mountPoint: '/', fsType: expect.any(String) as string },
    });
    expect(volumes.filter(({ mount }) => mount?.['fsType'] === 'proc')).toEqual([]);
  });

  test('lists those of the kernel on request', async () => {
    const { stdout } = await run('mounts', '--all');
    expect(stdout).toMatch(/^PATH +TYPE +SOURCE +STATE /);
    expect(stdout).toMatch(/^\/proc +proc +proc +ok /m);
  });

  test.skipIf(needs({ root: true }))(
    'lists a mount that is hidden by another only by the other',
    async () => {
      const path = place.tmpfs('size=1m');
      place.mount(path, '-t', 'tmpfs', '-o', 'size=2m', 'kvm-test');
      const { volumes } = await runJson('mounts');
      const found = volumes.filter((volume) => volume.path === path);
      expect(found.map(({ metrics }) => metrics?.['capacity'])).toEqual([2_097_152]);
    },
  );

  test.skipIf(needs({ fuse: true }))(
    'lists a mount that does not answer, and does not wait for it',
    async () => {
      await using server = new FuseServer();
      const [stuck, healthy] = [await server.mount(), await server.mount()];
      await stuck.hold();
      const { code, volumes } = await runJson('mounts');
      expect(code).toBe(1);
      expect(volumes.find(({ path }) => path === stuck.path)).toMatchObject({
        state: 'stuck',
        error: { code: 'METRICS_TIMED_OUT', path: stuck.path },
      });
      expect(volumes.find(({ path }) => path === healthy.path)).toMatchObject({
        state: 'ok',
        metrics: { capacity: 4_096_000, inodesUsed: 40 },
      });
    },
  );
});

test.skipIf(needs({ fuse: true }))('numbers beyond those of JavaScript stay exact', async () => {
  await using server = new FuseServer();
  const blocks = 2n ** 53n + 1n;
  const { path } = await server.mount({ statfs: { frsize: 4096, blocks, bfree: 1n, bavail: 1n } });
  const { stdout } = await run('statfs', '--json', path);
  expect(stdout).toContain('"capacity": 36893488147419107328,');
  expect(stdout).toContain('"used": 36893488147419103232,');
  expect((await run('statfs', path)).stdout).toMatch(/ ok +32\.0 ZiB? | ok +32\.0 EiB /);
});

describe.skipIf(needs({ fuse: true }))('Ctrl-C', () => {
  test('ends the calls, and the answer says so', async () => {
    await using server = new FuseServer();
    const mount = await server.mount();
    await mount.hold('unanswered');
    const child = start(['statfs', '--json', '--timeout', '10m', mount.path]);
    await mount.received('statfs');
    child.kill('SIGINT');
    // The process cannot end before its system call, but its answer does not wait for that.
    const answer = await new Promise<string>((resolve) => {
      child.stdout.setEncoding('utf8').once('data', resolve);
    });
    expect(JSON.parse(answer)).toMatchObject({
      volumes: [
        { path: mount.path, state: 'failed', error: { code: 'ABORT_ERR', message: 'aborted by SIGINT' } },
      ],
    });
    await mount.release();
    expect((await ended(child)).code).toBe(1);
  });
});

describe('help', () => {
  test('lists the commands', async () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const { code, stdout, stderr } = await run(...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const name of ['statfs PATH', 'du PATH', 'block DEVICE', 'mounts', 'csi stats', 'csi probe'])
        expect(stdout).toContain(`  ${name}`);
      expect(stdout).toContain('Exit codes:');
    }
  });

  test.each([
    ['statfs', '--require-mount'],
    ['du', '--allow-partial'],
    ['block', '--binding <KIND>'],
    ['mounts', '--kubelet [ROOT]'],
    ['csi', '  probe [SOCKET]  '],
    ['csi stats', '--volume-id <ID>'],
    ['csi probe', 'CSI_ENDPOINT'],
  ])('tells what %s does, in either way of asking', async (name, told) => {
    const { code, stdout, stderr } = await run(...name.split(' '), '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: kube-volume-metrics ${name} [A-Z[]`));
    expect(stdout).toContain(told);
    if (name !== 'csi') {
      expect(stdout).toContain('--timeout <TIME>');
      expect(stdout).toContain('Exit codes:');
      expect(stdout).toContain(`Examples:\n  kube-volume-metrics ${name} `);
    }
    expect(await run('help', ...name.split(' '))).toEqual({ code, stdout, stderr });
  });

  test('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    for (const option of ['--version', '-v', '-V']) {
      expect(await run(option)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    }
  });
});

describe('a wrong command line', () => {
  test.each([
    [['d\u001b[2J'], /^kube-volume-metrics: unknown command 'd\\x1b\[2J'$/, '--help'],
    [['du', '--thread', '2', '/'], /'--thread' \(Did you mean --threads\?\)$/, 'du --help'],
    [['csi', 'probe', '--endpoint', 'tcp://x:1'], /CSI uses unix sockets only$/, 'csi probe --help'],
  ])('%j ends with 2 and says where to find help', async (args, message, help) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const [first, second, ...rest] = stderr.split('\n');
    expect(first).toMatch(message);
    expect(second).toBe(`For help: kube-volume-metrics ${help}`);
    expect(rest).toEqual(['']);
  });
});

describe('standard output', () => {
  test('whose reader has gone is no error', async () => {
    const child = start(['--help']);
    child.stdout.destroy();
    expect(await ended(child)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('that cannot be written is one', async () => {
    const full = openSync('/dev/full', 'w');
    try {
      const child = spawn(process.execPath, [MAIN, '--help'], { stdio: ['ignore', full, 'pipe'] });
      let stderr = '';
      child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
      const code = await new Promise((resolve) => child.once('close', resolve));
      expect(code).toBe(1);
      expect(stderr).toMatch(/^kube-volume-metrics: ENOSPC/);
    } finally {
      closeSync(full);
    }
  });
});
