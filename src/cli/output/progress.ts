import yoctoSpinner, { type Spinner } from 'yocto-spinner';
import type { DiskUsage } from '../../index.js';
import { humanBytes } from './table.js';

/** A walk that ends sooner needs no progress. */
const SHOWN_AFTER_MS = 1000;

/** One line on a terminal that says how far all walks together are. If it is no terminal, nothing is written. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #sofar = new Map<number, DiskUsage>();
  readonly #startMs = performance.now();
  #spinner: Spinner | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** How far one walk is. */
  update(index: number, sofar: DiskUsage): void {
    this.#sofar.set(index, sofar);
    if (!this.#stream.isTTY || performance.now() - this.#startMs < SHOWN_AFTER_MS) return;
    let [used, inodesUsed] = [0n, 0n];
    for (const each of this.#sofar.values()) {
      used += each.used;
      inodesUsed += each.inodesUsed;
    }
    // SIGINT ends the walks, not the process. The program itself handles it.
    this.#spinner ??= yoctoSpinner({ stream: this.#stream, handleSignals: false }).start();
    this.#spinner.text = `${humanBytes(used)} in ${String(inodesUsed)} inodes so far`;
  }

  /** Removes the line. */
  end(): void {
    this.#spinner?.stop();
    this.#spinner = undefined;
  }
}
