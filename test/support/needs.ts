import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { activeBinding } from '../../src/os/choose-binding.js';

/** What a test needs of the machine it runs on. */
export interface Needs {
  /** To mount filesystems. */
  readonly root?: boolean;
  /** /dev/fuse, and to mount what it serves. */
  readonly fuse?: boolean;
  /** Loop devices. */
  readonly loop?: boolean;
  readonly busybox?: boolean;
  /** The addon. */
  readonly native?: boolean;
  /** Node's headers beside it, without which building the addon downloads them. */
  readonly headers?: boolean;
  /** Filesystems to make and mount, such as `ext4`. */
  readonly mkfs?: readonly string[];
  /** Any other programs. */
  readonly programs?: readonly string[];
}

const CAP_SYS_ADMIN = 21n;

const told = new Set<string>();

/**
 * Why tests with these needs must be skipped here, or false: for `describe.skipIf(needs(...))`. Each reason
 * is printed once.
 *
 * @throws Error instead, when KVM_NO_SKIP is 1: where everything is expected to be there, a skipped test is a
 * failure
 */
export function needs(wanted: Needs): string | false {
  const reason = missing(wanted);
  if (reason === undefined) return false;
  if (process.env['KVM_NO_SKIP'] === '1') throw new Error(`KVM_NO_SKIP is set, and ${reason}`);
  if (!told.has(reason)) console.log(`skipped: ${reason}`);
  told.add(reason);
  return reason;
}

function missing(wanted: Needs): string | undefined {
  const { root, fuse, loop, busybox, native, headers, mkfs = [], programs = [] } = wanted;
  if (process.platform !== 'linux') return 'this is not Linux';
  if (native === true && activeBinding().binding !== 'native') {
    return `the native binding cannot be used: ${activeBinding().reason ?? ''}`;
  }
  if (headers === true && !existsSync(join(process.execPath, '../../include/node/node_api.h'))) {
    return "Node's headers are not beside it";
  }
  const mounts = root === true || fuse === true || loop === true || mkfs.length > 0;
  if (mounts && !mayMount()) return 'mounting needs root with CAP_SYS_ADMIN';
  if (fuse === true && !canOpen('/dev/fuse')) return '/dev/fuse cannot be opened';
  if ((loop === true || mkfs.length > 0) && !canOpen('/dev/loop-control')) {
    return '/dev/loop-control cannot be opened';
  }
  const required = [
    ...(mounts ? ['mount', 'umount'] : []),
    ...(loop === true ? ['losetup'] : []),
    ...(busybox === true ? ['busybox'] : []),
    ...mkfs.map((type) => `mkfs.${type}`),
    ...programs,
  ];
  const program = required.find((each) => !hasProgram(each));
  if (program !== undefined) return `there is no ${program} program`;
  const type = mkfs.find((each) => !kernelKnows(each));
  return type === undefined ? undefined : `the kernel has no ${type} filesystem`;
}

/** Root in a container has the number but not the right to mount. */
function mayMount(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}

function canOpen(path: string): boolean {
  return isAllowed(path, constants.R_OK | constants.W_OK);
}

function hasProgram(name: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/sbin', '/usr/sbin'];
  return folders.some((folder) => isAllowed(join(folder, name), constants.X_OK));
}

function isAllowed(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function kernelKnows(type: string): boolean {
  const known = readFileSync('/proc/filesystems', 'utf8').split('\n');
  // A module that mount(8) would load is listed only then.
  return known.some((line) => line.trim().split(/\s+/).at(-1) === type) || isModule(type);
}

function isModule(type: string): boolean {
  return spawnSync('modprobe', ['--dry-run', '--quiet', type]).status === 0;
}
