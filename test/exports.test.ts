import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ENTRIES, exportedTypes, fileOf } from './support/exports.mjs';

const FOLDER = join(import.meta.dirname, 'exports');

describe('what the package exports', () => {
  let types: Map<string, string>;

  beforeAll(() => {
    types = exportedTypes();
  });

  // A change of the API is a change of these files: `npm run exports -- --write`.
  test.each([...ENTRIES.keys()])('is what test/exports/ has for the entry %s', (entry) => {
    expect(types.get(entry)).toBe(readFileSync(fileOf(entry), 'utf8'));
  });

  test('has no file in test/exports/ beyond its entries', () => {
    expect(readdirSync(FOLDER).sort()).toEqual(
      [...ENTRIES.keys()].map((each) => basename(fileOf(each))).sort(),
    );
  });

  test('is listed with the names and types of options, without comments and without paths', () => {
    const text = types.get('.')!;
    expect(text).toContain('\ninterface MetricsDuOptions');
    expect(text).toMatch(/readonly allowPartial\?: boolean/);
    const all = [...types.values()].join('\n');
    expect(all).not.toContain('/**');
    expect(all).not.toContain('import(');
    expect(all).not.toContain(resolve(import.meta.dirname, '..'));
  });
});
