import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { CONTRACT, LAYERS, LAZY, READS_FILES, STARTS_PROCESSES } from './layers.mjs';

const ROOT = resolve(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');

interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Whether it is loaded when the module is, rather than when a call needs it. Types are never loaded. */
  readonly kind: 'static' | 'lazy' | 'type';
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.startsWith('csi/gen/'))
  .map((name) => join(SRC, name));

function layerOf(file: string): string {
  const name = relative(SRC, file);
  if (name === 'index.ts') return 'index';
  if (CONTRACT.includes(name)) return 'contract';
  if (name.startsWith('testing/csi/')) return 'testing/csi';
  return name.split('/')[0] ?? '';
}

/** What an import names when that is no text. */
const COMPUTED = '(computed)';

/** Every import in a file, in any form: static, dynamic, re-export, type, require. */
function importsIn(file: string, text: string): Import[] {
  const found: Import[] = [];
  const requires = new Set(['require']);
  const add = (node: ts.Node | undefined, kind: Import['kind']): void => {
    const specifier = node !== undefined && ts.isStringLiteralLike(node) ? node.text : COMPUTED;
    found.push({ from: file, specifier, kind });
  };
  const isCallOf = (node: ts.Node | undefined, name: string): boolean =>
    node !== undefined &&
    ts.isCallExpression(node) &&
    (ts.isIdentifier(node.expression)
      ? node.expression.text === name
      : ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === name);
  const isRequire = (node: ts.Expression): boolean =>
    (ts.isIdentifier(node) && requires.has(node.text)) || isCallOf(node, 'createRequire');
  const visit = (node: ts.Node): void => {
    if (ts.isVariableDeclaration(node) && isCallOf(node.initializer, 'createRequire')) {
      requires.add(node.name.getText());
    }
    if (ts.isImportDeclaration(node)) {
      add(
        node.moduleSpecifier,
        node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type' : 'static',
      );
    } else if (ts.isExportDeclaration(node)) {
      if (node.moduleSpecifier) add(node.moduleSpecifier, node.isTypeOnly ? 'type' : 'static');
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node.moduleReference.expression, 'static');
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, 'type');
    } else if (ts.isCallExpression(node)) {
      const { expression } = node;
      if (
        expression.kind === ts.SyntaxKind.ImportKeyword ||
        isRequire(expression) ||
        isCallOf(node, 'getBuiltinModule')
      ) {
        add(node.arguments[0], 'lazy');
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return found;
}

const importsOf = (file: string): Import[] => importsIn(file, readFileSync(file, 'utf8'));
const imports = files.flatMap(importsOf);
const isLocal = (each: Import): boolean => each.specifier.startsWith('.');
const target = (each: Import): string => resolve(dirname(each.from), each.specifier.replace(/\.js$/, '.ts'));
const show = (each: Import): string => `${relative(ROOT, each.from)} imports ${each.specifier}`;

function isUpward(each: Import): boolean {
  if (!isLocal(each)) return false;
  const from = layerOf(each.from);
  const to = layerOf(target(each));
  return from !== to && !LAYERS[from]?.below.includes(to);
}

/** Whether the command line reaches past what the package exports. */
function isPastTheEntries(each: Import): boolean {
  if (!isLocal(each) || layerOf(each.from) !== 'cli' || layerOf(target(each)) === 'cli') return false;
  return basename(target(each)) !== 'index.ts';
}

const builtin = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));

function packageOf({ specifier }: Import): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function isForeign(each: Import): boolean {
  if (isLocal(each)) return false;
  const layer = layerOf(each.from);
  if (builtin.has(each.specifier)) return layer === 'contract' || !each.specifier.startsWith('node:');
  const name = packageOf(each);
  return (LAZY.has(name) && each.kind === 'static') || !LAYERS[layer]?.packages.includes(name);
}

/** Whether it reads files or starts processes, and its file is none of those that may. */
function isUnsafe({ from, specifier }: Import): boolean {
  const name = relative(SRC, from);
  if (/^(node:)?fs(\/promises)?$/.test(specifier)) return !READS_FILES.includes(name);
  return (
    /^(node:)?(child_process|worker_threads|cluster)$/.test(specifier) && !STARTS_PROCESSES.includes(name)
  );
}

/** Modules that lead back to themselves, by what is loaded with them. */
function cyclesIn(all: readonly Import[]): string[] {
  const edges = new Map<string, string[]>();
  for (const each of all.filter((one) => isLocal(one) && one.kind === 'static')) {
    edges.set(each.from, [...(edges.get(each.from) ?? []), target(each)]);
  }
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].map((one) => relative(SRC, one)).join(' -> '));
    } else if (!done.has(file)) {
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    }
  };
  for (const file of edges.keys()) visit(file, []);
  return cycles;
}

