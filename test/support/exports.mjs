// @ts-check Every export of every entry with its type, as text: test/exports/ has what is committed. `npm run
// exports` shows what differs from it, `npm run exports -- --write` writes it anew, so that a change of the
// API is a change of these files.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SRC = join(ROOT, 'src');
const EXPORTS = join(ROOT, 'test/exports');

/** The entries of package.json, such as `.` and `./csi`, each with its source. */
export const ENTRIES = new Map(
  Object.keys(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).exports)
    .filter((name) => name !== './package.json')
    .map((name) => {
      const source = [join(SRC, name, 'index.ts'), `${join(SRC, name)}.ts`].find((each) => existsSync(each));
      if (source === undefined) throw new Error(`the entry ${name} has no source`);
      return [name, source];
    }),
);

/**
 * Where the text of an entry is committed.
 *
 * @param {string} entry
 */
export function fileOf(entry) {
  return join(EXPORTS, `${entry === '.' ? 'index' : entry.slice(2).replaceAll('/', '-')}.txt`);
}

/**
 * What each entry exports. The same on every machine: it comes from the declarations that TypeScript makes,
 * without comments, sorted by name, with the types that are not exported but are part of what is.
 *
 * @returns {Map<string, string>} by entry
 */
export function exportedTypes() {
  const roots = declarations([...ENTRIES.values()]);
  const program = ts.createProgram(roots, { ...options(), noLib: true, types: [] }, declarationsOnly());
  const checker = program.getTypeChecker();
  return new Map(
    [...ENTRIES].map(([entry, source]) => [entry, textOf(checker, program, declarationOf(source))]),
  );
}

/** The declaration files that were made, by their paths beside the sources. */
const emitted = /** @type {Map<string, string>} */ (new Map());

/**
 * Makes the declarations of some sources and of all that they import.
 *
 * @param {string[]} sources
 * @returns {string[]} theirs
 */
function declarations(sources) {
  const program = ts.createProgram(sources, {
    ...options(),
    ...{
      declaration: true,
      emitDeclarationOnly: true,
      noEmit: false,
      noCheck: true,
      removeComments: true,
      stripInternal: true,
    },
  });
  program.emit(undefined, (file, text) => emitted.set(resolve(file), text), undefined, true);
  return sources.map(declarationOf);
}

/** @param {string} source */
function declarationOf(source) {
  return source.replace(/\.ts$/, '.d.ts');
}

/** @returns {ts.CompilerOptions} */
function options() {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (file) => readFileSync(file, 'utf8'));
  return {
    ...ts.parseJsonConfigFileContent(config, ts.sys, ROOT).options,
    allowJs: false,
    skipLibCheck: true,
  };
}

/**
 * A compiler's host for which nothing is there but the declarations: what other packages declare is known by
 * its name alone.
 */
function declarationsOnly() {
  const host = ts.createCompilerHost(options());
  host.fileExists = (file) => emitted.has(file);
  host.readFile = (file) => emitted.get(file);
  host.directoryExists = () => true;
  host.getSourceFile = (file, language) => {
    const text = emitted.get(file);
    return text === undefined ? undefined : ts.createSourceFile(file, text, language, true);
  };
  return host;
}

/**
 * @param {ts.TypeChecker} checker
 * @param {ts.Program} program
 * @param {string} file
 */
function textOf(checker, program, file) {
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} exports nothing`);
  const named = new Map(
    checker.getExportsOfModule(module).map((each) => [each.name, resolved(checker, each)]),
  );
  const exported = new Set(named.values());
  const behind = new Set();
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isIdentifier(node)) {
      const found = checker.getSymbolAtLocation(node);
      const symbol = found && resolved(checker, found);
      if (symbol && isOwn(symbol) && !exported.has(symbol) && !behind.has(symbol)) {
        behind.add(symbol);
        symbol.declarations?.forEach(visit);
      }
    }
    ts.forEachChild(node, visit);
  };
  for (const symbol of exported) symbol.declarations?.forEach(visit);
  const own = [...named].sort(byName).map(([name, symbol]) => printed(name, symbol));
  const hidden = [...behind].map((symbol) => /** @type {const} */ ([symbol.name, symbol]));
  const others = hidden.sort(byName).map(([name, symbol]) => printed(name, symbol));
  return [
    ...own,
    ...(others.length > 0 ? ['// Not exported here, but part of the above:\n', ...others] : []),
  ].join('\n');
}

/**
 * @param {readonly [string, unknown]} one
 * @param {readonly [string, unknown]} other
 */
function byName([one], [other]) {
  return one < other ? -1 : Number(one > other);
}

/**
 * @param {ts.TypeChecker} checker
 * @param {ts.Symbol} symbol
 */
function resolved(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/**
 * Whether it is declared at the top of one of our files, and not inside of another declaration.
 *
 * @param {ts.Symbol} symbol
 */
function isOwn(symbol) {
  return (
    symbol.declarations?.some(
      (each) =>
        emitted.has(each.getSourceFile().fileName) && ts.isSourceFile(topOf(each).parent) && isTop(each),
    ) ?? false
  );
}

/** @param {ts.Declaration} node */
function isTop(node) {
  return topOf(node) === (ts.isVariableDeclaration(node) ? node.parent.parent : node);
}

/**
 * The statement that a declaration is in.
 *
 * @param {ts.Node} node
 */
function topOf(node) {
  let top = node;
  while (top.parent !== undefined && !ts.isSourceFile(top.parent)) top = top.parent;
  return top;
}

const printer = ts.createPrinter({ removeComments: true });

/**
 * @param {string} name that it is exported as
 * @param {ts.Symbol} symbol
 */
function printed(name, symbol) {
  const statements = new Set(symbol.declarations?.map(topOf));
  const texts = [...statements].map((node) => {
    const text = printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile());
    // Not where a type is declared.
    return text.replace(/import\("\.[^"]*"\)\./g, '').replace(/^export (declare )?/, '');
  });
  const as = name === symbol.name ? '' : `// as ${name}:\n`;
  return `${as}${texts.join('\n')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const types = exportedTypes();
  if (process.argv.includes('--write')) {
    rmSync(EXPORTS, { recursive: true, force: true });
    mkdirSync(EXPORTS, { recursive: true });
    for (const [entry, text] of types) writeFileSync(fileOf(entry), text);
  }
  for (const [entry, text] of types) {
    const file = fileOf(entry);
    const isSame = existsSync(file) && readFileSync(file, 'utf8') === text;
    console.log(
      `${basename(dirname(file))}/${basename(file)}: ${isSame ? 'as committed' : 'differs: npm run exports -- --write'}`,
    );
    if (!isSame) process.exitCode = 1;
  }
}
