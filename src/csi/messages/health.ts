import { MetricsError } from '../../errors.js';
import type { VolumeCondition } from '../../metrics.js';
import { show } from '../../reading.js';
import {
  StorageHealthErrorType,
  VolumeCapability,
  VolumeCapability_AccessMode_Mode,
  VolumeHealthErrorType,
  type NodeGetStorageHealthResponse_StorageBackendHealth as StorageEntry,
  type VolumeHealth,
  type VolumeHealth_VolumeHealthEntry as VolumeEntry,
} from '../gen/csi/v1/csi.js';

/** Something that is wrong with a volume, as CSI 1.13 says it. */
export interface VolumeProblem {
  /**
   * `DEGRADED`: the volume works, but slower or with less redundancy. `INACCESSIBLE`: it cannot be used.
   * `DATA_LOSS`: data is lost or corrupted.
   */
  readonly status: 'DEGRADED' | 'INACCESSIBLE' | 'DATA_LOSS';
  /** One word in CamelCase, for programs: letters, digits, `_`, `,` and `:`, at most 256 of them. */
  readonly reason: string;
  /** For people. What exceeds 1024 bytes is cut off. */
  readonly message?: string | undefined;
}

/** Something that is wrong with the storage behind a driver, as CSI 1.13 says it. */
export interface StorageProblem {
  /**
   * `STORAGE_DEGRADED`: it works, but slower or over fewer paths. `STORAGE_UNREACHABLE`: not from this node.
   */
  readonly status: 'STORAGE_DEGRADED' | 'STORAGE_UNREACHABLE';
  /** As in {@link VolumeProblem}. */
  readonly reason: string;
  /** As in {@link VolumeProblem}. */
  readonly message?: string | undefined;
  /** Which volumes it affects. Absent for all of them. */
  readonly volumeCapability?: VolumeCapability | undefined;
}

// The API server refuses a pod's whole status over a condition that breaks one of these rules: kubernetes
// pkg/apis/core/validation/validation.go (validateVolumeHealthCondition) and api/core/v1/types.go.
const REASON = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/;
const LONGEST_REASON = 256;
const LONGEST_MESSAGE_BYTES = 1024;
const MOST_PROBLEMS = 16;

/**
 * A driver's list of problems as it is sent: the worst first, at most 16, and no two with the same status and
 * reason, whose messages are joined.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED for an invalid list
 */
export function volumeEntries(problems: readonly VolumeProblem[]): VolumeEntry[] {
  return entriesOf(problems, VOLUME_STATUSES, () => ({}));
}

const VOLUME_STATUSES: Readonly<Record<VolumeProblem['status'], VolumeHealthErrorType>> = {
  DEGRADED: VolumeHealthErrorType.DEGRADED,
  INACCESSIBLE: VolumeHealthErrorType.INACCESSIBLE,
  DATA_LOSS: VolumeHealthErrorType.DATA_LOSS,
};

/**
 * The same for the storage behind a driver. Entries of different capabilities stay apart.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED for an invalid list
 */
export function storageEntries(problems: readonly StorageProblem[]): StorageEntry[] {
  return entriesOf(problems, STORAGE_STATUSES, ({ volumeCapability }) => {
    return volumeCapability === undefined ? {} : { volumeCapability: checkedCapability(volumeCapability) };
  });
}

const STORAGE_STATUSES: Readonly<Record<StorageProblem['status'], StorageHealthErrorType>> = {
  STORAGE_DEGRADED: StorageHealthErrorType.STORAGE_DEGRADED,
  STORAGE_UNREACHABLE: StorageHealthErrorType.STORAGE_UNREACHABLE,
};

interface Entry<Status extends number> {
  status: Status;
  reason: string;
  message: string;
}

