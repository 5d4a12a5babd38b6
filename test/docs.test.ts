import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const require = createRequire(import.meta.url);

/** Every text of the project, by its path from the root. */
const texts = new Map(
  ['.', 'docs', 'examples', '.github']
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: folder !== '.', encoding: 'utf8' }).map((name) =>
        join(folder, name),
      ),
    )
    .filter((name) => name.endsWith('.md') && !name.startsWith('docs/api/'))
    .map((name) => [name, readFileSync(join(ROOT, name), 'utf8')]),
);

/** A block of code as a reader finds it. */
interface Snippet {
  /** Where it stands, for people. */
  readonly place: string;
  readonly language: string;
  /** What follows the language: `check` says that the snippet is compiled and not run. */
  readonly note: string;
  readonly code: string;
  /** The file it is, by a comment on its first line, for the snippets after it that import it. */
  readonly file: string;
}

function snippetsOf(text: string, name: string): Snippet[] {
  return [...text.matchAll(/^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm)].map((match, index) => {
    const [, language = '', note = '', code = ''] = match;
    const line = text.slice(0, match.index).split('\n').length;
    const file = /^\/\/ ([\w.-]+\.c?[jt]s)\n/.exec(code)?.[1] ?? `snippet-${String(index)}.${language}`;
    return {
      place: `${name}:${String(line)}`,
      language,
      note,
      code,
      file: join(basename(name, '.md'), file),
    };
  });
}

const snippets = [...texts]
  .filter(([name]) => !name.startsWith('examples/'))
  .flatMap(([name, text]) => snippetsOf(text, name));
const programs = snippets.filter(({ language }) => language === 'ts' || language === 'js');

