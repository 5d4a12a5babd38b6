import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

let folder: string;
beforeAll(() => {
  // Below the package, so that its name leads to it.
  folder = mkdtempSync(join(ROOT, 'dist/node-test-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each([
  [
    'suite.mjs',
    `import { test } from 'node:test';
     import { FakeMetrics, metricsProviderTests } from 'kube-volume-metrics/testing';`,
  ],
  [
    'suite.cjs',
    `const { test } = require('node:test');
     const { FakeMetrics, metricsProviderTests } = require('kube-volume-metrics/testing');`,
  ],
])('the suite runs in node:test, as %s', async (name, imports) => {
  const file = join(folder, name);
  writeFileSync(
    file,
    `${imports}
     const reports = { always: ['used'] };
     metricsProviderTests({ test, name: 'good', create: () => new FakeMetrics({ script: [{ used: 1n }] }), reports });
     metricsProviderTests({ test, name: 'bad', create: () => new FakeMetrics({ script: [{ used: 1 }] }), reports });
    `,
  );
  // What vitest tells its own processes is not for this one.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined };
  const failure = await promisify(execFile)(process.execPath, ['--test', '--test-reporter', 'tap', file], {
    env,
  }).then(
    () => undefined,
    (error: unknown) => error as { stdout: string },
  );
  const failed = [...(failure?.stdout ?? '').matchAll(/^ *not ok \d+ - (.*): gives quantities/gm)].map(
    ([, what]) => what,
  );
  expect(failed).toEqual(['bad']);
  expect(failure?.stdout).toMatch(/^# fail 1$/m);
});
