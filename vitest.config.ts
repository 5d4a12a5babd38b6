import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // No package carries csi-sanity, so only those who name the program can run it: its assertions are a
    // suite of their own beside it.
    exclude: [
      ...configDefaults.exclude,
      // On a real Kubernetes node, which `npm run test:node` starts.
      'test/node/**',
      ...(process.env['CSI_SANITY'] === undefined ? ['**/csi-sanity-program.test.ts'] : []),
    ],
    // A process for each file: the state of stuck paths is one per process, and process.exit is part of what
    // is tested.
    pool: 'forks',
    // Much of the time goes into waiting for what never answers. More files at once than that would starve
    // each other.
    maxWorkers: Math.min(Math.max(3, availableParallelism()), 8),
    globalSetup: 'test/support/build-dist.ts',
    // For what hangs. Nothing is measured against it.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
