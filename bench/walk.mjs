import { execFileSync, fork } from 'node:child_process';
import { existsSync, mkdtempSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { activeBinding } from 'kube-volume-metrics';
import { median } from './rounds.mjs';

export const about = 'walks of trees, beside other ways to measure them and beside the bare system calls';

const HERE = fileURLToPath(new URL('walk/', import.meta.url));
const ROUNDS = 7;
const COLD_ROUNDS = 3;
const FILES = 200_000;
const DIRECTORIES = 10_000;
/** In memory, so that making and removing them does not take longer than everything else. */
const IN_MEMORY = '/dev/shm';
const NEEDED_BYTES = 6n * 1024n ** 3n;

/**
 * Trees that are hard on descriptors or memory, the arguments of make_tree, and how much memory a walk of
 * each may take.
 */
const SHAPES = [
  { what: '1,000,000 files in 50,000 directories', tree: ['files', 1_000_000, 50_000], mib: 4 },
  // Each directory is remembered, so that none is entered twice.
  { what: '1,000,000 subdirectories of one', tree: ['wide', 1_000_000], mib: 24 },
  { what: 'a chain of 10,000', tree: ['chain', 10_000], mib: 4 },
  { what: '100 chains of 200, names of 200 bytes', tree: ['comb', 100, 200], mib: 4 },
  { what: '1,000,000 files of two links', tree: ['links', 1_000_000], mib: 64 },
];
const MOST_DESCRIPTORS = 128;

export async function run(report) {
  if (activeBinding().binding !== 'native') {
    report.skipped('walks', 'the addon is not there');
    return;
  }
  const programs = mkdtempSync(join(tmpdir(), 'kvm-bench-walk-'));
  try {
    try {
      execFileSync('make', ['-s', '-C', HERE, `OUT=${programs}`, 'all'], { stdio: 'pipe' });
    } catch (error) {
      report.skipped('walks', `the programs beside it could not be built: ${firstLine(error)}`);
      return;
    }
    const tree = join(programs, 'tree');
    make(programs, tree, 'files', FILES, DIRECTORIES);
    await warm(report, programs, tree);
    await cold(report, tree);
    const memory = statfsSync(IN_MEMORY, { bigint: true, throwIfNoEntry: false });
    if (memory.bavail * memory.bsize < NEEDED_BYTES) {
      report.skipped('large trees', `${IN_MEMORY} has less than ${NEEDED_BYTES} bytes left`);
      return;
    }
    await large(report, programs);
  } finally {
    // Node's own rm fails on paths as long as some of these.
    execFileSync('rm', ['-rf', programs]);
  }
}

/** Everything in the page cache: what a walk costs the processor. */
async function warm(report, programs, tree) {
  const candidates = {
    'native walk': () => inNode('native', tree),
    'floor: bare system calls, one thread': () => inShell(`${join(programs, 'floor')} "$1"`, tree),
    'nice du + nice find': () =>
      inShell('nice -n 19 du -x -s -B 1 "$1"; nice -n 19 find "$1" -xdev -printf .', tree),
    'get-folder-size': () => inNode('get-folder-size', tree),
    'fast-folder-size': () => inNode('fast-folder-size', tree),
    ...(hasProgram('gdu') && { gdu: () => inShell('gdu -n -p -s "$1"', tree) }),
  };
  const rounds = [];
  const loopLateMs = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const figures = {};
    loopLateMs.push((await inNode('native', tree, 'watched')).loopLateMs);
    for (const [name, measure] of Object.entries(candidates)) {
      // The slow ones need no more rounds to be known for slow.
      if (name === 'get-folder-size' && round > 2) figures[name] = rounds.at(-1)[name];
      else figures[name] = await measure();
    }
    if (round > 0) rounds.push(figures);
  }
  const size = `${FILES} files, warm`;
  for (const name of Object.keys(candidates)) {
    const of = (figure) => median(rounds.map((round) => round[name][figure]));
    report.figure({ what: `${name}, ${size}: wall`, value: of('wallMs'), unit: 'ms' });
    report.figure({ what: `${name}, ${size}: CPU`, value: of('cpuMs'), unit: 'ms' });
    if (rounds[0][name].peakMib !== undefined) {
      report.figure({ what: `${name}, ${size}: memory`, value: of('peakMib'), unit: 'MiB' });
    }
  }
  // Pair by pair, so that whatever else the machine did in a round met both. But walks of lowest priority
  // give way to it, which their peers do not: hence the slack for wall time.
  const against = (peer, figure) =>
    median(rounds.map((round) => round['native walk'][figure] / round[peer][figure]));
  const floor = 'floor: bare system calls, one thread';
  const ratio = (what, value, goal, slack) => report.figure({ what, value, unit: 'x', goal, slack });
  ratio(`CPU of the native walk against the floor`, against(floor, 'cpuMs'), 1.08, 1.5);
  ratio(`wall of the native walk against the floor`, against(floor, 'wallMs'), 0.58);
  ratio('native walk against nice du + nice find', against('nice du + nice find', 'wallMs'), 1 / 2.8);
  ratio('native walk against get-folder-size', against('get-folder-size', 'wallMs'), 1 / 25);
  ratio('native walk against fast-folder-size', against('fast-folder-size', 'wallMs'));
  if (hasProgram('gdu')) ratio('native walk against gdu', against('gdu', 'wallMs'));
  report.figure({
    what: 'event loop late beside the native walk, worst',
    value: Math.max(...loopLateMs),
    unit: 'ms',
    goal: 10,
  });
}

