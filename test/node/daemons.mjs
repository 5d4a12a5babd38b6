import { spawn } from 'node:child_process';
import { mkdirSync, openSync, closeSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BIN, LOGS, STATE } from './place.mjs';

/**
 * The processes of a node. All carry a variable in their environment, and so does what they start: that is how
 * they are found again, by any process, however their parents ended. A number in a file could belong to another
 * process by now, and a zombie, which has no environment any more, counts as gone.
 */

const TAG = 'KUBE_VOLUME_METRICS_NODE_DAEMON';
const ARGUMENTS = join(STATE, 'daemons');

/** The variable by which a process, and what it starts, ends with the node. */
export function tag(name) {
  return { [TAG]: name };
}

/** Starts a daemon in a session of its own. */
export function start(name, argv) {
  mkdirSync(ARGUMENTS, { recursive: true });
  mkdirSync(LOGS, { recursive: true });
  writeFileSync(join(ARGUMENTS, `${name}.json`), JSON.stringify(argv));
  const log = openSync(join(LOGS, `${name}.log`), 'a');
  const child = spawn(argv[0], argv.slice(1), {
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH: `${BIN}:/usr/sbin:/usr/bin:/sbin:/bin`, HOME: STATE, TMPDIR: STATE, ...tag(name) },
  });
  closeSync(log);
  // An error is one of the program's name, and shows as a daemon that does not run.
  child.once('error', () => undefined);
  child.unref();
}

/** Starts a daemon again with the arguments it had. */
export function startAgain(name) {
  start(name, JSON.parse(readFileSync(join(ARGUMENTS, `${name}.json`), 'utf8')));
}

/** The processes of one daemon, with those it started; without a name, of all. */
export function processesOf(name) {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        const variables = readFileSync(join('/proc', pid, 'environ'), 'utf8').split('\0');
        return variables.some((each) =>
          name === undefined ? each.startsWith(`${TAG}=`) : each === `${TAG}=${name}`,
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

/**
 * Sends a signal, and waits until no process is left.
 *
 * @param {() => number[]} pids - asked anew each time
 */
export async function end(pids, signal = 'SIGKILL', limitMs = 20_000) {
  const limit = Date.now() + limitMs;
  for (let left = pids(); left.length > 0; left = pids()) {
    if (Date.now() > limit) throw new Error(`processes ${left.join(', ')} do not end after ${signal}`);
    for (const pid of left) kill(pid, signal);
    await delay(50);
  }
}

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended already.
  }
}
