import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LAYERS, layerOf, layerTable, LAZY, PRESENT, READS_FILES, STARTS_PROCESSES } from './layers.mjs';
import { circlesIn, importsIn, importsOf, isLocal, target, type Import } from './support/imports.js';
import { blockIn, markdownTable } from './support/marked-block.mjs';

const ROOT = resolve(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(SRC, name));
const imports = files.flatMap(importsOf);

const below = (file: string): string => relative(SRC, file);
const layer = (file: string): string => layerOf(below(file)) ?? '(none)';
const show = (each: Import): string => `${relative(ROOT, each.from)} imports ${each.specifier}`;

function isUpward(each: Import): boolean {
  if (!isLocal(each)) return false;
  const [from, to] = [layer(each.from), layer(target(each))];
  return from === to ? LAYERS[from]?.apart === true : LAYERS[from]?.below.includes(to) !== true;
}

/** The sources of what the package exports. */
const entries = new Set(
  Object.keys(
    (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { exports: object }).exports,
  ).flatMap((name) => [join(SRC, name, 'index.ts'), join(SRC, `${name}.ts`)]),
);

/** Whether the command line reaches past what the package exports. */
function isPastTheEntries(each: Import): boolean {
  if (!isLocal(each) || layer(each.from) !== 'cli' || layer(target(each)) === 'cli') return false;
  return !entries.has(target(each));
}

const builtin = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));

function packageOf({ specifier }: Import): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Whether it names a package, or a module of Node, that its layer may not import. */
function isForeign(each: Import): boolean {
  if (isLocal(each)) return false;
  const rules = LAYERS[layer(each.from)];
  if (rules === undefined) return true;
  const { node, packages = [] } = rules;
  if (builtin.has(each.specifier)) {
    return !each.specifier.startsWith('node:') || node?.includes(each.specifier) === false;
  }
  const name = packageOf(each);
  return (LAZY.has(name) && each.kind === 'static') || !packages.includes(name);
}

/** Whether it reads files or starts processes, and its file is not one of those that may. */
function isUnsafe({ from, specifier }: Import): boolean {
  if (/^(node:)?fs(\/promises)?$/.test(specifier)) return !READS_FILES.includes(below(from));
  return (
    /^(node:)?(child_process|worker_threads|cluster)$/.test(specifier) &&
    !STARTS_PROCESSES.includes(below(from))
  );
}

const circles = (all: readonly Import[]): string[] =>
  circlesIn(all).map((circle) => circle.map(below).join(' -> '));

describe('architecture', () => {
  test('every file is in a layer', () => {
    expect(files.map(below).filter((file) => layerOf(file) === undefined)).toEqual([]);
    expect(files.length).toBeGreaterThan(10);
  });

  test('the layers, the folders and the table in docs/architecture.md agree', () => {
    expect(
      PRESENT.flatMap((name) => LAYERS[name]!.files).filter((each) => !existsSync(join(SRC, each))),
    ).toEqual([]);
    const planned = Object.keys(LAYERS).filter((name) => !PRESENT.includes(name));
    expect(files.filter((file) => planned.includes(layer(file))).map(below)).toEqual([]);
    const { head, rows } = layerTable();
    expect(blockIn(join(ROOT, 'docs/architecture.md'), 'layers')).toBe(markdownTable(head, rows));
  });

  test('the table of layers has no upward import itself', () => {
    const names = Object.keys(LAYERS);
    const wrong = names.flatMap((name, index) =>
      LAYERS[name]!.below.filter((each) => !names.slice(0, index).includes(each)).map((each) => [name, each]),
    );
    // The command line is below nothing.
    expect(wrong).toEqual([]);
    expect(names.filter((name) => LAYERS[name]!.below.includes('cli'))).toEqual([]);
  });

  test('a layer imports only from below, types included', () => {
    expect(imports.filter(isUpward).map(show)).toEqual([]);
  });

  test('no file leads back to itself, types included', () => {
    expect(circles(imports)).toEqual([]);
  });

  test('the command line imports what the package exports', () => {
    expect(imports.filter(isPastTheEntries).map(show)).toEqual([]);
  });

  test('imports name the file they mean', () => {
    const known = new Set(files);
    expect(
      imports
        .filter(isLocal)
        .filter((each) => !known.has(target(each)))
        .map(show),
    ).toEqual([]);
  });

  test('a layer uses only its own packages, and the heavy ones only when needed', () => {
    expect(imports.filter(isForeign).map(show)).toEqual([]);
  });

  test('every dependency of the package is imported by what is not only the command line', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const used = imports
      .filter(({ from, kind }) => kind !== 'type' && layer(from) !== 'cli')
      .map((each) => packageOf(each));
    expect(Object.keys(dependencies).filter((name) => !used.includes(name))).toEqual([]);
  });

  test('only the files that are known to do so read files or start processes, and never of a volume', () => {
    expect(imports.filter(isUnsafe).map(show)).toEqual([]);
    const used = (pattern: RegExp): string[] =>
      imports.filter(({ specifier }) => pattern.test(specifier)).map(({ from }) => below(from));
    expect(READS_FILES.filter((file) => !used(/^node:fs/).includes(file))).toEqual([]);
    expect(STARTS_PROCESSES.filter((file) => !used(/^node:child_process/).includes(file))).toEqual([]);
  });
});

