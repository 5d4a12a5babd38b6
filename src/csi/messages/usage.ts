import { MetricsError } from '../../errors.js';
import type { Metrics } from '../../metrics.js';
import {
  availableOf,
  LARGEST_INT64,
  QUANTITIES,
  quantityProblem,
  show,
  type Quantity,
} from '../../reading.js';
import { VolumeUsage_Unit, type VolumeUsage } from '../gen/csi/v1/csi.js';

/** What usage entries say about a volume, as fields of a reading. */
type UsageReading = Pick<Metrics, Quantity | 'warnings'>;

const QUANTITIES_OF_USAGE = ['total', 'available', 'used'] as const;

/** Whether a reading has fields for what an entry says. */
export function isKnownUnit({ unit }: VolumeUsage): boolean {
  return unit === VolumeUsage_Unit.BYTES || unit === VolumeUsage_Unit.INODES;
}

/**
 * What a driver's usage entries say. On the wire, 0 and unknown look the same: a 0 in `used` or `available`
 * counts as measured only if the other one is more than 0. As in the kubelet, the last entry of a unit counts
 * as a whole; unlike in the kubelet, no number turns into 0 or wraps.
 *
 * @param usage - the entries of a NodeGetVolumeStats response
 * @returns the numbers that are known, and a warning for everything that was left out
 * @throws TypeError for a number that is no bigint, which no driver can send
 */
export function usageToMetrics(usage: readonly VolumeUsage[]): UsageReading {
  const isValid = usage.every((each) => QUANTITIES_OF_USAGE.every((name) => typeof each[name] === 'bigint'));
  if (!isValid) throw new TypeError('Expected the numbers of usage to be bigints');
  const warnings: string[] = [];
  const last = (unit: VolumeUsage_Unit): VolumeUsage | undefined => {
    const entries = usage.filter((entry) => entry.unit === unit);
    if (entries.length > 1) {
      warnings.push(`${String(entries.length)} entries of ${VolumeUsage_Unit[unit]}: the last one counts`);
    }
    return entries.at(-1);
  };
  const bytes = last(VolumeUsage_Unit.BYTES);
  const inodes = last(VolumeUsage_Unit.INODES);
  const reading = { ...(bytes && readBytes(bytes, warnings)), ...(inodes && readInodes(inodes, warnings)) };
  for (const entry of usage.filter((each) => !isKnownUnit(each))) {
    warnings.push(`usage of unknown unit ${String(entry.unit)} left out: ${numbers(entry)}`);
  }
  return { ...reading, ...(warnings.length > 0 && { warnings }) };
}

function readBytes({ total, available, used }: VolumeUsage, warnings: string[]): UsageReading {
  for (const [name, value] of Object.entries({ capacity: total, available, used })) {
    if (value < 0n) warnings.push(`${name} left out: the driver says ${String(value)} bytes`);
  }
  if (total > 0n && available > total) availableOf(available, total, 'bytes', warnings);
  if (total === 0n) warnings.push('capacity left out: the driver sends none');
  return {
    ...(total > 0n && { capacity: total }),
    ...(isMeasured(available, used) && { available }),
    ...(isMeasured(used, available) && { used }),
  };
}

/**
 * All three numbers, or none if one cannot be true: drivers count them together (ceph-csi#2579 sent -1 free
 * and total + 1 used).
 */
function readInodes(entry: VolumeUsage, warnings: string[]): UsageReading {
  const { total, available, used } = entry;
  // Drivers send zeros for a filesystem that counts no inodes (democratic-csi#213), and the largest number if
  // there is no limit.
  const hasNone = total === 0n && available === 0n && used === 0n;
  if (hasNone || total >= LARGEST_INT64) return {};
  if (total <= 0n || available < 0n || available > total || used < 0n || used > total) {
    warnings.push(`inodes left out, because they cannot all be true: ${numbers(entry)}`);
    return {};
  }
  return {
    inodes: total,
    ...(isMeasured(available, used) && { inodesFree: available }),
    ...(isMeasured(used, available) && { inodesUsed: used }),
  };
}

function isMeasured(value: bigint, other: bigint): boolean {
  return value > 0n || (value === 0n && other > 0n);
}

function numbers({ total, available, used }: VolumeUsage): string {
  return `total ${String(total)}, available ${String(available)}, used ${String(used)}`;
}

/**
 * The usage entries for a reading. `used` and `available` go together or not at all: if only one were sent,
 * the other would read as 0, an empty or a full volume. Without a capacity there is no entry, because CSI
 * requires the total.
 *
 * @param metrics - the reading
 * @returns at most one entry of bytes and one of inodes
 * @throws MetricsError METRICS_CSI_FAILED for bytes that CSI's int64 cannot carry; METRICS_PROVIDER_FAILED
 * for an invalid number, or if it is no reading
 */
export function metricsToUsage(metrics: Metrics): VolumeUsage[] {
  const given: unknown = metrics;
  if (typeof given !== 'object' || given === null) {
    const message = `the provider gave no reading: it is ${show(given)}`;
    throw new MetricsError('METRICS_PROVIDER_FAILED', message, { cause: given });
  }
  for (const name of QUANTITIES) {
    const problem = quantityProblem(metrics[name]);
    if (problem === undefined) continue;
    const provider = typeof metrics.source === 'string' ? `provider "${metrics.source}"` : 'the provider';
    const message = `${provider} gave no reading: its ${name} is ${problem}`;
    throw new MetricsError('METRICS_PROVIDER_FAILED', message, { cause: metrics });
  }
  const { capacity, available, used, inodes, inodesFree, inodesUsed } = metrics;
  for (const [name, value] of Object.entries({ capacity, available, used })) {
    if (value !== undefined && value > LARGEST_INT64) {
      throw new MetricsError(
        'METRICS_CSI_FAILED',
        `${name} of ${String(value)} bytes is more than CSI can carry`,
      );
    }
  }
  const usage: VolumeUsage[] = [];
  if (capacity) usage.push(entryOf(VolumeUsage_Unit.BYTES, capacity, available, used));
  if (inodes && inodes < LARGEST_INT64 && (inodesFree ?? 0n) <= inodes && (inodesUsed ?? 0n) <= inodes) {
    usage.push(entryOf(VolumeUsage_Unit.INODES, inodes, inodesFree, inodesUsed));
  }
  return usage;
}

function entryOf(
  unit: VolumeUsage_Unit,
  total: bigint,
  available: bigint | undefined,
  used: bigint | undefined,
): VolumeUsage {
  return available === undefined || used === undefined
    ? { unit, total, available: 0n, used: 0n }
    : { unit, total, available, used };
}