/** Nothing in the page cache: what a walk waits for the disk. */
async function cold(report, tree) {
  const drop = () => {
    execFileSync('sync');
    writeFileSync('/proc/sys/vm/drop_caches', '3');
  };
  try {
    drop();
  } catch {
    report.skipped('cold cache', 'only root can drop the page cache');
    return;
  }
  const rounds = [];
  for (let round = 0; round < COLD_ROUNDS; round++) {
    drop();
    const native = await inNode('native', tree);
    drop();
    const du = await inShell('du -x -s -B 1 "$1"', tree);
    rounds.push({ native, du });
  }
  const of = (name) => median(rounds.map((round) => round[name].wallMs));
  report.figure({ what: `native walk, ${FILES} files, cold: wall`, value: of('native'), unit: 'ms' });
  report.figure({ what: `du, ${FILES} files, cold: wall`, value: of('du'), unit: 'ms' });
  report.figure({
    what: 'native walk against du, cold',
    value: median(rounds.map(({ native, du }) => native.wallMs / du.wallMs)),
    unit: 'x',
    goal: 1 / 2,
  });
}

async function large(report, programs) {
  const folder = mkdtempSync(join(IN_MEMORY, 'kvm-bench-walk-'));
  try {
    for (const { what, tree, mib } of SHAPES) {
      const path = join(folder, 'tree');
      make(programs, path, ...tree);
      const { wallMs, cpuMs, peakMib, descriptors, loopLateMs } = await inNode('native', path, 'watched');
      execFileSync('rm', ['-rf', path]);
      report.figure({ what: `${what}: wall`, value: wallMs, unit: 'ms' });
      report.figure({ what: `${what}: CPU`, value: cpuMs, unit: 'ms' });
      report.figure({ what: `${what}: memory`, value: peakMib, unit: 'MiB', goal: mib });
      report.figure({
        what: `${what}: descriptors`,
        value: descriptors,
        unit: 'open',
        goal: MOST_DESCRIPTORS,
        slack: 1,
      });
      report.figure({ what: `${what}: event loop late`, value: loopLateMs, unit: 'ms', goal: 10 });
    }
  } finally {
    execFileSync('rm', ['-rf', folder]);
  }
}

function make(programs, path, ...shape) {
  execFileSync(join(programs, 'make_tree'), [path, ...shape.map(String)]);
}

/** One walk in a Node process of its own, which measures the walk alone. */
function inNode(candidate, path, ...watched) {
  return new Promise((resolve, reject) => {
    const child = fork(join(HERE, 'candidate.mjs'), [candidate, path, ...watched], {
      execArgv: ['--expose-gc'],
    });
    child.once('message', resolve);
    child.once('exit', (code) => {
      reject(new Error(`${candidate} ended with ${code} and said nothing`));
    });
  });
}

/** Commands as whole processes, timed by bash; `$1` is the path. */
function inShell(commands, path) {
  const script = `TIMEFORMAT='%R %U %S'; time { ${commands}; } > /dev/null 2>&1`;
  const output = execFileSync('bash', ['-c', `{ ${script}; } 2>&1`, 'bash', path], { encoding: 'utf8' });
  const [wall, user, system] = output.trim().split(' ').map(Number);
  return { wallMs: wall * 1000, cpuMs: (user + system) * 1000 };
}

function hasProgram(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
}

function firstLine(error) {
  return String(error.stderr ?? error.message).split('\n')[0];
}
