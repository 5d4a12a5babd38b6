import { channel } from 'node:diagnostics_channel';
import { errorText, isMetricsError, MetricsError, msOfDate, propertyOf } from '../errors.js';
import { escapeControls } from '../escape.js';
import type { MetricsProvider } from '../metrics.js';
import { callListener, show } from '../options.js';
import { stringify } from '../stringify.js';
import { LONGEST_TIMER_MS } from '../waiting/deadline.js';
import type { CheckedCollectionOptions } from './collection-options.js';
import type { ConditionChange } from './condition-change.js';
import { Calls } from './schedule/calls.js';
import { SharedLane } from './schedule/lane.js';
import type { Periodic } from './schedule/periodic.js';
import { WalkLane } from './schedule/walk-lane.js';
import { WalkPace } from './schedule/walk-pace.js';
import type { PodVolumeStats, VolumeStats } from './volume-stats.js';

/**
 * A message on the diagnostics channel `kube-volume-metrics:collect`: an attempt to measure a volume has
 * ended, or is overdue.
 */
export interface CollectMessage {
  readonly podRef: PodVolumeStats['podRef'];
  readonly volume: VolumeStats;
}

const collectChannel = channel('kube-volume-metrics:collect');

/**
 * What pods that are measured together share: options, calls, the limits on them, durations, and the
 * callbacks.
 */
export class Collection {
  readonly options: CheckedCollectionOptions;
  readonly calls = new Calls();
  readonly durations = new DurationTotals();
  readonly lane: SharedLane;
  readonly walkLane: WalkLane;
  /** For walks of volumes that did not answer the last time: they hold up each other and no others. */
  readonly doubtfulWalkLane: WalkLane;
  readonly walkPace: WalkPace;
  /** The rounds that wait, of all pods. */
  readonly waitingRounds = new Set<Periodic>();
  /** The last complaint, by subject, so that each is told once. */
  readonly #complaints = new Map<string, string>();

  constructor(options: CheckedCollectionOptions) {
    this.options = options;
    this.lane = new SharedLane(options.concurrency);
    this.walkLane = new WalkLane(options.walkShare);
    // A volume that answers again, and is walked for longer, goes to the others.
    this.doubtfulWalkLane = new WalkLane(options.walkShare, { mostRunning: 1, limitMs: options.timeoutMs });
    // A period is stretched by half of itself on average.
    this.walkPace = new WalkPace(options.walkShare, Math.max(0, options.periodMs) * 1.5);
  }

  /** @param record - read only if someone listens: a snapshot of each attempt would cost much */
  attempted(podRef: PodVolumeStats['podRef'], record: { readonly stats: VolumeStats }): void {
    if (!collectChannel.hasSubscribers) return;
    collectChannel.publish({ podRef, volume: record.stats } satisfies CollectMessage);
  }

  /** @param pod - read as above */
  collected(pod: { latest(): PodVolumeStats }): void {
    if (this.options.onCollected === undefined) return;
    this.#tell('onCollected', this.options.onCollected, pod.latest());
  }

  conditionChanged(change: ConditionChange): void {
    this.#tell('onConditionChange', this.options.onConditionChange, change);
  }

  /**
   * Tells of a problem that concerns no single volume, unless it was the last one told about this subject.
   */
  complain(subject: string, error: MetricsError): void {
    if (this.#complaints.get(subject) === error.message) return;
    this.#complaints.set(subject, error.message);
    if (this.options.onError === undefined) warn(error.message);
    else this.#tell('onError', this.options.onError, error);
  }

  /** The subject works again: a later complaint is news. */
  recovered(subject: string): void {
    this.#complaints.delete(subject);
  }

  #tell<T>(name: string, listener: ((about: T) => unknown) | undefined, about: T): void {
    if (listener === undefined) return;
    const failed = (error: unknown): void => {
      const text = `${name} failed: ${errorText(error)}`;
      if (this.#complaints.get(name) === text) return;
      this.#complaints.set(name, text);
      warn(text);
    };
    void callListener(listener, [about], failed);
  }
}

function warn(text: string): void {
  process.emitWarning(escapeControls(text), 'KubeVolumeMetricsWarning');
}

/** Durations of the calls of one kind of provider, as a histogram. */
export interface CollectionDurations {
  /** Calls that have ended, successfully or not. */
  readonly count: number;
  readonly sumSeconds: number;
  /**
   * How many calls took at most `leSeconds`; each bucket includes the ones before it. `count` is the last
   * bucket, without limit.
   */
  readonly buckets: readonly { readonly leSeconds: number; readonly count: number }[];
}

/** The default limits of Prometheus clients, which the kubelet uses. */
const LIMITS_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Adds up the durations of calls by the name of the provider. */
class DurationTotals {
  readonly #byProvider = new Map<string, { count: number; sumSeconds: number; buckets: number[] }>();

