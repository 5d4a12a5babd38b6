import { parseArgs } from 'node:util';
import { COMMANDS, type Command, type OptionName, type Settings } from './commands.js';
import { parseDuration } from './duration.js';
import { UsageError } from './usage-error.js';

/** What the command line asks for. */
export type Request =
  | { readonly ask: 'version' }
  | { readonly ask: 'help'; readonly command?: Command }
  | {
      readonly ask: 'measure';
      readonly command: Command;
      readonly operands: readonly string[];
      readonly settings: Settings;
    };

const TYPES: Readonly<Record<OptionName, 'boolean' | 'string'>> = {
  all: 'boolean',
  'allow-partial': 'boolean',
  binding: 'string',
  bytes: 'boolean',
  help: 'boolean',
  json: 'boolean',
  'require-mount': 'boolean',
  threads: 'string',
  timeout: 'string',
};

/** @throws UsageError when it asks for nothing that there is */
export function parseCommandLine(args: readonly string[]): Request {
  const [name, ...rest] = args;
  if (name === '--version' || name === '-V') return { ask: 'version' };
  if (name === '--help' || name === '-h' || name === 'help') return { ask: 'help' };
  const expected = `expected a command (${[...COMMANDS.map((each) => each.name), 'csi'].join(', ')})`;
  if (name === undefined) throw new UsageError(expected);
  const command = COMMANDS.find((each) => each.name === name);
  if (command !== undefined) return parseCommand(command, rest);
  const hint = name.startsWith('-') ? 'the command comes before its options' : 'there is no such command';
  throw new UsageError(`${expected}, got '${name}': ${hint}`);
}

function parseCommand(command: Command, args: string[]): Request {
  const { values, positionals } = parse(command, args);
  const text = (option: OptionName): string | undefined => values[option] as string | undefined;
  const flag = (option: OptionName): boolean => values[option] === true;
  if (flag('help')) return { ask: 'help', command };
  const [first] = positionals;
  if (command.operand !== undefined && first === undefined) {
    throw new UsageError(`${command.name} expects at least one ${command.operand}`);
  }
  if (command.operand === undefined && first !== undefined) {
    throw new UsageError(
      `${command.name} expects no operand, got '${first}'; to measure one path use statfs`,
    );
  }
  const timeout = text('timeout');
  const threads = text('threads');
  if (threads !== undefined && !/^\d+$/.test(threads)) {
    throw new UsageError(`--threads expects a whole number, got '${threads}'`);
  }
  return {
    ask: 'measure',
    command,
    operands: positionals,
    settings: {
      json: flag('json'),
      bytes: flag('bytes'),
      all: flag('all'),
      timeoutMs: timeout === undefined ? undefined : parseDuration('--timeout', timeout),
      // The providers refuse what is none.
      binding: text('binding') as Settings['binding'],
      requireMount: flag('require-mount'),
      allowPartial: flag('allow-partial'),
      threads: threads === undefined ? undefined : Number(threads),
    },
  };
}

function parse(
  command: Command,
  args: string[],
): { values: Partial<Record<string, string | boolean>>; positionals: string[] } {
  const options = Object.fromEntries(
    command.options.map((option) => [
      option,
      option === 'help' ? { type: TYPES[option], short: 'h' } : { type: TYPES[option] },
    ]),
  );
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    // Node's texts may have several lines.
    throw new UsageError((error as Error).message.replaceAll('\n', ' '));
  }
}
