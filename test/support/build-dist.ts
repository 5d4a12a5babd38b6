import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const TSUP = join(
  dirname(createRequire(import.meta.url).resolve('tsup/package.json')),
  'dist/cli-default.js',
);

/**
 * Builds `dist` when it is older than its sources: some tests run the package as it is published, in
 * processes of their own.
 */
export default function buildDist(): void {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  const newest = Math.max(...['tsup.config.ts', ...sources.map((name) => join('src', name))].map(modified));
  if (modified('dist/index.js') > newest) return;
  execFileSync(process.execPath, [TSUP, '--silent', '--no-dts'], { cwd: ROOT, stdio: 'inherit' });
}

/** When a file below the project's folder was last changed; 0 when there is none. */
function modified(name: string): number {
  return statSync(join(ROOT, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
