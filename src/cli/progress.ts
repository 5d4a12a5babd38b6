import type { DiskUsage } from '../index.js';
import { humanBytes } from './amounts.js';

/** A walk that is over sooner needs no progress. */
const SHOWN_AFTER_MS = 1000;
const CLEAR_LINE = '\r\u001b[K';

/** One line on a terminal that says how far all walks together are. Anything but a terminal gets nothing. */
export class Progress {
  readonly #terminal: { readonly isTTY?: boolean; write(text: string): unknown };
  readonly #sofar = new Map<number, DiskUsage>();
  readonly #startMs = performance.now();
  #shown = false;

  constructor(terminal: { readonly isTTY?: boolean; write(text: string): unknown }) {
    this.#terminal = terminal;
  }

  /** How far one walk is. */
  update(index: number, sofar: DiskUsage): void {
    this.#sofar.set(index, sofar);
    if (this.#terminal.isTTY !== true || performance.now() - this.#startMs < SHOWN_AFTER_MS) return;
    let [used, inodesUsed] = [0n, 0n];
    for (const each of this.#sofar.values()) {
      used += each.used;
      inodesUsed += each.inodesUsed;
    }
    this.#shown = true;
    this.#terminal.write(`${CLEAR_LINE}${humanBytes(used)} in ${String(inodesUsed)} inodes so far`);
  }

  /** Takes the line away. */
  end(): void {
    if (this.#shown) this.#terminal.write(CLEAR_LINE);
  }
}
