import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { processesOf } from './daemons.mjs';
import { whatIsLeft } from './down.mjs';
import { holder, holderText, isTaken } from './lock.mjs';
import { CONTAINERD_STATE, KUBELET_ROOT, STATE } from './place.mjs';

/** A node that is killed while it starts or runs, or that cannot start. None is up before or after. */

const MAIN = join(import.meta.dirname, 'main.mjs');

/** What must be as before: folders that a node makes, and what a kubelet sets for the whole machine. */
function machine(): object {
  const sysctls = ['kernel/panic', 'kernel/panic_on_oops', 'vm/overcommit_memory', 'vm/panic_on_oom'];
  return {
    left: whatIsLeft(),
    folders: ['/run', '/var/lib', '/var/log', '/var/tmp', '/etc'].map((folder) =>
      // Other programs have their temporary files there too.
      readdirSync(folder)
        .filter((name) => folder !== '/var/tmp' || name.startsWith('kube'))
        .sort(),
    ),
    sysctls: sysctls.map((name) => readFileSync(join('/proc/sys', name), 'utf8')),
  };
}

let before: object;

beforeAll(() => {
  if (isTaken()) throw new Error(`there is a node already, ${holderText()}`);
  before = machine();
});

function start(...args: string[]): ReturnType<typeof spawn> {
  const all = [MAIN, '--wait', '600', ...args];
  return spawn(process.execPath, all, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20);
}

/** How far a command has come. */
const stages: Record<string, () => boolean> = {
  'its folder is made': () => existsSync(join(STATE, 'made.json')),
  'filesystems are mounted': () => existsSync(join(KUBELET_ROOT, 'lost+found')),
  'etcd runs': () => processesOf('etcd').length > 0,
  'the kubelet runs': () => processesOf('kubelet').length > 0,
  'its command runs': () => processesOf('command').length > 0,
  'containers run': () => readdirSync(join(KUBELET_ROOT, 'pods')).length > 5,
};

function isReached(stage: string, command: ReturnType<typeof spawn>): boolean {
  try {
    return holder()?.pid === command.pid && stages[stage]!();
  } catch {
    return false;
  }
}

describe('a node leaves nothing behind', () => {
  for (const stage of Object.keys(stages).filter((each) => each !== 'its command runs')) {
    test(`if the command is killed once ${stage}`, async () => {
      const command = start('up');
      const ended = once(command, 'exit');
      await until(() => isReached(stage, command) || command.exitCode !== null);
      command.kill('SIGKILL');
      await ended;
      await until(() => !existsSync(STATE));
      expect(machine()).toStrictEqual(before);
    });
  }

  test('if the command is interrupted', async () => {
    const command = start('up');
    const ended = once(command, 'exit');
    await until(() => isReached('the kubelet runs', command) || command.exitCode !== null);
    command.kill('SIGINT');
    expect(await ended).toStrictEqual([1, null]);
    expect(machine()).toStrictEqual(before);
  });

  test('if the kubelet refuses its configuration', async () => {
    const command = start('--kubelet', '{"syncFrequency":"never"}', 'up');
    expect(await once(command, 'exit')).toStrictEqual([1, null]);
    expect(machine()).toStrictEqual(before);
  });

  test('if the command that runs on it is killed, and what it started', async () => {
    const command = start('--bare', 'run', 'sleep', '1000000');
    const ended = once(command, 'exit');
    await until(() => isReached('its command runs', command) || command.exitCode !== null);
    process.kill(-command.pid!, 'SIGKILL');
    await ended;
    await until(() => !existsSync(STATE));
    expect(processesOf('command')).toStrictEqual([]);
    expect(machine()).toStrictEqual(before);
  });

  test('if its janitor is killed', async () => {
    const command = start('--bare', 'run', 'sleep', '1000000');
    const ended = once(command, 'exit');
    await until(() => isReached('its command runs', command) || command.exitCode !== null);
    const janitor = childrenOf(command.pid!).find((pid) => commandLine(pid).includes('janitor'));
    process.kill(janitor!, 'SIGKILL');
    expect(await ended).toStrictEqual([1, null]);
    expect(machine()).toStrictEqual(before);
  });
});

describe('no node is started', () => {
  test('while there is one: the message says who has it', () => {
    mkdirSync(join(STATE, 'something'), { recursive: true });
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'up'], { encoding: 'utf8' });
    rmSync(STATE, { recursive: true });
    expect(stderr).toContain(`there is a node already, and ${STATE} does not say who started it`);
    expect(status).toBe(1);
  });

  test.each([KUBELET_ROOT, join(CONTAINERD_STATE, 'containerd.sock')])('where %s exists', (path) => {
    const made = mkdirSync(path, { recursive: true });
    if (made === undefined) throw new Error(`${path} exists already`);
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'up'], { encoding: 'utf8' });
    rmSync(made, { recursive: true });
    expect(stderr).toContain(`no node is started: ${path} exists`);
    expect(status).toBe(1);
    expect(machine()).toStrictEqual(before);
  });

  test('without Go: the message says what is missing', () => {
    const folder = mkdtempSync('/tmp/no-go-');
    const env = { ...process.env, PATH: folder };
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'up'], { encoding: 'utf8', env });
    rmSync(folder, { recursive: true });
    expect(stderr).toContain('Missing: the program go (https://go.dev/dl)');
    expect(status).toBe(1);
  });
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

function commandLine(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
}
