/** What statvfs(3) says of a filesystem, before any of it is judged. Counts are unsigned 64-bit. */
export interface StatFs {
  /** The kind of filesystem as a number, statfs(2)'s f_type. */
  readonly magic: number;
  /** Bytes of one block that the counts below are in: f_frsize, never f_bsize. */
  readonly frsize: bigint;
  readonly blocks: bigint;
  readonly bfree: bigint;
  readonly bavail: bigint;
  readonly files: bigint;
  readonly ffree: bigint;
  readonly readOnly?: boolean;
}

/** Size and state of a filesystem. A field that is not known is absent. */
export interface FsInfo {
  /** Bytes it has in all. */
  readonly capacity: bigint;
  /** Bytes an unprivileged writer can still use. */
  readonly available: bigint;
  /** Bytes in use; `used + available` is less than `capacity` where blocks are reserved for root. Absent when the counts make no sense. */
  readonly used?: bigint;
  /** Inodes it can hold. The three are absent where the filesystem counts none or has no limit. */
  readonly inodes?: bigint;
  readonly inodesFree?: bigint;
  readonly inodesUsed?: bigint;
  /** Whether it is mounted read-only there; absent where that is not known. */
  readonly readOnly?: boolean;
  /** Bytes of one of its blocks (f_frsize). */
  readonly blockSize: bigint;
  /** The kind of filesystem: `ext4`, `xfs`, `tmpfs`; `0x` and its number where it has no name here. */
  readonly type: string;
  /** What was odd and left out, one sentence each; absent when nothing was. */
  readonly warnings?: readonly string[];
}

/** 2^63 - 1 and above: how filesystems say "no limit" (2^64 - 1 is that, read as signed, in others). */
const UNLIMITED = 2n ** 63n - 1n;

/** Judges the raw counts: units, sentinels and counters that wrapped. */
export function toFsInfo(raw: StatFs): FsInfo {
  const { frsize, blocks, bfree, bavail, files, ffree } = raw;
  const warnings: string[] = [];
  const hasInodes = files > 0n && files < UNLIMITED;
  if (hasInodes && ffree > files) {
    warnings.push(`inodes left out: ${String(ffree)} free of ${String(files)} makes no sense`);
  }
  if (bavail > blocks) {
    warnings.push(
      `available taken as 0: ${String(bavail)} available blocks of ${String(blocks)} is a wrapped negative`,
    );
  }
  if (bfree > blocks) {
    warnings.push(`used left out: ${String(bfree)} free blocks of ${String(blocks)} makes no sense`);
  }
  return {
    capacity: blocks * frsize,
    available: bavail > blocks ? 0n : bavail * frsize,
    ...(bfree <= blocks && { used: (blocks - bfree) * frsize }),
    ...(hasInodes && ffree <= files && { inodes: files, inodesFree: ffree, inodesUsed: files - ffree }),
    ...(raw.readOnly !== undefined && { readOnly: raw.readOnly }),
    blockSize: frsize,
    type: FILESYSTEMS[raw.magic] ?? `0x${raw.magic.toString(16)}`,
    ...(warnings.length > 0 && { warnings }),
  };
}

/**
 * Names of filesystems by statfs(2)'s f_type, linux/magic.h and each filesystem's own source. Where one number stands for
 * several (ext2 to ext4, the kinds of FUSE), the name is the family's newest; mountinfo has the exact one.
 */
const FILESYSTEMS: Readonly<Record<number, string>> = {
  0x137d: 'ext',
  0x1021994: 'tmpfs',
  0x1021997: '9p',
  0x11307854: 'ubifs',
  0x1373: 'devfs',
  0x187: 'autofs',
  0x19800202: 'mqueue',
  0x1cd1: 'devpts',
  0x2011bab0: 'exfat',
  0x24051905: 'ubifs',
  0x27e0eb: 'cgroup',
  0x28cd3d45: 'cramfs',
  0x2fc12fc1: 'zfs',
  0x3153464a: 'jfs',
  0x3434: 'nilfs2',
  0x4244: 'hfs',
  0x42494e4d: 'binfmt_misc',
  0x42465331: 'befs',
  0x47504653: 'gpfs',
  0x482b: 'hfsplus',
  0x4d44: 'vfat',
  0x517b: 'smb',
  0x52654973: 'reiserfs',
  0x5346414f: 'afs',
  0x5346544e: 'ntfs',
  0x534f434b: 'sockfs',
  0x58465342: 'xfs',
  0x61756673: 'aufs',
  0x62656570: 'configfs',
  0x62656572: 'sysfs',
  0x63677270: 'cgroup2',
  0x64626720: 'debugfs',
  0x65735543: 'fusectl',
  0x65735546: 'fuse',
  0x6969: 'nfs',
  0x6a656a63: 'bcachefs',
  0x6e736673: 'nsfs',
  0x73717368: 'squashfs',
  0x73757245: 'coda',
  0x7366746e: 'ntfs3',
  0x74726163: 'tracefs',
  0x7461636f: 'ocfs2',
  0x794c7630: 'overlay',
  0x786f4256: 'vboxsf',
  0x858458f6: 'ramfs',
  0x9123683e: 'btrfs',
  0x958458f6: 'hugetlbfs',
  0x9660: 'iso9660',
  0x9fa0: 'proc',
  0xaad7aaea: 'panfs',
  0xabba1974: 'xenfs',
  0xbacbacbc: 'vmhgfs',
  0xbd00bd0: 'lustre',
  0xc36400: 'ceph',
  0xca451a4e: 'bcachefs',
  0xcafe4a11: 'bpf',
  0xde5e81e4: 'efivarfs',
  0xe0f5e1e2: 'erofs',
  0xef51: 'ext2',
  0xef53: 'ext4',
  0xf15f: 'ecryptfs',
  0xf2f52010: 'f2fs',
  0xf995e849: 'hpfs',
  0xfe534d42: 'cifs',
  0xff534d42: 'cifs',
  0x1161970: 'gfs2',
  0x15013346: 'udf',
  0x73636673: 'securityfs',
  0x6165676c: 'pstore',
  0x50495045: 'pipefs',
  0x47474746: 'beegfs',
  0x19830326: 'beegfs',
};
