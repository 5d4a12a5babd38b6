import { describe, expect, test } from 'vitest';
import { loadedPackages } from './support/loaded-packages.mjs';
import { needs } from './support/needs.js';

const REQUIRE = "(await import('node:module')).createRequire(process.cwd() + '/any.js')";

// The built package, as users load it. What it costs in time is the bench's to say.
describe("import 'kube-volume-metrics'", () => {
  test.each([
    ['ESM', "await import('kube-volume-metrics')"],
    ['CJS', `${REQUIRE}('kube-volume-metrics')`],
  ])('loads no package: %s', (_, statement) => {
    expect(loadedPackages(statement)).toEqual([]);
  });

  test.skipIf(needs({ native: true }) !== false)(
    'neither does a reading through the addon load what the commands need',
    () => {
      const packages = loadedPackages(
        "await (await import('kube-volume-metrics')).fsInfo('/', { binding: 'auto' })",
      );
      expect(packages.filter((name) => name !== 'node-gyp-build')).toEqual([]);
    },
  );

  test('such a list is not always empty', () => {
    expect(loadedPackages("await import('execa')")).toContain('execa');
  });
});
