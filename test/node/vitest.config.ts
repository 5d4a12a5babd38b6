import { defineConfig } from 'vitest/config';

/** For `npm run test:node`, which starts the node before. Nothing of this runs in `npm test`. */
export default defineConfig({
  test: {
    include: ['test/node/**/*.test.ts'],
    pool: 'forks',
    // One node, whose numbers are to be quiet while they are compared.
    maxWorkers: 1,
    // For what never agrees and never comes to rest. Nothing is measured against it.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
