import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // No package carries csi-sanity, so only who names the program can run it: its assertions are a suite of their own beside it.
    exclude: [
      ...configDefaults.exclude,
      ...(process.env['CSI_SANITY'] === undefined ? ['**/csi-sanity-program.test.ts'] : []),
    ],
    // A process for each file: the state of stuck paths is one per process, and process.exit is part of what is tested.
    pool: 'forks',
    // Files that mount, walk and block side by side would only starve each other on a small machine.
    fileParallelism: false,
    globalSetup: 'test/support/build-dist.ts',
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
