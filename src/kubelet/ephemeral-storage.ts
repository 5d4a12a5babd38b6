import { msOfDate } from '../errors.js';
import type { GetMetricsOptions, Metrics } from '../metrics.js';
import { openSignal } from '../options.js';
import type { EphemeralStorage } from '../stats/stats-summary.js';
import type { VolumeStats } from '../stats/volume-stats.js';
import { JoinedCall } from '../waiting/joined-call.js';

/** The part of a `KubeletClient` that knows what containers use. */
export interface SummarySource {
  /** The kubelet's `/stats/summary`. */
  statsSummary(options?: GetMetricsOptions): Promise<unknown>;
}

/** How long a summary is kept: the sums of all pods are asked for one after the other. */
const KEPT_MS = 10_000;

/** What the containers of each pod use, from the kubelet's summary. */
export class ContainerUsage {
  readonly #source: SummarySource;
  #call: JoinedCall<ReadonlyMap<string, EphemeralStorage>> | undefined;
  #askedMs = 0;

  constructor(source: SummarySource) {
    this.#source = source;
  }

  /** Of one pod; undefined if the summary does not have it, as for a pod without a running container. */
  async of(uid: string, options: GetMetricsOptions): Promise<EphemeralStorage | undefined> {
    const signal = openSignal(options);
    const isOld = performance.now() - this.#askedMs > KEPT_MS;
    if (this.#call === undefined || this.#call.isAbandoned || isOld) this.#call = this.#ask();
    return (await this.#call.join({ signal, late: () => undefined })).get(uid);
  }

  #ask(): JoinedCall<ReadonlyMap<string, EphemeralStorage>> {
    this.#askedMs = performance.now();
    const call = new JoinedCall(async (signal) => usageByUid(await this.#source.statsSummary({ signal })));
    // A failure is not kept.
    call.answer.catch(() => {
      if (this.#call === call) this.#call = undefined;
    });
    return call;
  }
}

/** Adds up the containers', the ephemeral volumes' and the etc-hosts' part; undefined if one is not known. */
export function ephemeralSum(
  containers: EphemeralStorage,
  volumes: readonly VolumeStats[],
  etcHosts: Metrics | undefined,
): EphemeralStorage | undefined {
  let { used } = containers;
  let timeMs = containers.time.getTime();
  let inodesUsed = containers.inodesUsed;
  const parts = volumes.filter(({ state }) => state !== 'unsupported').map(({ metrics }) => metrics);
  for (const part of etcHosts === undefined ? parts : [...parts, etcHosts]) {
    if (part?.used === undefined) return undefined;
    used += part.used;
    inodesUsed =
      inodesUsed === undefined || part.inodesUsed === undefined ? undefined : inodesUsed + part.inodesUsed;
    timeMs = Math.max(timeMs, msOfDate(part.time) ?? 0);
  }
  return { time: new Date(timeMs), used, ...(inodesUsed !== undefined && { inodesUsed }) };
}

/** What a summary may say, each part unchecked. */
interface Summary {
  readonly pods?: readonly ({
    readonly podRef?: { readonly uid?: unknown } | null;
    readonly containers?: readonly (Readonly<Record<'rootfs' | 'logs', FsStats | null | undefined>> | null)[];
  } | null)[];
}
interface FsStats {
  readonly time?: unknown;
  readonly usedBytes?: unknown;
  readonly inodesUsed?: unknown;
}

function usageByUid(summary: unknown): ReadonlyMap<string, EphemeralStorage> {
  const byUid = new Map<string, EphemeralStorage>();
  const pods = (summary as Summary | null | undefined)?.pods;
  for (const pod of Array.isArray(pods) ? (pods as NonNullable<Summary['pods']>) : []) {
    const uid = pod?.podRef?.uid;
    const usage = typeof uid === 'string' ? usageOf(pod?.containers) : undefined;
    if (usage !== undefined) byUid.set(uid as string, usage);
  }
  return byUid;
}

function usageOf(containers: unknown): EphemeralStorage | undefined {
  if (!Array.isArray(containers) || containers.length === 0) return undefined;
  let used = 0n;
  let inodesUsed: bigint | undefined = 0n;
  let timeMs = 0;
  for (const container of containers as readonly (Record<string, FsStats | null | undefined> | null)[]) {
    for (const part of [container?.['rootfs'], container?.['logs']]) {
      const bytes = amount(part?.usedBytes);
      if (bytes === undefined) return undefined;
      const inodes = amount(part?.inodesUsed);
      used += bytes;
      inodesUsed = inodesUsed === undefined || inodes === undefined ? undefined : inodesUsed + inodes;
      timeMs = Math.max(timeMs, typeof part?.time === 'string' ? Date.parse(part.time) || 0 : 0);
    }
  }
  return { time: new Date(timeMs), used, ...(inodesUsed !== undefined && { inodesUsed }) };
}

/** A count of the summary: a whole number, not negative. */
function amount(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value >= 0n ? value : undefined;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? BigInt(value) : undefined;
}
