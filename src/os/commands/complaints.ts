import { MetricsError } from '../../errors.js';
import type { Incomplete } from '../../metrics.js';
import { systemError } from '../system-error.js';
import { fromBytes } from './children.js';
import { errnoOf } from './errno-text.js';

/** An error message of a walking command, usually about one entry. */
export interface Message {
  /** The command that wrote it. */
  readonly program: string;
  /** The entry, one character for each byte; undefined when the message is of another form. */
  readonly path: string | undefined;
  /** The errno's name. */
  readonly code: string | undefined;
  readonly text: string;
}

/**
 * A message begins with the command: the path by which it was called from GNU's, the name from BusyBox's.
 * BusyBox writes file names as they are, so that a message may go on after a newline.
 */
const BEGINS = /^(?:\/\S*\/)?(du|find|stat|nice): /;

/** The most characters kept of one message: the longest path, all of it escaped, and some words. */
const LONGEST = 65_536;

/** Reads the messages on stderr as they come. */
export class MessageReader {
  readonly #onMessage: (message: Message) => void;
  #rest = '';
  #begun: string | undefined;

  constructor(onMessage: (message: Message) => void) {
    this.#onMessage = onMessage;
  }

  read(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop()?.slice(0, LONGEST) ?? '';
    for (const line of lines) this.#line(line);
  }

  /** There is no more output. */
  end(): void {
    if (this.#rest !== '') this.#line(this.#rest);
    this.#rest = '';
    this.#flush();
  }

  #line(line: string): void {
    if (BEGINS.test(line)) this.#flush();
    this.#begun = (this.#begun === undefined ? line : `${this.#begun}\n${line}`).slice(0, LONGEST);
    if (errnoOf(this.#begun) !== undefined) this.#flush();
  }

  #flush(): void {
    if (this.#begun !== undefined) this.#onMessage(parseMessage(this.#begun));
    this.#begun = undefined;
  }
}

/**
 * A message of any of the commands:
 *
 *     /usr/bin/du: cannot read directory '/v/a b': Permission denied        GNU, quoted as for a shell
 *     /usr/bin/find: '/v/it\'s': Permission denied                          GNU, quoted as in C
 *     find: /v/it's: Permission denied                                      BusyBox
 *     stat: can't stat '/v/it's': No such file or directory                 BusyBox, not escaped
 */
export function parseMessage(text: string): Message {
  const program = BEGINS.exec(text)?.[1] ?? '';
  const said = text.replace(BEGINS, '');
  const [, words = '', name] = /^(can't [\w ]+? |cannot [\w ]+? )?(['"/].*): [^\n]+$/s.exec(said) ?? [];
  const code = errnoOf(said);
  if (name === undefined || code === undefined) return { program, path: undefined, code, text };
  return { program, path: unquoted(name, program, words), code, text };
}

function unquoted(name: string, program: string, words: string): string {
  if (name.startsWith('/')) return name;
  if (words.startsWith("can't")) return name.slice(1, -1);
  return program === 'find' ? unescaped(name.slice(1, -1)) : fromShell(name);
}

/**
 * Undoes GNU's quoting for a shell: '...' as it is, $'...' with escapes of C, \ before a quote, "..." as it
 * is.
 */
function fromShell(name: string): string {
  const PARTS = /'([^']*)'|\$'((?:[^\\']|\\.)*)'|\\(.)|"([^"]*)"/gs;
  return [...name.matchAll(PARTS)]
    .map(([, plain, escaped, single, double]) => plain ?? single ?? double ?? unescaped(escaped ?? ''))
    .join('');
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function unescaped(text: string): string {
  return text.replace(/\\([0-7]{1,3}|.)/gs, (_, code: string) =>
    /^[0-7]/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (ESCAPES[code] ?? code),
  );
}

/**
 * Errnos of an entry that was removed, or replaced by another kind of file, before the walk came to it. ELOOP
 * is not among them: GNU's commands open directories in such a way that a symlink in the place of one is
 * ENOTDIR.
 */
const VANISHED: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR']);

/**
 * du and find skip a directory whose device and inode are those of one above it, and say so. Some FUSE
 * servers number directories like that; the tree itself is finite, because every path in it is walked once.
 */
const CYCLE =
  /^(?:\/\S*\/)?(?:du: WARNING: Circular directory structure\.|find: File system loop detected; )/;

/** Decides what the error messages of a walking command mean for the walk. */
export class Failures {
  readonly #root: string;
  readonly #path: string;
  readonly #leftOut: ReadonlySet<string>;
  readonly #allowPartial: boolean;
  #errors = 0;
  #first: Incomplete['first'] | undefined;

  /**
   * @param root - the root as it was given to the command, one character for each byte
   * @param path - the root as the caller named it
   * @param leftOut - mount points below the root, one character for each byte
   */
  constructor(root: string, path: string, leftOut: readonly string[], allowPartial: boolean) {
    this.#root = root;
    this.#path = path;
    this.#leftOut = new Set(leftOut);
    this.#allowPartial = allowPartial;
  }

  /** The entries that were left out. */
  get incomplete(): Incomplete | undefined {
    return this.#first && { errors: this.#errors, first: this.#first };
  }

  /**
   * @throws a system error naming the entry, unless `allowPartial`; MetricsError METRICS_USAGE_FAILED if the
   * message is not understood
   */
  add(message: Message): void {
    if (CYCLE.test(message.text)) return;
    // nice warns if it may not lower the priority, and runs the command all the same.
    if (message.program === 'nice') return;
    const { program, path: entry, code } = message;
    const isRoot = entry === this.#root;
    const isBelow = entry?.startsWith(this.#root === '/' ? '/' : `${this.#root}/`);
    // A message about anything else means that a command could not be run.
    if (entry === undefined || code === undefined || !(isRoot || isBelow)) {
      throw new MetricsError(
        'METRICS_USAGE_FAILED',
        `failed to measure disk usage: ${fromBytes(message.text)}`,
        {
          path: this.#path,
        },
      );
    }
    // find does lstat(2) a mount point before it turns away from it, and the filesystem there may be dead
    // (ENOTCONN).
    if (this.#leftOut.has(entry) || (VANISHED.has(code) && !isRoot)) return;
    const path = isRoot ? this.#path : fromBytes(entry);
    if (!this.#allowPartial || VANISHED.has(code)) throw systemError(code, program, path);
    this.#errors += 1;
    this.#first ??= { path, code };
  }
}

/** Both commands report the same entries, so this takes the larger count of the two and not their sum. */
export function together(one: Incomplete | undefined, other: Incomplete | undefined): Incomplete | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return { errors: Math.max(one.errors, other.errors), first: one.first };
}