  add(provider: string, durationMs: number): void {
    let totals = this.#byProvider.get(provider);
    if (totals === undefined) {
      totals = { count: 0, sumSeconds: 0, buckets: LIMITS_SECONDS.map(() => 0) };
      this.#byProvider.set(provider, totals);
    }
    const seconds = durationMs / 1000;
    totals.count += 1;
    totals.sumSeconds += seconds;
    const bucket = LIMITS_SECONDS.findIndex((limit) => seconds <= limit);
    if (bucket >= 0) totals.buckets[bucket] = (totals.buckets[bucket] ?? 0) + 1;
  }

  read(): ReadonlyMap<string, CollectionDurations> {
    return new Map(
      [...this.#byProvider].map(([provider, { count, sumSeconds, buckets }]) => {
        let sum = 0;
        const cumulative = buckets.map((each, index) => ({
          leSeconds: LIMITS_SECONDS[index] ?? Infinity,
          count: (sum += each),
        }));
        return [provider, { count, sumSeconds, buckets: cumulative }];
      }),
    );
  }
}

/** The error of a call that is overdue and goes on. */
export function notAnswered(subject: string, since: Date): MetricsError {
  const text = `${subject} has not answered since ${since.toISOString()}`;
  return new MetricsError('METRICS_TIMED_OUT', text, { stuckSince: since });
}

function hasJsonForm(error: MetricsError): boolean {
  try {
    stringify(error);
    return true;
  } catch {
    return false;
  }
}

/**
 * What foreign code rejected with, as a MetricsError. One of this package's codes stays as it is: a provider
 * or stats provider may say itself what went wrong, and says METRICS_PROVIDER_FAILED if its backend failed.
 * Anything else becomes that. An error that has such a code but cannot be read or written as JSON is copied:
 * who reads the stats of a node must not fail over one volume.
 *
 * @param subject - whose call failed, for the message
 */
export function callError(subject: string, error: unknown): MetricsError {
  if (!isMetricsError(error)) {
    const text = `${subject} failed: ${errorText(error)}`;
    return new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: error });
  }
  const names = ['code', 'message', 'path', 'cause', 'transient'];
  const [code, message, path, cause, transient] = names.map((name) => propertyOf(error, name));
  if (typeof message === 'string' && hasJsonForm(error)) return error;
  const sinceMs = msOfDate(propertyOf(error, 'stuckSince'));
  return new MetricsError(
    code as MetricsError['code'],
    typeof message === 'string' ? message : `${subject} failed: ${errorText(error)}`,
    {
      ...(cause !== undefined && { cause }),
      ...(typeof path === 'string' && { path }),
      ...(typeof transient === 'boolean' && { transient }),
      ...(sinceMs !== undefined && { stuckSince: new Date(sinceMs) }),
    },
  );
}

/**
 * Calls a provider.
 *
 * @throws MetricsError METRICS_PROVIDER_FAILED if it is not a provider, or throws instead of rejecting
 */
export function callProvider(provider: MetricsProvider | undefined, signal: AbortSignal): unknown {
  const given: Partial<MetricsProvider> | null | undefined = provider;
  if (typeof given?.getMetrics !== 'function') {
    const text = `the volume's provider has no getMetrics: ${show(provider)}`;
    throw new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: provider });
  }
  try {
    return given.getMetrics({ signal });
  } catch (error) {
    const text = `provider "${providerName(provider)}" threw instead of rejecting: ${errorText(error)}`;
    throw new MetricsError('METRICS_PROVIDER_FAILED', text, { cause: error });
  }
}

/** A provider's name; `unknown` if it has none or reading it throws. */
export function providerName(provider: MetricsProvider | undefined): string {
  try {
    const name: unknown = (provider as Partial<MetricsProvider> | null | undefined)?.name;
    return typeof name === 'string' && name !== '' ? name : 'unknown';
  } catch {
    return 'unknown';
  }
}

/**
 * Keeps the process alive while someone waits for calls. Their own timers do not: a process with nothing else
 * to do would end before a call that never comes back is found overdue.
 */
export async function keepAlive<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, LONGEST_TIMER_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
