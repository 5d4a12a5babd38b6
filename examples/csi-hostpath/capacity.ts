import { status } from '@grpc/grpc-js';
import type { CapacityRange } from 'kube-volume-metrics/csi/v1';
import { CsiError, invalidArgument } from './csi-error.js';
import type { VolumeKind } from './volume-capabilities.js';

const DEFAULT_BYTES = 2n ** 30n;

/** What ext4 can hold in one file. */
const LARGEST_BYTES = 2n ** 44n;

/** A device has whole sectors, and filesystems on it want whole pages. */
const BLOCK_BYTES = 4096n;

/**
 * The size of a new volume.
 *
 * @throws CsiError INVALID_ARGUMENT for an invalid range, OUT_OF_RANGE for one that no volume can be in
 */
export function newCapacity(range: CapacityRange | undefined, kind: VolumeKind): bigint {
  const { requiredBytes, limitBytes } = checkedRange(range);
  const wanted = requiredBytes > 0n ? requiredBytes : smaller(DEFAULT_BYTES, limitBytes);
  const bytes = kind === 'block' ? ((wanted + BLOCK_BYTES - 1n) / BLOCK_BYTES) * BLOCK_BYTES : wanted;
  if (bytes > LARGEST_BYTES) throw outOfRange(`a volume has at most ${String(LARGEST_BYTES)} bytes`);
  if (limitBytes > 0n && bytes > limitBytes) {
    throw outOfRange(
      `a volume of at most ${String(limitBytes)} bytes is not possible: it would have ${String(bytes)}`,
    );
  }
  return bytes;
}

/**
 * Whether a volume that exists has a size in the range.
 *
 * @throws CsiError INVALID_ARGUMENT for an invalid range
 */
export function isInRange(bytes: bigint, range: CapacityRange | undefined): boolean {
  const { requiredBytes, limitBytes } = checkedRange(range);
  return bytes >= requiredBytes && (limitBytes === 0n || bytes <= limitBytes);
}

function checkedRange(range: CapacityRange | undefined): CapacityRange {
  const { requiredBytes, limitBytes } = range ?? { requiredBytes: 0n, limitBytes: 0n };
  if (requiredBytes < 0n || limitBytes < 0n) throw invalidArgument('capacity_range is negative');
  if (limitBytes > 0n && requiredBytes > limitBytes) {
    throw invalidArgument('capacity_range requires more than its limit');
  }
  return { requiredBytes, limitBytes };
}

function smaller(bytes: bigint, limitBytes: bigint): bigint {
  return limitBytes > 0n && limitBytes < bytes ? limitBytes : bytes;
}

function outOfRange(details: string): CsiError {
  return new CsiError(status.OUT_OF_RANGE, details);
}
