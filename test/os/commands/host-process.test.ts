import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { starter } from '../../../src/os/commands/children.js';
import { needs } from '../../support/needs.js';
import { appears } from './own-children.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const WALK = `
  const { diskUsage } = await import('kube-volume-metrics');
  diskUsage('/', { binding: 'command', allowPartial: true }).catch(() => undefined);
`;

let host: ChildProcess | undefined;
let walker: string | undefined;
afterEach(() => {
  host?.kill('SIGKILL');
  if (walker !== undefined && isAlive(walker)) process.kill(Number(walker), 'SIGKILL');
  host = walker = undefined;
});

/** Runs a program in a process of its own, after some words for its shell. */
function run(program: string, before = ''): ChildProcessByStdio<Writable, Readable, null> {
  const args = ['sh', process.execPath, '--input-type=module', '-e', program];
  const child = spawn('/bin/sh', ['-c', `${before} exec "$@"`, ...args], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  host = child;
  return child;
}

/** The pid of the host's du. It is stopped, so that it neither ends nor writes by itself. */
async function stoppedWalker(pid: number): Promise<string> {
  const tasks = `/proc/${String(pid)}/task`;
  walker = await appears(() =>
    readdirSync(tasks)
      .flatMap((task) => read(`${tasks}/${task}/children`).split(' '))
      .find((child) => read(`/proc/${child}/cmdline`).startsWith('/usr/bin/du\0-x')),
  );
  process.kill(Number(walker), 'SIGSTOP');
  return walker;
}

function isAlive(pid: string): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== '' && !/\) [ZX] /.test(stat);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

describe.skipIf(needs({}))('a process that has a walk by commands', () => {
  test('shuts down in its own time after a signal that it listens for once', async () => {
    const child = run(`
      process.once('SIGTERM', async () => {
        console.log('starts');
        await new Promise((done) => setTimeout(done, 200));
        console.log('done');
        process.exit(0);
      });
      ${WALK}
    `);
    const output = text(child.stdout);
    const pid = await stoppedWalker(child.pid!);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await output).toBe('starts\ndone\n');
    await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false);
  });

  test.skipIf(needs({ programs: ['setpriv'] }))(
    'loses the walker with the worker that started it',
    async () => {
      const child = run(`
      const { Worker } = await import('node:worker_threads');
      const worker = new Worker(${JSON.stringify(`(async () => {${WALK}})()`)}, { eval: true });
      process.stdin.once('data', () => worker.terminate().then(() => console.log('terminated')));
    `);
      const pid = await stoppedWalker(child.pid!);
      child.stdin.write('\n');
      await once(child.stdout, 'data');
      await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false);
      expect(child.exitCode).toBeNull();
    },
  );

  test('kills walkers when it exits, and listens for that alone, as long as there are some', async () => {
    const listeners = (): number[] =>
      ['exit', 'SIGTERM', 'SIGINT', 'SIGHUP'].map((name) => process.listenerCount(name));
    const [exit, ...signals] = listeners();
    const start = await starter();
    const silent = { stdout: () => undefined, stderr: () => undefined };
    const sleep = { file: '/bin/sleep', args: ['1000'], path: '/v', keepsAlive: true };
    const sleepers = [start(sleep, silent), start(sleep, silent)];
    expect(listeners()).toEqual([exit! + 1, ...signals]);
    process.listeners('exit').at(-1)!(0);
    for (const sleeper of sleepers) expect(await sleeper.ended).toMatchObject({ signal: 'SIGKILL' });
    expect(listeners()).toEqual([exit, ...signals]);
  });
});

describe.skipIf(needs({}))('a process that is short of descriptors at its first call', () => {
  test.each(['command', 'native'])('is not without the %s binding for good', async (binding) => {
    if (binding === 'native' && needs({ native: true }) !== false) return;
    const child = run(
      `
        import { closeSync, openSync } from 'node:fs';
        import { fsInfo } from 'kube-volume-metrics';
        const ask = () => fsInfo('/', { binding: '${binding}' }).then(() => 'answers', ({ code, cause }) => cause?.code ?? code);
        const taken = [];
        const take = () => {
          try {
            for (;;) taken.push(openSync('/dev/null'));
          } catch {}
        };
        take();
        const first = await ask();
        for (const descriptor of taken) closeSync(descriptor);
        console.log(first, await ask(), await ask());
      `,
      'ulimit -n 64;',
    );
    const code = binding === 'command' ? 'EMFILE' : 'METRICS_NOT_SUPPORTED';
    expect(await text(child.stdout)).toBe(`${code} answers answers\n`);
  });
});

test.skipIf(needs({ root: true, programs: ['unshare'] }))(
  'a machine without /dev/null is told so',
  async () => {
    const child = run(
      `
      import { unlinkSync } from 'node:fs';
      import { fsInfo } from 'kube-volume-metrics';
      unlinkSync('/dev/null');
      console.log(await fsInfo('/', { binding: 'command' }).catch(({ code, message }) => code + ' ' + message));
    `,
      'exec unshare --mount sh -c \'mount -t tmpfs none /dev && : > /dev/null && exec "$@"\' sh "$@";',
    );
    expect(await text(child.stdout)).toBe(
      'METRICS_NOT_SUPPORTED no command can be run: /dev/null is missing\n',
    );
  },
);
