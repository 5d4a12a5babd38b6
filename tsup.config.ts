import { readFile, writeFile } from 'node:fs/promises';
import { basename, isAbsolute } from 'node:path';
import { defineConfig } from 'tsup';

// One build for both module formats, with shared chunks in each, so that the entries share modules (error classes, the
// state of calls in flight) instead of carrying copies.
export default defineConfig({
  entry: {
    index: 'src/index.ts',
    'csi/index': 'src/csi/index.ts',
    'csi/v1/index': 'src/csi/v1/index.ts',
    'prometheus/index': 'src/prometheus/index.ts',
    'testing/index': 'src/testing/index.ts',
    'testing/csi/index': 'src/testing/csi/index.ts',
    'cli/main': 'src/cli/main.ts',
  },
  format: ['esm', 'cjs'],
  target: 'node20',
  platform: 'node',
  splitting: true,
  dts: {
    entry: {
      index: 'src/index.ts',
      'csi/index': 'src/csi/index.ts',
      'csi/v1/index': 'src/csi/v1/index.ts',
      'prometheus/index': 'src/prometheus/index.ts',
      'testing/index': 'src/testing/index.ts',
      'testing/csi/index': 'src/testing/csi/index.ts',
    },
  },
  clean: true,
  shims: true,
  sourcemap: true,
  plugins: [
    {
      // The source map of a CommonJS chunk names the chunk itself by its path on this machine, beside the sources.
      name: 'source-maps-without-this-machine',
      async buildEnd({ writtenFiles }) {
        for (const { name } of writtenFiles) {
          if (!name.endsWith('.map')) continue;
          const map = JSON.parse(await readFile(name, 'utf8')) as { file?: string; sources: string[] };
          if (map.file !== undefined) map.file = basename(map.file);
          map.sources = map.sources.map((source) => (isAbsolute(source) ? basename(source) : source));
          await writeFile(name, JSON.stringify(map));
        }
      },
    },
  ],
});
