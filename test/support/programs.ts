import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Compiles `test/support/programs/<name>.c`, which needs a program `cc`. The file goes with this process. */
export function compiled(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-program-'));
  process.once('exit', () => {
    rmSync(folder, { recursive: true });
  });
  const program = join(folder, name);
  const source = join(import.meta.dirname, 'programs', `${name}.c`);
  execFileSync('cc', ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-o', program, source]);
  return program;
}
