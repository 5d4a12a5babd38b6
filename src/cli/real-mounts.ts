import type { Mount } from '../index.js';

/**
 * Filesystems that only show or steer the kernel: no user keeps files there, and their sizes mean nothing. tmpfs, devtmpfs and
 * hugetlbfs are not among them, for they use memory that somebody pays for. autofs is, because asking for its size makes the kernel mount
 * what it stands for.
 */
const KERNEL_ONLY: ReadonlySet<string> = new Set([
  'autofs',
  'binder',
  'binfmt_misc',
  'bpf',
  'cgroup',
  'cgroup2',
  'configfs',
  'cpuset',
  'debugfs',
  'devpts',
  'efivarfs',
  'fusectl',
  'mqueue',
  'nfsd',
  'nsfs',
  'proc',
  'pstore',
  'resctrl',
  'rpc_pipefs',
  'securityfs',
  'selinuxfs',
  'smackfs',
  'sysfs',
  'tracefs',
]);

/** The mounts that a path leads to, without those of the kernel itself unless `all` are wanted. */
export function realMounts(mounts: readonly Mount[], all: boolean): Mount[] {
  return mounts.filter((mount) => !mount.hidden && (all || !KERNEL_ONLY.has(mount.fsType)));
}
