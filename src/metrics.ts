/**
 * A reading of one volume at one moment. A field that was not measured is absent; zero means measured zero.
 */
export interface Metrics {
  /** When it was measured. A cached reading keeps its own time. */
  readonly time: Date;
  /** Who measured: `statfs`, `du`, `block`, a CSI driver's name, or a name of your own. */
  readonly source: string;
  /**
   * Bytes of the storage beneath. For a volume that shares a filesystem (an emptyDir, say) these are the
   * filesystem's.
   */
  readonly capacity?: bigint;
  /** Bytes an unprivileged writer can still use; shared with every other user of the same filesystem. */
  readonly available?: bigint;
  /** Bytes in use. `used + available` may differ from `capacity`: root-reserved blocks count as neither. */
  readonly used?: bigint;
  /** Inodes the storage beneath can hold. Absent where the filesystem has no limit. */
  readonly inodes?: bigint;
  /** Inodes not in use. */
  readonly inodesFree?: bigint;
  /** Inodes in use. */
  readonly inodesUsed?: bigint;
  /** Whether the volume is mounted read-only; absent where that is not known. */
  readonly readOnly?: boolean;
  /** What the storage says of its own health; absent when it says nothing. */
  readonly condition?: VolumeCondition;
  /** Present when a walk left something out: how many entries failed, and the first of them. */
  readonly incomplete?: Incomplete;
  /** What was odd and left out: a negative, an unknown unit, a wrapped counter. One sentence each. */
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
 * What the storage says of a volume's health: CSI's VolumeCondition, and the problems that CSI 1.13 lists
 * instead.
 */
export interface VolumeCondition {
  /** True when the storage considers the volume unusable or degraded. */
  readonly abnormal: boolean;
  /** The storage's own words. */
  readonly message: string;
  /** The single problems behind the verdict, where the driver lists them (CSI 1.13). */
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
  /** Short and stable; labels errors, logs and timings, also when there is no reading. */
  readonly name: string;
  /** Resolves with a whole reading, or rejects; never both, never part of one, never a synchronous throw. */
  getMetrics(options?: GetMetricsOptions): Promise<Metrics>;
}
