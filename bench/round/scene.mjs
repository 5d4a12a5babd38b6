// Makes a node and measures it: `scene.mjs OPTIONS`, started by bench/round.mjs, in a mount namespace of its
// own where it may mount. Everything that is mounted here goes with it.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { median } from '../rounds.mjs';
import { floorList, mountCount, mountsOf, OWN_MOUNTS, volumesOf } from './layout.mjs';

const { folder, isMounted, isCheck } = JSON.parse(process.argv[2]);
const node = { root: join(folder, 'node'), isMounted };

/** Pods of the nodes that are measured; the last only where it may take minutes. */
const [FEW, SOME, MANY, MOST] = [25, 100, 250, 1_000];
/** As many walks as the package runs at once. */
const WALKS_AT_ONCE = 2;
const LOWEST_PRIORITY = 19;
const ROUNDS = isCheck ? 5 : 9;
const TINY_WALKS = 200;
const TINY_ROUNDS = 9;
const LONG_TABLE = 2_241;
const FIRST_ROUNDS = 3;
/** When to give up waiting for first readings, in multiples of the floor, and at least in milliseconds. */
const FIRST_LIMIT = 5;
const FIRST_LIMIT_MS = 15_000;
const MEMORY_VOLUMES = 2_000;
/** A scrape every 15 s, about as long as everything else takes. */
const SCRAPES = isCheck ? 6 : 40;
/** How long a process needs to have all code compiled that it uses again and again. */
const COMPILE_MS = 10_000;
/** After so long, V8 has collected the garbage of a process that has less to do: it begins after 13 s. */
const SETTLE_MS = 20_000;
const CPU_SLACK = 1.15;
const WALL_SLACK = 1.5;

/** Bytes and inodes of the disk that the nodes lie on. */
const DISK_BYTES = isCheck ? 2 * 1024 ** 3 : 6 * 1024 ** 3;
const DISK_INODES = isCheck ? 800_000 : 2_500_000;

const MAKE_NODE = join(folder, 'make_node');
const FLOOR = join(folder, 'floor');

const agents = new Set();

/** A process of the package (agent.mjs). It sees the mounts that there are now, and those it is given. */
class Agent {
  #child;

  /** @param {number} filled how many more volumes it sees, on mounts of its own */
  constructor(filled = 0) {
    const agent = [process.execPath, fileURLToPath(new URL('agent.mjs', import.meta.url))];
    const fill = ['sh', '-c', 'shift; "$1" "$2" mounted fill "$3" && shift 3 && exec "$@"', 'sh', 'sh'];
    const filling = filled === 0 ? [] : [...fill, MAKE_NODE, node.root, String(filled)];
    const [file, ...args] = isMounted ? ['unshare', '--mount', ...filling, ...agent] : agent;
    this.#child = spawn(file, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    agents.add(this);
  }

  get pid() {
    return this.#child.pid;
  }

  ask(task, about = {}) {
    return new Promise((resolve, reject) => {
      const ended = (how) => reject(new Error(`the agent ended: ${how}`));
      this.#child.once('exit', ended);
      this.#child.once('message', ({ answer, error }) => {
        this.#child.removeListener('exit', ended);
        if (error === undefined) resolve(answer);
        else reject(new Error(error));
      });
      this.#child.send({ task, ...about });
    });
  }

  async end() {
    agents.delete(this);
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }
}

function figure(what, value, unit, goal, slack) {
  process.send({
    figure: { what, value, unit, ...(goal !== undefined && { goal }), ...(slack && { slack }) },
  });
}

/** Says so if what was measured is not quite what the name of the figure says. */
const unmounted = isMounted ? '' : ', no mounts';

function makeNode(...args) {
  const how = isMounted ? 'mounted' : 'plain';
  execFileSync(MAKE_NODE, [node.root, how, ...args.map(String)], { stdio: 'inherit' });
}

/** The directory of the node: a disk of its own if that can be made, because removing it costs nothing. */
function makeDisk() {
  mkdirSync(node.root);
  if (!isMounted) return;
  const image = join(folder, 'disk');
  try {
    writeFileSync(image, '');
    truncateSync(image, DISK_BYTES);
    const mkfs = ['-q', '-F', '-N', String(DISK_INODES), '-E', 'nodiscard', image];
    execFileSync('mkfs.ext4', mkfs, { stdio: 'pipe' });
    execFileSync('mount', ['-o', 'loop', image, node.root], { stdio: 'pipe' });
  } catch (error) {
    console.error(
      `the node lies on the disk of ${folder}, because it gets none of its own: ${error.message}`,
    );
  }
  // It stays as long as it is mounted.
  rmSync(image, { force: true });
  const base = join(node.root, 'base');
  mkdirSync(base);
  for (let mount = mountCount(); mount < OWN_MOUNTS; mount++) {
    const path = join(base, String(mount));
    mkdirSync(path);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path]);
  }
}

