import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * By name, so that `agreement` comes first: a kubelet's histogram keeps the sources of drivers that are gone.
 */
class ByName extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return Promise.resolve([...files].sort((one, other) => (one.moduleId < other.moduleId ? -1 : 1)));
  }
}

/** For `npm run test:node`, which starts the node before. Nothing of this runs in `npm test`. */
export default defineConfig({
  test: {
    include: ['test/node/**/*.test.ts'],
    pool: 'forks',
    // One node, whose numbers are to be quiet while they are compared.
    maxWorkers: 1,
    sequence: { sequencer: ByName },
    // For what never agrees and never comes to rest. Nothing is measured against it.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