describe('the code in README.md and docs/', () => {
  let project: string;

  // A project that has installed this package and its dependencies.
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'kvm-docs-'));
    mkdirSync(join(project, 'node_modules'));
    for (const name of readdirSync(join(ROOT, 'node_modules')).filter((each) => !each.startsWith('.'))) {
      symlinkSync(join(ROOT, 'node_modules', name), join(project, 'node_modules', name));
    }
    symlinkSync(ROOT, join(project, 'node_modules/kube-volume-metrics'));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    for (const { file, code, language } of programs) {
      mkdirSync(dirname(join(project, file)), { recursive: true });
      writeFileSync(join(project, file), code);
      if (language === 'ts') writeFileSync(join(project, file.replace(/\.ts$/, '.js')), transpiled(code));
    }
  });

  afterAll(() => {
    rmSync(project, { recursive: true, force: true });
  });

  test('has snippets in the README and in the guides', () => {
    const places = programs.map(({ place }) => place.split(':')[0]);
    expect(places).toContain('README.md');
    expect(places).toContain('docs/writing-a-provider.md');
  });

  test('compiles under strict options', { timeout: 180_000 }, () => {
    const snippets = programs
      .filter(({ language }) => language === 'ts')
      .map(({ file }) => join(project, file));
    const program = ts.createProgram(snippets, {
      ...{
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noUnusedLocals: true,
      },
      ...{
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.NodeNext,
        noEmit: true,
        skipLibCheck: true,
      },
      ...{ lib: ['lib.es2023.d.ts'], types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] },
      paths: {
        'kube-volume-metrics': [join(ROOT, 'src/index.ts')],
        'kube-volume-metrics/*': [join(ROOT, 'src/*/index.ts')],
      },
    });
    // The sources that they import are checked elsewhere.
    const found = snippets
      .map((name) => program.getSourceFile(name))
      .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]);
    const all = [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(), ...found];
    const complaints = all.map(({ file, messageText }) => {
      const where =
        programs.find((each) => file?.fileName.endsWith(each.file))?.place ?? file?.fileName ?? '';
      return `${where} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
    expect(complaints).toEqual([]);
  });

  test.each(programs.filter(({ note }) => note !== 'check'))(
    'runs: $place',
    { timeout: 60_000 },
    async ({ file, code }) => {
      const script = join(project, file.replace(/\.ts$/, '.js'));
      const { output, failed } = await run(argumentsFor(code, script), dirname(script));
      expect(failed, output).toBe(false);
      if (code.includes('console.log')) expect(output).not.toBe('');
    },
  );
});

describe('the texts', () => {
  test('lead to files and headings that exist', () => {
    const broken = [...texts].flatMap(([name, text]) =>
      linksOf(text)
        .filter((link) => !leadsSomewhere(link, name))
        .map((link) => `${name} -> ${link}`),
    );
    expect(broken).toEqual([]);
  });

  test('explain each code of an error under a heading of its own, in docs/errors.md', () => {
    const source = readFileSync(join(ROOT, 'src/errors.ts'), 'utf8');
    const [, union = ''] = /^export type MetricsErrorCode =([^;]*);/m.exec(source) ?? [];
    const codes = [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code);
    expect(codes).toContain('METRICS_NOT_FOUND');
    const text = texts.get('docs/errors.md') ?? '';
    expect([...text.matchAll(/^#+ `?(METRICS_\w+)/gm)].map(([, code]) => code)).toEqual(codes);
    expect(firstColumn(text.split(/^#+ The codes$/m)[0] ?? '')).toEqual(codes);
    // Messages point here.
    expect(headingsOf(text)).toEqual(expect.arrayContaining(codes.map((code) => code?.toLowerCase())));
  });

  test('have a README of at most 1,300 words', () => {
    const words = (texts.get('README.md') ?? '').split(/\s+/).filter((word) => word !== '');
    expect(words.length).toBeLessThanOrEqual(1_300);
  });

  test('wrap their prose at 120 columns', () => {
    const long = [...texts].flatMap(([name, text]) =>
      proseLinesOf(text)
        .filter(({ line }) => line.length > 120)
        .map(({ line, number }) => `${name}:${String(number)} ${line}`),
    );
    expect(long).toEqual([]);
  });

  test('list in the README the providers, all of them', () => {
    const { exports } = require('kube-volume-metrics/package.json') as { exports: Record<string, unknown> };
    const entries = Object.keys(exports).filter(
      (name) => name !== './package.json' && !name.startsWith('./testing'),
    );
    const providers = entries.flatMap((name) => {
      const exported = require(`kube-volume-metrics${name.slice(1)}`) as Record<string, unknown>;
      return Object.keys(exported).filter((each) => hasGetMetrics(exported[each]));
    });
    expect(providers).toContain('MetricsStatFs');
    expect(firstColumn(section('README.md', 'Providers')).sort()).toEqual(providers.sort());
  });

  test('list in the README the commands of the command line, all of them', async () => {
    const commands = await listedCommands();
    expect(commands).toContain('mounts');
    expect(commands).toContain('csi probe');
    const shown = section('README.md', 'Command line').matchAll(/^\| *`([a-z]+(?: [a-z]+)*)/gm);
    expect([...shown].map(([, name]) => name)).toEqual(commands);
  });

  test('name the two commands that set a clone up, and no other', () => {
    const shell = snippets.filter(
      ({ place, language }) => place.startsWith('README.md') && language === 'sh',
    );
    const lines = shell.flatMap(({ code }) => code.trimEnd().split('\n'));
    expect(lines.filter((line) => line.includes('npm ci'))).toEqual([
      'npm ci && npm start',
      'npm ci && npm test',
    ]);
  });
});

describe('plain words', () => {
  /** What reads as if it were translated. */
  const AVOIDED = /\b(that is none|whoever|somebody|of before|be had|is well(?!-)|meanwhile(?=[.;:]|$))\b/giu;

  const AREAS = {
    'README and its neighbours': ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
    docs: filesIn('docs', /\.(md|yml)$/).filter((name) => !name.startsWith('docs/api/')),
    examples: filesIn('examples', /\.(md|ts)$/),
    src: filesIn('src', /\.ts$/).filter((name) => !name.includes('/gen/')),
  };

  test.each(Object.entries(AREAS))('%s: have no words that sound translated', (_, names) => {
    expect(names.length).toBeGreaterThan(3);
    expect(names.flatMap((name) => avoidedIn(name, readFileSync(join(ROOT, name), 'utf8')))).toEqual([]);
  });

  test('are told from others, over the end of a line and in comments too', () => {
    const found = avoidedIn(
      'x',
      "one that is\n * none\n// some\nis well-kept, Somebody's, a meanwhile b, c meanwhile.",
    );
    expect(found).toEqual(['x:1 that is none', 'x:4 Somebody', 'x:4 meanwhile']);
  });

  function avoidedIn(name: string, text: string): string[] {
    // Ends of lines, and what begins a comment's line, are spaces here; the length stays.
    const plain = text.replace(/\n[ \t]*(?:\*(?!\/)|\/\/)?/g, (part) => ' '.repeat(part.length));
    return [...plain.matchAll(new RegExp(AVOIDED.source.replaceAll(' ', ' +'), AVOIDED.flags))].map(
      ({ 0: words, index }) =>
        `${name}:${String(text.slice(0, index).split('\n').length)} ${words.replace(/ +/g, ' ')}`,
    );
  }
});

function filesIn(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => pattern.test(name));
}

/** The lines of a text that are no code, no row of a table and no lone address. */
function proseLinesOf(text: string): { line: string; number: number }[] {
  let isCode = false;
  return text.split('\n').flatMap((line, index) => {
    const isFence = /^\s*```/.test(line);
    if (isFence) isCode = !isCode;
    const isProse = !isFence && !isCode && !line.startsWith('|') && !/^\s*(?:- )?\S+$/.test(line);
    return isProse ? [{ line, number: index + 1 }] : [];
  });
}

function transpiled(code: string): string {
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  return ts.transpileModule(code, { compilerOptions }).outputText;
}

/** The commands that `--help` lists, `help` itself left out. */
async function listedCommands(): Promise<string[]> {
  const { output } = await run([join(ROOT, 'dist/cli/main.js'), '--help'], ROOT);
  const [, listed = ''] = /^Commands:\n((?: +.*\n)+)/m.exec(output) ?? [];
  return [...listed.matchAll(/^ {2}([a-z]+(?: [a-z]+)*)/gm)]
    .map(([, name]) => name ?? '')
    .filter((name) => name !== 'help');
}

/** How to run a script: a test by its runner, anything else as it is. */
function argumentsFor(code: string, script: string): string[] {
  if (code.includes("from 'vitest'")) {
    return [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', dirname(script), script];
  }
  return code.includes("from 'node:test'") ? ['--test', script] : [script];
}

async function run(args: readonly string[], cwd: string): Promise<{ output: string; failed: boolean }> {
  // Not what vitest tells its own processes: a snippet may be a test itself.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_TEST|TEST$|NODE_OPTIONS)/.test(name)),
  );
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
      cwd,
      env,
      timeout: 50_000,
    });
    return { output: stdout + stderr, failed: false };
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    return { output: [message, stdout, stderr].join('\n'), failed: true };
  }
}

function linksOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link ?? '')
    .filter((link) => !/^[a-z]+:/.test(link));
}

function leadsSomewhere(link: string, from: string): boolean {
  const [path = '', heading] = link.split('#');
  const target = path === '' ? from : relative(ROOT, resolve(ROOT, dirname(from), path));
  if (!statSync(join(ROOT, target), { throwIfNoEntry: false })?.isFile()) return false;
  return heading === undefined || headingsOf(texts.get(target) ?? '').includes(heading);
}

/** The headings by the names that GitHub gives them in addresses. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** What stands below a heading, up to the next one. */
function section(name: string, title: string): string {
  const [, text] = (texts.get(name) ?? '').split(new RegExp(`^#+ ${title}$`, 'm'));
  expect(text, `${name} has a section ${title}`).toBeDefined();
  return text?.split(/^#+ /m)[0] ?? '';
}

/** The names in code that the rows of a table begin with. */
function firstColumn(text: string): string[] {
  return [...text.matchAll(/^\| *\[?`(?:new )?(\w+)/gm)].map(([, name]) => name ?? '');
}

function hasGetMetrics(value: unknown): boolean {
  return (
    typeof value === 'function' &&
    typeof (value.prototype as { getMetrics?: unknown } | undefined)?.getMetrics === 'function'
  );
}
