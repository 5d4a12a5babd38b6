import { Command, CommanderError, type Argument } from 'commander';
import { setMaxListeners } from 'node:events';
import { createRequire } from 'node:module';
import { messageOf, PROGRAM, UsageError, type Answer, type CliCommand } from './command.js';
import { BLOCK } from './commands/block.js';
import { CSI_PROBE } from './commands/csi-probe.js';
import { CSI_STATS } from './commands/csi-stats.js';
import { DU } from './commands/du.js';
import { EXPLAIN } from './commands/explain.js';
import { MOUNTS } from './commands/mounts.js';
import { STATFS } from './commands/statfs.js';
import { VOLUMES } from './commands/volumes.js';
import { withFlags } from './door-flags.js';
import { styled } from './output/colour.js';
import { exitCodes, formatItem, helpText, helpWidth, NARROWEST_TEXT } from './output/help.js';

const COMMANDS: readonly CliCommand[] = [VOLUMES, EXPLAIN, STATFS, DU, BLOCK, MOUNTS, CSI_STATS, CSI_PROBE];

const GROUPS: Readonly<Record<string, string>> = { csi: 'ask a CSI driver, through its socket' };

/** What the arguments ask for. */
export interface Request {
  /** The arguments as commander reads them. */
  readonly args: readonly string[];
  /** The commands that they name, outermost first. */
  readonly path: readonly Command[];
  /** The innermost of them, or the program. */
  readonly command: Command;
  /**
   * Does it.
   *
   * @throws CommanderError or UsageError for a command line that is wrong
   */
  answer(): Promise<Answer>;
}

/** Finds the command that the arguments name. Nothing is done before `answer`. */
export function readCommandLine(given: readonly string[]): Request {
  let answer: Answer = { text: '', isComplete: true };
  const program = programOf(
    (whole) => (answer = whole),
    (text) => (answer = { text: answer.text + text, isComplete: true }),
  );
  const { args, path, excess } = findCommand(program, given);
  const command = path.at(-1) ?? program;
  return {
    ...{ args, path, command },
    async answer() {
      if (excess !== undefined) throw new UsageError(`help takes the name of one command, got '${excess}'`);
      refuseMissingValues(command, args);
      try {
        await program.parseAsync(args, { from: 'user' });
      } catch (error) {
        // What commander ends with after help and version.
        if (!(error instanceof CommanderError && error.exitCode === 0)) throw error;
      }
      return answer;
    },
  };
}

/** What an error of {@link Request.answer} says. */
export function problemOf(error: unknown, { command, args }: Request): string {
  if (!(error instanceof CommanderError)) return withFlags(messageOf(error));
  const { code, message } = error;
  if (code === 'commander.help') {
    const names = command.commands.map((each) => each.name()).join(', ');
    return `expected a command${command.parent === null ? '' : ` after ${command.name()}`}: ${names}`;
  }
  if (code === 'commander.excessArguments') {
    const most = command.registeredArguments.length;
    const taken = most === 0 ? 'no operands' : 'only one operand';
    return `${command.name()} takes ${taken}, got '${command.args[most] ?? ''}'`;
  }
  const [, flag = ''] = /^error: unknown option '(--[^=]+)=/.exec(message) ?? [];
  if (command.options.some(({ long }) => long === flag)) return `option '${flag}' takes no value`;
  const text = withNearSuggestions(message.replace(/^error: /, ''));
  const isEarly = code === 'commander.unknownOption' && args[0]?.startsWith('-') === true;
  return isEarly ? `${text}; the command comes before its options` : text;
}

/**
 * commander's message on one line, without suggestions that are far from what was written: people mistype
 * the first letter of a word the least.
 */
function withNearSuggestions(message: string): string {
  const [, text, word = '', list = ''] =
    /^(unknown \w+ '(?:--)?(.).*')\n\(Did you mean (?:one of )?([^\n]*)\?\)$/su.exec(message) ?? [];
  if (text === undefined) return message;
  const near = list.split(', ').filter((each) => each.replace(/^--/, '').startsWith(word));
  return near.length === 0 ? text : `${text} (Did you mean ${near.join(' or ')}?)`;
}

