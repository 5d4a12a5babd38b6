import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { CONTAINERD_SOCKET, KUBELET_ROOT, PORTS } from './place.mjs';

const CAP_SYS_ADMIN = 21n;
const GO_MODULES = join(import.meta.dirname, 'go');

/** What the machine lacks for building and running a node, in words; empty if nothing is missing. */
export function missing() {
  if (process.platform !== 'linux') return ['Linux'];
  const reasons = [];
  if (process.getuid() !== 0 || !mayMount()) reasons.push('root with CAP_SYS_ADMIN, to mount filesystems');
  if (!existsSync('/dev/loop-control')) reasons.push('loop devices (/dev/loop-control)');
  if (!/^\s*\S+\s+overlay$|\toverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))) {
    reasons.push('the overlay filesystem in the kernel');
  }
  for (const [program, origin] of [
    ['go', 'https://go.dev/dl'],
    ['apt-get', 'Debian or Ubuntu, whose runc and busybox-static are used'],
    ['dpkg', 'Debian or Ubuntu'],
    ['openssl', 'the package openssl'],
    ['mkfs.ext4', 'the package e2fsprogs'],
    ['losetup', 'the package mount'],
    ['mount', 'the package mount'],
  ]) {
    if (!hasProgram(program)) reasons.push(`the program ${program} (${origin})`);
  }
  if (hasProgram('go')) reasons.push(...olderGo());
  return reasons;
}

/** Whose node is in the way, in words: another kubelet, containerd, or programs on the same ports. */
export async function inTheWay() {
  const reasons = [KUBELET_ROOT, CONTAINERD_SOCKET]
    .filter((path) => existsSync(path))
    .map((path) => `${path} exists: another kubelet or containerd runs here, or has left it behind`);
  for (const [name, port] of Object.entries(PORTS)) {
    if (!(await isFree(port))) reasons.push(`port ${port} (${name}) is taken`);
  }
  return reasons;
}

/** Root in a container has the number but not the right to mount. */
function mayMount() {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

/** @param {string} name */
export function hasProgram(name) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Go does not download another Go where GOTOOLCHAIN says so; then its version has to be enough. */
function olderGo() {
  const { stdout } = spawnSync('go', ['env', 'GOVERSION', 'GOTOOLCHAIN'], { encoding: 'utf8' });
  const [version = '', toolchain = ''] = stdout.split('\n');
  if (toolchain !== 'local') return [];
  return readdirSync(GO_MODULES).flatMap((name) => {
    const text = readFileSync(join(GO_MODULES, name, 'go.mod'), 'utf8');
    const wanted = /^go (\S+)$/m.exec(text)?.[1] ?? '';
    const isEnough = wanted.localeCompare(version.replace(/^go/, ''), 'en', { numeric: true }) <= 0;
    return isEnough ? [] : [`Go ${wanted} or newer (this is ${version}, and GOTOOLCHAIN is local)`];
  });
}

/** @param {number} port */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
