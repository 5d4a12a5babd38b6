import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { defineConfig, type Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

const CLI = resolve('src/cli');

/**
 * The command line uses the package's own entries as they are built, and so shares their modules and what
 * these know.
 */
const ownEntries: Plugin = {
  name: 'own-entries',
  setup(build) {
    build.onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) => {
      const file = resolve(resolveDir, path);
      const isOutside = resolveDir.startsWith(CLI) && !file.startsWith(CLI + sep);
      return isOutside ? { path: relative(CLI, file), external: true } : undefined;
    });
  },
};

/** Writes the licences of all packages that are in the bundle beside it. */
const thirdPartyNotices: Plugin = {
  name: 'third-party-notices',
  setup(build) {
    build.onEnd(({ metafile }) => {
      const inputs = Object.values(metafile?.outputs ?? {}).flatMap((output) => Object.keys(output.inputs));
      const folders = inputs.flatMap(
        (input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0] ?? [],
      );
      const notices = [...new Set([...new Set(folders)].map(noticeOf))].sort();
      const intro = 'The command line (the files of this folder) contains these packages.\n';
      const outDir = build.initialOptions.outdir ?? '';
      mkdirSync(outDir, { recursive: true });
      writeFileSync(join(outDir, 'THIRD_PARTY_NOTICES'), [intro, ...notices].join(RULE));
    });
  },
};

const RULE = `\n${'-'.repeat(80)}\n\n`;

function noticeOf(folder: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
  const { name = '', version = '', license = '' } = manifest;
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  if (files.length === 0) throw new Error(`the licence of ${name} is missing from ${folder}`);
  const texts = files.sort().map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return `${name} ${version} (${license})\n\n${texts.join('\n\n')}\n`;
}

type TsupPlugin = NonNullable<Options['plugins']>[number];

const sourceMapsWithoutThisMachine: TsupPlugin = {
  // The source map of a CommonJS chunk names the chunk itself by its path on this machine, beside the
  // sources.
  name: 'source-maps-without-this-machine',
  buildEnd({ writtenFiles }) {
    for (const { name } of writtenFiles) {
      if (!name.endsWith('.map')) continue;
      const map = JSON.parse(readFileSync(name, 'utf8')) as { file?: string; sources: string[] };
      if (map.file !== undefined) map.file = basename(map.file);
      map.sources = map.sources.map((source) => (isAbsolute(source) ? basename(source) : source));
      writeFileSync(name, JSON.stringify(map));
    }
  },
};

const COMMON: Options = {
  target: 'node20',
  platform: 'node',
  splitting: true,
  sourcemap: true,
  plugins: [sourceMapsWithoutThisMachine],
};

// One build for both module formats, with shared chunks in each, so that the entries share modules (error
// classes, the state of calls in flight) instead of carrying copies.
const library: Options = {
  ...COMMON,
  entry: {
    index: 'src/index.ts',
    'csi/index': 'src/csi/index.ts',
    'csi/v1/index': 'src/csi/v1/index.ts',
    'explain/index': 'src/explain/index.ts',
    'kubelet/index': 'src/kubelet/index.ts',
    'prometheus/index': 'src/prometheus/index.ts',
    'testing/index': 'src/testing/index.ts',
    'testing/csi/index': 'src/testing/csi/index.ts',
    'testing/kubelet/index': 'src/testing/kubelet/index.ts',
  },
  format: ['esm', 'cjs'],
  dts: {
    entry: {
      index: 'src/index.ts',
      'csi/index': 'src/csi/index.ts',
      'csi/v1/index': 'src/csi/v1/index.ts',
      'explain/index': 'src/explain/index.ts',
      'kubelet/index': 'src/kubelet/index.ts',
      'prometheus/index': 'src/prometheus/index.ts',
      'testing/index': 'src/testing/index.ts',
      'testing/csi/index': 'src/testing/csi/index.ts',
      'testing/kubelet/index': 'src/testing/kubelet/index.ts',
    },
  },
  clean: ['!cli'],
  shims: true,
};

// The command line carries the packages that nothing else needs, so that installing the library does not.
const commandLine: Options = {
  ...COMMON,
  entry: { main: 'src/cli/main.ts' },
  outDir: 'dist/cli',
  format: 'esm',
  noExternal: [/^[^.]/],
  // What is CommonJS in the bundle asks for Node's modules through `require`.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
  },
  esbuildPlugins: [ownEntries, thirdPartyNotices],
  clean: true,
  dts: false,
};

export default defineConfig([library, commandLine]);
