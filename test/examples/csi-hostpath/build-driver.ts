import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { afterAll } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const TSUP = join(
  dirname(createRequire(import.meta.url).resolve('tsup/package.json')),
  'dist/cli-default.js',
);

let folder: string | undefined;

// Of whichever test file has imported this.
afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** The example as a program, built from its sources when it is first needed. */
export function builtDriver(): string {
  if (folder === undefined) {
    const cache = join(ROOT, 'node_modules/.cache');
    mkdirSync(cache, { recursive: true });
    folder = mkdtempSync(join(cache, 'csi-hostpath-test-'));
    const args = ['--config', 'examples/csi-hostpath/tsup.config.ts', '--out-dir', folder];
    execFileSync(process.execPath, [TSUP, ...args], { cwd: ROOT, stdio: 'inherit' });
  }
  return join(folder, 'main.mjs');
}
