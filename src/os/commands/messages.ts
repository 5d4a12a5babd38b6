import { errnoOf } from './errno-text.js';

/** What a walking command said on stderr of one entry. */
export interface Message {
  /** Who said it. */
  readonly program: string;
  /** The entry, one character for each byte; undefined when the message is of another form. */
  readonly path: string | undefined;
  /** The errno's name. */
  readonly code: string | undefined;
  readonly text: string;
}

/**
 * A message begins with who says it: GNU's commands give the path by which they were called, BusyBox's their
 * name. BusyBox writes names of files as they are, so that a message may go on after a newline.
 */
const BEGINS = /^(?:\/\S*\/)?(du|find|stat|nice): /;

/** More of one message is not kept: the longest path with all of it escaped, and some words. */
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

  /** No more comes. */
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
 * Undoes GNU's quoting for a shell: '...' as it is, $'...' with escapes of C, \ before a quote, "..." as it is.
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
