import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const BIN = join(ROOT, 'node_modules/.bin');

function filesBelow(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(directory, name), 'utf8')]));
}

const buf = (...args: string[]): string =>
  execFileSync(join(BIN, 'buf'), args, {
    cwd: ROOT,
    encoding: 'utf8',
    // As npm run has it.
    env: { ...process.env, PATH: `${BIN}${delimiter}${process.env['PATH'] ?? ''}` },
  });

test('the committed code is what `npm run generate` makes of the proto file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kvm-generated-'));
  try {
    buf('generate', '--output', directory);
    const made = filesBelow(join(directory, 'src/csi/gen'));
    expect(Object.keys(made)).toContain('csi/v1/csi.ts');
    expect(filesBelow(join(ROOT, 'src/csi/gen'))).toEqual(made);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the proto file is in order', () => {
  expect(buf('lint')).toBe('');
});
