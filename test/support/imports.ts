import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import ts from 'typescript';

/** An import in a source file, in any form. */
export interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Whether it is loaded when the module is, rather than when a call needs it. Types are never loaded. */
  readonly kind: 'static' | 'lazy' | 'type';
}

/** The specifier of an import that only a run can know. */
export const COMPUTED = '(computed)';

/** Every import in a text: static, dynamic, re-export, type, require. */
export function importsIn(file: string, text: string): Import[] {
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

export function importsOf(file: string): Import[] {
  return importsIn(file, readFileSync(file, 'utf8'));
}

export function isLocal(each: Import): boolean {
  return each.specifier.startsWith('.');
}

/** The file that a local import names. */
export function target(each: Import): string {
  return resolve(dirname(each.from), each.specifier.replace(/\.js$/, '.ts'));
}

/** The ways in which files lead back to themselves, types counted, each from the file where it was found. */
export function circlesIn(all: readonly Import[]): string[][] {
  const edges = new Map<string, Set<string>>();
  for (const each of all.filter(isLocal)) {
    edges.set(each.from, (edges.get(each.from) ?? new Set()).add(target(each)));
  }
  const done = new Set<string>();
  const circles: string[][] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      circles.push([...path.slice(path.indexOf(file)), file]);
    } else if (!done.has(file)) {
      for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    }
  };
  for (const file of edges.keys()) visit(file, []);
  return circles;
}
