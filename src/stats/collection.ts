import { channel } from 'node:diagnostics_channel';
import type { MetricsError } from '../errors.js';
import { errorText } from './checked-reading.js';
import { Calls } from './calls.js';
import { DurationTotals } from './collection-durations.js';
import type { CheckedOptions } from './collection-options.js';
import type { ConditionChange } from './condition-change.js';
import { SharedLane, type Lane } from './lane.js';
import type { PodVolumeStats, VolumeStats } from './volume-stats.js';
import { WalkLane } from './walk-lane.js';
import { WalkPace } from './walk-pace.js';

/** A message on the diagnostics channel `kube-volume-metrics:collect`: an attempt to measure a volume has ended, or is overdue. */
export interface CollectMessage {
  readonly podRef: PodVolumeStats['podRef'];
  readonly volume: VolumeStats;
}

const collectChannel = channel('kube-volume-metrics:collect');

/** What the pods that are measured together share: options, the calls that are out, the limits on them, who is told. */
export class Collection {
  readonly options: CheckedOptions;
  readonly calls = new Calls();
  readonly durations = new DurationTotals();
  readonly lane: Lane;
  readonly walkLane: Lane;
  /** For walks of volumes that did not answer the last time: they hold up each other and no others. */
  readonly doubtfulWalkLane: Lane;
  readonly walkPace: WalkPace;
  /** What was complained of last, by subject, so that it is told once. */
  readonly #complaints = new Map<string, string>();

  constructor(options: CheckedOptions) {
    this.options = options;
    this.lane = new SharedLane(options.concurrency);
    this.walkLane = new WalkLane(options.walkShare);
    this.doubtfulWalkLane = new WalkLane(options.walkShare);
    // A period is stretched by half of itself on average.
    this.walkPace = new WalkPace(options.walkShare, Math.max(0, options.periodMs) * 1.5);
  }

  attempted(podRef: PodVolumeStats['podRef'], volume: VolumeStats): void {
    if (!collectChannel.hasSubscribers) return;
    collectChannel.publish({ podRef, volume } satisfies CollectMessage);
  }

  collected(stats: PodVolumeStats): void {
    this.#tell('onCollected', this.options.onCollected, stats);
  }

  conditionChanged(change: ConditionChange): void {
    this.#tell('onConditionChange', this.options.onConditionChange, change);
  }

  /** Tells of what concerns no single volume, unless it was the last thing told of the same subject. */
  complain(subject: string, error: MetricsError): void {
    if (this.#complaints.get(subject) === error.message) return;
    this.#complaints.set(subject, error.message);
    if (this.options.onError === undefined) warn(error.message);
    else this.#tell('onError', this.options.onError, error);
  }

  /** The subject is well again: a later complaint is news. */
  isWell(subject: string): void {
    this.#complaints.delete(subject);
  }

  #tell<T>(name: string, listener: ((about: T) => unknown) | undefined, about: T): void {
    const failed = (error: unknown): void => {
      const text = `${name} failed: ${errorText(error)}`;
      if (this.#complaints.get(name) === text) return;
      this.#complaints.set(name, text);
      warn(text);
    };
    try {
      // An async function fits the type too.
      Promise.resolve(listener?.(about)).catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

function warn(text: string): void {
  process.emitWarning(text, 'KubeVolumeMetricsWarning');
}
