// Compiles each native/test/*_test.cc with the code under test, under the address and undefined-behaviour
// sanitizers and again under the thread sanitizer, and runs it. `node native/test/run.mjs [part of a file
// name]`.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TESTS = dirname(fileURLToPath(import.meta.url));
const NATIVE = dirname(TESTS);
const BUILD = join(TESTS, 'build');
const SANITIZERS = ['address,undefined', 'thread'];

const wanted = process.argv[2] ?? '';
// binding*.cc need Node to run.
const sources = readdirSync(NATIVE).filter((name) => /^(?!binding).*\.cc$/.test(name));
const tests = readdirSync(TESTS).filter((name) => name.endsWith('_test.cc') && name.includes(wanted));
if (tests.length === 0) throw new Error(`no native/test/*${wanted}*_test.cc`);
mkdirSync(BUILD, { recursive: true });

let failed = 0;
let passed = 0;
for (const sanitizer of SANITIZERS) {
  const flags = [
    ...['-std=c++17', '-fno-exceptions', '-O1', '-g', '-pthread', '-Wall', '-Wextra', '-Werror'],
    ...[`-fsanitize=${sanitizer}`, '-fno-sanitize-recover=all', '-fno-omit-frame-pointer', '-Wno-tsan'],
  ];
  const objects = sources.map((name) => join(BUILD, `${sanitizer}-${name}.o`));
  sources.forEach((name, index) => run('g++', [...flags, '-c', join(NATIVE, name), '-o', objects[index]]));
  for (const test of tests) {
    const program = join(BUILD, `${sanitizer}-${test.replace(/\.cc$/, '')}`);
    console.log(`\n${test} (${sanitizer})`);
    run('g++', [...flags, join(TESTS, test), ...objects, '-o', program]);
    // Threads are detached and may be alive at exit, by design. Tests fork children that start threads of
    // their own.
    const env = { ...process.env, TSAN_OPTIONS: 'report_thread_leaks=0:die_after_fork=0' };
    const { status } = spawnSync(program, [], { stdio: 'inherit', env, timeout: 600_000 });
    if (status === 0) passed += 1;
    else failed += 1;
  }
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} failed for ${args.at(-1)}`);
}
