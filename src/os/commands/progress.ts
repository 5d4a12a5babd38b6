import type { DiskUsage, Walk } from '../disk-usage.js';

/** At most ten reports a second. */
const INTERVAL_MS = 100;

/** Reports to a walk's listener, whose errors are its own. */
export class Progress {
  readonly #listener: Walk['onProgress'];
  #reportedAt = performance.now();

  constructor(listener: Walk['onProgress']) {
    this.#listener = listener;
  }

  /** Something more was counted. */
  report(sofar: () => DiskUsage): void {
    const now = performance.now();
    if (this.#listener === undefined || now - this.#reportedAt < INTERVAL_MS) return;
    this.#reportedAt = now;
    try {
      // What an async listener fails with is its own as well.
      const listener: (sofar: DiskUsage) => unknown = this.#listener;
      void Promise.resolve(listener(sofar())).catch(() => undefined);
    } catch {
      // The walk is not the listener's to fail.
    }
  }
}
