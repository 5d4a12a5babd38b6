import { setMaxListeners } from 'node:events';
import type { GetMetricsOptions } from './metrics.js';
import { LONGEST_TIMER_MS } from './waiting/deadline.js';

/**
 * The options of a public function or constructor.
 *
 * @param known - the names of all its options
 * @throws TypeError unless they are an object; for an unknown option, which the message names
 */
export function checkedOptions<T extends object>(options: T, known: readonly (keyof T & string)[]): T {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError(`Expected options to be an object, got ${typeOf(given)}`);
  }
  if (isSignal(given)) {
    const example = known.some((name) => name === 'signal') ? ' such as { signal }' : '';
    throw new TypeError(`Expected options to be an object${example}, got an AbortSignal`);
  }
  for (const name of Object.keys(given)) {
    if ((known as readonly string[]).includes(name)) continue;
    const list = known.length === 0 ? 'there are none' : `the options are ${known.join(', ')}`;
    throw new TypeError(`Unknown option ${JSON.stringify(name)}: ${list}`);
  }
  return options;
}

const GET_METRICS_OPTIONS = ['signal'] as const;

/**
 * The signal of a call that has no other option, such as `getMetrics`.
 *
 * @throws TypeError unless it is an AbortSignal, and for an unknown option; the signal's reason if it is
 * already aborted
 */
export function openSignal(options: GetMetricsOptions): AbortSignal | undefined {
  const signal = checkedSignal(checkedOptions(options, GET_METRICS_OPTIONS).signal);
  if (signal?.aborted) throw signal.reason;
  return signal;
}

/**
 * A signal that many calls may share. Node's warning about many listeners is switched off: one for each
 * volume is intended.
 *
 * @throws TypeError unless it is undefined or an AbortSignal
 */
export function checkedSignal(value: AbortSignal | undefined): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (!isSignal(value)) throw new TypeError(`Expected signal to be an AbortSignal, got ${typeOf(value)}`);
  if (value instanceof AbortSignal) setMaxListeners(0, value);
  return value;
}

/**
 * @throws TypeError naming the option unless it is a number of milliseconds above 0 that a timer of Node can
 * wait
 */
export function checkedMs(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value > 0 && value <= LONGEST_TIMER_MS) return value;
  throw new TypeError(
    `Expected ${name} to be a number of milliseconds above 0 and at most ${String(LONGEST_TIMER_MS)}, got ${show(value)}`,
  );
}

/**
 * How long a reading is kept.
 *
 * @throws TypeError naming the option unless it is a number of milliseconds of at least 0; `Infinity` is one
 */
export function checkedAge(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= 0) return value;
  throw new TypeError(`Expected ${name} to be a number of milliseconds of at least 0, got ${show(value)}`);
}

/**
 * @throws TypeError naming the option unless it is a boolean; a text such as `'false'` would count as true
 */
export function checkedFlag(name: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw new TypeError(`Expected ${name} to be a boolean, got ${typeOf(value)}`);
}

/**
 * One of a few texts, the first by default.
 *
 * @throws TypeError naming the option unless it is one of them
 */
export function checkedChoice<T extends string>(
  name: string,
  value: T | undefined,
  choices: readonly [T, ...T[]],
): T {
  if (value === undefined) return choices[0];
  if (choices.includes(value)) return value;
  const list = choices.map((each) => `'${each}'`).join(' or ');
  throw new TypeError(`Expected ${name} to be ${list}, got ${show(value)}`);
}

/** @throws TypeError naming the argument unless it is a string; an empty one is for the call to refuse */
export function checkedText(name: string, value: string): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`Expected ${name} to be a string, got ${typeOf(value)}`);
}

/** @throws TypeError naming the option unless it is a string that is not empty */
export function checkedNotEmpty(name: string, value: string): string {
  if (checkedText(name, value) !== '') return value;
  throw new TypeError(`Expected ${name} not to be empty`);
}

/** @throws TypeError naming the argument unless it is an object */
export function checkedObject<T extends object>(name: string, value: T): T {
  const given: unknown = value;
  if (typeof given === 'object' && given !== null) return value;
  throw new TypeError(`Expected ${name} to be an object, got ${typeOf(given)}`);
}

/** @throws TypeError naming the option unless it is a function or undefined */
export function checkedFunction<T>(name: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw new TypeError(`Expected ${name} to be a function, got ${typeOf(value)}`);
}

/**
 * Calls a function that was given as an option, if it was. It may be async, though its type does not say so.
 *
 * @param failed - told what it throws or rejects with
 */
export async function callListener<T extends readonly unknown[]>(
  listener: ((...about: T) => unknown) | undefined,
  about: T,
  failed?: (error: unknown) => void,
): Promise<void> {
  try {
    await listener?.(...about);
  } catch (error) {
    failed?.(error);
  }
}

/** Not instanceof: a signal of another realm is one too. */
function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null || !('aborted' in value)) return false;
  const { addEventListener, removeEventListener } = value as Partial<AbortSignal>;
  return typeof addEventListener === 'function' && typeof removeEventListener === 'function';
}

function typeOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}

/** The value of an option in words, for messages: a number or a text itself, of anything else its type. */
export function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? JSON.stringify(value) : typeOf(value);
}
