/** How long the calls of one kind of provider took, as a histogram. */
export interface CollectionDurations {
  /** Calls that have ended, well or not. */
  readonly count: number;
  readonly sumSeconds: number;
  /** How many took at most so many seconds, each bucket counting those before it too; a last one, without limit, is `count`. */
  readonly buckets: readonly { readonly leSeconds: number; readonly count: number }[];
}

/** The limits that Prometheus clients take when told none, as the kubelet does. */
const LIMITS_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Adds up the durations of calls by the name of the provider. */
export class DurationTotals {
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
