import { defineConfig } from 'tsup';

// Only for this repository, whose programs run from TypeScript without a build of their own:
// `kube-volume-metrics` in the imports is then src/, by the paths of tsconfig.json. A project that has
// installed the package builds such a program as it likes.
export default defineConfig({
  entry: { exporter: 'examples/exporter.ts', 'custom-provider': 'examples/custom-provider.ts' },
  outDir: 'node_modules/.cache/examples',
  format: 'esm',
  outExtension: () => ({ js: '.mjs' }),
  target: 'node20',
  platform: 'node',
  external: ['prom-client'],
  silent: true,
});
