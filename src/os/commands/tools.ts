import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { MetricsError } from '../../errors.js';
import { isSystemError, systemError } from '../system-error.js';
import { Children } from './children.js';

/** The commands that are used here. */
export type ToolName = 'stat' | 'df' | 'readlink' | 'nice' | 'setpriv' | 'du' | 'find';

/** Whose command it is: that decides about its options and its words. */
export type Dialect = 'gnu' | 'busybox';

/** A command that turns into another one, without that one. */
export type Prefix = readonly [file: string, ...args: string[]];

/** Where commands are looked for. PATH is not asked: it may lead onto a volume. */
const DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];

/** The commands of this machine. What was found is not looked for again. */
export class Tools {
  readonly #directories: readonly string[];
  readonly #files = new Map<ToolName, Promise<string>>();
  readonly #dialects = new Map<ToolName, Promise<Dialect>>();
  readonly #prefixes = new Map<'walker', Promise<Prefix>>();

  constructor(directories: readonly string[] = DIRECTORIES) {
    this.#directories = directories;
  }

  /**
   * The absolute path of a command.
   *
   * @throws MetricsError METRICS_NOT_SUPPORTED naming the command that is missing
   */
  file(name: ToolName): Promise<string> {
    // eslint-disable-next-line @typescript-eslint/require-await -- async, so that it rejects and never throws
    return kept(this.#files, name, async () => this.#find(name));
  }

  /**
   * @param path - what the command is needed for; errors name it
   * @throws MetricsError METRICS_NOT_SUPPORTED when the command is missing, or neither GNU's nor BusyBox's; a
   * system error such as EAGAIN when it could not be asked
   */
  dialect(name: ToolName, path: string): Promise<Dialect> {
    return naming(
      path,
      kept(this.#dialects, name, () => this.#ask(name)),
    );
  }

  /**
   * What a walker is run by, in the same process: `nice`, under `setpriv` where that can (util-linux's can). It
   * lets the kernel kill the walker when the thread that started it is gone, however it went: by a signal that
   * nobody listens for, or by worker.terminate(). Without that the walker ends at SIGPIPE with the next that it
   * prints: soon for find, for du after up to a whole directory right below the root.
   *
   * @param path - what is to be walked; errors name it
   * @throws as {@link Tools.dialect}
   */
  walkerPrefix(path: string): Promise<Prefix> {
    return naming(
      path,
      kept(this.#prefixes, 'walker', async () => {
        const nice = await this.file('nice');
        const leash = await this.#leash(nice);
        return [...leash, nice, '-n', '19'];
      }),
    );
  }

  /** @param harmless - a command that does nothing when it has no arguments */
  async #leash(harmless: string): Promise<[] | Prefix> {
    try {
      const setpriv = await this.file('setpriv');
      const leash = ['--pdeathsig', 'KILL'];
      // BusyBox's has no such option.
      const { exitCode } = await new Children().ask(setpriv, [...leash, harmless], setpriv);
      return exitCode === 0 ? [setpriv, ...leash] : [];
    } catch (error) {
      // Not there, or not to be run.
      if (error instanceof MetricsError) return [];
      throw error;
    }
  }

  async #ask(name: ToolName): Promise<Dialect> {
    const file = await this.file(name);
    // BusyBox knows no --version and introduces itself when it says so.
    const { stdout, stderr } = await new Children().ask(file, ['--version'], file);
    const dialect = dialectOf(stdout + stderr);
    if (dialect !== undefined) return dialect;
    throw new MetricsError('METRICS_NOT_SUPPORTED', `the command ${file} is neither GNU's nor BusyBox's`);
  }

  /** At once: Node's pool may have no thread to spare (see readMountinfo), and these are no volumes. */
  #find(name: ToolName): string {
    const file = this.#directories.map((directory) => join(directory, name)).find(isExecutable);
    if (file !== undefined) return file;
    throw new MetricsError(
      'METRICS_NOT_SUPPORTED',
      `the command ${name} is needed and not there (looked in ${this.#directories.join(', ')})`,
    );
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whose command answers `--version` with this text. */
export function dialectOf(version: string): Dialect | undefined {
  if (version.includes('BusyBox v')) return 'busybox';
  return /\(GNU (?:coreutils|findutils)\)/.test(version) ? 'gnu' : undefined;
}

/** Those who ask about several paths at once share one failure. Each of them is to read of its own path. */
async function naming<T>(path: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw isSystemError(error) ? systemError(error.code, error.syscall, path) : error;
  }
}

/** What was asked before, or a new answer; a failure is not kept. */
function kept<K, V>(answers: Map<K, Promise<V>>, key: K, ask: () => Promise<V>): Promise<V> {
  const known = answers.get(key);
  if (known !== undefined) return known;
  const answer = ask();
  answers.set(key, answer);
  answer.catch(() => answers.delete(key));
  return answer;
}
