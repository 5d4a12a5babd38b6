import { escapedStart } from '../escape.js';

/** An object of JSON; what its properties are is not known. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The value if it is an object, neither null nor an array. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

/** The value if it is an array; an absent or malformed list counts as an empty one. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** The value if it is a text that is not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** `{ [name]: value }` if the value is a text that is not empty, else nothing: to be spread. */
export function textField<Name extends string>(name: Name, value: unknown): Record<Name, string> | undefined {
  const text = textOf(value);
  return text === undefined ? undefined : ({ [name]: text } as Record<Name, string>);
}

/** The longest name of an entry of a directory, in bytes. */
const LONGEST_NAME = 255;

/**
 * Whether a text can be one component of a path and nothing else. What a pod or a claim says becomes a part
 * of paths only if it can.
 */
export function isPathComponent(text: string | undefined): text is string {
  if (text === undefined || text === '' || text === '.' || text === '..') return false;
  return !/[/\0]/.test(text) && Buffer.byteLength(text) <= LONGEST_NAME;
}

/** Whether a text can be the name of an object of Kubernetes, such as a node, a pod or a claim. */
export function isObjectName(text: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{0,252}$/.test(text);
}

const LONGEST_QUOTE = 100;

/** A text of a stranger as a person reads it in a message: quoted, on one line, cut where it is long. */
export function quoted(text: string): string {
  return `"${escapedStart(text, LONGEST_QUOTE)}"`;
}

const MOST_PROBLEMS = 100;

/** Problems of one answer, as texts for people; the first ones, and how many more there are. */
export class Problems {
  readonly #texts: string[] = [];
  #more = 0;

  add(text: string): void {
    if (this.#texts.length < MOST_PROBLEMS) this.#texts.push(text);
    else this.#more += 1;
  }

  texts(): readonly string[] {
    return this.#more === 0 ? this.#texts : [...this.#texts, `and ${String(this.#more)} more problems`];
  }
}
