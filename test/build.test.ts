import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'tsup';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
      'kube-volume-metrics: the native addon was not built: Python 3 was not found; the commands df, stat, du and find are used\n',
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

  test.skipIf(needs({ programs: ['python3'], headers: true }))('names the compiler that is missing', () => {
    const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' });
    symlinkSync(python.trim(), join(tools, 'python3'));
    expect(run(['native/build.mjs'], { CXX: '/none/such-c++' })).toMatch(
      /: the native addon was not built: such-c\+\+ was not found; /,
    );
  });
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
            /^this code is not in the folder of kube-volume-metrics: a bundler/,
          ) as string,
        },
        'bigint',
      ]);
    },
  );
});
