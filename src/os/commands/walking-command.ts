import { basename } from 'node:path';
import { MetricsError } from '../../errors.js';
import { onAbort } from '../../waiting/abort.js';
import type { EndTimer } from '../../waiting/deadline.js';
import type { Walk } from '../os-binding.js';
import { signOfLife, starter, type Child, type Ended } from './children.js';
import { MessageReader, type Message } from './complaints.js';
import type { Prefix } from './tools.js';

/** A command that walks a tree. */
export interface WalkingCommand {
  /** The command and its arguments. */
  readonly command: readonly [file: string, ...args: string[]];
  /** Takes what it prints. An error that this throws ends the walk. */
  read(chunk: string): void;
  /** Takes its error messages. An error that this throws ends the walk. */
  complain(message: Message): void;
}

/** The limits of a walk, and what becomes of a command that was killed. */
export interface WalkingLimits extends Pick<Walk, 'signal' | 'stallTimeoutMs'> {
  /** @param since - when it was last seen to make progress */
  abandoned(child: Child, since: Date): void;
}

/**
 * Runs a walking command to its end, with the lowest priority. It is killed, and not waited for, if the
 * caller aborts, if it stalls (uses no processor time and prints nothing for too long), or if its output ends
 * the walk.
 *
 * @param prefix - the command that turns into the walking one, in the same process
 * @param path - the root of the walk, for errors
 */
export async function runWalkingCommand(
  prefix: Prefix,
  walking: WalkingCommand,
  path: string,
  limits: WalkingLimits,
): Promise<void> {
  const { signal, stallTimeoutMs } = limits;
  const [file, ...args] = [...prefix, ...walking.command] as [string, ...string[]];
  const start = await starter();
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    let complained = false;
    const messages = new MessageReader((message) => {
      complained = true;
      walking.complain(message);
    });
    const whileMoving = (take: (chunk: string) => void) => (chunk: string) => {
      stall.moved();
      try {
        take(chunk);
      } catch (error) {
        giveUp(error);
      }
    };
    const child = start(
      { file, args, path, keepsAlive: true },
      {
        stdout: whileMoving((chunk) => {
          walking.read(chunk);
        }),
        stderr: whileMoving((chunk) => {
          messages.read(chunk);
        }),
      },
    );
    const stall = new StallLimit(() => signOfLife(child.pid), stallTimeoutMs);
    const timer = stall.onEnd(() => {
      giveUp(stalled(path, stallTimeoutMs));
    });
    const stopListening = onAbort(signal, (reason) => {
      giveUp(reason);
    });
    const over = (): void => {
      timer.stop();
      stopListening();
    };
    const giveUp = (reason: unknown): void => {
      over();
      child.kill();
      limits.abandoned(child, stall.movedAt);
      reject(reason);
    };
    child.ended
      .then((ended) => {
        over();
        messages.end();
        checkEnd(ended, complained, walking.command[0], path);
        resolve();
      })
      .catch((error: unknown) => {
        over();
        reject(error);
      });
  });
}

/** A signal from elsewhere ended a walking command. */
export class EndedBySignal extends MetricsError {
  readonly signal: string;

  constructor(signal: string, command: string, path: string) {
    const text = `failed to measure disk usage: ${command} on ${path} ended with ${signal}`;
    super('METRICS_USAGE_FAILED', text, { path });
    this.signal = signal;
  }
}

/**
 * GNU's and BusyBox's commands end with 1 after error messages; nice with 126 or 127 if it cannot run the
 * command.
 */
function checkEnd({ exitCode, signal }: Ended, complained: boolean, file: string, path: string): void {
  if (exitCode === 0 || (exitCode === 1 && complained)) return;
  if (signal !== undefined) throw new EndedBySignal(signal, basename(file), path);
  throw new MetricsError(
    'METRICS_USAGE_FAILED',
    `failed to measure disk usage: ${basename(file)} on ${path} ended with exit code ${String(exitCode)}`,
    { path },
  );
}

/** The rejection of a walk that made no progress for too long. */
export function stalled(path: string, stallTimeoutMs: number): MetricsError {
  return new MetricsError(
    'METRICS_TIMED_OUT',
    `the walk of ${path} stalled: no progress for ${String(stallTimeoutMs)} ms`,
    { path },
  );
}

/** The longest time between two looks. */
const LONGEST_LOOK_MS = 1_000;
const LOOKS_PER_LIMIT = 10;

/** A limit on the time without progress, of work that may otherwise take as long as it likes. */
export class StallLimit {
  readonly #sign: () => string | undefined;
  readonly #limitMs: number;
  #last: string | undefined;
  #movedAt = performance.now();

  /**
   * @param sign - a text that changes when the work has made progress; undefined if that cannot be told
   * @param limitMs - milliseconds without progress
   */
  constructor(sign: () => string | undefined, limitMs: number) {
    this.#sign = sign;
    this.#limitMs = limitMs;
  }

  /** Calls `end` when there was no progress for too long. Does not keep the process alive unless asked to. */
  onEnd(end: () => void, { keepsAlive = false }: { readonly keepsAlive?: boolean } = {}): EndTimer {
    const lookMs = Math.min(LONGEST_LOOK_MS, this.#limitMs / LOOKS_PER_LIMIT);
    let lastTurn: NodeJS.Immediate | undefined;
    const timer = setInterval(() => {
      if (this.#stoodStillMs() < this.#limitMs) return;
      clearInterval(timer);
      // A busy event loop fires its timers before it looks at an answer that came in time.
      lastTurn = setImmediate(end);
    }, lookMs);
    if (!keepsAlive) timer.unref();
    return {
      stop: () => {
        clearInterval(timer);
        clearImmediate(lastTurn);
      },
      isNearlyOver: false,
    };
  }

  /** The work has made progress. */
  moved(): void {
    this.#movedAt = performance.now();
  }

  /** When it was last seen to make progress. */
  get movedAt(): Date {
    return new Date(Date.now() - (performance.now() - this.#movedAt));
  }

  #stoodStillMs(): number {
    const sign = this.#sign();
    if (sign !== this.#last) this.moved();
    this.#last = sign;
    return performance.now() - this.#movedAt;
  }
}
