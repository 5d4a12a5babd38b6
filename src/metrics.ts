/**
 * A reading of one volume at one moment. A field that was not measured is absent; zero means measured zero.
 */
export interface Metrics {
  /** When it was measured. A cached reading keeps its own time. */
  readonly time: Date;
  /** Who measured: `statfs`, `du`, `block`, a CSI driver's name, or a name of your own. */
  readonly source: string;
  /**
   * Bytes that the storage has in all. For a volume that shares a filesystem, such as an emptyDir, these are
   * the filesystem's.
   */
  readonly capacity?: bigint;
  /**
   * Bytes that an unprivileged writer can still use, shared with every other user of the same filesystem.
   * More than `capacity`, with a warning, if a pool is larger than the quota of the volume.
   */
  readonly available?: bigint;
  /** Bytes in use. `used + available` may differ from `capacity`: root-reserved blocks count as neither. */
  readonly used?: bigint;
  /** Inodes that the storage can hold. Absent if the filesystem has no limit. */
  readonly inodes?: bigint;
  /** Inodes not in use. */
  readonly inodesFree?: bigint;
  /** Inodes in use. */
  readonly inodesUsed?: bigint;
  /** Whether the volume is read-only, or stopped writing after an error; absent if that is not known. */
  readonly readOnly?: boolean;
  /** What the storage says about its own health; absent if it says nothing. */
  readonly condition?: VolumeCondition;
  /** Present if a walk left something out: how many entries failed, and the first of them. */
  readonly incomplete?: Incomplete;
  /** What was odd, such as a negative number that was left out. One sentence each; absent if nothing was. */
  readonly warnings?: readonly string[];
}

/** What a walk could not read: the numbers beside it are a lower bound. */
export interface Incomplete {
  /** How many entries could not be read. */
  readonly errors: number;
  /** The first of them: its path and its errno name, such as `EACCES`. */
  readonly first: { readonly path: string; readonly code: string };
}

/**
 * What the storage says about a volume's health: CSI's VolumeCondition, and the problems that CSI 1.13 lists
 * instead.
 */
export interface VolumeCondition {
  /** True if the storage considers the volume unusable or degraded. */
  readonly abnormal: boolean;
  /** The storage's own words. */
  readonly message: string;
  /** The individual problems behind the verdict, if the driver lists them (CSI 1.13). */
  readonly problems?: readonly {
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

/** Options of {@link MetricsProvider.getMetrics}. */
export interface GetMetricsOptions {
  /** Releases this caller: the call rejects with `signal.reason`, unwrapped. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Measures one volume. Everything else in this package consumes this interface; any object of this shape is a
 * provider.
 */
export interface MetricsProvider {
  /** Short and stable. It labels errors, logs and timings, even if there is no reading. */
  readonly name: string;
  /** Resolves with a whole reading, or rejects; never both, never part of one, never a synchronous throw. */
  getMetrics(options?: GetMetricsOptions): Promise<Metrics>;
}