describe('source files', () => {
  const MOST_LINES = 250;
  const MOST_FILES = 230;
  const MOST_COLUMNS = 110;
  const own = files.filter((file) => layer(file) !== 'csi/gen');
  const native = readdirSync(join(ROOT, 'native'))
    .filter((name) => /\.(cc|h|mjs)$/.test(name))
    .map((name) => join(ROOT, 'native', name));
  const all = [...own, ...native].map((file) => ({
    name: relative(ROOT, file),
    lines: readFileSync(file, 'utf8').trimEnd().split('\n'),
  }));

  test(`have at most ${String(MOST_LINES)} lines`, () => {
    const long = all.filter(({ lines }) => lines.length > MOST_LINES);
    expect(long.map(({ name, lines }) => `${name}: ${String(lines.length)}`)).toEqual([]);
    expect(native.length).toBeGreaterThan(5);
  });

  test(`of src/ are at most ${String(MOST_FILES)}`, () => {
    expect(own.length).toBeLessThanOrEqual(MOST_FILES);
  });

  test(`have no comment of more than ${String(MOST_COLUMNS)} columns`, () => {
    const wide = all.flatMap(({ name, lines }) =>
      lines.flatMap((line, index) =>
        isComment(line) && line.length > MOST_COLUMNS ? [`${name}:${String(index + 1)}`] : [],
      ),
    );
    expect(wide).toEqual([]);
  });
});

/** Whether a line has nothing but a comment. A web address, and a row of a table, cannot be wrapped. */
function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*)/.test(line) && !/https?:\S{60}|^\s*\* \|/.test(line);
}

