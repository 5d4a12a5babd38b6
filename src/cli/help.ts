import { COMMANDS, type Command, type OptionName } from './commands.js';

export const PROGRAM = 'kube-volume-metrics';

const OPTIONS: Readonly<Record<OptionName, readonly [form: string, text: string]>> = {
  all: ['--all', 'list the filesystems of the kernel itself too'],
  'allow-partial': ['--allow-partial', 'leave out entries that cannot be read, and say how many'],
  binding: ['--binding KIND', 'auto (the default), native (the addon) or command (df, stat, du, find)'],
  bytes: ['--bytes', 'exact bytes in the table'],
  help: ['-h, --help', 'this text'],
  json: ['--json', 'JSON with exact numbers, instead of a table'],
  'require-mount': ['--require-mount', 'fail where nothing is mounted right at PATH'],
  threads: ['--threads N', 'threads that share one walk, 1 to 64'],
  timeout: ['--timeout TIME', 'give up a volume that has not answered by then: 5s (the default), 200ms, 1m'],
};

const EXIT_CODES = `Exit codes:
  0  every volume answered
  1  some volume did not; its STATE and REASON say why
  2  the command line is wrong
`;

/** What can be asked in all. */
export function generalHelp(): string {
  const commands = [
    ...COMMANDS.map((command) => [usageOf(command), command.summary]),
    ['csi stats', 'what a CSI driver says of one volume'],
    ['csi probe', 'what a CSI driver can do, and whether its volumes can have numbers'],
  ];
  return `Measures volumes as the kubelet does, and says why where it cannot.

Usage: ${PROGRAM} COMMAND [OPTION]...

Commands:
${listed(commands)}
Options:
${listed([
  ['COMMAND --help', 'what a command does, and its options'],
  ['-V, --version', 'the version of this program'],
])}
${EXIT_CODES}`;
}

/** What one command does. */
export function commandHelp(command: Command): string {
  return `Usage: ${PROGRAM} ${usageOf(command, '[OPTION]...')}

${command.description}

Options:
${listed(command.options.map((option) => OPTIONS[option]))}
${EXIT_CODES}
Example:
  ${PROGRAM} ${command.example}
`;
}

function usageOf({ name, operand }: Command, ...more: string[]): string {
  return [name, ...more, ...(operand === undefined ? [] : [`${operand}...`])].join(' ');
}

function listed(entries: readonly (readonly string[])[]): string {
  const width = Math.max(...entries.map(([form = '']) => form.length));
  return entries.map(([form = '', text = '']) => `  ${form.padEnd(width)}  ${text}\n`).join('');
}
