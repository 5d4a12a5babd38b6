import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { Children } from '../../../src/os/commands/children.js';
import { type Command, starter } from '../../../src/os/commands/children.js';
import { needs } from '../../support/needs.js';
import { appears, ownChildren } from './own-children.js';
import { readFileSync } from 'node:fs';
import { signOfLife } from '../../../src/os/commands/children.js';

const SH = '/bin/sh';

describe.skipIf(needs({}))('a command that is asked', () => {
  test('says what it says, byte by byte, and how it ended', async () => {
    const said = await new Children().ask(
      SH,
      ['-c', "printf 'caf\\303\\251\\377'; echo oh >&2; exit 3"],
      '/v',
    );
    expect(said).toEqual({ exitCode: 3, stdout: 'caf\xc3\xa9\xff', stderr: 'oh\n' });
  });

  test('gets no environment but LC_ALL, no input, and the root as its directory', async () => {
    const { stdout } = await new Children().ask('/usr/bin/env', [], '/v');
    expect(stdout).toBe('LC_ALL=C\n');
    expect((await new Children().ask(SH, ['-c', 'pwd; /bin/cat'], '/v')).stdout).toBe('/\n');
  });

  test('is killed when it says too much', async () => {
    const children = new Children();
    await expect(children.ask(SH, ['-c', 'while :; do echo more; done'], '/v')).rejects.toMatchObject({
      code: 'METRICS_FS_INFO_FAILED',
      path: '/v',
    });
    await children.end();
  });

  test('and is not there', async () => {
    await expect(new Children().ask('/nowhere/stat', [], '/v')).rejects.toMatchObject({
      code: 'METRICS_NOT_SUPPORTED',
      message: 'the command /nowhere/stat cannot be run: ENOENT',
    });
  });

  test('and may not be run', async () => {
    await expect(new Children().ask('/etc/passwd', [], '/v')).rejects.toMatchObject({
      code: 'METRICS_NOT_SUPPORTED',
      message: 'the command /etc/passwd cannot be run: EACCES',
    });
  });

  test('with more arguments than the kernel takes', async () => {
    await expect(new Children().ask(SH, ['x'.repeat(200_000)], '/v')).rejects.toMatchObject({
      code: 'E2BIG',
      syscall: `spawn ${SH}`,
      path: '/v',
    });
  });

  test.skipIf(needs({ programs: ['prlimit'] }))('without a descriptor left for its pipes', async () => {
    const prlimit = `prlimit --pid ${String(process.pid)} --nofile`;
    const soft = execFileSync('sh', ['-c', `${prlimit} -o SOFT --noheadings`], { encoding: 'utf8' }).trim();
    await starter();
    const restore = spawn('sh', ['-c', `read _; ${prlimit}=${soft}:`], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await once(restore, 'spawn');
    // All numbers below it are in use.
    execFileSync('sh', ['-c', `${prlimit}=3:`]);
    try {
      await expect(new Children().ask(SH, ['-c', 'echo'], '/v')).rejects.toMatchObject({
        code: 'EMFILE',
        syscall: `spawn ${SH}`,
        path: '/v',
      });
    } finally {
      restore.stdin.end('\n');
      await once(restore, 'exit');
    }
    await expect(new Children().ask(SH, ['-c', 'echo'], '/v')).resolves.toMatchObject({ stdout: '\n' });
  });
});

describe.skipIf(needs({}))('ending', () => {
  test('kills what runs, and resolves when it is gone', async () => {
    const children = new Children();
    void children.ask('/bin/sleep', ['1000'], '/v');
    const pid = await appears(sleeper);
    await children.end();
    expect(ownChildren().has(pid)).toBe(false);
  });

  test('lets nothing more start', async () => {
    const children = new Children();
    await children.end();
    await expect(children.ask(SH, ['-c', 'echo'], '/v')).rejects.toThrow('the call is over');
  });
});

describe.skipIf(needs({}))('keeping the process alive', () => {
  const SLEEP: Command = { file: '/bin/sleep', args: ['1000'], path: '/v', keepsAlive: true };
  const SILENT = { stdout: () => undefined, stderr: () => undefined };
  const alive = (): number => {
    return process.getActiveResourcesInfo().filter((name) => /Process|Pipe/.test(name)).length;
  };

  test.each([
    [true, 3],
    [false, 0],
  ])('%s: %i handles, and none once it is killed', async (keepsAlive, handles) => {
    const start = await starter();
    const before = alive();
    const child = start({ ...SLEEP, keepsAlive }, SILENT);
    expect(alive() - before).toBe(handles);
    child.kill();
    expect(alive() - before).toBeLessThanOrEqual(0);
    await child.gone;
  });
});

/** A child of this process that sleeps for 1000 seconds. */
function sleeper(): string | undefined {
  return [...ownChildren()].find(([, command]) => command === '/bin/sleep 1000 ')?.[0];
}

describe.skipIf(needs({}) !== false)('the sign of life', () => {
  test('changes while a process runs or could run', () => {
    const first = signOfLife(process.pid);
    expect(first).toBeDefined();
    expect(signOfLife(process.pid)).not.toBe(first);
  });

  test('stays the same while it sleeps, and is none once it is gone', async () => {
    const child = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' });
    const { pid } = child;
    try {
      await once(child, 'spawn');
      await appears(() =>
        readFileSync(`/proc/${String(pid)}/stat`, 'utf8').includes('(sleep) S') ? true : undefined,
      );
      const first = signOfLife(pid);
      expect(first).toMatch(/^\d+$/);
      expect(signOfLife(pid)).toBe(first);
    } finally {
      child.kill('SIGKILL');
    }
    await once(child, 'exit');
    expect(signOfLife(pid)).toBeUndefined();
    expect(signOfLife(undefined)).toBeUndefined();
  });
});
