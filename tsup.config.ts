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
});
