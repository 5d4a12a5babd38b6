import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { writeBusyboxImage } from './image.mjs';
import { CACHE, IMAGE } from './place.mjs';

/**
 * Builds the programs of a node: kubelet, kube-apiserver, etcd, containerd and the CSI driver of the tests from
 * the Go modules in `go/`, with the versions that their go.mod pin; runc and a static busybox come from Debian.
 * What is built lies in a folder of the cache named after all that it is made of, so nothing is built twice.
 */

const GO = join(import.meta.dirname, 'go');

const MODULES = {
  kubernetes: {
    packages: ['k8s.io/kubernetes/cmd/kubelet', 'k8s.io/kubernetes/cmd/kube-apiserver', './csi-driver'],
  },
  etcd: { packages: ['go.etcd.io/etcd/server/v3'], output: 'etcd' },
  containerd: {
    packages: ['containerd', 'containerd-shim-runc-v2', 'ctr'].map(
      (name) => `github.com/containerd/containerd/v2/cmd/${name}`,
    ),
    tags: 'no_btrfs,no_zfs,no_devmapper,no_tracing,netgo,osusergo',
  },
};

/** Debian's packages, and what is taken of each. */
const PACKAGES = { runc: /\/s?bin\/runc$/, 'busybox-static': /\/bin\/busybox$/ };

const ENVIRONMENT = {
  ...process.env,
  CGO_ENABLED: '0',
  GOFLAGS: '-mod=readonly -trimpath -buildvcs=false',
  GOWORK: 'off',
  // A third less time for twice the memory.
  GOGC: process.env['GOGC'] ?? '400',
};

/** The version of a module that a go.mod pins. */
export function pinned(name, module) {
  const text = readFileSync(join(GO, name, 'go.mod'), 'utf8');
  return new RegExp(`^\\s*${module} (v\\S+)`, 'm').exec(text)[1];
}

/**
 * Builds what is not in the cache.
 *
 * @param {(text: string) => void} say
 * @returns {Promise<string>} the folder with the programs and the image `box.tar`
 */
export async function build(say) {
  const folder = join(CACHE, key());
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const making = mkdtempSync(join(CACHE, 'making-'));
  chmodSync(making, 0o755);
  try {
    for (const name of Object.keys(MODULES)) {
      say(`building ${name} (minutes, unless Go's cache has it)`);
      await goBuild(name, making);
    }
    say('runc and busybox from Debian');
    for (const [name, pattern] of Object.entries(PACKAGES)) fetchPackage(name, pattern, making);
    writeBusyboxImage(join(making, 'box.tar'), IMAGE, join(making, 'busybox'));
    if (!existsSync(folder)) renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  // A node that is up has its own links to its programs.
  for (const name of readdirSync(CACHE)) {
    if (/^built-/.test(name) && join(CACHE, name) !== folder) rmSync(join(CACHE, name), { recursive: true });
  }
  return folder;
}

/** Changes with everything that the programs are made of. */
function key() {
  const hash = createHash('sha256');
  const files = readdirSync(GO, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of [...files, import.meta.filename, join(import.meta.dirname, 'image.mjs')]) {
    hash.update(readFileSync(file)).update('\0');
  }
  hash.update(execFileSync('go', ['version']));
  return `built-${hash.digest('hex').slice(0, 16)}`;
}

async function goBuild(name, folder) {
  const { packages, tags, output = '' } = MODULES[name];
  const args = ['build', `-ldflags=-s -w ${versionFlags(name)}`, ...(tags ? [`-tags=${tags}`] : [])];
  const child = spawn('go', [...args, '-o', `${folder}/${output}`, ...packages], {
    cwd: join(GO, name),
    env: ENVIRONMENT,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) throw new Error(`go build of ${name} failed`);
}

/** Without these the programs call themselves v0.0.0, and the API server behaves like it. */
function versionFlags(name) {
  if (name === 'containerd') {
    const path = 'github.com/containerd/containerd/v2';
    return `-X ${path}/version.Version=${pinned(name, path)}`;
  }
  if (name !== 'kubernetes') return '';
  const version = pinned(name, 'k8s.io/kubernetes');
  const [major, minor] = version.slice(1).split('.');
  const facts = {
    gitVersion: version,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    gitCommit: '0'.repeat(40),
  };
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']
    .flatMap((path) => Object.entries(facts).map(([fact, value]) => `-X ${path}.${fact}=${value}`))
    .join(' ');
}

/** Takes one program out of a Debian package, which is not installed. */
function fetchPackage(name, pattern, folder) {
  const place = mkdtempSync(join(folder, 'package-'));
  const download = () => apt(place, 'download', name);
  try {
    download();
  } catch {
    // A fresh system has no lists of packages.
    apt(place, 'update');
    download();
  }
  const archive = readdirSync(place).find((file) => file.endsWith('.deb'));
  execFileSync('dpkg', ['-x', join(place, archive), join(place, 'root')]);
  const found = readdirSync(join(place, 'root'), { recursive: true }).find((path) =>
    pattern.test(`/${path}`),
  );
  const target = join(folder, found.split('/').at(-1));
  copyFileSync(join(place, 'root', found), target);
  chmodSync(target, 0o755);
  rmSync(place, { recursive: true });
}

function apt(cwd, ...args) {
  const options = ['-qq', '-o', 'APT::Sandbox::User=root'];
  execFileSync('apt-get', [...options, ...args], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
}
