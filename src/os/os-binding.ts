import type { Incomplete } from '../metrics.js';

/** What statvfs(3) says about a filesystem, unjudged. Counts are unsigned 64-bit. */
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
  /** Absent if it is not known. */
  readonly readOnly?: boolean;
}

/** What a path is, symlinks followed. */
export interface PathInfo {
  /** `other` is a character device, a fifo or a socket. */
  readonly kind: 'directory' | 'file' | 'block' | 'other';
  /**
   * Bytes as stat(2) gives them: the length of a file. 0 for a block device, whose size stat(2) does not
   * know.
   */
  readonly size: bigint;
  /** The device of the filesystem that holds it: stat(2)'s st_dev. */
  readonly device: bigint;
  readonly inode: bigint;
  /** The device number of a block or character device: stat(2)'s st_rdev. 0 for anything else. */
  readonly rdev: bigint;
  /**
   * The mount that it is on, `Mount.id` of `mounts()`. Absent if not known: through the commands, or before
   * Linux 5.8.
   */
  readonly mountId?: number;
  /**
   * Whether it is the root of that mount, so that something is mounted right there. Absent whenever `mountId`
   * is.
   */
  readonly mountRoot?: boolean;
  /**
   * The kernel's number for that mount, which it never uses for another one. Only if the path is the root of
   * the mount. Absent if not known: through the commands, or before Linux 6.8.
   */
  readonly uniqueMountId?: bigint;
}

/** What statfs(2) says of a path, between two looks at what is mounted right there. */
export interface MountStatFs {
  /**
   * `none`: nothing at the first look, so statfs was not asked. `changed`: another mount or none at the
   * second look. `same`: one and the same mount, so the numbers are its own.
   */
  readonly mount: 'none' | 'changed' | 'same';
  /** Of the filesystem at the path; undefined if nothing is mounted there. */
  readonly statFs: StatFs | undefined;
  /** Of the first look, as in {@link PathInfo}. */
  readonly device: bigint;
  readonly inode: bigint;
}

/** What a tree uses. */
export interface DiskUsage {
  /** Bytes of allocated blocks (`st_blocks` x 512), each inode once. */
  readonly used: bigint;
  /** Inodes of any kind, the root included, each once. */
  readonly inodesUsed: bigint;
  /** Present if entries could not be read (only with `allowPartial`): the numbers are a lower bound. */
  readonly incomplete?: Incomplete;
  /** What is odd about the numbers, one sentence each; absent if nothing is. */
  readonly warnings?: readonly string[];
}

/** What a walk has counted, unjudged. */
export interface Counted extends Omit<DiskUsage, 'warnings'> {
  /** Present if `used` is 0 although a regular file has a size. */
  readonly lacksBlocks?: true;
}

/** How to walk a tree: the checked options of `diskUsage`. */
export interface Walk {
  readonly signal: AbortSignal | undefined;
  /** How many threads share the walk; undefined leaves it to the binding. */
  readonly threads: number | undefined;
  readonly allowPartial: boolean;
  /** Milliseconds without progress after which the walk is given up. */
  readonly stallTimeoutMs: number;
  readonly onProgress: ((sofar: DiskUsage) => void) | undefined;
}

/** One caller's part in a call on a path. Several callers may share the call itself. */
export interface PathCall<T> {
  /** The answer, or METRICS_TIMED_OUT with `stuckSince` once the path is stuck. */
  readonly answer: Promise<T>;
  /** Gives this part up. Returns since when the path has been stuck, if it is. */
  leave(): Date | undefined;
}

/**
 * A way to ask the operating system. Paths are absolute. A call that fails in the system rejects with a
 * system error (system-error.ts); the functions above turn it into a MetricsError.
 */
export interface OsBinding {
  readonly name: 'native' | 'command';
  statFs(path: string): PathCall<StatFs>;
  pathInfo(path: string): PathCall<PathInfo>;
  diskUsage(path: string, walk: Walk): Promise<Counted>;
  /**
   * `pathInfo`, `statFs` and `pathInfo` in one call. Undefined is its answer if the kernel does not tell the
   * mount of a path. Only the native binding has it: the commands ask the list of mounts.
   */
  readonly mountStatFs?: (path: string) => PathCall<MountStatFs | undefined>;
  /**
   * Where a path leads, symlinks followed. Only the commands have it: native `pathInfo` knows the mount of a
   * path by itself.
   */
  readonly realPath?: (path: string) => PathCall<string>;
}
