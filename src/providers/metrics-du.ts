import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedChoice, checkedFlag, checkedText, openSignal } from '../options.js';
import { checkedWalk, diskUsageOf, type DiskUsageOptions } from '../os/disk-usage.js';
import { filesystemReading, fsInfoOf, type FsInfo } from '../os/fs-info.js';
import { ownTmpfsOf, whileMounted } from '../os/mount-at.js';
import type { DiskUsage, Walk } from '../os/os-binding.js';
import {
  checkedLimits,
  volumeCall,
  type CheckedLimits,
  type Limits,
  type VolumeCall,
} from '../os/volume-call.js';

/**
 * Options of {@link MetricsDu}: those of a walk, and the limit of the look at the filesystem that comes
 * before it.
 */
export interface MetricsDuOptions extends Omit<DiskUsageOptions, 'signal'>, Pick<Limits, 'timeoutMs'> {
  /**
   * Whether something must be mounted right at the path. Set it for a volume that is a mount, such as a
   * Secret or an emptyDir in memory: before it is mounted, its empty directory belongs to the host's
   * filesystem, and so would the reading.
   *
   * @defaultValue `false`
   */
  readonly requireMount?: boolean | undefined;
  /**
   * What to do while the path is where a tmpfs of its own is mounted, as for a Secret, a token or an emptyDir
   * in memory. `'statfs'` asks the tmpfs for its numbers, at the cost of three system calls. They are those
   * of a walk, but it also counts each extra hard link as an inode, files that were deleted and are still
   * open, and what lies beneath other mounts; and since Linux 6.6 an inode for each 1024 bytes of extended
   * attributes. Anything else at the path is walked: a plain directory, a bind mount of a part of a tmpfs,
   * another filesystem, a tmpfs without limits. `source` of the reading says what was done. Before Linux 5.9
   * the native binding always walks.
   *
   * @defaultValue `'walk'`
   */
  readonly ownTmpfs?: 'walk' | 'statfs' | undefined;
}

const OPTIONS = [
  'timeoutMs',
  'binding',
  'requireMount',
  'ownTmpfs',
  'threads',
  'allowPartial',
  'stallTimeoutMs',
  'onProgress',
] as const;

/** The filesystem, with the tree's numbers in place of its own. */
type Measured = FsInfo & Pick<DiskUsage, 'incomplete'>;

/**
 * Measures a volume that is a directory on a shared filesystem, by walking it. `used` and `inodesUsed` are
 * those of the tree. The other quantities are the filesystem's, shared with everything else on it. A reading
 * costs time per inode; keep it with `CachedMetrics`. With `ownTmpfs: 'statfs'`, a volume that is a tmpfs of
 * its own is asked for its numbers instead.
 */
export class MetricsDu implements MetricsProvider {
  readonly name = 'du';
  readonly #path: string;
  readonly #limits: CheckedLimits;
  readonly #walk: Walk;
  readonly #requireMount: boolean;
  readonly #asksOwnTmpfs: boolean;

  /**
   * @param path - the directory, or a single file: absolute, or relative to the current directory; a path
   * that is a symlink is followed
   * @param options - limits and manner of each walk, whether a mount is required, and whether a tmpfs of its
   * own is asked instead
   * @throws TypeError for an argument of another type, or an option that is unknown or wrong
   */
  constructor(path: string, options: MetricsDuOptions = {}) {
    this.#path = checkedText('path', path);
    this.#limits = checkedLimits(options, OPTIONS);
    this.#walk = checkedWalk(options);
    this.#requireMount = checkedFlag('requireMount', options.requireMount);
    this.#asksOwnTmpfs = checkedChoice('ownTmpfs', options.ownTmpfs, ['walk', 'statfs']) === 'statfs';
  }

  /**
   * @returns the reading, with source `du`; with source `statfs` if a tmpfs of its own was asked
   * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_NOT_MOUNTED,
   * METRICS_FS_INFO_FAILED, METRICS_USAGE_FAILED with the entry in `path`, METRICS_TIMED_OUT,
   * METRICS_NOT_SUPPORTED
   */
  async getMetrics(options: GetMetricsOptions = {}): Promise<Metrics> {
    const signal = openSignal(options);
    const time = new Date();
    // A walk has no limit as a whole, so each question about the filesystem has its own.
    const newCall = (): VolumeCall => volumeCall(this.#path, this.#limits, signal);
    const own = this.#asksOwnTmpfs ? await ownTmpfsOf(newCall()) : undefined;
    if (own !== undefined) return filesystemReading(time, 'statfs', own);
    const measure = (): Promise<Measured> => this.#measure(newCall);
    const measured = await (this.#requireMount ? whileMounted(newCall, measure) : measure());
    const reading = filesystemReading(time, this.name, measured);
    if (measured.incomplete !== undefined) reading.incomplete = measured.incomplete;
    return reading;
  }

  async #measure(newCall: () => VolumeCall): Promise<Measured> {
    const call = newCall();
    // First, because on a stuck filesystem this costs only the time limit, and no walk is started there.
    const info = await fsInfoOf(call);
    const { path, binding, signal } = call;
    const usage = await diskUsageOf(path, binding, { ...this.#walk, signal });
    // What was written during a long walk is not in the first answer.
    const excess = excessOver(info, usage) && excessOver(await fsInfoOf(newCall()), usage);
    const measured: { -readonly [Key in keyof Measured]: Measured[Key] } = info;
    measured.used = usage.used;
    measured.inodesUsed = usage.inodesUsed;
    if (usage.incomplete !== undefined) measured.incomplete = usage.incomplete;
    if (usage.warnings === undefined && !excess) return measured;
    measured.warnings = [...(info.warnings ?? []), ...(usage.warnings ?? []), ...(excess ? [excess] : [])];
    return measured;
  }
}

/**
 * By how much files may use more than the filesystem says, an eighth, before that is worth a warning: some
 * filesystems count what was just written only when they write it to the disk (btrfs), and removed files are
 * gone from their numbers at once.
 */
const SLACK = 8n;

/**
 * What is odd about files that use more than their filesystem: they share blocks (reflinks), or are
 * compressed. A filesystem that says that nothing is used does not count (FUSE on an object store).
 */
function excessOver({ capacity, used }: FsInfo, files: DiskUsage): string | undefined {
  const say = (bound: string): string =>
    `the files use ${String(files.used)} bytes, more than the ${bound}: they share or compress blocks`;
  if (capacity !== undefined && files.used > capacity) return say(`filesystem's ${String(capacity)}`);
  if (used === undefined || used === 0n || files.used <= used + used / SLACK) return undefined;
  return say(`${String(used)} in use on the filesystem`);
}
