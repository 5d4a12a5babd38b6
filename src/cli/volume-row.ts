import type { Metrics, PersistentVolumeClaimRef, VolumeState } from '../index.js';

/** One volume in the answer of `volumes`. What is absent is not known, or does not apply. */
export interface VolumeRow {
  /** The node, where several were asked. */
  readonly node?: string;
  /** Absent if the pod was found on disk: then `pod` is its uid. */
  readonly namespace?: string;
  /** Absent for a claim that no pod was seen to use. */
  readonly pod?: string;
  readonly uid?: string;
  readonly name?: string;
  readonly kind?: string;
  readonly plugin?: string;
  readonly mode?: string;
  readonly path?: string;
  readonly driver?: string;
  readonly volumeHandle?: string;
  readonly claim?: PersistentVolumeClaimRef;
  readonly persistentVolume?: string;
  readonly provider?: string;
  /** `not shown`: a claim that no kubelet has numbers of. */
  readonly state: VolumeState | 'not shown';
  readonly metrics?: Metrics;
  /** Why there are no new metrics. */
  readonly error?: { readonly code: string; readonly message: string; readonly docs?: string };
  /** What is not known and why. */
  readonly unknown: readonly string[];
}

/** Volumes, and what is to be said about all of them. */
export interface VolumeRows {
  readonly rows: readonly VolumeRow[];
  /** Who listed the pods. */
  readonly source: string;
  readonly notes: readonly string[];
  /** Whether all that were asked have answered. */
  readonly isComplete: boolean;
}

/** Which volumes are wanted: a volume must match all that are given. */
export interface VolumeFilter {
  /** A name, `namespace/name`, or a uid. */
  readonly pod?: string;
  readonly namespace?: string;
  /** A name, or `namespace/name`. */
  readonly claim?: string;
}

/** Whether a pod matches, as far as the filter is about pods. */
export function isWantedPod(
  { namespace, name, uid }: { readonly namespace: string; readonly name: string; readonly uid: string },
  filter: VolumeFilter,
): boolean {
  if (filter.namespace !== undefined && namespace !== filter.namespace) return false;
  return filter.pod === undefined || [name, `${namespace}/${name}`, uid].includes(filter.pod);
}

/** Whether a volume matches, as far as the filter is about claims. */
export function isWantedClaim(
  claim: PersistentVolumeClaimRef | undefined,
  { claim: wanted }: VolumeFilter,
): boolean {
  if (wanted === undefined) return true;
  return claim !== undefined && [claim.name, `${claim.namespace}/${claim.name}`].includes(wanted);
}

/** What rows are sorted by. */
export type SortKey = 'used' | 'available' | 'use';

/**
 * In the order of namespaces, pods and volumes; with a key, the fullest first, and what is not known last.
 */
export function sorted(rows: readonly VolumeRow[], key: SortKey | undefined): VolumeRow[] {
  const byName = [...rows].sort(
    (one, other) =>
      compare(one.node, other.node) ||
      compare(one.namespace ?? one.claim?.namespace, other.namespace ?? other.claim?.namespace) ||
      compare(one.pod, other.pod),
  );
  if (key === undefined) return byName;
  return byName
    .map((row) => ({ row, rank: rankOf(row, key) }))
    .sort((one, other) => {
      if (one.rank === undefined || other.rank === undefined) {
        return Number(one.rank === undefined) - Number(other.rank === undefined);
      }
      return other.rank - one.rank;
    })
    .map(({ row }) => row);
}

function compare(one = '', other = ''): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The higher, the earlier. */
function rankOf({ metrics }: VolumeRow, key: SortKey): number | undefined {
  if (key === 'available') return metrics?.available === undefined ? undefined : -Number(metrics.available);
  if (key === 'used') return metrics?.used === undefined ? undefined : Number(metrics.used);
  const use = metrics && useOf(metrics);
  return use && (use.whole <= 0n ? undefined : Number(use.part) / Number(use.whole));
}

/**
 * How full it is, as df(1) reckons: without what is reserved for root. A tree is compared with the whole
 * filesystem.
 */
export function useOf({
  source,
  used,
  available,
  capacity,
}: Metrics): { readonly part: bigint; readonly whole: bigint } | undefined {
  if (used === undefined) return undefined;
  const whole = source === 'du' ? capacity : available === undefined ? undefined : used + available;
  return whole === undefined ? undefined : { part: used, whole };
}
