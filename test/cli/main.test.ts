import { closeSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activeBinding } from '../../src/index.js';
import { FuseServer } from '../support/fuse.mjs';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';
import { ended, run, runJson, start } from './run-main.js';

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
    expect(lines[2]).toMatch(/ statfs +failed +(- +){6}METRICS_NOT_FOUND: .*ENOENT/);
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
        error: { code: 'METRICS_NO_PATH_DEFINED', message: 'no path defined for disk usage metrics.' },
      },
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
      });
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
      for (const name of ['statfs PATH', 'du PATH', 'block DEVICE', 'mounts'])
        expect(stdout).toContain(`  ${name}`);
    }
  });

  test.each(['statfs', 'du', 'block', 'mounts'])('tells what %s does', async (name) => {
    const { code, stdout, stderr } = await run(name, '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: kube-volume-metrics ${name} \\[OPTION\\]`));
    expect(stdout).toContain('--timeout TIME');
    expect(stdout).toContain('Exit codes:');
  });

  test('no line of it is longer than 120 characters', async () => {
    for (const name of ['statfs', 'du', 'block', 'mounts']) {
      const { stdout } = await run(name, '--help');
      expect(stdout.split('\n').filter((line) => line.length > 120)).toEqual([]);
    }
  });

  test('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    for (const option of ['--version', '-V']) {
      expect(await run(option)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    }
  });
});

describe('a wrong command line', () => {
  test.each([
    [[], /expected a command \(statfs, du, block, mounts, csi\)$/, '--help'],
    [['df'], /got 'df': there is no such command$/, '--help'],
    [['--json', 'mounts'], /got '--json': the command comes before its options$/, '--help'],
    [['statfs'], /statfs expects at least one PATH$/, 'statfs --help'],
    [['block', '--json'], /block expects at least one DEVICE$/, 'block --help'],
    [
      ['mounts', '/'],
      /mounts expects no operand, got '\/'; to measure one path use statfs$/,
      'mounts --help',
    ],
    [['statfs', '--fast', '/'], /Unknown option '--fast'/, 'statfs --help'],
    [['du', '--require-mount', '/'], /Unknown option '--require-mount'/, 'du --help'],
    [['statfs', '/', '--timeout'], /--timeout <value>' argument missing/, 'statfs --help'],
    [['statfs', '--timeout', '--json', '/'], /is ambiguous\. Did you forget to specify/, 'statfs --help'],
    [
      ['statfs', '--timeout', '5x', '/'],
      /--timeout expects a duration such as 5s or 200ms, got '5x'$/,
      'statfs --help',
    ],
    [
      ['statfs', '--timeout', '0', '/'],
      /Expected timeoutMs to be a number of milliseconds above 0/,
      'statfs --help',
    ],
    [['mounts', '--timeout', '999999h'], /--timeout expects a duration/, 'mounts --help'],
    [
      ['statfs', '--binding', 'addon', '/'],
      /Expected binding to be 'auto', 'native' or 'command'/,
      'statfs --help',
    ],
    [['du', '--threads', 'x', '/'], /--threads expects a whole number, got 'x'$/, 'du --help'],
    [
      ['du', '--threads', '65', '/'],
      /Expected threads to be a whole number from 1 to 64, got 65$/,
      'du --help',
    ],
    [['d\u001b[2J'], /got 'd\\x1b\[2J'/, '--help'],
  ])('%j is refused, and says what is wrong', async (args, message, help) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const [first, second] = stderr.split('\n');
    expect(first).toMatch(/^kube-volume-metrics: /);
    expect(first).toMatch(message);
    expect(second).toBe(`For help: kube-volume-metrics ${help}`);
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
      const main = join(ROOT, 'dist/cli/main.js');
      const child = spawn(process.execPath, [main, '--help'], { stdio: ['ignore', full, 'pipe'] });
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
