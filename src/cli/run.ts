import { createRequire } from 'node:module';
import { activeBinding, type ActiveBinding } from '../index.js';
import { jsonAnswer, tableAnswer } from './answer.js';
import { parseCommandLine, type Request } from './command-line.js';
import { COMMANDS, type Volume } from './commands.js';
import { escapeControls } from './escape.js';
import { commandHelp, generalHelp, PROGRAM } from './help.js';
import { interruptSignal } from './interrupt.js';
import { measure } from './measure.js';
import { print } from './output.js';
import { Progress } from './progress.js';
import { UsageError } from './usage-error.js';

const ALL_ANSWERED = 0;
const SOME_DID_NOT = 1;
const USAGE = 2;

/** Does what the arguments say. Never rejects: the exit code says how it went. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    if (args[0] === 'csi') {
      // Not before: nothing else here needs gRPC.
      const { runCsi } = await import('./csi.js');
      return (await runCsi(args.slice(1))) ? ALL_ANSWERED : SOME_DID_NOT;
    }
    const request = parseCommandLine(args);
    if (request.ask === 'measure') return await runMeasure(request);
    await print(request.ask === 'version' ? `${version()}\n` : helpOf(request));
    return ALL_ANSWERED;
  } catch (error) {
    process.stderr.write(`${PROGRAM}: ${escapeControls(messageOf(error))}\n`);
    if (!(error instanceof UsageError)) return SOME_DID_NOT;
    const command = [...COMMANDS.map(({ name }) => name), 'csi'].find((name) => name === args[0]);
    process.stderr.write(`For help: ${PROGRAM} ${command === undefined ? '' : `${command} `}--help\n`);
    return USAGE;
  }
}

function helpOf({ command }: Request & { readonly ask: 'help' }): string {
  return command === undefined ? generalHelp() : commandHelp(command);
}

async function runMeasure(request: Request & { readonly ask: 'measure' }): Promise<number> {
  const { command, settings } = request;
  const progress = new Progress(process.stderr);
  const rows = await measure(await volumesOf(request, progress), interruptSignal());
  progress.end();
  const { binding: wanted = 'auto' } = settings;
  const binding: ActiveBinding = wanted === 'auto' ? activeBinding() : { binding: wanted };
  await print(
    settings.json ? jsonAnswer(command.name, binding, rows) : tableAnswer(binding, rows, settings.bytes),
  );
  return rows.every(({ state }) => state === 'ok') ? ALL_ANSWERED : SOME_DID_NOT;
}

/** @throws UsageError when a provider refuses a setting */
async function volumesOf(
  { command, operands, settings }: Request & { readonly ask: 'measure' },
  progress: Progress,
): Promise<Volume[]> {
  try {
    return await command.volumes(operands, settings, (index, sofar) => {
      progress.update(index, sofar);
    });
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  }
}

function version(): string {
  const { version } = createRequire(import.meta.url)('kube-volume-metrics/package.json') as {
    version: string;
  };
  return version;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
