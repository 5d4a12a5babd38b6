import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { MetricsError } from '../../errors.js';
import { isSystemError, systemError } from '../system-error.js';
import { Children } from './children.js';

/** The commands that are used here. */
export type ToolName = 'stat' | 'df' | 'readlink' | 'nice' | 'setpriv' | 'du' | 'find';

/** Whose command it is. That decides its options and the texts it prints. */
export type Dialect = 'gnu' | 'busybox';

/** The beginning of a command line that runs another command in the same process; may be empty. */
export type Prefix = readonly string[];

/** Where commands are looked for. PATH is not used: it may lead onto a volume. */
const DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];

/** The commands of this machine. Each is looked for once. */
export class Tools {
  readonly #directories: readonly string[];
  readonly #files = new Map<ToolName, Promise<string>>();
  readonly #dialects = new Map<ToolName, Promise<Dialect>>();
  readonly #prefixes = new Map<'walker', Promise<Prefix>>();
  /** The commands that are asked about themselves. */
  readonly #children = new Children();

  constructor(directories: readonly string[] = DIRECTORIES) {
    this.#directories = directories;
  }

  /**
   * The absolute path of a command.
   *
   * @throws MetricsError METRICS_NOT_SUPPORTED naming the missing command
   */
  file(name: ToolName): Promise<string> {
    // eslint-disable-next-line @typescript-eslint/require-await -- async, so that it rejects and never throws
    return kept(this.#files, name, async () => this.#find(name));
  }

  /**
   * @param path - the path that the command is needed for; errors name it
   * @throws MetricsError METRICS_NOT_SUPPORTED if the command is missing, or neither GNU's nor BusyBox's; a
   * system error such as EAGAIN if it could not be run
   */
  dialect(name: ToolName, path: string): Promise<Dialect> {
    return naming(
      path,
      kept(this.#dialects, name, () => this.#ask(name)),
    );
  }

  /**
   * A text that changes as long as the commands that are asked about themselves make progress, and while
   * there are none.
   */
  sign(): string {
    return this.#children.sign();
  }

  /**
   * What runs a walking command, in the same process: `nice`, under util-linux's `setpriv` if that is there.
   * It lets the kernel kill the walk when the thread that started it is gone, also by a signal that has no
   * listener or by worker.terminate(). Without `setpriv` the walk ends by SIGPIPE when it next prints: soon
   * for find, for du after up to a whole directory right below the root.
   *
   * @param path - the root of the walk; errors name it
   * @throws as {@link Tools.dialect}
   */
  walkerPrefix(path: string): Promise<Prefix> {
    return naming(
      path,
      kept(this.#prefixes, 'walker', async () => {
        const nice = await this.file('nice');
        const leash = await this.#leash(nice);
        const lowest = [nice, '-n', '19'] as const;
        // A seccomp filter may refuse to change the priority: a walk at the usual one is better than none.
        const { exitCode } = await this.#children.ask(nice, ['-n', '19', nice], nice);
        return exitCode === 0 ? [...leash, ...lowest] : leash;
      }),
    );
  }

  /** @param harmless - a command that does nothing when it has no arguments */
  async #leash(harmless: string): Promise<Prefix> {
    try {
      const setpriv = await this.file('setpriv');
      const leash = ['--pdeathsig', 'KILL'];
      // BusyBox's has no such option.
      const { exitCode } = await this.#children.ask(setpriv, [...leash, harmless], setpriv);
      return exitCode === 0 ? [setpriv, ...leash] : [];
    } catch (error) {
      // It is missing or cannot be run.
      if (error instanceof MetricsError) return [];
      throw error;
    }
  }

  async #ask(name: ToolName): Promise<Dialect> {
    const file = await this.file(name);
    // BusyBox does not know --version, but its error message names it.
    const { stdout, stderr } = await this.#children.ask(file, ['--version'], file);
    const dialect = dialectOf(stdout + stderr);
    if (dialect !== undefined) return dialect;
    throw new MetricsError('METRICS_NOT_SUPPORTED', `the command ${file} is neither GNU's nor BusyBox's`);
  }

  /**
   * Synchronous: Node's thread pool may be full (see readMountinfo), and these directories are not on
   * volumes.
   */
  #find(name: ToolName): string {
    const file = this.#directories.map((directory) => join(directory, name)).find(isExecutable);
    if (file !== undefined) return file;
    throw new MetricsError(
      'METRICS_NOT_SUPPORTED',
      `the command ${name} is needed and was not found in ${this.#directories.join(', ')}`,
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

/** Callers with different paths may share one failure. Each of them gets an error that names its own path. */
async function naming<T>(path: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw isSystemError(error) ? systemError(error.code, error.syscall, path) : error;
  }
}

/** The answer to an earlier question, or a new one. Failures are not kept. */
function kept<K, V>(answers: Map<K, Promise<V>>, key: K, ask: () => Promise<V>): Promise<V> {
  const known = answers.get(key);
  if (known !== undefined) return known;
  const answer = ask();
  answers.set(key, answer);
  answer.catch(() => answers.delete(key));
  return answer;
}
