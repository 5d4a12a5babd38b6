// @ts-check
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';

/**
 * @typedef {{ threads: number, descriptors: number, children: number, heapMiB: number, rssMiB: number }} Held
 */

/** A thread of the addon's pool ends after 10 s without work; then nothing more does. */
const QUIET_MS = 11_000;
const POLL_MS = 250;
const LONGEST_MS = 60_000;

/**
 * How much more there may be after the soak than after the warm-up. Threads, descriptors and processes: none.
 * The heap keeps compiled code and inline caches. The resident memory also keeps what the allocator does not
 * return: each thread has an arena, and a minute has more threads at once (workers, stuck calls) than the
 * warm-up had.
 */
const SLACK = { threads: 0, descriptors: 0, children: 0, heapMiB: 6, rssMiB: 64 };

/** What is held when all that was counted has stood still for long enough. */
export async function heldInQuiet() {
  let counts = counted();
  let sinceMs = performance.now();
  await poll(() => {
    const now = counted();
    if (String(Object.values(now)) !== String(Object.values(counts))) sinceMs = performance.now();
    counts = now;
    return performance.now() - sinceMs > QUIET_MS;
  });
  return await held();
}

/**
 * What is held once it is as little as before, or after a minute.
 *
 * @param {Held} before
 */
export async function heldAgain(before) {
  await poll(() => {
    const now = counted();
    return (
      now.threads <= before.threads + SLACK.threads &&
      now.descriptors <= before.descriptors + SLACK.descriptors &&
      now.children <= before.children + SLACK.children
    );
  });
  return await held();
}

/**
 * What there is more of than the slack allows.
 *
 * @param {Held} before
 * @param {Held} after
 * @returns {string[]}
 */
export function leaks(before, after) {
  const names = /** @type {(keyof Held)[]} */ (Object.keys(SLACK));
  const more = names.filter((name) => after[name] > before[name] + SLACK[name]);
  return more.map((name) => {
    const what = name === 'threads' ? threadNames() : name === 'descriptors' ? descriptors().join(' ') : '';
    return `${name} ${String(before[name])} before, ${String(after[name])} after ${what}`;
  });
}

/** @param {() => boolean} isDone */
async function poll(isDone) {
  const endMs = performance.now() + LONGEST_MS;
  while (!isDone() && performance.now() < endMs) await sleep(POLL_MS);
}

async function held() {
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc?.();
    await setImmediate();
  }
  const { heapUsed, rss } = process.memoryUsage();
  const mib = (/** @type {number} */ bytes) => Math.round((bytes / 1024 ** 2) * 10) / 10;
  return { ...counted(), heapMiB: mib(heapUsed), rssMiB: mib(rss) };
}

function counted() {
  return {
    threads: readdirSync('/proc/self/task').length,
    descriptors: descriptors().length,
    children: children(),
  };
}

/** Processes whose parent is this one, zombies too. */
function children() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => parentOf(pid) === process.pid).length;
}

/** @param {string} pid */
function parentOf(pid) {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    // It is gone.
    return 0;
  }
}

function threadNames() {
  const names = readdirSync('/proc/self/task').map((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim();
    } catch {
      return '';
    }
  });
  return names.join(' ');
}

/**
 * What the open descriptors refer to. Modules do not count: when a worker is terminated while it loads one,
 * Node itself leaves that file open.
 */
function descriptors() {
  const targets = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The one of this readdir.
      return [];
    }
  });
  return targets.filter((target) => !/\.[cm]?js(on)?$/.test(target));
}
