import { propertyOf } from '../../errors.js';
import type { VolumeCondition } from '../../metrics.js';
import type { VolumeUsage } from '../gen/csi/v1/csi.js';
import type { CsiVolume } from '../messages/csi-volume.js';

/** One measurement of a volume, shared by all callers that ask for it while it is in flight. */
export interface VolumeReading {
  readonly usage: Promise<readonly VolumeUsage[]>;
  /** Settles in a bounded time after `usage` and never rejects; undefined if there is no verdict. */
  readonly condition: Promise<VolumeCondition | undefined>;
}

/** What is remembered of one volume at one path. */
interface Entry {
  readonly volume: CsiVolume;
  /** In flight, or done and perhaps still fresh. */
  reading?: VolumeReading | undefined;
  /** When `reading` was done, by `performance.now()`; undefined while it is in flight. */
  doneAtMs?: number | undefined;
  lastUsage?: readonly VolumeUsage[];
}

/** How many volumes are remembered: several times what a node can have. Those in flight come on top. */
const MOST_REMEMBERED = 4096;

/**
 * The measurements of a driver's volumes, by id and path. Two targets of one volume are measured separately,
 * so that a wrong path never gets the numbers of the right one.
 */
export class VolumeReadings {
  readonly #measure: (volume: CsiVolume) => VolumeReading;
  readonly #maxAgeMs: number;
  readonly #keepsLast: boolean;
  /** The entry that was done longest ago comes first. */
  readonly #entries = new Map<string, Entry>();

  /**
   * @param measure - begins a measurement
   * @param maxAgeMs - how long later callers get a reading after it was done, in milliseconds
   * @param keepsLast - whether the newest usage of a volume is kept for the time when it cannot be measured
   */
  constructor(measure: (volume: CsiVolume) => VolumeReading, maxAgeMs: number, keepsLast: boolean) {
    this.#measure = measure;
    this.#maxAgeMs = maxAgeMs;
    this.#keepsLast = keepsLast;
  }

  /**
   * The reading in flight or kept, or a new one. A volume whose measurement hangs gets no second one, however
   * many callers give up: it would hang as well.
   */
  get(volume: CsiVolume): VolumeReading {
    const key = JSON.stringify([volume.volumeId, volume.volumePath]);
    const entry: Entry = this.#entries.get(key) ?? { volume };
    this.#entries.set(key, entry);
    const { reading, doneAtMs } = entry;
    if (reading !== undefined && (doneAtMs === undefined || performance.now() - doneAtMs < this.#maxAgeMs)) {
      return reading;
    }
    const begun = this.#measure(volume);
    entry.reading = begun;
    entry.doneAtMs = undefined;
    void this.#follow(key, entry, begun);
    return begun;
  }

  /** The newest usage that was measured; empty if there is none or the volume is gone. */
  lastUsage({ volumeId, volumePath }: CsiVolume): readonly VolumeUsage[] {
    return this.#entries.get(JSON.stringify([volumeId, volumePath]))?.lastUsage ?? [];
  }

  /** Forgets a volume, at one path or at all of them. Later callers do not join what is in flight. */
  forget(volumeId: string, volumePath?: string): void {
    for (const [key, { volume }] of this.#entries) {
      if (volume.volumeId !== volumeId) continue;
      if (volumePath === undefined || volume.volumePath === volumePath) this.#entries.delete(key);
    }
  }

  async #follow(key: string, entry: Entry, reading: VolumeReading): Promise<void> {
    try {
      const usage = await reading.usage;
      if (this.#keepsLast) entry.lastUsage = usage;
      await reading.condition;
      entry.doneAtMs = performance.now();
    } catch (error) {
      entry.reading = undefined;
      if (isGone(error)) delete entry.lastUsage;
    }
    // It was forgotten in the meantime, and perhaps begun again.
    if (this.#entries.get(key) !== entry) return;
    this.#entries.delete(key);
    if (entry.lastUsage !== undefined || (entry.reading !== undefined && this.#maxAgeMs > 0)) {
      this.#entries.set(key, entry);
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    for (const [key, { reading, doneAtMs }] of this.#entries) {
      if (this.#entries.size <= MOST_REMEMBERED) return;
      const isInFlight = reading !== undefined && doneAtMs === undefined;
      if (!isInFlight) this.#entries.delete(key);
    }
  }
}

function isGone(error: unknown): boolean {
  const code = propertyOf(error, 'code');
  return code === 'METRICS_NOT_FOUND' || code === 'METRICS_NOT_MOUNTED';
}
