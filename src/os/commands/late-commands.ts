import { atMost } from './at-most.js';

/** How long a killed command usually takes to be gone, and much more. */
const GRACE_MS = 1_000;

/** With more that do not end, nothing is started that could add to them. */
const MOST = 512;

/** Commands that were killed and are not gone: what they hang on would hold another one too. */
export class LateCommands {
  readonly #names = new Set<string>();

  /** Whether a command of this name is late, or too many others are. */
  blocks(name: string): boolean {
    return this.#names.has(name) || this.#names.size >= MOST;
  }

  /** These were killed. When they are not gone before long, they are late until then. */
  killed(names: readonly string[], gone: Promise<void>): void {
    let isGone = false;
    void gone.then(() => {
      isGone = true;
      for (const name of names) this.#names.delete(name);
    });
    void atMost(GRACE_MS, gone, false).then(() => {
      if (isGone) return;
      for (const name of names) this.#names.add(name);
    });
  }
}