let pods = 0;
/** Makes the pods that there are not yet. */
function havePods(count) {
  makeNode(pods, count);
  pods = count;
}

/** Runs the floor over volumes. */
function floor(lines, how) {
  return floorFigures(execFileSync(FLOOR, floorArgs(lines, how), { encoding: 'utf8' }));
}

/** The floor over volumes, spread over some time in which other things go on. */
async function spreadFloor(volumes, spreadMs) {
  const pauseMs = Math.floor(spreadMs / volumes.length);
  const how = { threads: 1, nice: LOWEST_PRIORITY, pauseMs };
  const { stdout } = await promisify(execFile)(FLOOR, floorArgs(floorList(volumes), how));
  return floorFigures(stdout);
}

function floorArgs(lines, { threads = WALKS_AT_ONCE, nice = 0, times = 1, pauseMs = 0 } = {}) {
  const list = join(folder, 'list');
  writeFileSync(list, lines);
  return [list, threads, nice, times, pauseMs].map(String);
}

function floorFigures(output) {
  const [entries, bytes, wallMs, cpuMs] = output.trim().split(' ').map(Number);
  return { entries, bytes, wallMs, cpuMs };
}

/** The median of something in each round. */
const of = (rounds, get) => median(rounds.map(get));

/** Warm rounds of some pods by the package, in turn with the floor. */
async function warmRounds(agent, count) {
  const volumes = { node, pods: count };
  const lines = floorList(volumesOf(node, count));
  const { used, inodesUsed } = await agent.ask('prepare', { volumes });
  const { entries, bytes } = floor(lines);
  if (BigInt(entries) !== BigInt(inodesUsed) || BigInt(bytes) !== BigInt(used))
    throw new Error(`the floor counts ${entries} inodes, ${bytes} bytes; the package ${inodesUsed}, ${used}`);
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++) {
    const bare = floor(lines);
    rounds.push({ bare, own: await agent.ask('round') });
  }
  const many = volumesOf(node, count).length;
  const what = `${count} pods (${many} volumes${unmounted})`;
  for (const unit of ['wall', 'cpu']) {
    const ms = (name) => of(rounds, (round) => round[name][`${unit}Ms`]);
    const name = unit === 'cpu' ? 'CPU' : unit;
    figure(`a warm round of ${what}: ${name}`, ms('own'), 'ms');
    figure(`floor, ${what}: ${name}`, ms('bare'), 'ms');
  }
  const ratio = of(rounds, ({ own, bare }) => own.cpuMs / bare.cpuMs);
  figure(`CPU of a warm round of ${count} pods against the floor`, ratio, 'x', 1.35, CPU_SLACK);
}

/** The cost of a volume on a large node and on a small one, in turn. */
async function growth(small, large) {
  const cost = async (agent, count) =>
    ((await agent.ask('round')).cpuMs * 1000) / volumesOf(node, count).length;
  await small.ask('prepare', { volumes: { node, pods: SOME } });
  const rounds = [];
  for (let round = 0; round < ROUNDS; round++)
    rounds.push({ small: await cost(small, SOME), large: await cost(large, MOST) });
  figure(
    `a volume of ${SOME} pods: CPU`,
    of(rounds, (round) => round.small),
    'us',
  );
  figure(
    `a volume of ${MOST} pods: CPU`,
    of(rounds, (round) => round.large),
    'us',
  );
  const ratio = of(rounds, (round) => round.large / round.small);
  figure(`a volume of ${MOST} pods against one of ${SOME}`, ratio, 'x', 1.1, CPU_SLACK);
}

