import { basename } from 'node:path';
import { MetricsError } from '../../errors.js';
import type { Walk } from '../disk-usage.js';
import { MessageReader, type Message } from './messages.js';
import { starter, type Child, type Ended } from './run.js';
import { signOfLife } from './sign-of-life.js';
import { StallWatch } from './stall-watch.js';
import type { Prefix } from './tools.js';

/** A command that walks a tree. */
export interface Walker {
  /** The command and its arguments. */
  readonly command: readonly [file: string, ...args: string[]];
  /** Takes what it prints. What this throws ends the walk. */
  read(chunk: string): void;
  /** Takes what it complains of. What this throws ends the walk. */
  complain(message: Message): void;
}

/** The limits of a walk, and what becomes of a walker that was killed. */
export interface WalkerLimits extends Pick<Walk, 'signal' | 'stallTimeoutMs'> {
  /** @param since - when it was last seen to move */
  abandoned(child: Child, since: Date): void;
}

/**
 * Lets a walker run to its end, with the lowest priority. It is killed, and not waited for, when the caller
 * aborts, when it stalls (it uses no processor time and prints nothing for so long), and when what it prints
 * ends the walk.
 *
 * @param prefix - what turns into the walker, in the same process
 * @param path - the root of the walk, for errors
 */
export async function runWalker(
  prefix: Prefix,
  walker: Walker,
  path: string,
  limits: WalkerLimits,
): Promise<void> {
  const { signal, stallTimeoutMs } = limits;
  const [file, ...args] = [...prefix, ...walker.command] as const;
  const start = await starter();
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    let complained = false;
    const messages = new MessageReader((message) => {
      complained = true;
      walker.complain(message);
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
          walker.read(chunk);
        }),
        stderr: whileMoving((chunk) => {
          messages.read(chunk);
        }),
      },
    );
    const stall = new StallWatch(
      () => signOfLife(child.pid),
      stallTimeoutMs,
      () => {
        giveUp(stalled(path, stallTimeoutMs));
      },
    );
    const onAbort = (): void => {
      giveUp(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort);
    const over = (): void => {
      stall.stop();
      signal?.removeEventListener('abort', onAbort);
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
        checkEnd(ended, complained, walker.command[0], path);
        resolve();
      })
      .catch((error: unknown) => {
        over();
        reject(error);
      });
  });
}

/** GNU and BusyBox end with 1 after complaints; nice with 126 or 127 when it cannot run the command. */
function checkEnd({ exitCode, signal }: Ended, complained: boolean, file: string, path: string): void {
  if (exitCode === 0 || (exitCode === 1 && complained)) return;
  const how = signal ?? `exit code ${String(exitCode)}`;
  throw new MetricsError(
    'METRICS_USAGE_FAILED',
    `failed to measure disk usage: ${basename(file)} on ${path} ended with ${how}`,
    { path },
  );
}

function stalled(path: string, stallTimeoutMs: number): MetricsError {
  return new MetricsError(
    'METRICS_TIMED_OUT',
    `the walk of ${path} stalled: no progress for ${String(stallTimeoutMs)} ms`,
    { path },
  );
}
