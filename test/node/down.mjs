import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { end, processesOf } from './daemons.mjs';
import { CGROUP, CONTAINERD_STATE, KUBELET_ROOT, STATE } from './place.mjs';

const CGROUPS = '/sys/fs/cgroup';
const MADE = join(STATE, 'made.json');
/** For what goes away by itself. */
const LIMIT_MS = 120_000;
const CONTAINER_LOGS = '/var/log/containers';

/** What a kubelet sets for the whole machine. */
const SYSCTLS = [
  'kernel/keys/root_maxbytes',
  'kernel/keys/root_maxkeys',
  'kernel/panic',
  'kernel/panic_on_oops',
  'vm/overcommit_memory',
  'vm/panic_on_oom',
];

/** Writes down, before anything is made, what is there already and stays. */
export function noteWhatIsThere() {
  const folders = [KUBELET_ROOT, CONTAINERD_STATE, CONTAINER_LOGS, '/var/log/pods'];
  const made = folders.filter((folder) => !existsSync(folder));
  const sysctls = Object.fromEntries(SYSCTLS.filter(isSysctl).map((name) => [name, sysctl(name)]));
  writeFileSync(MADE, JSON.stringify({ made, sysctls }));
}

/**
 * Takes the node down, in whatever state it is: processes, pods, mounts, loop devices, cgroups, folders. Nothing
 * is asked to end: nothing of the node outlives it.
 *
 * @throws Error that says what is left
 */
export async function down() {
  going ??= takeDown().finally(() => {
    going = undefined;
  });
  await going;
}

/** The call that is under way: it may be made from several places of one process. */
let going;

async function takeDown() {
  if (!existsSync(STATE)) return;
  if (!(await isFirst())) return;
  const { made = [], sysctls = {} } = noted();
  await end(() => processesOf());
  await end(processesOfPods);
  // What a pod's end has started meanwhile.
  await end(() => processesOf());
  // A device on a device node of a volume is not mounted, and keeps that filesystem busy.
  for (const { device } of loops()) spawnSync('losetup', ['-d', device]);
  for (let tries = 0; tries < 5 && mountPoints().length > 0; tries += 1) {
    for (const path of mountPoints()) spawnSync('umount', tries < 3 ? [path] : ['-l', path]);
  }
  for (const { device } of loops()) spawnSync('losetup', ['-d', device]);
  // A device stays as long as a mount namespace that was copied from ours, of a process of anybody.
  const limit = Date.now() + LIMIT_MS;
  while ((loops().length > 0 || cgroups().length > 0) && Date.now() < limit) {
    for (const folder of cgroups()) attempt(() => rmdirSync(folder));
    await delay(50);
  }
  for (const [name, value] of Object.entries(sysctls)) {
    if (sysctl(name) !== value) writeFileSync(join('/proc/sys', name), value);
  }
  removeContainerLogs();
  for (const folder of made) attempt(() => rmdirSync(folder));
  const left = whatIsLeft();
  if (left.length > 0) throw new Error(`the node is down, but left behind: ${left.join(', ')}`);
  // Last, because it is the lock. No mount is below it.
  execFileSync('rm', ['-rf', '--one-file-system', STATE]);
}

/** What would stay behind, in words; empty if nothing would. */
export function whatIsLeft() {
  return [
    ...processesOf().map((pid) => `process ${pid}`),
    ...processesOfPods().map((pid) => `process ${pid} of a pod`),
    ...mountPoints().map((path) => `the mount ${path}`),
    ...loops().map(({ device, file }) => `${device} on ${file}`),
    ...cgroups().map((folder) => `the cgroup ${folder}`),
  ];
}

/** One process takes it down. A second one waits until that is done, or does it if the first was killed. */
async function isFirst() {
  const file = join(STATE, 'taking-down');
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return true;
    } catch (error) {
      if (error.code === 'ENOENT') return false;
      if (error.code !== 'EEXIST') throw error;
    }
    const pid = attempt(() => readFileSync(file, 'utf8'));
    if (pid === String(process.pid)) return true;
    if (pid !== undefined && pid !== '' && !existsSync(`/proc/${pid}`)) attempt(() => unlinkSync(file));
    await delay(100);
    if (!existsSync(STATE)) return false;
  }
}