/** commander's program: `onAnswer` gets what a command answered, `onHelp` the text of help and version. */
function programOf(onAnswer: (answer: Answer) => void, onHelp: (text: string) => void): Command {
  const program = new Command(PROGRAM)
    .exitOverride()
    .configureOutput({ writeOut: onHelp, writeErr: () => undefined, getOutHelpWidth: helpWidth })
    .configureHelp({
      ...{ styleTitle: (text) => styled('bold', text), visibleCommands, subcommandTerm: termOf },
      ...{ minWidthToWrap: NARROWEST_TEXT, formatItem },
    })
    .description('Measures volumes as the kubelet does, and says why a number is missing.')
    .usage('COMMAND [OPTIONS]')
    .version(version(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(true)
    .addHelpText('after', `\n${helpText(`For the options of a command: ${PROGRAM} help COMMAND`)}`)
    .addHelpText('after', exitCodes('some volume gave no answer; the output says why'));
  const groups = new Map<string, Command>();
  for (const each of COMMANDS) {
    if (each.group === undefined) {
      add(program, each, onAnswer);
      continue;
    }
    const group = groups.get(each.group) ?? groupOf(program, each.group);
    groups.set(each.group, group);
    add(group, each, onAnswer);
  }
  return program;
}

function groupOf(program: Command, name: string): Command {
  const purpose = GROUPS[name] ?? '';
  return program
    .command(name)
    .summary(purpose)
    .description(`Commands that ${purpose}.`)
    .usage('COMMAND [OPTIONS]')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false);
}

function add(parent: Command, command: CliCommand, onAnswer: (answer: Answer) => void): void {
  const { name, operand, summary, description, options, incomplete, examples } = command;
  const added = parent
    .command(name)
    .summary(summary)
    .description(description)
    .helpOption('-h, --help', 'print help');
  if (operand !== undefined) {
    const { name: called, text, isOptional } = operand;
    added.argument(isOptional ? `[${called}]` : `<${called}...>`, text);
  }
  added.usage(['[OPTIONS]', ...added.registeredArguments.map(operandOf)].join(' '));
  for (const option of options) added.addOption(option);
  const full = [PROGRAM, command.group, name].filter((each) => each !== undefined).join(' ');
  const shown = examples.map((example) => `\n  ${full} ${example}`).join('');
  added.addHelpText('after', `\n${styled('bold', 'Examples:')}${shown}\n${exitCodes(incomplete)}`);
  added.action(async () => {
    await interruptibly(async (signal) => {
      onAnswer(await command.run(added.args, added.opts<never>(), signal));
    });
  });
}

/** The list of commands. The program's has those of groups too, by their full names. */
function visibleCommands(command: Command): Command[] {
  if (command.parent !== null) return [...command.commands];
  return command.commands.flatMap((each) =>
    each.commands.length === 0
      ? [each]
      : each.commands.map((one) => new Command(`${each.name()} ${one.name()}`).summary(one.summary())),
  );
}

/** A command in the list of commands. */
function termOf(command: Command): string {
  return [command.name(), ...command.registeredArguments.map(operandOf)].join(' ');
}

function operandOf(operand: Argument): string {
  return operand.variadic ? `${operand.name()}...` : `[${operand.name()}]`;
}

/** What {@link findCommand} finds. */
interface Found {
  readonly args: string[];
  readonly path: Command[];
  /** What follows the name of a command that `help` is about. */
  readonly excess?: string | undefined;
}

/**
 * The arguments as commander reads them, and the commands that they name: `help X Y` and `X help Y` become
 * `X Y --help`, and nothing counts after a command that does not exist, so that the error is about that
 * command.
 */
function findCommand(program: Command, given: readonly string[]): Found {
  if (given[0] === '-V') return { args: ['--version'], path: [] };
  const path: Command[] = [];
  const names: string[] = [];
  let isHelp = false;
  let at = 0;
  for (const name of given) {
    const { commands } = path.at(-1) ?? program;
    if (commands.length === 0 || name.startsWith('-')) break;
    at += 1;
    if (name === 'help') {
      isHelp = true;
      continue;
    }
    names.push(name);
    const found = commands.find((each) => each.name() === name);
    if (found === undefined) return { args: names, path };
    path.push(found);
  }
  const rest = given.slice(at);
  if (!isHelp) return { args: [...given], path };
  return { args: [...names, '--help'], path, excess: rest.find((each) => !/^(-h|--help)$/.test(each)) };
}

/** commander takes whatever follows an option for its value, even another option: `--path --json`. */
function refuseMissingValues(command: Command, args: readonly string[]): void {
  const end = args.indexOf('--');
  for (const [at, arg] of args.slice(0, end === -1 ? undefined : end).entries()) {
    const option = command.options.find((each) => each.required && each.long === arg);
    const value = args[at + 1];
    if (option === undefined || value === undefined || !/^-./.test(value)) continue;
    throw new UsageError(
      `option '${option.flags}' expects a value, got '${value}'; if that is the value, write ${arg}=${value}`,
    );
  }
}

/** Does some work with a signal that Ctrl-C (SIGINT) aborts, once: a second one ends the process as usual. */
async function interruptibly(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  // Each volume has a listener; Node warns of a leak after ten.
  setMaxListeners(0, controller.signal);
  const interrupt = (): void => {
    const reason = new Error('aborted by SIGINT');
    controller.abort(Object.assign(reason, { name: 'AbortError', code: 'ABORT_ERR' }));
  };
  process.once('SIGINT', interrupt);
  try {
    await work(controller.signal);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

function version(): string {
  const { version } = createRequire(import.meta.url)('kube-volume-metrics/package.json') as {
    version: string;
  };
  return version;
}
