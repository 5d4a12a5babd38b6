import { availableOf, LARGEST_INT64 } from '../reading.js';
import type { Metrics } from '../metrics.js';
import { keepOne } from '../waiting/kept.js';
import { osBinding } from './choose-binding.js';
import { majorMinor } from './devices.js';
import { FILESYSTEMS } from './filesystems.js';
import { stoppedDevices, stoppedLately } from './mounts.js';
import type { StatFs } from './os-binding.js';
import { pathInfoOf } from './path-info.js';
import { errnoOfCause, toMetricsError } from './system-error.js';
import { answerTo, checkedLimits, LIMITS, volumeCall, type Limits, type VolumeCall } from './volume-call.js';

/** Size and state of a filesystem. A field that is not known is absent. */
export interface FsInfo {
  /**
   * Bytes it has in all. Like `available` and `used`, it is absent if the filesystem reports 0 blocks: it has
   * no limit (a tmpfs without a size), or does not know its size (FUSE without statfs).
   */
  readonly capacity?: bigint;
  /**
   * Bytes an unprivileged writer can still use. More than `capacity` if a pool is larger than the quota of
   * the volume.
   */
  readonly available?: bigint;
  /**
   * Bytes in use. `used + available` is less than `capacity` if blocks are reserved for root. Absent if the
   * filesystem claims more free blocks than it has.
   */
  readonly used?: bigint;
  /** Inodes it can hold. The three are absent if the filesystem does not count inodes or has no limit. */
  readonly inodes?: bigint;
  readonly inodesFree?: bigint;
  readonly inodesUsed?: bigint;
  /** Whether it is mounted read-only at the path, or stopped writing after an error; absent if not known. */
  readonly readOnly?: boolean;
  /** Bytes of one of its blocks (f_frsize). */
  readonly blockSize: bigint;
  /** The kind of filesystem: `ext4`, `xfs`, `tmpfs`. A kind without a name here is `0x` and its number. */
  readonly type: string;
  /** What was odd and left out or changed, one sentence each; absent if nothing was. */
  readonly warnings?: readonly string[];
}

/**
 * Size and state of the filesystem that holds a path, with one system call; with two on XFS, and while a
 * filesystem of this machine has stopped writing, which shows within ten seconds.
 *
 * @param path - absolute, or relative to the current directory; anything on the filesystem, symlinks followed
 * @param options - limits of this call
 * @returns bytes, inodes if the filesystem counts them, read-only state, block size and kind
 * @throws MetricsError METRICS_NO_PATH_DEFINED, METRICS_NOT_FOUND, METRICS_TIMED_OUT, METRICS_NOT_SUPPORTED
 * (not Linux), METRICS_FS_INFO_FAILED with the errno in `cause`; TypeError for an option that is unknown or
 * wrong
 */
export async function fsInfo(path: string, options: Limits = {}): Promise<FsInfo> {
  const limits = checkedLimits(options, LIMITS);
  return await fsInfoOf(volumeCall(path, limits));
}

/** Like {@link fsInfo}, for a call that was checked. */
export async function fsInfoOf(call: VolumeCall): Promise<FsInfo> {
  const binding = osBinding(call.binding);
  try {
    const info = toFsInfo(await answerTo(call, (path) => binding.statFs(path)));
    if (mayHaveStopped(info) && (await hasStopped(call, info))) info.readOnly = true;
    return info;
  } catch (error) {
    throw statFsError(error);
  }
}

/** Like {@link fsInfoOf}, from what statfs(2) said while stat(2) said the device. */
export function fsInfoFrom(raw: StatFs, device: bigint): FsInfo {
  const info = toFsInfo(raw);
  if (mayHaveStopped(info) && isStopped(device)) info.readOnly = true;
  return info;
}

function mayHaveStopped({ type, readOnly }: FsInfo): boolean {
  return readOnly !== true && type !== 'tmpfs' && (type === 'xfs' || stoppedLately().size > 0);
}