function noted() {
  return attempt(() => JSON.parse(readFileSync(MADE, 'utf8'))) ?? {};
}

function isSysctl(name) {
  return existsSync(join('/proc/sys', name));
}

function sysctl(name) {
  return readFileSync(join('/proc/sys', name), 'utf8').trim();
}

/** Those below our folders, deepest and newest first. */
function mountPoints() {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, code) =>
        String.fromCharCode(parseInt(code, 8)),
      ),
    )
    .filter((path) => [STATE, KUBELET_ROOT, CONTAINERD_STATE].some((root) => isIn(path, root)))
    .reverse();
}

function isIn(path, root) {
  return path === root || path.startsWith(`${root}/`);
}

/** Loop devices on our files, and those that a kubelet put on the device nodes of block volumes. */
function loops() {
  const text = execFileSync('losetup', ['-l', '-n', '-O', 'NAME,BACK-FILE'], { encoding: 'utf8' });
  return text
    .split('\n')
    .map((line) => /^(\S+)\s+(.*?)(?: \(deleted\))?$/.exec(line.trim()))
    .filter((match) => match !== null && (isIn(match[2], STATE) || isIn(match[2], KUBELET_ROOT)))
    .map(([, device, file]) => ({ device, file }))
    .sort((one, other) => Number(isIn(other.file, KUBELET_ROOT)) - Number(isIn(one.file, KUBELET_ROOT)));
}

/** Our cgroups in each hierarchy of version 1, or in the one of version 2; children first. */
function cgroups() {
  return ['', ...readdirSync(CGROUPS)]
    .map((hierarchy) => join(CGROUPS, hierarchy, CGROUP))
    .filter((folder) => attempt(() => statSync(folder).isDirectory()) === true)
    .flatMap((folder) => [folder, ...foldersIn(folder)])
    .reverse();
}

function foldersIn(folder) {
  const entries = attempt(() => readdirSync(folder, { withFileTypes: true })) ?? [];
  return entries
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(folder, entry.name), ...foldersIn(join(folder, entry.name))]);
}

function processesOfPods() {
  const pids = cgroups().flatMap((folder) =>
    (attempt(() => readFileSync(join(folder, 'cgroup.procs'), 'utf8')) ?? '')
      .split('\n')
      .filter(Boolean)
      .map(Number),
  );
  // A process of another PID namespace is 0 here.
  return [...new Set(pids)].filter((pid) => pid > 0 && isAlive(pid));
}

/** A zombie whose parent does not care is none of ours to wait for. */
function isAlive(pid) {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat !== undefined && !/\) [ZX] /.test(stat);
}

/** The kubelet links the logs of containers there. */
function removeContainerLogs() {
  for (const name of attempt(() => readdirSync(CONTAINER_LOGS)) ?? []) {
    const link = join(CONTAINER_LOGS, name);
    if (isIn(attempt(() => readlinkSync(link)) ?? '', STATE)) rmSync(link);
  }
}

/** Makes our cgroup in each hierarchy. */
export function makeCgroups() {
  const isVersion2 = existsSync(join(CGROUPS, 'cgroup.controllers'));
  const hierarchies = isVersion2
    ? [CGROUPS]
    : readdirSync(CGROUPS)
        .map((name) => join(CGROUPS, name))
        .filter((folder) => existsSync(join(folder, 'cgroup.procs')));
  if (isVersion2) {
    // A cgroup has the controllers that its parent hands down.
    for (const name of readFileSync(join(CGROUPS, 'cgroup.controllers'), 'utf8').trim().split(' ')) {
      attempt(() => writeFileSync(join(CGROUPS, 'cgroup.subtree_control'), `+${name}`));
    }
  }
  for (const hierarchy of hierarchies) {
    const folder = join(hierarchy, CGROUP);
    mkdirSync(folder, { recursive: true });
    // A new cpuset is empty, and takes no process until it has CPUs and memory.
    for (const name of ['cpuset.cpus', 'cpuset.mems']) {
      const text = isVersion2 ? undefined : attempt(() => readFileSync(join(hierarchy, name), 'utf8'));
      if (text !== undefined) writeFileSync(join(folder, name), text.trim());
    }
  }
}

function attempt(action) {
  try {
    return action();
  } catch {
    return undefined;
  }
}
