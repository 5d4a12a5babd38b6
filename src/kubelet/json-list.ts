import { setImmediate } from 'node:timers/promises';

/** An answer is not the JSON that it should be; the message says why. */
export class UnexpectedJson extends Error {}

/** Rules of {@link readJsonList}. */
export interface JsonListRules {
  /** The member of the top object that holds the list, such as `items`. */
  readonly list: string;
  /** The most bytes of one entry, and of the other members. */
  readonly mostBytes: number;
  /** Takes one entry. */
  readonly onEntry: (text: string, index: number) => void;
  /** Told of an entry that is larger, and left out. */
  readonly onTooLarge: (index: number, bytes: number) => void;
  /** Asked between entries: what it throws ends the reading. */
  readonly check: () => void;
}

/** No object of Kubernetes is larger: etcd takes 1.5 MiB. */
export const MOST_BYTES_OF_OBJECT = 4 * 1024 * 1024;

/** How many bytes, or small entries, are read before the event loop has its turn. */
const BYTES_A_TURN = 512 * 1024;
const ENTRIES_A_TURN = 1_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * Reads a large JSON object with one long list, entry by entry, so that no answer holds up the event loop: a
 * single `JSON.parse` of 30 MB takes it for a third of a second. It only finds where members and entries
 * begin and end; `JSON.parse` reads each.
 *
 * @returns the other members of the object, parsed
 * @throws UnexpectedJson unless the text is one whole object whose list is a list, null or absent;
 * SyntaxError for a member that is not JSON
 */
export async function readJsonList(
  body: Buffer,
  rules: JsonListRules,
): Promise<ReadonlyMap<string, unknown>> {
  const { list, mostBytes, onEntry, onTooLarge, check } = rules;
  const others = new Map<string, unknown>();
  let [depth, start, key, entries] = [0, -1, '', 0];
  let turn = { at: 0, entries: 0 };
  let isInside = false;
  const take = (end: number): void => {
    const bytes = end - start;
    if (depth === 2) {
      const text = body.toString('utf8', start, end).trim();
      if (bytes > mostBytes) onTooLarge(entries, bytes);
      else if (text !== '') onEntry(text, entries);
      entries += 1;
      return;
    }
    if (bytes > mostBytes) throw new UnexpectedJson(`its ${JSON.stringify(key)} has ${String(bytes)} bytes`);
    const value: unknown = JSON.parse(body.toString('utf8', start, end));
    if (key === list && value !== null) throw new UnexpectedJson(`its ${list} are not a list`);
    others.set(key, value);
  };
  for (let at = firstByte(body); at < body.length; at += 1) {
    const byte = body[at];
    if (at - turn.at >= BYTES_A_TURN || entries - turn.entries >= ENTRIES_A_TURN) {
      turn = { at, entries };
      await setImmediate();
      check();
    }
    if (byte === QUOTE) {
      const end = endOfText(body, at, mostBytes);
      if (depth === 1 && start < 0) key = String(JSON.parse(body.toString('utf8', at, end + 1)));
      at = end;
    } else if (byte === COLON && depth === 1 && start < 0) {
      start = at + 1;
    } else if (byte === OPEN || byte === OPEN_LIST) {
      if (byte === OPEN_LIST && depth === 1 && key === list) {
        isInside = true;
        start = at + 1;
      }
      depth += 1;
    } else if (byte === COMMA && depth === (isInside ? 2 : 1)) {
      if (start >= 0) take(at);
      start = isInside ? at + 1 : -1;
    } else if (byte === CLOSE || byte === CLOSE_LIST) {
      if (isInside && depth === 2) {
        take(at);
        isInside = false;
        start = -1;
      } else if (depth === 1 && start >= 0) {
        take(at);
        start = -1;
      }
      depth -= 1;
      if (depth === 0) {
        if (body.toString('utf8', at + 1).trim() !== '')
          throw new UnexpectedJson('something follows its end');
        return others;
      }
    }
  }
  throw new UnexpectedJson(`it ends in the middle, after ${String(body.length)} bytes`);
}

/** @throws UnexpectedJson unless an object begins there */
function firstByte(body: Buffer): number {
  const start = /^\s*/.exec(body.toString('latin1', 0, 1_000))?.[0].length ?? 0;
  if (body[start] !== OPEN) throw new UnexpectedJson('it is not a JSON object');
  return start;
}

/** @throws UnexpectedJson if the text does not end, or has more escaped quotes than that */
function endOfText(body: Buffer, start: number, mostQuotes: number): number {
  let end = body.indexOf(QUOTE, start + 1);
  for (let quotes = 0; end >= 0 && quotes <= mostQuotes; quotes += 1) {
    let backslashes = 0;
    while (body[end - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
    end = body.indexOf(QUOTE, end + 1);
  }
  throw new UnexpectedJson(
    end < 0 ? 'it ends in the middle of a text' : 'it has a text with too many quotes',
  );
}
