import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { needs } from '../support/needs.js';

const PROCESS = fileURLToPath(new URL('kept-process.mjs', import.meta.url));

/** Some of the steps of a reading, from the round to the system call and back. */
const STEPS = [
  ...['SoleCall.#begin', 'enqueue', 'Call', 'go', '#watch', '#go', '#giveBack', 'attempt'],
  ...['getMetrics', '#measure', 'ownTmpfsOf', 'mountedFsInfoOf', 'fsInfoOf', 'fsInfoFrom', 'toFsInfo'],
  ...['volumeCall', 'answerTo', 'Caller', '#settle', 'get leftMs', 'filesystemReading', 'diskUsageOf'],
];

/** The functions whose machine code V8 throws away when it collects the garbage of an idle process. */
function thrownAway(): string[] {
  // As V8 collects in an idle process: kinds of objects of which none is alive go at once.
  const flags = ['--expose-gc', '--retain-maps-for-n-gc=0', '--trace-deopt'];
  const output = execFileSync(process.execPath, [...flags, PROCESS], { encoding: 'utf8' });
  const collected = output.slice(output.indexOf('collecting'));
  const names = collected.matchAll(/SharedFunctionInfo ([^>]+)>.*reason: weak objects/g);
  return [...names].map(([, name]) => name!);
}

describe.skipIf(needs({ native: true }) !== false)('garbage collection', () => {
  test('leaves the machine code of a reading', () => {
    const names = thrownAway();
    // Code of the process itself, which keeps nothing.
    expect(names).toContain('Forgotten');
    expect(names.filter((name) => STEPS.includes(name))).toEqual([]);
  });
});
