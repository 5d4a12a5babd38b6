import { spawn, type ChildProcess } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const EXAMPLES = join(ROOT, 'examples');

/**
 * The single-file examples, run as by a user who has installed the package: against what was built.
 */
describe('examples/', () => {
  let project: string;
  let running: ChildProcess | undefined;

  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'kvm-examples-'));
    mkdirSync(join(project, 'node_modules'));
    symlinkSync(ROOT, join(project, 'node_modules/kube-volume-metrics'));
    symlinkSync(join(ROOT, 'node_modules/prom-client'), join(project, 'node_modules/prom-client'));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
    for (const name of readdirSync(EXAMPLES).filter((each) => each.endsWith('.ts'))) {
      const { outputText } = ts.transpileModule(readFileSync(join(EXAMPLES, name), 'utf8'), {
        compilerOptions,
      });
      writeFileSync(join(project, name.replace(/\.ts$/, '.js')), outputText);
    }
  });

  afterEach(async () => {
    if (running?.exitCode === null && running.kill('SIGKILL')) await once(running, 'exit');
    running = undefined;
  });

  afterAll(() => {
    rmSync(project, { recursive: true, force: true });
  });

  function start(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    running = spawn(process.execPath, [join(project, `${name}.js`), ...args], {
      cwd: project,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    running.stdout?.setEncoding('utf8');
    return running;
  }

  test('exporter serves the filesystems it is given as claims', async () => {
    const data = join(project, 'with=sign');
    mkdirSync(data);
    const child = start('exporter', [`data=${data}`, 'lost=/nowhere'], { PORT: '0' });
    const [line] = (await once(child.stdout!, 'data')) as [string];
    const text = await scrape(
      line.trim(),
      (metrics) => metrics.includes('state="ok"') && metrics.includes('state="failed"'),
    );
    const capacity =
      /^kubelet_volume_stats_capacity_bytes\{namespace="default",persistentvolumeclaim="data"\} (\d+)$/m.exec(
        text,
      )?.[1];
    const { blocks, bsize } = statfsSync(project);
    expect(Number(capacity)).toBe(blocks * bsize);
    expect(text).not.toContain('capacity_bytes{namespace="default",persistentvolumeclaim="lost"}');
  });

  test('custom-provider shows a reading, one with a number that is not known, and a failure', async () => {
    const child = start('custom-provider', []);
    const output: string[] = [];
    child.stdout!.on('data', (text: string) => output.push(text));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(output.join('')).toBe(
      '{"name":"archive","state":"ok","capacity":9223372036854775807,"used":1099511627776}\n' +
        '{"name":"thick","state":"ok","capacity":10737418240}\n' +
        '{"name":"lost","state":"failed","error":"METRICS_NOT_FOUND"}\n',
    );
  });

  test('no single-file example is without a test here', () => {
    const names = readdirSync(EXAMPLES).filter((each) => each.endsWith('.ts') && each !== 'tsup.config.ts');
    const tests = readFileSync(import.meta.filename, 'utf8');
    expect(names.filter((name) => !tests.includes(`start('${name.replace(/\.ts$/, '')}'`))).toEqual([]);
  });

  /** Asks until it is there: the first readings come a moment after the server does. */
  async function scrape(url: string, isThere: (text: string) => boolean): Promise<string> {
    for (;;) {
      const text = await (await fetch(url)).text();
      if (isThere(text)) return text;
    }
  }
});

test.each([
  [[], /^Which example\?\n/],
  [['exportr'], /^There is no example 'exportr'\.\n/],
])('npm run example %j lists the examples', { timeout: 60_000 }, async (args, first) => {
  const child = spawn('npm', ['run', '--silent', 'example', '--', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(2);
  expect(stderr).toMatch(first);
  const names = readdirSync(EXAMPLES).filter((each) => each.endsWith('.ts') && !each.startsWith('tsup'));
  for (const name of names) expect(stderr).toContain(`  npm run example ${name.replace(/\.ts$/, '')}\n`);
  expect(stderr).not.toContain('MODULE_NOT_FOUND');
});
