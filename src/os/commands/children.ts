import { MetricsError } from '../../errors.js';
import { starter, type Child } from './run.js';

/** What a command has said by the time it ended. Each character stands for one byte. */
export interface Said {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** More characters than any answer here has. */
const MOST_SAID = 65_536;

/**
 * The processes that work on one call. They do not keep this process alive: whoever waits for the call does.
 */
export class Children {
  readonly #running = new Set<Child>();
  #ended = false;

  /** Runs a command that says little, and takes all that it says. */
  async ask(file: string, args: readonly string[], path: string): Promise<Said> {
    const start = await starter();
    return await new Promise<Said>((resolve, reject) => {
      if (this.#ended) {
        reject(new Error(`${file} was not started: the call is over`));
        return;
      }
      const said = { stdout: '', stderr: '' };
      const take = (name: 'stdout' | 'stderr') => (chunk: string) => {
        said[name] += chunk;
        if (said[name].length <= MOST_SAID) return;
        child.kill();
        reject(new MetricsError('METRICS_FS_INFO_FAILED', `${file} says too much to be an answer`, { path }));
      };
      const child = start(
        { file, args, path, keepsAlive: false },
        { stdout: take('stdout'), stderr: take('stderr') },
      );
      this.#running.add(child);
      void child.gone.then(() => this.#running.delete(child));
      child.ended.then(({ exitCode }) => {
        resolve({ exitCode, ...said });
      }, reject);
    });
  }

  /**
   * Kills what still runs and lets nothing more start. Resolves when all is really gone, which may be never.
   */
  async end(): Promise<void> {
    this.#ended = true;
    const running = [...this.#running];
    for (const child of running) child.kill();
    await Promise.all(running.map((child) => child.gone));
  }
}
