import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { build } from 'tsup';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readElf } from './support/elf.js';
import { needs } from './support/needs.js';

const ROOT = join(import.meta.dirname, '..');

let clone: string;
let tools: string;
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'kvm-clone-'));
  tools = join(clone, 'tools');
  mkdirSync(tools);
  symlinkSync(process.execPath, join(tools, 'node'));
  symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
  for (const name of ['package.json', 'dist'])
    cpSync(join(ROOT, name), join(clone, name), { recursive: true });
  const isBuilt = (path: string): boolean => /\/native\/(build|prebuilds|test)$/.test(path);
  cpSync(join(ROOT, 'native'), join(clone, 'native'), { recursive: true, filter: (path) => !isBuilt(path) });
});
afterEach(() => {
  rmSync(clone, { recursive: true });
});

/** Runs a program there that finds nothing but Node, and no home folder. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  return execFileSync(process.execPath, args, {
    cwd: clone,
    env: { PATH: tools, HOME: '', ...env },
    encoding: 'utf8',
  });
}

describe.skipIf(process.platform !== 'linux')('a clone without what builds the addon', () => {
  test('says in one line what is missing, and measures through the commands', () => {
    expect(run(['native/build.mjs'])).toBe(
      'kube-volume-metrics: the native addon was not built: Python 3 was not found; ' +
        'the commands df, stat, du and find are used until you try again with: node native/build.mjs\n',
    );
    const program = `
      const { activeBinding, MetricsDu } = await import('./dist/index.js');
      const { used } = await new MetricsDu('native').getMetrics();
      console.log(JSON.stringify([activeBinding(), typeof used]));`;
    expect(JSON.parse(run(['--input-type=module', '-e', program]))).toEqual([
      { binding: 'command', reason: 'the addon was not built: Python 3 was not found' },
      'bigint',
    ]);
  });

  describe.skipIf(needs({ programs: ['python3'], headers: true }))('but with Python', () => {
    beforeEach(() => {
      const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], {
        encoding: 'utf8',
      });
      symlinkSync(python.trim(), join(tools, 'python3'));
    });
    const script = (name: string, text: string): string => {
      writeFileSync(join(tools, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      return join(tools, name);
    };

    test('names the compiler that is missing', () => {
      expect(run(['native/build.mjs'], { CXX: '/none/such-c++' })).toMatch(
        /: the native addon was not built: such-c\+\+ was not found; /,
      );
    });

    test('ends a compiler that takes too long, and says how to allow it more time', () => {
      // Its time is over whether it gets as far as make or not.
      script('make', 'echo $$ > make.pid; while :; do /bin/sleep 1; done');
      expect(run(['native/build.mjs', '4'])).toBe(
        'kube-volume-metrics: the native addon was not built: it took longer than 4 s; ' +
          'the commands df, stat, du and find are used until you try again with: node native/build.mjs 12\n',
      );
    });

    test('compiles on all processors', () => {
      script('make', `echo "$@" > ${join(clone, 'make.txt')}; exit 1`);
      run(['native/build.mjs']);
      expect(readFileSync(join(clone, 'make.txt'), 'utf8')).toContain(
        `--jobs ${String(availableParallelism())}`,
      );
    });
  });

  test('refuses a time limit that is no number of seconds', () => {
    expect(() => run(['native/build.mjs', 'soon'])).toThrow('usage: node native/build.mjs [SECONDS]');
  });
});

describe.skipIf(needs({ native: true }))('the addon as it was built', () => {
  let file: string;

  beforeAll(() => {
    // In native/build/, or in native/prebuilds/ after the package was packed.
    const { path } = createRequire(import.meta.url)('node-gyp-build') as { path: (folder: string) => string };
    file = path(join(ROOT, 'native'));
  });

  test('has nothing in memory that an overflow could turn into a jump, and notices one', () => {
    const { names, ...linked } = readElf(file);
    expect(linked).toEqual({ relro: true, bindNow: true, executableStack: false });
    expect(names).toContain('__stack_chk_fail');
    // The checked functions are glibc's.
    const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    if (header.glibcVersionRuntime !== undefined) {
      expect(names.filter((name) => /^__(?!stack_)\w+_chk$/.test(name))).not.toEqual([]);
    }
  });

  test('does not say where it was built', () => {
    expect(readFileSync(file).includes(ROOT)).toBe(false);
  });
});

test('source maps name files relative to the package, and nothing of the machine that built it', () => {
  const maps = readdirSync(join(ROOT, 'dist'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.map'));
  expect(maps).not.toEqual([]);
  for (const name of maps) {
    const text = readFileSync(join(ROOT, 'dist', name), 'utf8');
    expect(text.includes(ROOT), name).toBe(false);
    const { sources, sourceRoot, file } = JSON.parse(text) as Record<string, unknown> & { sources: string[] };
    expect([sourceRoot ?? '', file ?? basename(name, '.map')], name).toEqual(['', basename(name, '.map')]);
    // A chunk that was made of another one names that too.
    for (const source of sources) expect(source).toMatch(/^(\.\.\/)+(src|node_modules)\/|^[\w-]+\.cjs$/);
  }
});

describe.skipIf(process.platform !== 'linux')('a bundle', () => {
  test.each(['esm', 'cjs'] as const)(
    'in one file (%s) says why it measures through the commands',
    async (format) => {
      const app = join(clone, 'app');
      // An addon of the program's own, where ours would be.
      mkdirSync(join(app, 'native/build/Release'), { recursive: true });
      writeFileSync(join(app, 'native/build/Release/theirs.node'), '');
      writeFileSync(join(app, 'package.json'), '{ "name": "app" }');
      writeFileSync(
        join(app, 'main.js'),
        `import { activeBinding, fsInfo } from ${JSON.stringify(join(ROOT, 'dist/index.js'))};
      fsInfo('/').then(({ capacity }) => console.log(JSON.stringify([activeBinding(), typeof capacity])));`,
      );
      await build({
        ...{ entry: [join(app, 'main.js')], outDir: join(app, 'out'), format, platform: 'node' },
        ...{ noExternal: [/./], splitting: false, config: false, silent: true },
        outExtension: () => ({ js: format === 'esm' ? '.mjs' : '.cjs' }),
      });
      const output = run([join(app, 'out', format === 'esm' ? 'main.mjs' : 'main.cjs')]);
      expect(JSON.parse(output)).toEqual([
        {
          binding: 'command',
          reason: expect.stringMatching(
            /^this code is not in the folder of kube-volume-metrics: mark the package as external/,
          ) as string,
        },
        'bigint',
      ]);
    },
  );
});
