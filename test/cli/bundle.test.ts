import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { loadedPackages } from '../support/loaded-packages.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const DIST = join(ROOT, 'dist/cli');

/** The files that the bundle was made of, by its source maps. */
const sources = readdirSync(DIST)
  .filter((name) => name.endsWith('.js.map'))
  .flatMap((name) => (JSON.parse(readFileSync(join(DIST, name), 'utf8')) as { sources: string[] }).sources)
  .map((source) => resolve(DIST, source));

/** The folders of the packages in it. */
const folders = [
  ...new Set(sources.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? [])),
];
const notices = readFileSync(join(DIST, 'THIRD_PARTY_NOTICES'), 'utf8');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

test('the notices name every package that is in the bundle, with its licence, and no other', () => {
  const names = folders
    .map(manifestOf)
    .map(({ name, version, license }) => `${name} ${version} (${license})`);
  expect(names.length).toBeGreaterThan(5);
  expect(notices.match(/^[@a-z][^ ]* \d+\.\d+\.\d+ \(.+\)$/gm)?.sort()).toEqual([...new Set(names)].sort());
  for (const folder of folders) {
    const licence = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))!;
    expect(notices).toContain(readFileSync(join(folder, licence), 'utf8').trim());
  }
});

test('licences in the bundle are permissive', () => {
  const licences = new Set(folders.map((folder) => manifestOf(folder).license));
  expect(
    [...licences].filter((licence) => !/^(MIT|ISC|BSD-[23]-Clause|Apache-2\.0|0BSD)$/.test(licence)),
  ).toEqual([]);
});

test('installing the package brings none of them', () => {
  const { dependencies = {} } = manifestOf(ROOT);
  const names = folders.map((folder) => manifestOf(folder).name);
  expect(names.filter((name) => name in dependencies)).toEqual([]);
});

test("the bundle holds no copy of the library's modules, and imports its entries", () => {
  const own = sources.filter((file) => file.startsWith(join(ROOT, 'src')));
  expect(own.filter((file) => !file.startsWith(join(ROOT, 'src/cli/')))).toEqual([]);
  expect(own.length).toBeGreaterThan(10);
  const scripts = readdirSync(DIST).filter((name) => name.endsWith('.js'));
  const code = scripts.map((name) => readFileSync(join(DIST, name), 'utf8')).join('\n');
  const imported = [...code.matchAll(/(?:\bfrom|\bimport\()\s*"(\.\.?\/[^"]+)"/g)].map(
    ([, path = '']) => path,
  );
  expect(imported).toContain('../index.js');
  expect(imported).toContain('../csi/index.js');
  expect(imported.filter((path) => !existsSync(join(DIST, path)))).toEqual([]);
});

test('only commands about a driver load gRPC', () => {
  const loadedBy = (args: readonly string[]): string[] =>
    loadedPackages(`
      process.argv.push('main.js', ...${JSON.stringify(args)});
      await new Promise((resolve) => {
        process.exit = resolve;
        import('./dist/cli/main.js');
      });
      process.exitCode = 0;
    `);
  expect(loadedBy(['statfs', '/'])).not.toContain('@grpc/grpc-js');
  expect(loadedBy(['csi', '--help'])).not.toContain('@grpc/grpc-js');
  expect(loadedBy(['csi', 'probe', '--endpoint', '/nowhere/csi.sock'])).toContain('@grpc/grpc-js');
});
