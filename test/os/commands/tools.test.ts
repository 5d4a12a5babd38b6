import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dialectOf, Tools } from '../../../src/os/commands/tools.js';
import { needs } from '../../support/needs.js';
import { recorded } from './recorded.js';

let [first, second]: string[] = [];
beforeAll(() => {
  [first, second] = [1, 2].map(() => mkdtempSync(join(tmpdir(), 'kvm-tools-')));
});
afterAll(() => {
  for (const directory of [first, second]) rmSync(directory!, { recursive: true });
});

function script(directory: string, name: string, text: string): void {
  writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(directory, name), 0o755);
}

describe('whose command it is, by what it says to --version', () => {
  test.each(['stat', 'du', 'find'])('%s', (name) => {
    expect(dialectOf(recorded(`gnu-version-${name}`))).toBe('gnu');
    expect(dialectOf(recorded(`busybox-version-${name}`))).toBe('busybox');
  });

  test.each(['stat (uutils coreutils) 0.0.17\n', 'stat: illegal option -- -\n', ''])(
    '%j: nobody known',
    (text) => {
      expect(dialectOf(text)).toBeUndefined();
    },
  );
});

describe.skipIf(needs({}))('finding commands', () => {
  test('takes the first directory that has it, and only what may be run', async () => {
    script(second!, 'du', 'echo');
    writeFileSync(join(first!, 'du'), 'not executable');
    const tools = new Tools([first!, second!]);
    expect(await tools.file('du')).toBe(join(second!, 'du'));
  });

  test('names the one that is missing, and looks again the next time', async () => {
    const tools = new Tools([first!]);
    await expect(tools.file('stat')).rejects.toMatchObject({
      code: 'METRICS_NOT_SUPPORTED',
      message: `the command stat is needed and was not found in ${first!}`,
    });
    await expect(tools.dialect('stat', '/v')).rejects.toThrow('the command stat is needed');
    script(first!, 'stat', 'echo "stat (GNU coreutils) 9.9"');
    expect(await tools.dialect('stat', '/v')).toBe('gnu');
  });

  test('asks each for its version once', async () => {
    const log = join(first!, 'log');
    script(first!, 'find', `echo >> ${log}; echo "find (GNU findutils) 4.9.0"`);
    const tools = new Tools([first!]);
    await Promise.all([tools.dialect('find', '/v'), tools.dialect('find', '/v')]);
    await tools.dialect('find', '/v');
    expect((await import('node:fs')).readFileSync(log, 'utf8')).toBe('\n');
  });

  test('that cannot be started for the moment fails for the path that it is needed for', async () => {
    // A file that somebody writes to cannot be run (ETXTBSY).
    const file = join(second!, 'readlink');
    copyFileSync('/bin/true', file);
    const writer = openSync(file, 'r+');
    const tools = new Tools([second!]);
    const answers = await Promise.allSettled([
      tools.dialect('readlink', '/a'),
      tools.dialect('readlink', '/b'),
    ]);
    closeSync(writer);
    expect(answers.map((answer) => answer.status === 'rejected' && (answer.reason as object))).toMatchObject([
      { code: 'ETXTBSY', path: '/a' },
      { code: 'ETXTBSY', path: '/b' },
    ]);
  });

  test('refuses one that is of neither kind', async () => {
    script(first!, 'df', 'echo "df (uutils coreutils) 0.0.17"');
    await expect(new Tools([first!]).dialect('df', '/v')).rejects.toMatchObject({
      code: 'METRICS_NOT_SUPPORTED',
      message: `the command ${first!}/df is neither GNU's nor BusyBox's`,
    });
  });

  test('runs walkers on a leash where setpriv knows it', async () => {
    const nice = join(second!, 'nice');
    script(second!, 'nice', 'echo 0');
    expect(await new Tools([second!]).walkerPrefix('/v')).toEqual([nice, '-n', '19']);
    const setpriv = join(first!, 'setpriv');
    script(first!, 'setpriv', '[ "$*" = "--pdeathsig KILL $3" ] || exit 9; exec "$3"');
    expect(await new Tools([first!, second!]).walkerPrefix('/v')).toEqual([
      ...[setpriv, '--pdeathsig', 'KILL'],
      ...[nice, '-n', '19'],
    ]);
    script(first!, 'setpriv', "echo setpriv: unrecognized option '--pdeathsig' >&2; exit 1");
    expect(await new Tools([first!, second!]).walkerPrefix('/v')).toEqual([nice, '-n', '19']);
  });

  test('runs walkers at the usual priority if nice is refused', async () => {
    script(second!, 'nice', '[ $# = 0 ] && echo 0 || { echo nice: cannot set niceness >&2; exit 125; }');
    expect(await new Tools([second!]).walkerPrefix('/v')).toEqual([]);
  });

  test.skipIf(needs({ busybox: true }))('knows the real BusyBox', async () => {
    symlinkSync('/bin/busybox', join(second!, 'find'));
    expect(await new Tools([second!]).dialect('find', '/v')).toBe('busybox');
  });
});