/** Walks of eleven inodes, by processes that see a short and a long table of mounts, in turn. */
async function tinyWalks(short, long) {
  const paths = volumesOf(node, FEW)
    .filter(({ name }) => name === 'config-map')
    .map(({ path }) => path);
  const lines = paths.map((path) => `tree ${path}\n`).join('');
  const rounds = [];
  const times = TINY_WALKS / paths.length;
  for (let round = 0; round < TINY_ROUNDS; round++) {
    rounds.push({
      calls: floor(lines, { threads: 1, times }),
      bare: floor(lines, { threads: 0, times }),
      short: await short.ask('tiny', { paths, count: TINY_WALKS }),
      ...(long && { long: await long.ask('tiny', { paths, count: TINY_WALKS }) }),
    });
  }
  const each = (name, unit) => (of(rounds, (round) => round[name][unit]) * 1000) / TINY_WALKS;
  const mounts = isMounted ? mountsOf(FEW) + OWN_MOUNTS : mountCount();
  const what = 'a walk of 11 inodes';
  figure(`${what}, ${mounts} mounts: wall`, each('short', 'wallMs'), 'us');
  figure(`${what}, ${mounts} mounts: CPU`, each('short', 'cpuMs'), 'us');
  figure(`floor, ${what} in a thread of its own: CPU`, each('bare', 'cpuMs'), 'us');
  figure(`the system calls of ${what} alone: CPU`, each('calls', 'cpuMs'), 'us');
  const against = each('short', 'cpuMs') / each('bare', 'cpuMs');
  figure(`CPU of ${what} against the floor`, against, 'x', 3, CPU_SLACK);
  if (long === undefined) return;
  figure(`${what}, ${LONG_TABLE} mounts: CPU`, each('long', 'cpuMs'), 'us');
  const ratio = each('long', 'cpuMs') / each('short', 'cpuMs');
  figure(`CPU of ${what} at ${LONG_TABLE} mounts against ${mounts}`, ratio, 'x', 1.2, CPU_SLACK);
}

/** First readings with default options, beside busy loops or not, in turn with the floor. */
async function firstReadings(count, loops, beside) {
  const lines = floorList(volumesOf(node, count));
  const busy = Array.from({ length: loops }, busyLoop);
  try {
    const rounds = [];
    let threads = WALKS_AT_ONCE;
    let missing = 0;
    for (let round = 0; round < FIRST_ROUNDS; round++) {
      const before = floor(lines, { threads, nice: LOWEST_PRIORITY });
      const limitMs = Math.max(FIRST_LIMIT_MS, before.wallMs * FIRST_LIMIT);
      const agent = new Agent();
      const first = agent.ask('first', { volumes: { node, pods: count }, options: {}, limitMs });
      const seen = await mostWalking(agent.pid, first);
      const { wallMs, left } = await first;
      await agent.end();
      missing = Math.max(missing, left);
      // The floor has as many threads as the package was seen to walk with.
      threads = Math.max(threads, seen);
      const bare = threads === WALKS_AT_ONCE ? before : floor(lines, { threads, nice: LOWEST_PRIORITY });
      rounds.push({ bare: bare.wallMs, own: wallMs });
      if (left > 0) break;
    }
    const what = `first readings of ${count} pods, ${beside}${unmounted}`;
    const own = of(rounds, (round) => round.own);
    const bare = of(rounds, (round) => round.bare);
    // Who gives up has no time to compare.
    const ratio = missing > 0 ? Infinity : of(rounds, (round) => round.own / round.bare);
    figure(`${what}: wall`, own, 'ms');
    if (missing > 0) figure(`${what}: still missing then`, missing, 'volumes');
    figure(`floor at nice 19, ${threads} threads, ${beside}: wall`, bare, 'ms');
    figure(`${what}, against the floor`, ratio, 'x', 2.5, WALL_SLACK);
  } finally {
    for (const loop of busy) loop.kill();
  }
}

/** A process that keeps a processor busy, and ends with this one. */
function busyLoop() {
  const spin = 'const p = process.ppid; while (process.ppid === p) for (let i = 0; i < 1e8; i++);';
  return spawn(process.execPath, ['-e', spin], { stdio: 'ignore' });
}

/** How many threads of the lowest priority were seen at work together, until a promise settles. */
async function mostWalking(pid, until) {
  let isOver = false;
  const over = () => (isOver = true);
  until.then(over, over);
  let most = 1;
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    most = Math.max(most, walkingNow(pid));
  }
  return most;
}

function walkingNow(pid) {
  let walking = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // Field 3 is the state, 19 the nice value, proc_pid_stat(5).
      if (fields[16] === String(LOWEST_PRIORITY) && 'RD'.includes(fields[0])) walking += 1;
    }
  } catch {
    // A thread that has just ended.
  }
  return walking;
}

/**
 * What a node costs once everything has been read, over periods of two minutes at most. The floor makes the
 * same readings in the same time, because system calls cost more one by one than in a row: beside the next
 * period, or after the last one.
 */
