import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const SRC = join(ROOT, 'src');

/**
 * docs/architecture.md as a table: what each folder of src/ may import besides itself, and which packages. Node's own
 * modules are open to all but the contract.
 */
const LAYERS: Record<string, { readonly below: readonly string[]; readonly packages: readonly string[] }> = {
  contract: { below: [], packages: [] },
  os: { below: ['contract'], packages: ['execa', 'node-gyp-build'] },
  providers: { below: ['contract', 'os'], packages: [] },
  stats: { below: ['contract'], packages: [] },
  csi: {
    below: ['contract', 'os', 'providers'],
    packages: ['@grpc/grpc-js', '@bufbuild/protobuf'],
  },
  kubelet: { below: ['contract', 'os', 'providers', 'stats'], packages: ['fs-extra'] },
  prometheus: { below: ['contract', 'os', 'providers', 'stats'], packages: [] },
  testing: { below: ['contract', 'os', 'providers', 'stats'], packages: ['fs-extra'] },
  'testing/csi': {
    below: ['contract', 'os', 'providers', 'csi', 'testing'],
    packages: ['fs-extra', '@grpc/grpc-js', '@bufbuild/protobuf'],
  },
  cli: {
    below: ['index', 'csi', 'kubelet', 'prometheus'],
    packages: ['fs-extra', 'prom-client'],
  },
  index: { below: ['contract', 'os', 'providers', 'stats'], packages: [] },
};

/** Only loaded when first needed: what `import 'kube-volume-metrics'` must not pay for. */
const LAZY = new Set(['execa', 'fs-extra']);

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
  if (['metrics.ts', 'errors.ts', 'stringify.ts'].includes(name)) return 'contract';
  if (name.startsWith('testing/csi/')) return 'testing/csi';
  return name.split('/')[0] ?? '';
}

/** Every import of a file, in any form: static, dynamic, re-export, type, require. */
function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const add = (node: ts.Node | undefined, kind: Import['kind']): void => {
    if (node && ts.isStringLiteralLike(node)) found.push({ from: file, specifier: node.text, kind });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(
        node.moduleSpecifier,
        node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type' : 'static',
      );
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly ? 'type' : 'static');
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node.moduleReference.expression, 'static');
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, 'type');
    } else if (ts.isCallExpression(node)) {
      const { expression } = node;
      const isRequire = ts.isIdentifier(expression) && expression.text === 'require';
      if (expression.kind === ts.SyntaxKind.ImportKeyword || isRequire) add(node.arguments[0], 'lazy');
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const imports = files.flatMap(importsOf);
const isLocal = (each: Import): boolean => each.specifier.startsWith('.');
const target = (each: Import): string => resolve(dirname(each.from), each.specifier.replace(/\.js$/, '.ts'));
const show = (each: Import): string => `${relative(ROOT, each.from)} imports ${each.specifier}`;

describe('architecture', () => {
  test('every file is in a layer', () => {
    expect(files.filter((file) => LAYERS[layerOf(file)] === undefined)).toEqual([]);
    expect(files.length).toBeGreaterThan(10);
  });

  test('a layer imports only from below', () => {
    const wrong = imports.filter(isLocal).filter((each) => {
      const from = layerOf(each.from);
      const to = layerOf(target(each));
      return from !== to && !LAYERS[from]?.below.includes(to);
    });
    expect(wrong.map(show)).toEqual([]);
  });

  test('imports name the file they mean', () => {
    const known = new Set(files);
    const wrong = imports
      .filter(isLocal)
      .filter((each) => !target(each).includes('/csi/gen/') && !known.has(target(each)));
    expect(wrong.map(show)).toEqual([]);
  });

  test('a layer uses only its own packages, and the heavy ones only when needed', () => {
    const builtin = new Set(builtinModules.flatMap((name) => [name, `node:${name}`]));
    const wrong = imports
      .filter((each) => !isLocal(each))
      .filter((each) => {
        const layer = layerOf(each.from);
        if (builtin.has(each.specifier)) return layer === 'contract' || !each.specifier.startsWith('node:');
        const name = each.specifier
          .split('/')
          .slice(0, each.specifier.startsWith('@') ? 2 : 1)
          .join('/');
        if (LAZY.has(name) && each.kind === 'static') return true;
        return !LAYERS[layer]?.packages.includes(name);
      });
    expect(wrong.map(show)).toEqual([]);
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
    const edges = new Map<string, string[]>();
    for (const each of imports.filter((one) => isLocal(one) && one.kind === 'static')) {
      edges.set(each.from, [...(edges.get(each.from) ?? []), target(each)]);
    }
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].map((one) => relative(ROOT, one)).join(' -> '));
      } else if (!done.has(file)) {
        for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
        done.add(file);
      }
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test('only os/ touches the file system of volumes or starts processes', () => {
    const allowed = new Set(['os', 'cli', 'testing', 'testing/csi', 'kubelet']);
    const wrong = imports.filter(
      (each) =>
        /^node:(fs|fs\/promises|child_process|worker_threads)$/.test(each.specifier) &&
        !allowed.has(layerOf(each.from)),
    );
    expect(wrong.map(show)).toEqual([]);
  });
});
