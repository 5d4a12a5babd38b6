import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { MetricsError } from '../../errors.js';
import { Children } from './children.js';

/** The commands that are used here. */
export type ToolName = 'stat' | 'df' | 'readlink' | 'nice' | 'du' | 'find';

/** Whose command it is: that decides about its options and its words. */
export type Dialect = 'gnu' | 'busybox';

/** Where commands are looked for. PATH is not asked: it may lead onto a volume. */
const DIRECTORIES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];

/** The commands of this machine. What was found is not looked for again. */
export class Tools {
  readonly #directories: readonly string[];
  readonly #files = new Map<ToolName, Promise<string>>();
  readonly #dialects = new Map<ToolName, Promise<Dialect>>();

  constructor(directories: readonly string[] = DIRECTORIES) {
    this.#directories = directories;
  }

  /**
   * The absolute path of a command.
   *
   * @throws MetricsError METRICS_NOT_SUPPORTED naming the command that is missing
   */
  file(name: ToolName): Promise<string> {
    return kept(this.#files, name, () => this.#find(name));
  }

  /** @throws MetricsError METRICS_NOT_SUPPORTED when the command is missing, or neither GNU's nor BusyBox's */
  dialect(name: ToolName): Promise<Dialect> {
    return kept(this.#dialects, name, async () => {
      const file = await this.file(name);
      // BusyBox knows no --version and introduces itself when it says so.
      const { stdout, stderr } = await new Children().ask(file, ['--version'], file);
      const dialect = dialectOf(stdout + stderr);
      if (dialect !== undefined) return dialect;
      throw new MetricsError('METRICS_NOT_SUPPORTED', `the command ${file} is neither GNU's nor BusyBox's`);
    });
  }

  async #find(name: ToolName): Promise<string> {
    for (const directory of this.#directories) {
      const file = join(directory, name);
      const usable = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      );
      if (usable) return file;
    }
    throw new MetricsError(
      'METRICS_NOT_SUPPORTED',
      `the command ${name} is needed and not there (looked in ${this.#directories.join(', ')})`,
    );
  }
}

/** Whose command answers `--version` with this text. */
export function dialectOf(version: string): Dialect | undefined {
  if (version.includes('BusyBox v')) return 'busybox';
  return /\(GNU (?:coreutils|findutils)\)/.test(version) ? 'gnu' : undefined;
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
