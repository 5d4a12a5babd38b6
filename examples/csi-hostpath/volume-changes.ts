import { status } from '@grpc/grpc-js';
import { isMetricsError, pathInfo, type PathInfo } from 'kube-volume-metrics';
import { commandFailed, start, type Ended, type Running } from './commands.js';
import { CsiError } from './csi-error.js';

/**
 * One change of one volume: everything that it does outside of the data root goes through here, and has ended
 * or is given up when its time is over.
 */
export class VolumeChange {
  readonly #deadlineMs: number;
  readonly #running = new Set<Running>();

  /** @param deadlineMs - when the caller is to have its answer, in milliseconds since the epoch */
  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  /**
   * What is at a path, symlinks followed; undefined when there is nothing.
   *
   * @throws MetricsError METRICS_TIMED_OUT, METRICS_FS_INFO_FAILED
   */
  async lookAt(path: string): Promise<PathInfo | undefined> {
    try {
      return await pathInfo(path, { timeoutMs: this.#leftMs() });
    } catch (error) {
      if (isMetricsError(error) && error.code === 'METRICS_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /**
   * Runs a command to its end.
   *
   * @returns what it printed
   * @throws CsiError INTERNAL when it fails, DEADLINE_EXCEEDED when it takes too long
   */
  async run(name: string, ...args: string[]): Promise<string> {
    const ended = await this.try(name, ...args);
    if (ended.exitCode !== 0) throw commandFailed(name, ended);
    return ended.stdout;
  }

  /** Runs a command that may fail. */
  async try(name: string, ...args: string[]): Promise<Ended> {
    const leftMs = this.#leftMs();
    const command = await start(name, args);
    this.#running.add(command);
    void command.gone.then(() => this.#running.delete(command));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        command.kill();
        command.letGo();
        reject(new CsiError(status.DEADLINE_EXCEEDED, `${name} did not end in time`));
      }, leftMs);
    });
    try {
      return await Promise.race([command.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * When the last of its commands is gone: at once, unless one was given up and waits for a mount that is
   * dead.
   */
  get commandsGone(): Promise<unknown> | undefined {
    if (this.#running.size === 0) return undefined;
    return Promise.all([...this.#running].map((command) => command.gone));
  }

  #leftMs(): number {
    const leftMs = this.#deadlineMs - Date.now();
    if (leftMs < 1) throw new CsiError(status.DEADLINE_EXCEEDED, 'the time of the call is over');
    return leftMs;
  }
}

/** The longest that a timer of Node waits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Lets one change at a time work on a volume, in the order in which they come: two pods that share a claim and
 * are deleted together have it unpublished twice at once.
 */
export class VolumeChanges {
  /** Of each volume that is being changed: when all of its changes will be over. */
  readonly #over = new Map<string, Promise<unknown>>();

  /**
   * Makes a change, once those before it are over: also the commands that they gave up, which may still work
   * on the volume.
   *
   * @param deadlineMs - when the caller is to have its answer, in milliseconds since the epoch
   * @throws CsiError ABORTED when the volume is still being changed by then; what the change throws
   */
  async make<T>(
    volumeId: string,
    deadlineMs: number,
    work: (change: VolumeChange) => Promise<T>,
  ): Promise<T> {
    let isOver: (ended: unknown) => void = () => undefined;
    const own = new Promise((resolve) => (isOver = resolve));
    const before = this.#over.get(volumeId);
    const all = Promise.all([before, own]);
    this.#over.set(volumeId, all);
    void all.then(() => {
      if (this.#over.get(volumeId) === all) this.#over.delete(volumeId);
    });
    const change = new VolumeChange(deadlineMs);
    try {
      if (before !== undefined && !(await isOverBy(before, deadlineMs))) {
        throw new CsiError(status.ABORTED, `the volume ${volumeId} is being changed by another call`);
      }
      return await work(change);
    } finally {
      isOver(change.commandsGone);
    }
  }
}

async function isOverBy(before: Promise<unknown>, deadlineMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, Math.min(deadlineMs - Date.now(), LONGEST_TIMER_MS), false);
  });
  try {
    return await Promise.race([before.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
