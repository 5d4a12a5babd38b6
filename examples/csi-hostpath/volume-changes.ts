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

/** Lets one change at a time work on a volume. */
export class VolumeChanges {
  readonly #busy = new Set<string>();

  /**
   * Makes a change. As long as a command that was given up still works on the volume, there is no other one.
   *
   * @param deadlineMs - when the caller is to have its answer, in milliseconds since the epoch
   * @throws CsiError ABORTED when the volume is being changed; what the change throws
   */
  async make<T>(
    volumeId: string,
    deadlineMs: number,
    work: (change: VolumeChange) => Promise<T>,
  ): Promise<T> {
    if (this.#busy.has(volumeId)) {
      throw new CsiError(status.ABORTED, `the volume ${volumeId} is being changed by another call`);
    }
    this.#busy.add(volumeId);
    const change = new VolumeChange(deadlineMs);
    try {
      return await work(change);
    } finally {
      const { commandsGone } = change;
      if (commandsGone === undefined) this.#busy.delete(volumeId);
      else void commandsGone.then(() => this.#busy.delete(volumeId));
    }
  }
}