describe('architecture', () => {
  test('every file is in a layer', () => {
    expect(files.filter((file) => LAYERS[layerOf(file)] === undefined)).toEqual([]);
    expect(files.length).toBeGreaterThan(10);
  });

  test('a layer imports only from below', () => {
    expect(imports.filter(isUpward).map(show)).toEqual([]);
  });

  test('the command line imports what the package exports', () => {
    expect(imports.filter(isPastTheEntries).map(show)).toEqual([]);
  });

  test('imports name the file they mean', () => {
    const known = new Set(files);
    const wrong = imports
      .filter(isLocal)
      .filter((each) => !target(each).includes('/csi/gen/') && !known.has(target(each)));
    expect(wrong.map(show)).toEqual([]);
  });

  test('a layer uses only its own packages, and the heavy ones only when needed', () => {
    expect(imports.filter(isForeign).map(show)).toEqual([]);
  });

  test('every dependency of the package is imported somewhere', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const generated = importsOf(join(SRC, 'csi/gen/csi/v1/csi.ts'));
    const isUsed = (name: string): boolean =>
      [...imports, ...generated].some(
        ({ specifier, kind }) => kind !== 'type' && `${specifier}/`.startsWith(`${name}/`),
      );
    expect(Object.keys(dependencies).filter((name) => !isUsed(name))).toEqual([]);
  });

  test('no module that is loaded with another leads back to it', () => {
    expect(cyclesIn(imports)).toEqual([]);
  });

  test('only the files that are known to do so read files or start processes, and never of a volume', () => {
    expect(imports.filter(isUnsafe).map(show)).toEqual([]);
    const used = (pattern: RegExp): string[] =>
      imports.filter(({ specifier }) => pattern.test(specifier)).map(({ from }) => relative(SRC, from));
    expect(READS_FILES.filter((file) => !used(/^node:fs/).includes(file))).toEqual([]);
    expect(STARTS_PROCESSES.filter((file) => !used(/^node:child_process/).includes(file))).toEqual([]);
  });
});

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

  test.each(FORMS('../cli/run.js'))('upwards: %s', (text) => {
    expect(importsAt('stats/x.ts', text).filter(isUpward)).toHaveLength(1);
    expect(importsAt('cli/x.ts', text).filter(isUpward)).toEqual([]);
  });

  test.each(FORMS('prom-client'))('a package of another layer: %s', (text) => {
    expect(importsAt('os/x.ts', text).filter(isForeign)).toHaveLength(1);
    expect(importsAt('csi/x.ts', text.replace('prom-client', '@grpc/grpc-js')).filter(isForeign)).toEqual([]);
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
      expect(importsAt('os/x.ts', text).filter(isForeign)).toHaveLength(1);
    },
  );

  test("the contract's import of Node, a module of Node without its prefix, and a heavy package at once", () => {
    expect(importsAt('errors.ts', "import 'node:os';").filter(isForeign)).toHaveLength(1);
    expect(importsAt('os/x.ts', "import 'os';").filter(isForeign)).toHaveLength(1);
    expect(importsAt('os/x.ts', "import 'execa';").filter(isForeign)).toHaveLength(1);
    expect(importsAt('os/x.ts', "await import('execa');").filter(isForeign)).toEqual([]);
  });

  test("the command line's import past an entry", () => {
    expect(importsAt('cli/x.ts', "import '../csi/connection.js';").filter(isPastTheEntries)).toHaveLength(1);
    expect(importsAt('cli/x.ts', "import '../csi/index.js';").filter(isPastTheEntries)).toEqual([]);
  });

  test('a cycle, also one of re-exports and one that a file closes with itself', () => {
    const cycle = [
      ...importsAt('os/a.ts', "import './b.js';"),
      ...importsAt('os/b.ts', "export * from './c.js';"),
      ...importsAt('os/c.ts', "import { type A } from './a.js';"),
    ];
    expect(cyclesIn(cycle)).toEqual(['os/a.ts -> os/b.ts -> os/c.ts -> os/a.ts']);
    expect(cyclesIn(importsAt('os/a.ts', "import './a.js';"))).toEqual(['os/a.ts -> os/a.ts']);
    expect(cyclesIn(importsAt('os/a.ts', "import type { B } from './a.js';"))).toEqual([]);
  });
});
