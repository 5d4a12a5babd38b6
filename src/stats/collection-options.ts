import type { MetricsError } from '../errors.js';
import type { MetricsProvider } from '../metrics.js';
import { checkedFunction, checkedMs, checkedOptions, show } from '../options.js';
import { LONGEST_TIMER_MS } from '../waiting/deadline.js';
import type { ConditionChange } from './condition-change.js';
import type { PodVolumeStats } from './volume-stats.js';

/** How volumes are measured again and again: options of `FsResourceAnalyzer` and `VolumeStatCalculator`. */
export interface CollectionOptions {
  /**
   * Milliseconds between the end of a pod's round and its next one, to which up to as much is added at
   * random. At most 2147483647. With 0 or less there are no rounds, and only `calculate()` measures.
   *
   * @defaultValue 60000
   */
  readonly periodMs?: number | undefined;
  /**
   * Milliseconds after which a call is overdue: its volume is `stuck` and nobody waits for it any more. Its
   * answer is still taken whenever it comes, and until then no second call is made.
   *
   * @defaultValue 10000
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Milliseconds after which a walk is overdue; a walk may take long and be healthy. While other volumes wait
   * for its place, a volume's first walk is stopped after a second and made again later, with twice the limit
   * each time, up to this one; its state stays what it was, and a volume without a reading is `pending`, with
   * an `error` that says so. An overdue walk is
   * aborted and gives its place to another one at once. Its volume is `stuck` until a later round, as soon as
   * `walkShare` allows, walks it again. If the provider ignores its signal, its answer is still taken
   * whenever it comes, and until then no second walk begins.
   *
   * @defaultValue 1800000
   */
  readonly walkTimeoutMs?: number | undefined;
  /**
   * How many calls may be out at once over all pods. Walks and overdue calls do not count.
   *
   * @defaultValue 32
   */
  readonly concurrency?: number | undefined;
  /**
   * The share of wall time, above 0 and at most 1, that all walks together may take in the long run. A walk
   * counts by its work: the CPU time of its threads and the time they waited for the disk; if its provider
   * does not use this package to walk, by its duration. First readings come first and without pauses. After
   * that walks pause, about a second at a time, and volumes whose walks take more than their part are walked
   * less often. 1 turns this off.
   *
   * @defaultValue 0.05
   */
  readonly walkShare?: number | undefined;
  /**
   * Whether a provider walks a tree, which costs time per file, or asks something that already knows.
   *
   * @defaultValue true for providers named `du` and for those whose readings have the source `du`
   */
  readonly isWalk?: ((provider: MetricsProvider) => boolean) | undefined;
  /**
   * Called when a pod's round has ended, and for each answer that comes after that (of a walk or an overdue
   * call). If this or one of the other callbacks throws, that becomes a warning of the process.
   */
  readonly onCollected?: ((stats: PodVolumeStats) => void) | undefined;
  /** Called when the storage's verdict on a volume changes: at its onset, when it changes, at recovery. */
  readonly onConditionChange?: ((change: ConditionChange) => void) | undefined;
  /**
   * Called for problems of the stats provider as a whole, such as `getPods` failing: once at the onset, not
   * each time.
   *
   * @defaultValue a warning of the process
   */
  readonly onError?: ((error: MetricsError) => void) | undefined;
}

const OPTION_NAMES = [
  'periodMs',
  'timeoutMs',
  'walkTimeoutMs',
  'concurrency',
  'walkShare',
  'isWalk',
  'onCollected',
  'onConditionChange',
  'onError',
] as const satisfies readonly (keyof CollectionOptions)[];

/** {@link CollectionOptions} after they were checked. */
export interface CheckedCollectionOptions {
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly walkTimeoutMs: number;
  readonly concurrency: number;
  readonly walkShare: number;
  readonly isWalk: CollectionOptions['isWalk'];
  readonly onCollected: CollectionOptions['onCollected'];
  readonly onConditionChange: CollectionOptions['onConditionChange'];
  readonly onError: CollectionOptions['onError'];
}

/** @throws TypeError naming the option that is wrong or unknown */
export function checkedCollectionOptions(given: CollectionOptions): CheckedCollectionOptions {
  const options = checkedOptions(given, OPTION_NAMES);
  const { concurrency = 32, walkShare = 0.05, periodMs = 60_000 } = options;
  if (typeof periodMs !== 'number' || !Number.isFinite(periodMs) || periodMs > LONGEST_TIMER_MS) {
    throw new TypeError(
      `Expected periodMs to be a number of milliseconds of at most ${String(LONGEST_TIMER_MS)}, 0 or less for no rounds, got ${show(periodMs)}`,
    );
  }
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new TypeError(`Expected concurrency to be a whole number of at least 1, got ${show(concurrency)}`);
  }
  if (typeof walkShare !== 'number' || !(walkShare > 0 && walkShare <= 1)) {
    throw new TypeError(`Expected walkShare to be a number above 0 and at most 1, got ${show(walkShare)}`);
  }
  return {
    periodMs,
    timeoutMs: checkedMs('timeoutMs', options.timeoutMs, 10_000),
    walkTimeoutMs: checkedMs('walkTimeoutMs', options.walkTimeoutMs, 1_800_000),
    concurrency,
    walkShare,
    isWalk: checkedFunction('isWalk', options.isWalk),
    onCollected: checkedFunction('onCollected', options.onCollected),
    onConditionChange: checkedFunction('onConditionChange', options.onConditionChange),
    onError: checkedFunction('onError', options.onError),
  };
}
