import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { STATE } from './place.mjs';

/** One node per machine: who makes its folder has it. */

const HOLDER = join(STATE, 'holder.json');

/**
 * Takes the place of the node.
 *
 * @param {string} command - what for
 * @param {number} waitMs - for how long to wait until it is free
 * @throws Error naming the holder
 */
export async function takePlace(command, waitMs, say) {
  const limit = Date.now() + waitMs;
  let told = '';
  // With its holder in it from the first moment.
  const making = `${STATE}-${process.pid}`;
  const holder = { pid: process.pid, command, folder: process.cwd(), since: new Date().toISOString() };
  for (;;) {
    mkdirSync(making, { mode: 0o700 });
    writeFileSync(join(making, 'holder.json'), JSON.stringify(holder));
    try {
      renameSync(making, STATE);
      return;
    } catch (error) {
      if (error.code !== 'EEXIST' && error.code !== 'ENOTEMPTY') throw error;
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
    const text = holderText();
    if (Date.now() >= limit) throw new Error(`there is a node already, ${text}`);
    if (text !== told) say(`waiting: there is a node already, ${text}`);
    told = text;
    await delay(500);
  }
}

/** Gives the place back, while nothing lies in it yet. */
export function leavePlace(remove) {
  remove(HOLDER);
  rmdirSync(STATE);
}

export function isTaken() {
  return existsSync(STATE);
}

/**
 * Who made the node, and whether that process still runs; undefined if that is not known.
 *
 * @returns {{ pid: number, command: string, folder: string, since: string, runs: boolean } | undefined}
 */
export function holder() {
  try {
    const written = JSON.parse(readFileSync(HOLDER, 'utf8'));
    return { ...written, runs: existsSync(`/proc/${written.pid}`) };
  } catch {
    return undefined;
  }
}

/** The same in words. */
export function holderText() {
  const known = holder();
  if (known === undefined) return `and ${STATE} does not say who started it`;
  const { pid, command, folder, since, runs } = known;
  return `started ${since} by process ${pid} (${runs ? 'it runs' : 'ended, the node stayed'}): "${command}" in ${folder}`;
}