async function afterwards() {
  // A tenth of the pods in a tenth of the time is the same work a second, for the same share of it.
  const [count, periodMs, periods] = isCheck ? [FEW, 6_000, 2] : [MANY, 60_000, 2];
  const agent = new Agent();
  const volumes = volumesOf(node, count);
  const about = { volumes: { node, pods: count } };
  const what = `${count} pods read every ${periodMs / 1000} to ${(2 * periodMs) / 1000} s`;
  // As in a process that has run for long, all code is compiled.
  await agent.ask('prepare', about);
  await agent.ask('compile', { ...about, forMs: COMPILE_MS });
  const { left } = await agent.ask('first', { ...about, options: { periodMs }, limitMs: 5 * periodMs });
  if (left > 0) figure(`${what}: still without a first reading`, left, 'volumes');
  const windowMs = 2 * periodMs;
  const sums = { own: 0, bare: 0, readings: 0 };
  const floorOf = async (read) => (await spreadFloor(read, windowMs * 0.9)).cpuMs;
  // V8 collects what the start has left behind.
  await agent.ask('watch', { windowMs: SETTLE_MS });
  let before = [];
  for (let period = 0; period < periods; period++) {
    const watching = agent.ask('watch', { windowMs });
    if (before.length > 0) sums.bare += await floorOf(before);
    const { cpuMs, read } = await watching;
    sums.own += cpuMs;
    sums.readings += read.length;
    before = read;
  }
  await agent.end();
  sums.bare += await floorOf(before);
  const window = `in ${windowMs / 1000} s`;
  figure(`${what}: readings of a volume ${window}`, sums.readings / volumes.length / periods, '');
  figure(`${what}: CPU ${window}`, sums.own / periods, 'ms');
  figure(`floor, the same readings: CPU ${window}`, sums.bare / periods, 'ms');
  // In so short a time V8 still compiles, so a check does not hold this goal.
  const goal = isCheck ? undefined : 1.3;
  figure(`${what}: CPU ${window} against the floor`, sums.own / sums.bare, 'x', goal, CPU_SLACK);
}

/**
 * Resident memory with default options. V8 gives back what it does not need only to a process that is mostly
 * idle, so this takes its real time, beside everything else. Gives what waits for its end.
 */
async function memory(filled) {
  const agent = new Agent(filled);
  const own = volumesOf(node, FEW).filter(({ name }) => !name.endsWith('empty-dir')).length;
  const volumes = { node, pods: FEW, trees: false, filled: MEMORY_VOLUMES - own };
  const { idleMib } = await agent.ask('idle');
  const scraped = agent.ask('scraped', { volumes, scrapes: SCRAPES });
  // Its failure is for who waits for its end.
  scraped.catch(() => undefined);
  return async () => {
    const { medianMib, mostMib, missing } = await scraped;
    await agent.end();
    const what = `${MEMORY_VOLUMES} volumes, ${isMounted ? LONG_TABLE : 'no'} mounts and a scrape every 15 s`;
    if (missing > 0) figure(`${what}: still without a reading`, missing, 'volumes', 0, 1);
    figure('resident memory, everything imported, idle', idleMib, 'MiB');
    figure(`resident memory, ${what}, at most`, mostMib, 'MiB');
    figure(`resident memory, ${what}, above idle`, medianMib - idleMib, 'MiB more', 30, WALL_SLACK);
  };
}

async function measure() {
  makeDisk();
  havePods(FEW);
  const short = new Agent();
  const filled = isMounted ? LONG_TABLE - mountCount() : MEMORY_VOLUMES;
  if (!isMounted) makeNode('fill', filled);
  const long = isMounted ? new Agent(filled) : undefined;
  await tinyWalks(short, long);
  await long?.end();
  const endMemory = await memory(filled);
  await warmRounds(short, FEW);
  havePods(SOME);
  const small = new Agent();
  await warmRounds(small, SOME);
  havePods(MANY);
  const large = new Agent();
  await warmRounds(large, MANY);
  await large.end();
  await firstReadings(MANY, 0, 'idle cores');
  const loops = availableParallelism();
  await firstReadings(isCheck ? FEW : MANY, loops, `${loops} busy loops beside`);
  await afterwards();
  await endMemory();
  if (isCheck) return;
  havePods(MOST);
  const most = new Agent();
  await warmRounds(most, MOST);
  await growth(small, most);
}

try {
  await measure();
  process.exitCode = 0;
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await Promise.all([...agents].map((agent) => agent.end()));
  process.disconnect();
}
