import { defineConfig } from 'tsup';

// Only for this repository, whose programs run from TypeScript without a build of their own:
// `kube-volume-metrics` in the imports is then src/, by the paths of tsconfig.json. A program elsewhere has
// it in node_modules, and is built as its author likes.
export default defineConfig({
  entry: { main: 'examples/embedded-node/main.ts' },
  outDir: 'node_modules/.cache/embedded-node',
  format: 'esm',
  outExtension: () => ({ js: '.mjs' }),
  target: 'node20',
  platform: 'node',
  external: ['prom-client'],
  silent: true,
});
