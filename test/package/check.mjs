// Packs the package, installs the tarball in an empty project and uses it there as its users would: ESM,
// CommonJS and strict TypeScript of each kind of module resolution, with the addon and without. Then publint
// and attw. `npm run check:package`.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LAYERS } from '../layers.mjs';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const pkg = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'kvm-package-'));
let passed = 0;
let failed = 0;

try {
  check(
    'npm pack makes a tarball',
    () => {
      // prepack makes the prebuilt addon.
      run('npm', ['pack', '--pack-destination', work, '--silent'], ROOT);
    },
    { isNeeded: true },
  );
  const tarball = join(
    work,
    readdirSync(work).find((name) => name.endsWith('.tgz')),
  );
  const project = join(work, 'project');
  mkdirSync(project);
  writeJson(join(project, 'package.json'), { name: 'consumer', version: '1.0.0', private: true });

  check(
    'the tarball installs in an empty project, without a script of this package',
    () => {
      const args = ['install', tarball, '--no-audit', '--no-fund', '--prefer-offline'];
      const { status, stdout, stderr } = spawnSync('npm', args, { cwd: project, encoding: 'utf8' });
      const output = stdout + stderr;
      // npm 11 warns about scripts that it might have to run, `prepare` among them.
      if (status !== 0 || /kube-volume-metrics.*(install|prepare|node-gyp)/i.test(output)) {
        throw new Error(output);
      }
    },
    { isNeeded: true },
  );
  const installed = join(project, 'node_modules', pkg.name);
  check('the tarball holds no script for an installation or a clone, no binding.gyp and no sources', () => {
    const { scripts, gypfile } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
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

  check('no file holds a path of the machine that built it', () => {
    const secrets = [ROOT, `${homedir()}/`, `${tmpdir()}/kvm-`].map((path) => Buffer.from(path));
    for (const name of filesIn(installed)) {
      const content = readFileSync(join(installed, name));
      const found = secrets.find((each) => content.includes(each));
      if (found !== undefined) throw new Error(`${name} holds ${String(found)}`);
    }
  });
  check('source maps lead to sources by relative paths', () => {
    const maps = filesIn(join(installed, 'dist')).filter((name) => name.endsWith('.map'));
    if (maps.length === 0) throw new Error('there are none');
    for (const name of maps) {
      const { file = '', sourceRoot = '', sources } = readJson(join(installed, 'dist', name));
      const absolute = [file, sourceRoot, ...sources].find((path) => /^(\/|\w+:)/.test(path));
      if (absolute !== undefined) throw new Error(`${name} names ${absolute}`);
    }
  });
  check('what is bundled into the command line is not installed beside it, and has its notice', () => {
    const folder = join(installed, 'dist/cli');
    const bundled = new Set(LAYERS.cli.packages.filter((name) => name !== pkg.name));
    for (const name of filesIn(folder).filter((each) => each.endsWith('.map'))) {
      for (const source of readJson(join(folder, name)).sources) {
        const [, found] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source) ?? [];
        if (found !== undefined) bundled.add(found);
      }
    }
    const [file] = filesIn(installed).filter((name) => /(^|\/)THIRD_PARTY_NOTICES(\.\w+)?$/.test(name));
    if (file === undefined) throw new Error('there is no THIRD_PARTY_NOTICES');
    const notices = readFileSync(join(installed, file), 'utf8');
    const silent = [...bundled].filter((name) => !new RegExp(`(^|\\s)${name}[\\s@]`, 'm').test(notices));
    if (silent.length > 0) throw new Error(`${file} does not name ${silent.join(', ')}`);
    const declared = Object.keys(readJson(join(installed, 'package.json')).dependencies);
    const both = declared.filter((name) => bundled.has(name));
    if (both.length > 0) throw new Error(`dependencies that are bundled too: ${both.join(', ')}`);
    // What another package needs is there for that one.
    const others = filesIn(join(project, 'node_modules'))
      .filter((name) => /^((@[^/]+\/)?[^/]+)\/package\.json$/.test(name) && !name.startsWith(`${pkg.name}/`))
      .map((name) => readJson(join(project, 'node_modules', name)));
    const needed = new Set(others.flatMap(({ dependencies = {} }) => Object.keys(dependencies)));
    const brought = others.map(({ name }) => name).filter((name) => bundled.has(name) && !needed.has(name));
    if (brought.length > 0) throw new Error(`installed beside it: ${brought.join(', ')}`);
  });

  const entries = Object.keys(pkg.exports).filter((name) => name !== './package.json');
  const specifiers = entries.map((name) => pkg.name + name.slice(1));
  check('typesVersions, for resolvers without exports, leads to the types of the same entries', () => {
    const listed = Object.entries(pkg.typesVersions['*']).map(([name, [file]]) => [`./${name}`, file]);
    const expected = entries.flatMap((name) =>
      name === '.' ? [] : [[name, pkg.exports[name].import.types]],
    );
    if (JSON.stringify(listed.sort()) !== JSON.stringify(expected.sort())) {
      throw new Error(`it has ${JSON.stringify(listed)} and not ${JSON.stringify(expected)}`);
    }
  });
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

  const PROJECTS = [
    { type: 'module', module: 'NodeNext', moduleResolution: 'NodeNext' },
    { type: 'commonjs', module: 'NodeNext', moduleResolution: 'NodeNext' },
    { type: 'commonjs', module: 'CommonJS', moduleResolution: 'node10' },
    { type: 'module', module: 'ESNext', moduleResolution: 'bundler' },
  ];
  for (const { type, module, moduleResolution } of PROJECTS) {
    check(`strict TypeScript, ${moduleResolution}, in a project of type ${type}`, () => {
      const folder = join(project, `${type}-${moduleResolution}`);
      mkdirSync(folder);
      writeJson(join(folder, 'package.json'), { type });
      writeJson(join(folder, 'tsconfig.json'), {
        compilerOptions: {
          ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
          ...{ module, moduleResolution, target: 'ES2022', noEmit: true, skipLibCheck: false },
          ...{ types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
        },
      });
      cpSync(join(ROOT, 'test/package/consumer.ts'), join(folder, 'consumer.ts'));
      const all = specifiers.map((name, index) => `export * as entry${index} from '${name}';\n`);
      writeFileSync(join(folder, 'entries.ts'), all.join(''));
      run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], folder);
    });
  }
  check('publint finds nothing', () => {
    const output = run(join(ROOT, 'node_modules/.bin/publint'), ['--strict', tarball], ROOT);
    if (!/All good/i.test(output)) throw new Error(output);
  });
  check('attw finds nothing, in any kind of module resolution', () => {
    run(join(ROOT, 'node_modules/.bin/attw'), [tarball, '--profile', 'strict'], ROOT);
  });
  console.log(`\n${passed} passed, ${failed} failed`);
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

/** A check that fails does not hide those after it, unless they cannot be made without it. */
function check(title, body, { isNeeded = false } = {}) {
  try {
    body();
    passed += 1;
    console.log(`ok     ${title}`);
  } catch (error) {
    failed += 1;
    process.exitCode = 1;
    console.error(`FAILED ${title}\n${error.stack}`);
    if (isNeeded) throw error;
  }
}

function run(command, args, cwd) {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout}\n${error.stderr}`, { cause: error });
  }
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(folder.length + 1));
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function writeJson(file, value) {
  writeFileSync(file, JSON.stringify(value, undefined, 2));
}
