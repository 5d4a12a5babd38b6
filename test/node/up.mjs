import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { build } from './build.mjs';
import { startApiServer, startContainerd, startDriver, startEtcd, startKubelet } from './cluster.mjs';
import { processesOf } from './daemons.mjs';
import { api, ask } from './doors.mjs';
import { down, makeCgroups, noteWhatIsThere } from './down.mjs';
import { makeKeys } from './keys.mjs';
import { holder, leavePlace, takePlace } from './lock.mjs';
import { inTheWay, missing } from './needs.mjs';
import { makeBasics } from './objects.mjs';
import * as place from './place.mjs';
import { makePods } from './pods.mjs';

const { BIN, CONTAINERD_SOCKET, CSI_VOLUMES, KUBELET_ROOT, LOGS, NODE_NAME, STATE } = place;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Starts a node.
 *
 * @param {object} options
 * @param {string} options.command - what for, for those who find the place taken
 * @param {number} [options.waitMs] - for how long to wait for another node to go
 * @param {boolean} [options.withPods] - whether to start the pods of pods.mjs and wait until they run
 * @param {object} [options.kubelet] - more of the kubelet's configuration
 * @param {string[]} [options.gates] - feature gates of kubelet and API server, such as `Name=true`
 * @param {(text: string) => void} options.say
 * @returns {Promise<{ letGo(): Promise<void> }>} whose end takes the node down with it, however it ends, until
 * it lets go of it
 */
export async function up({ command, waitMs = 0, withPods = true, kubelet = {}, gates = [], say }) {
  const lacks = missing();
  if (lacks.length > 0) throw new Error(`a node cannot run here. Missing: ${lacks.join('; ')}`);
  const built = await build(say);
  const janitor = startJanitor();
  try {
    await takePlace(command, waitMs, say);
  } catch (error) {
    await janitor.letGo();
    throw error;
  }
  const obstacles = await inTheWay();
  if (obstacles.length > 0) {
    leavePlace((file) => rmSync(file));
    await janitor.letGo();
    throw new Error(`no node is started: ${obstacles.join('; ')}`);
  }
  noteWhatIsThere();
  try {
    await startAll(built, { kubelet, gates: ['CSIVolumeHealth=true', ...gates], say });
    if (withPods) {
      await makePods();
      say('the pods run');
    }
  } catch (error) {
    say(`failed: ${error.message}`);
    for (const text of endOfLog(error)) say(text);
    await down();
    await janitor.letGo();
    throw error;
  }
  return janitor;
}

/**
 * A process in a session of its own that takes the node down when this one ends, by whatever signal: then the
 * pipe between them closes.
 */
function startJanitor() {
  const argv = [join(import.meta.dirname, 'main.mjs'), 'janitor', String(process.pid)];
  const janitor = spawn(process.execPath, argv, {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  });
  const ended = new Promise((resolve) => janitor.once('exit', resolve));
  janitor.stdin.on('error', () => undefined);
  janitor.unref();
  let isFree = false;
  const interrupted = (signal) => {
    console.error(`${signal}: taking the node down`);
    void downAndExit();
  };
  for (const signal of SIGNALS) process.once(signal, interrupted);
  // A node without a janitor would stay if this process were killed.
  void ended.then(() => {
    if (!isFree) void downAndExit();
  });
  return {
    async letGo() {
      isFree = true;
      for (const signal of SIGNALS) process.off(signal, interrupted);
      janitor.ref();
      janitor.stdin.end('let go');
      await ended;
    },
  };
}

async function downAndExit() {
  if (holder()?.pid === process.pid) await down().catch((error) => console.error(error.message));
  process.exit(1);
}

async function startAll(built, { kubelet, gates, say }) {
  mkdirSync(BIN);
  for (const name of readdirSync(built)) linkOrCopy(join(built, name), join(BIN, name));
  for (const folder of [
    place.STATIC_PODS,
    place.HOST_PATH,
    'containerd',
    'pod-logs',
    'volume-plugins',
    'cni',
  ]) {
    mkdirSync(join(STATE, folder.replace(`${STATE}/`, '')));
  }
  makeKeys();
  makeCgroups();
  mountImage('kubelet', KUBELET_ROOT, 2048);
  mountImage('local', place.LOCAL_VOLUME, 64);
  mountImage('csi', CSI_VOLUMES, 512);
  mkdirSync(place.CONTAINERD_STATE, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=711', 'kube-volume-metrics', place.CONTAINERD_STATE]);
  say('keys and filesystems');

  startEtcd();
  startContainerd();
  startApiServer(gates);
  await until('containerd answers', 'containerd', () => ctr('version'));
  await ctr('-n', 'k8s.io', 'images', 'import', join(BIN, 'box.tar'));
  await until('the API server is ready', 'kube-apiserver', async () => {
    const { body } = await ask(`${place.API_SERVER}/readyz`, { user: 'admin' });
    return body === 'ok';
  });
  say('containerd and API server');

  startKubelet(kubelet, gates);
  mkdirSync(join(KUBELET_ROOT, 'plugins_registry'), { recursive: true });
  startDriver('csi-driver', place.DRIVER, []);
  startDriver('csi-driver-without-stats', place.DRIVER_WITHOUT_STATS, ['-stats=false', '-health=false']);
  await makeBasics();
  await until('the node is ready', 'kubelet', async () => {
    const { object } = await api('GET', `/api/v1/nodes/${NODE_NAME}`);
    return object.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  });
  await until('the drivers are registered', 'csi-driver', async () => {
    const { object } = await api('GET', `/apis/storage.k8s.io/v1/csinodes/${NODE_NAME}`);
    const names = object.spec?.drivers?.map(({ name }) => name) ?? [];
    return names.includes(place.DRIVER) && names.includes(place.DRIVER_WITHOUT_STATS);
  });
  say('kubelet ready, drivers registered');
}

function linkOrCopy(from, to) {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/** Makes a filesystem in a file and mounts it, so that nobody else's files move its numbers. */
function mountImage(name, folder, megabytes) {
  const image = join(STATE, `${name}.img`);
  writeFileSync(image, '');
  truncateSync(image, megabytes * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  mkdirSync(folder, { recursive: true });
  execFileSync('mount', ['-o', 'loop', image, folder]);
}

/**
 * Waits until something is so, for as long as the daemon runs that makes it so. What a probe throws means "not
 * yet": the other side is starting.
 */
async function until(what, daemon, probe, limitMs = 300_000) {
  const limit = Date.now() + limitMs;
  let last;
  for (;;) {
    try {
      if (await probe()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (processesOf(daemon).length === 0) throw daemonError(daemon, `${daemon} has ended before ${what}`);
    if (Date.now() > limit) throw daemonError(daemon, `it took too long until ${what}`, last);
    await delay(100);
  }
}

function daemonError(daemon, text, cause) {
  return Object.assign(new Error(text, { cause }), { daemon });
}

/** The end of the log of the daemon that an error is about. */
function endOfLog({ daemon }) {
  if (daemon === undefined) return [];
  try {
    return readFileSync(join(LOGS, `${daemon}.log`), 'utf8')
      .trim()
      .split('\n')
      .slice(-10);
  } catch {
    return [];
  }
}

async function ctr(...args) {
  await promisify(execFile)(join(BIN, 'ctr'), ['-a', CONTAINERD_SOCKET, ...args]);
  return true;
}