/** What a caller sees of a failed statfs(2): the kubelet's text, kubernetes pkg/volume/metrics_errors.go. */
export function statFsError(error: unknown): unknown {
  return toMetricsError(
    error,
    'METRICS_FS_INFO_FAILED',
    (text) => `failed to get FsInfo due to error ${text}`,
  );
}

/**
 * Whether the filesystem stopped writing, after an error or because it was shut down, which statfs(2) does
 * not say. The mount table says it of ext4. An XFS that was shut down fails stat(2) with EIO.
 */
async function hasStopped(call: VolumeCall, { type }: FsInfo): Promise<boolean> {
  try {
    return isStopped((await pathInfoOf(call)).device);
  } catch (error) {
    if (type !== 'xfs' || errnoOfCause(error) !== 'EIO') throw error;
    return true;
  }
}

function isStopped(device: bigint): boolean {
  const listed = stoppedLately();
  if (listed.size === 0) return false;
  const name = majorMinor(device);
  // Another filesystem may have the device number by now.
  return listed.has(name) && stoppedDevices().has(name);
}

/** A reading of what a filesystem tells. */
export function filesystemReading(time: Date, source: string, info: FsInfo): Mutable<Metrics> {
  const reading: Mutable<Metrics> = { time, source };
  if (info.capacity !== undefined) reading.capacity = info.capacity;
  if (info.available !== undefined) reading.available = info.available;
  if (info.used !== undefined) reading.used = info.used;
  if (info.inodes !== undefined) reading.inodes = info.inodes;
  if (info.inodesFree !== undefined) reading.inodesFree = info.inodesFree;
  if (info.inodesUsed !== undefined) reading.inodesUsed = info.inodesUsed;
  if (info.readOnly !== undefined) reading.readOnly = info.readOnly;
  if (info.warnings !== undefined) reading.warnings = info.warnings;
  return reading;
}

/**
 * Fields are set one by one where each reading passes: an object spread from parts costs many times as much.
 */
type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Judges the raw counts: units, sentinels and counters that wrapped. */
export function toFsInfo(raw: StatFs): Mutable<FsInfo> {
  const warnings: string[] = [];
  const info: Mutable<FsInfo> = {
    blockSize: raw.frsize,
    type: FILESYSTEMS[raw.magic] ?? `0x${raw.magic.toString(16)}`,
  };
  setBytes(info, raw, warnings);
  setInodes(info, raw, warnings);
  if (raw.readOnly !== undefined) info.readOnly = raw.readOnly;
  if (warnings.length > 0) info.warnings = warnings;
  return info;
}

/**
 * A filesystem of 0 blocks has no limit or does not know its size, so that all three quantities are unknown.
 */
function setBytes(
  info: Mutable<FsInfo>,
  { frsize, blocks, bfree, bavail }: StatFs,
  warnings: string[],
): void {
  if (blocks === 0n) return;
  const available = bavail <= blocks ? bavail : availableOf(bavail, blocks, 'blocks', warnings);
  info.capacity = blocks * frsize;
  info.available = available * frsize;
  if (bfree <= blocks) info.used = (blocks - bfree) * frsize;
  else warnings.push(`used left out: ${String(bfree)} free blocks of ${String(blocks)} cannot be true`);
}

function setInodes(info: Mutable<FsInfo>, { files, ffree }: StatFs, warnings: string[]): void {
  if (files === 0n || files >= LARGEST_INT64) return;
  if (ffree > files) {
    warnings.push(`inodes left out: ${String(ffree)} free of ${String(files)} cannot be true`);
    return;
  }
  info.inodes = files;
  info.inodesFree = ffree;
  info.inodesUsed = files - ffree;
}

for (const files of [0n, 1n]) {
  const counts = { frsize: 1n, blocks: 1n, bfree: 1n, bavail: 1n, files, ffree: 0n };
  keepOne(toFsInfo({ magic: 0, ...counts, readOnly: false }));
}
