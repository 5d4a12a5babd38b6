import type { Metrics, MetricsProvider } from '../../src/metrics.js';

/** A provider whose calls settle when the test says so and never before, whatever their signal says. */
export class DeafProvider implements MetricsProvider {
  readonly name: string;
  readonly calls: { resolve(reading: unknown): void; reject(error: unknown): void; signal: AbortSignal }[] =
    [];

  constructor(name = 'deaf') {
    this.name = name;
  }

  getMetrics({ signal }: { signal: AbortSignal }): Promise<Metrics> {
    return new Promise((resolve, reject) => {
      this.calls.push({ resolve: resolve, reject, signal });
    });
  }
}
