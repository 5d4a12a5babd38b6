// Packs the package, installs the tarball in empty projects and uses it there as its users would: ESM, CommonJS and
// strict TypeScript of both module kinds, with the addon and without. Then publint and attw. `npm run check:package`.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const pkg = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'kvm-package-'));
let checks = 0;

try {
  check('npm pack makes a tarball', () => {
    // The clone's own prepare has built everything already; prepack makes the prebuilt addon.
    run('npm', ['pack', '--pack-destination', work, '--silent'], ROOT);
  });
  const tarball = join(
    work,
    readdirSync(work).find((name) => name.endsWith('.tgz')),
  );
  const project = join(work, 'project');
  mkdirSync(project);
  writeJson(join(project, 'package.json'), { name: 'consumer', version: '1.0.0', private: true });

  check('the tarball installs in an empty project, without a script of this package', () => {
    const output = run('npm', ['install', tarball, '--no-audit', '--no-fund', '--prefer-offline'], project);
    if (/kube-volume-metrics.*(install|node-gyp)/i.test(output)) throw new Error(output);
  });
  const installed = join(project, 'node_modules', pkg.name);
  check('the tarball holds no install script, no binding.gyp and no sources', () => {
    const { scripts, gypfile } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    for (const name of ['preinstall', 'install', 'postinstall']) {
      if (scripts?.[name] !== undefined) throw new Error(`it has a script ${name}`);
    }
    if (gypfile !== false) throw new Error('gypfile is not false');
    const files = readdirSync(installed, { recursive: true }).map(String);
    const stray = files.filter((name) => /(^|\/)(binding\.gyp|.*\.cc|src|test|node_modules)$/.test(name));
    if (stray.length > 0) throw new Error(`it holds ${stray.join(', ')}`);
    if (!files.some((name) => name.endsWith('.glibc.node') || name.endsWith('.musl.node'))) {
      throw new Error('it holds no prebuilt addon');
    }
  });

  check('what only the command line needs comes with it, with its licences, and not as packages', () => {
    const notices = readFileSync(join(installed, 'dist/cli/THIRD_PARTY_NOTICES'), 'utf8');
    if (!/^commander \d/m.test(notices)) throw new Error(notices);
    const present = readdirSync(join(project, 'node_modules')).filter((name) =>
      notices.includes(`\n${name} `),
    );
    if (present.includes('commander') || present.includes('cli-table3')) throw new Error(present.join(', '));
  });

  const entries = Object.keys(pkg.exports).filter((name) => name !== './package.json');
  const specifiers = entries.map((name) => pkg.name + name.slice(1));
  for (const binding of ['native', 'command']) {
    if (binding === 'command') rmSync(join(installed, 'native'), { recursive: true });
    check(`ESM import of ${entries.join(', ')} (${binding})`, () => {
      writeFileSync(
        join(project, 'use.mjs'),
        useText(specifiers, (name) => `await import('${name}')`, binding),
      );
      run(process.execPath, ['use.mjs'], project);
    });
    check(`CommonJS require of ${entries.join(', ')} (${binding})`, () => {
      const text = useText(specifiers, (name) => `require('${name}')`, binding);
      writeFileSync(join(project, 'use.cjs'), `(async () => {${text}})();`);
      run(process.execPath, ['use.cjs'], project);
    });
    check(`the command line runs (${binding})`, () => {
      const output = run(
        join(project, 'node_modules/.bin', pkg.name),
        ['statfs', '--json', project],
        project,
      );
      if (JSON.parse(output).volumes[0].state !== 'ok') throw new Error(output);
    });
  }

  for (const type of ['module', 'commonjs']) {
    check(`strict TypeScript in a project of type ${type}`, () => {
      const folder = join(project, type);
      mkdirSync(folder);
      writeJson(join(folder, 'package.json'), { type });
      writeJson(join(folder, 'tsconfig.json'), {
        compilerOptions: {
          ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
          ...{ module: 'NodeNext', target: 'ES2022', noEmit: true, skipLibCheck: false },
          ...{ types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
        },
      });
      cpSync(join(ROOT, 'test/package/consumer.ts'), join(folder, 'consumer.ts'));
      run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], folder);
    });
  }
  check('publint finds nothing', () => {
    const output = run(join(ROOT, 'node_modules/.bin/publint'), ['--strict', tarball], ROOT);
    if (!/All good/i.test(output)) throw new Error(output);
  });
  check('attw --profile node16 finds nothing', () => {
    run(join(ROOT, 'node_modules/.bin/attw'), [tarball, '--profile', 'node16'], ROOT);
  });
  console.log(`\n${checks} passed, 0 failed`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** A program that imports every entry, checks which binding is used and takes one reading. */
function useText(names, load, binding) {
  return `
    const [main] = [${names.map(load).join(', ')}];
    const active = main.activeBinding();
    if (active.binding !== '${binding}') throw new Error('binding is ' + JSON.stringify(active));
    const reading = await new main.MetricsStatFs('.').getMetrics();
    if (typeof reading.capacity !== 'bigint') throw new Error('no capacity');
  `;
}

function check(title, body) {
  try {
    body();
  } catch (error) {
    console.error(`FAILED ${title}`);
    throw error;
  }
  checks += 1;
  console.log(`ok     ${title}`);
}

function run(command, args, cwd) {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

function writeJson(file, value) {
  writeFileSync(file, JSON.stringify(value, undefined, 2));
}