describe('what the architecture forbids is seen', () => {
  const FORMS = (specifier: string): string[] => [
    `import { x } from '${specifier}';`,
    `import '${specifier}';`,
    `import type { X } from '${specifier}';`,
    `import { type X } from '${specifier}';`,
    `import x = require('${specifier}');`,
    `export * from '${specifier}';`,
    `export type { X } from '${specifier}';`,
    `let x: import('${specifier}').X;`,
    `let x: typeof import('${specifier}');`,
    `const x = await import('${specifier}');`,
    `const x = await import(\`${specifier}\`);`,
    `const x = require('${specifier}');`,
    `const load = createRequire(import.meta.url); const x = load('${specifier}');`,
    `const x = module.createRequire(import.meta.url)('${specifier}');`,
  ];
  const importsAt = (file: string, text: string): Import[] => importsIn(join(SRC, file), text);

  test.each(FORMS('../cli/main.js'))('upwards: %s', (text) => {
    expect(importsAt('stats/x.ts', text).filter(isUpward)).toHaveLength(1);
    expect(importsAt('cli/x.ts', text).filter(isUpward)).toEqual([]);
  });

  test.each([
    ['errors.ts', './metrics.js'],
    ['stringify.ts', './reading.js'],
    ['waiting/x.ts', '../os/fs-info.js'],
    ['os/os-binding.ts', './fs-info.js'],
    ['os/os-binding.ts', './native/addon.js'],
    ['os/native/x.ts', '../commands/launch.js'],
    ['os/native/x.ts', '../choose-binding.js'],
    ['os/commands/x.ts', '../native/addon.js'],
    ['os/commands/x.ts', '../fs-info.js'],
    ['os/x.ts', '../providers/metrics-nil.js'],
    ['providers/x.ts', '../os/native/addon.js'],
    ['providers/x.ts', '../stats/pod.js'],
    ['stats/x.ts', '../providers/metrics-nil.js'],
    ['stats/schedule/x.ts', '../pod.js'],
    ['csi/gen/csi/v1/x.ts', '../../../messages/x.js'],
    ['csi/messages/x.ts', '../client/x.js'],
    ['csi/client/x.ts', '../handler/x.js'],
    ['csi/handler/x.ts', '../client/x.js'],
    ['csi/client/x.ts', '../index.js'],
    ['csi/index.ts', '../index.js'],
    ['prometheus/x.ts', '../csi/index.js'],
    ['testing/x.ts', './csi/index.js'],
    ['index.ts', './csi/index.js'],
    ['kubelet/x.ts', '../explain/x.js'],
    ['nowhere/x.ts', '../errors.js'],
  ])('%s must not import %s, not even its types', (file, specifier) => {
    for (const text of [`import '${specifier}';`, `import type { X } from '${specifier}';`]) {
      expect(importsAt(file, text).filter(isUpward)).toHaveLength(1);
    }
  });

  test.each([
    ['os/native/x.ts', '../os-binding.js'],
    ['os/choose-binding.ts', './commands/x.js'],
    ['os/native/x.ts', './addon.js'],
    ['stats/x.ts', './schedule/x.js'],
    ['csi/client/x.ts', '../messages/x.js'],
    ['csi/index.ts', './handler/x.js'],
    ['testing/csi/x.ts', '../fake-metrics.js'],
  ])('%s may import %s', (file, specifier) => {
    expect(importsAt(file, `import '${specifier}';`).filter(isUpward)).toEqual([]);
  });

  test.each(FORMS('prom-client'))('a package of another layer: %s', (text) => {
    expect(importsAt('os/x.ts', text).filter(isForeign)).toHaveLength(1);
    const own = text.replace('prom-client', '@grpc/grpc-js');
    expect(importsAt('csi/client/x.ts', own).filter(isForeign)).toEqual([]);
  });

  test.each([...FORMS('node:fs/promises'), "const x = process.getBuiltinModule('node:fs');"])(
    'files: %s',
    (text) => {
      expect(importsAt('os/fs-info.ts', text).filter(isUnsafe)).toHaveLength(1);
      expect(importsAt('providers/x.ts', text).filter(isUnsafe)).toHaveLength(1);
    },
  );

  test.each(['const x = await import(name);', "const x = require('exe' + 'ca');", 'await import(`${a}/b`);'])(
    'what only a run can know: %s',
    (text) => {
      expect(importsAt('os/commands/x.ts', text).filter(isForeign)).toHaveLength(1);
    },
  );

  test('a module of Node in the contract, one above it that is not for it, and one without its prefix', () => {
    expect(importsAt('errors.ts', "import 'node:util';").filter(isForeign)).toHaveLength(1);
    expect(importsAt('reading.ts', "import 'node:os';").filter(isForeign)).toHaveLength(1);
    expect(importsAt('reading.ts', "import 'node:util';").filter(isForeign)).toEqual([]);
    expect(importsAt('os/x.ts', "import 'os';").filter(isForeign)).toHaveLength(1);
  });

  test('a heavy package that is loaded at once', () => {
    expect(importsAt('os/launch.ts', "import 'execa';").filter(isForeign)).toHaveLength(1);
    expect(importsAt('os/launch.ts', "await import('execa');").filter(isForeign)).toEqual([]);
  });

  test("the command line's import past an entry", () => {
    expect(importsAt('cli/x.ts', "import '../csi/client/x.js';").filter(isPastTheEntries)).toHaveLength(1);
    expect(
      importsAt('cli/commands/x.ts', "import '../../os/mounts.js';").filter(isPastTheEntries),
    ).toHaveLength(1);
    expect(importsAt('cli/x.ts', "import '../csi/index.js';").filter(isPastTheEntries)).toEqual([]);
  });

  test.each([
    ['loaded modules', "import './b.js';"],
    ['re-exports', "export * from './b.js';"],
    ['types', "import type { B } from './b.js';"],
    ['types in an expression', "let x: import('./b.js').B;"],
    ['what is loaded later', "await import('./b.js');"],
  ])('a circle of %s', (_, first) => {
    const circle = [
      ...importsAt('os/a.ts', first),
      ...importsAt('os/b.ts', "export type { C } from './c.js';"),
      ...importsAt('os/c.ts', "import { type A } from './a.js';"),
    ];
    expect(circles(circle)).toEqual(['os/a.ts -> os/b.ts -> os/c.ts -> os/a.ts']);
    expect(circles(circle.slice(1))).toEqual([]);
  });

  test('a circle that a file closes with itself', () => {
    expect(circles(importsAt('os/a.ts', "import './a.js';"))).toEqual(['os/a.ts -> os/a.ts']);
  });

  test('a comment that is too wide', () => {
    expect(isComment(` * ${'x'.repeat(120)}`)).toBe(true);
    expect(isComment(`const text = '${'x'.repeat(120)}'; // why`)).toBe(false);
  });
});
