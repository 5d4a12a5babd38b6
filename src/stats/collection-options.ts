import type { MetricsError } from '../errors.js';
import type { MetricsProvider } from '../metrics.js';
import type { ConditionChange } from './condition-change.js';
import type { PodVolumeStats } from './volume-stats.js';

/** How volumes are measured again and again: options of `FsResourceAnalyzer` and `VolumeStatCalculator`. */
export interface CollectionOptions {
  /**
   * Milliseconds between the end of a round of a pod and its next one, to which up to as much is added at random. 0 or less:
   * no rounds, only `calculate()` measures. At most 2147483647.
   *
   * @defaultValue 60000
   */
  readonly periodMs?: number | undefined;
  /**
   * Milliseconds after which a call that is out no longer counts as work: its volume is `stuck` and nobody waits for it, but its
   * answer is still taken whenever it comes, and until then no second call is made.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * The same for walks, which may take long and be healthy.
   *
   * @defaultValue 1800000
   */
  readonly walkTimeoutMs?: number | undefined;
  /**
   * How many calls may be out at once over all pods, besides a walk and those that are overdue.
   *
   * @defaultValue 32
   */
  readonly concurrency?: number | undefined;
  /**
   * The share of wall time, above 0 and at most 1, that all walks together may take in the long run. Volumes whose walks take
   * more than their part of it are walked less often; 1 turns this off.
   *
   * @defaultValue 0.05
   */
  readonly walkShare?: number | undefined;
  /**
   * Whether a provider walks a tree, which costs time per file, rather than asks somebody who knows.
   *
   * @defaultValue those named `du`, and those whose readings have the source `du`
   */
  readonly isWalk?: ((provider: MetricsProvider) => boolean) | undefined;
  /**
   * Told when a pod's round has ended, and when an answer came after that (a walk, an overdue call). What it throws becomes a
   * warning of the process, as with the others below.
   */
  readonly onCollected?: ((stats: PodVolumeStats) => void) | undefined;
  /** Told when the storage's verdict on a volume changes: at its onset, when it changes, at recovery. */
  readonly onConditionChange?: ((change: ConditionChange) => void) | undefined;
  /**
   * Told of what is wrong with the stats provider as a whole, such as `getPods` failing: once at its onset, not each time.
   *
   * @defaultValue a warning of the process
   */
  readonly onError?: ((error: MetricsError) => void) | undefined;
}

/** {@link CollectionOptions} after they were checked. */
export interface CheckedOptions {
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly walkTimeoutMs: number;
  readonly concurrency: number;
  readonly walkShare: number;
  readonly isWalk: ((provider: MetricsProvider) => boolean) | undefined;
  readonly onCollected: ((stats: PodVolumeStats) => void) | undefined;
  readonly onConditionChange: ((change: ConditionChange) => void) | undefined;
  readonly onError: ((error: MetricsError) => void) | undefined;
}

/** The longest time a timer of Node can wait; a longer one would fire at once. */
export const LONGEST_TIMER_MS = 2_147_483_647;

/** @throws TypeError naming the option that is wrong */
export function checkedOptions(options: CollectionOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Expected options to be an object, got ${String(options)}`);
  }
  const { concurrency = 32, walkShare = 0.05, periodMs = 60_000 } = options;
  if (typeof periodMs !== 'number' || !Number.isFinite(periodMs) || periodMs > LONGEST_TIMER_MS) {
    throw new TypeError(
      `Expected periodMs to be a number of milliseconds of at most ${String(LONGEST_TIMER_MS)}, 0 or less for no rounds, got ${String(periodMs)}`,
    );
  }
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new TypeError(
      `Expected concurrency to be a whole number of at least 1, got ${String(concurrency)}`,
    );
  }
  if (typeof walkShare !== 'number' || !(walkShare > 0 && walkShare <= 1)) {
    throw new TypeError(`Expected walkShare to be a number above 0 and at most 1, got ${String(walkShare)}`);
  }
  return {
    periodMs,
    timeoutMs: checkedTimer('timeoutMs', options.timeoutMs, 10_000),
    walkTimeoutMs: checkedTimer('walkTimeoutMs', options.walkTimeoutMs, 1_800_000),
    concurrency,
    walkShare,
    isWalk: checkedFunction('isWalk', options.isWalk),
    onCollected: checkedFunction('onCollected', options.onCollected),
    onConditionChange: checkedFunction('onConditionChange', options.onConditionChange),
    onError: checkedFunction('onError', options.onError),
  };
}

function checkedTimer(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value > 0 && value <= LONGEST_TIMER_MS) return value;
  throw new TypeError(
    `Expected ${name} to be a number of milliseconds above 0 and at most ${String(LONGEST_TIMER_MS)}, got ${String(value)}`,
  );
}

function checkedFunction<T>(name: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw new TypeError(`Expected ${name} to be a function, got ${typeof value}`);
}
