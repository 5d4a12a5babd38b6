import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');

const files = ['src', 'test', 'bench', 'examples', 'native']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  )
  .filter((name) => /\.(ts|mjs|cc|h)$/.test(name) && !/^native\/(test\/)?build\/|\/gen\//.test(name));

const COMMENT = /^\s*(?:\/\/|\/\*|\*)|\s\/\/ /;
/** A title may also begin a line of its own. */
const TITLE = /\b(?:test|describe)\b.*\(\s*['"`]|^\s*['"`]/;
/** An id such as the ones that lists of cases, decisions and facts have. */
const ID = /\b[DE]\d{1,2}\b|\b[Gg]olden cases? \w*\d/;

/** Whether a comment or the title of a test cites a numbered case of a document. */
function cites(line: string): boolean {
  return ID.test(line) && (COMMENT.test(line) || TITLE.test(line));
}

describe('comments and titles of tests', () => {
  test('say what is meant, and cite no id of a document that is not in this repository', () => {
    const found = files.flatMap((name) =>
      readFileSync(join(ROOT, name), 'utf8')
        .split('\n')
        .flatMap((line, index) => (cites(line) ? [`${name}:${String(index + 1)}: ${line.trim()}`] : [])),
    );
    expect(found.filter((line) => !line.startsWith('test/wording.test.ts'))).toEqual([]);
    expect(files.length).toBeGreaterThan(200);
  });

  test.each([
    "  test('E17 blocks are counted in fragments', () => {",
    "test.each([1])('is %s (D25)', () => {",
    "describe.skipIf(needs({ root: true }))('E8 a path', () => {",
    "  'E1 a projected volume with three keys': {",
    "    'is %s, keeps its place and its last reading (D25)',",
    '  // Golden case E46: never the numbers of the host.',
    ' * Golden cases 6 and 7.',
  ])('an id is seen: %s', (line) => {
    expect(cites(line)).toBe(true);
  });

  test.each([
    "  test('E2BIG is an error of exec', () => {",
    "const E17 = 'a constant';",
    '// U+E000, 0xE1, T1E30 and SHA256 are no ids of a document.',
  ])('what is no id is left alone: %s', (line) => {
    expect(cites(line)).toBe(false);
  });
});
