import { InvalidArgumentError, Option } from 'commander';
import type { Binding } from '../index.js';

export const PROGRAM = 'kube-volume-metrics';

/**
 * What a command prints on standard output, and whether it got every answer it asked for (exit code 0 or 1).
 */
export interface Answer {
  readonly text: string;
  readonly isComplete: boolean;
  /** In place of 0 or 1. */
  readonly exitCode?: number;
}

/**
 * One command of the command line. `Options` are the parsed values of `options`, by their camel-cased names.
 */
export interface CliCommand<Options = never> {
  readonly name: string;
  /** The command that groups it, such as `csi`. */
  readonly group?: string;
  /**
   * What its operands are called, and what they are; undefined for a command without operands. There is at
   * least one of them, or, if `isOptional`, at most one.
   */
  readonly operand?: { readonly name: string; readonly text: string; readonly isOptional?: true };
  /** One line for the list of commands. */
  readonly summary: string;
  readonly description: string;
  readonly options: readonly Option[];
  /** What exit code 1 means. */
  readonly incomplete: string;
  /** Arguments worth copying, without the program's name. */
  readonly examples: readonly string[];
  /**
   * Does what the command says.
   *
   * @throws UsageError if the options cannot be used together
   */
  run(operands: readonly string[], options: Options, signal: AbortSignal): Promise<Answer>;
}

/** The command line is wrong: the message says how, and the exit code is 2. */
export class UsageError extends Error {}

/** What an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Values of the options that every command has. */
export interface OutputOptions {
  readonly json?: true;
  readonly bytes?: true;
}

/** Values of the options of a command that measures volumes on this machine. */
export interface MeasureOptions extends OutputOptions {
  /** Milliseconds. */
  readonly timeout: number;
  readonly binding: Binding;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The longest time that Node's timers can wait. */
const LONGEST_MS = 2 ** 31 - 1;

export const JSON_OUTPUT = new Option('--json', 'print JSON with exact numbers');
export const BYTES = new Option('--bytes', 'print exact bytes instead of KiB, MiB and so on');

export const BINDING = new Option(
  '--binding <KIND>',
  'measure with the native addon, or with the commands df, stat, du and find',
)
  .choices(['auto', 'native', 'command'])
  .default('auto');

/** `--timeout`, by default `text`. */
export function timeoutOption(help: string, text: string): Option {
  return new Option('--timeout <TIME>', `${help}, such as 200ms, 2s or 1m`)
    .argParser(parseDuration)
    .default(parseDuration(text), text);
}

/** The options of every command that measures volumes on this machine; `help` is that of `--timeout`. */
export function measureOptions(help = 'how long to wait for each volume'): readonly Option[] {
  return [JSON_OUTPUT, BYTES, timeoutOption(help, '5s'), BINDING];
}

/**
 * Milliseconds of a duration as people write it: `5s`, `1.5s`, `200ms`, `2m`, `1h`, or a bare number of
 * milliseconds.
 *
 * @throws InvalidArgumentError, to which commander adds the option's name
 */
export function parseDuration(text: string): number {
  const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (number === undefined) {
    throw new InvalidArgumentError(
      'Expected a duration such as 200ms, 5s, 2m or 1h. Without a unit it is ms.',
    );
  }
  const ms = Number(number) * (UNITS_MS[unit] ?? 1);
  if (ms <= 0) throw new InvalidArgumentError('Expected a time above 0.');
  if (ms > LONGEST_MS) throw new InvalidArgumentError('Expected at most 596h (24 days).');
  return ms;
}

/**
 * A text that is not empty.
 *
 * @throws InvalidArgumentError, to which commander adds the option's name
 */
export function notEmpty(text: string): string {
  if (text !== '') return text;
  throw new InvalidArgumentError('Expected a value that is not empty.');
}

/** An option whose value is a text that is not empty. */
export function textOption(flags: string, help: string): Option {
  return new Option(flags, help).argParser(notEmpty);
}

/** A parser of whole numbers from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^\d+$/.test(text) ? Number(text) : NaN;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}
