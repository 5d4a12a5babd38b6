import yoctoSpinner, { type Spinner } from 'yocto-spinner';
import type { DiskUsage } from '../../index.js';
import { humanBytes } from './table.js';

/** A walk that ends sooner needs no progress. */
const SHOWN_AFTER_MS = 1000;

/**
 * One line on a terminal that says how far all walks together are. If the stream is not a terminal, nothing
 * is written.
 */
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
    // The spinner writes a line for each update where it cannot move the cursor, and in continuous
    // integration.
    const isLive = this.#stream.isTTY && process.env['TERM'] !== 'dumb' && !('CI' in process.env);
    if (!isLive || performance.now() - this.#startMs < SHOWN_AFTER_MS) return;
    let [used, inodesUsed] = [0n, 0n];
    for (const each of this.#sofar.values()) {
      used += each.used;
      inodesUsed += each.inodesUsed;
    }
    this.#spinner ??= this.#start();
    this.#spinner.text = `${humanBytes(used)} in ${String(inodesUsed)} inodes so far`;
  }

  #start(): Spinner {
    // SIGINT ends the walks and not the process, so the spinner must not handle it. After SIGTERM the cursor
    // would stay hidden.
    process.once('SIGTERM', this.#onTerm);
    return yoctoSpinner({ stream: this.#stream, handleSignals: false }).start();
  }

  readonly #onTerm = (): void => {
    this.end();
    process.kill(process.pid, 'SIGTERM');
  };

  /** Removes the line. */
  end(): void {
    this.#spinner?.stop();
    this.#spinner = undefined;
    process.removeListener('SIGTERM', this.#onTerm);
  }
}