function entriesOf<Problem, Status extends number, Rest extends object>(
  problems: readonly Problem[],
  statuses: Readonly<Record<string, Status>>,
  restOf: (problem: Problem) => Rest,
): (Entry<Status> & Rest)[] {
  const given: unknown = problems;
  if (!Array.isArray(given)) throw invalid(`Expected health to give a list of problems, got ${show(given)}`);
  const byIdentity = new Map<string, Entry<Status> & Rest>();
  for (const problem of problems) {
    const { status, reason, message } = checkedProblem(problem, statuses);
    const rest = restOf(problem);
    const key = JSON.stringify([status, reason, rest]);
    const known = byIdentity.get(key);
    if (known === undefined) byIdentity.set(key, { status, reason, message, ...rest });
    else if (message !== '' && message !== known.message) {
      known.message = known.message === '' ? message : `${known.message}; ${message}`;
    }
  }
  const worstFirst = [...byIdentity.values()].sort((one, other) => other.status - one.status);
  for (const entry of worstFirst) entry.message = cut(entry.message);
  return worstFirst.slice(0, MOST_PROBLEMS);
}

function checkedProblem<Status>(
  problem: unknown,
  statuses: Readonly<Record<string, Status>>,
): { status: Status; reason: string; message: string } {
  if (typeof problem !== 'object' || problem === null) {
    throw invalid(`Expected a problem to be an object, got ${show(problem)}`);
  }
  const { status, reason, message = '' } = problem as Record<string, unknown>;
  const number = typeof status === 'string' && Object.hasOwn(statuses, status) ? statuses[status] : undefined;
  if (number === undefined) {
    const names = Object.keys(statuses).join(', ');
    throw invalid(`Expected the status of a problem to be one of ${names}, got ${shown(status)}`);
  }
  if (typeof reason !== 'string' || !REASON.test(reason) || reason.length > LONGEST_REASON) {
    throw invalid(
      `Expected the reason of a problem to be a word in CamelCase of at most ${String(LONGEST_REASON)} characters, got ${shown(reason)}`,
    );
  }
  if (typeof message !== 'string') {
    throw invalid(`Expected the message of a problem to be a string, got ${shown(message)}`);
  }
  return { status: number, reason, message };
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, LONGEST_REASON)) : show(value);
}

/** Over a capability without a kind or a known mode, the kubelet drops all entries. */
function checkedCapability(given: VolumeCapability): VolumeCapability {
  const { block, mount, accessMode } = asSent(given);
  const { mode = 0 } = accessMode ?? {};
  const isKnown = mode !== 0 && (VolumeCapability_AccessMode_Mode[mode] as string | undefined) !== undefined;
  if ((block === undefined) === (mount === undefined) || !isKnown) {
    throw invalid('Expected the volumeCapability of a problem to have either block or mount, and accessMode');
  }
  return { ...(block ? { block } : { mount }), accessMode: { mode } };
}

/** What a caller would get of it. */
function asSent(given: VolumeCapability): VolumeCapability {
  try {
    return VolumeCapability.decode(VolumeCapability.encode(given).finish());
  } catch {
    throw invalid(
      'Expected the volumeCapability of a problem to be a complete one: a mount has fsType, mountFlags and volumeMountGroup',
    );
  }
}

function invalid(message: string): MetricsError {
  return new MetricsError('METRICS_PROVIDER_FAILED', message);
}

/** Replaces half surrogate pairs, which one codec would send as they are. */
function cut(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= LONGEST_MESSAGE_BYTES) return bytes.toString();
  return `${bytes.toString('utf8', 0, LONGEST_MESSAGE_BYTES - 3).replace(/\uFFFD+$/, '')}…`;
}

/** The verdict that callers up to CSI 1.12 get: abnormal if there is a problem, with the words of all. */
export function entriesToCondition(entries: readonly VolumeEntry[]): VolumeCondition {
  if (entries.length === 0) return { abnormal: false, message: 'the volume answers' };
  return { abnormal: true, message: entries.map(({ reason, message }) => message || reason).join('; ') };
}

/**
 * CSI 1.13's list of problems as a verdict: abnormal if it has any, with the message of the first.
 *
 * @param health - what NodeGetVolumeHealth answered
 */
export function healthToCondition({ healthStatuses }: VolumeHealth): VolumeCondition {
  const problems = healthStatuses.map(({ status, reason, message }) => ({
    // A number without a name comes from a newer CSI.
    status: (VolumeHealthErrorType[status] as string | undefined) ?? String(status),
    reason,
    message,
  }));
  const [first] = problems;
  if (first === undefined) return { abnormal: false, message: '' };
  return { abnormal: true, message: first.message || first.reason || first.status, problems };
}
