#!/usr/bin/env node
import { CommanderError } from 'commander';
import { escapeControls } from '../index.js';
import { PROGRAM, UsageError, type Answer } from './command.js';
import { problemOf, readCommandLine } from './program.js';

const COMPLETE = 0;
const INCOMPLETE = 1;
const USAGE = 2;

/** Does what the arguments say. Never rejects: the exit code says how it went. */
async function run(args: readonly string[]): Promise<number> {
  const request = readCommandLine(args);
  try {
    const answer: Answer = await request.answer();
    await print(answer.text);
    return answer.exitCode ?? (answer.isComplete ? COMPLETE : INCOMPLETE);
  } catch (error) {
    process.stderr.write(`${PROGRAM}: ${shown(problemOf(error, request), ruleOf(error))}\n`);
    if (!(error instanceof UsageError || error instanceof CommanderError)) return INCOMPLETE;
    const name = [PROGRAM, ...request.path.map((each) => each.name())].join(' ');
    process.stderr.write(`For help: ${name} --help\n`);
    return USAGE;
  }
}

/** A rule to add, which the message of an error may end with. */
function ruleOf(error: unknown): string {
  const rule = error instanceof Error && 'rule' in error ? error.rule : undefined;
  return typeof rule === 'string' ? rule : '';
}

/** The problem for a terminal: only a rule keeps its lines, because it is to be copied. */
function shown(problem: string, rule: string): string {
  if (rule === '' || !problem.endsWith(rule)) return escapeControls(problem);
  const lines = rule.trimEnd().split('\n').map(escapeControls);
  return `${escapeControls(problem.slice(0, -rule.length).trimEnd())}\n${lines.join('\n')}`;
}

/**
 * Writes to standard output and resolves when all of it is handed over. A reader that has left (`| head`) is
 * no error.
 */
function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error | null): void => {
      if (!error || ('code' in error && error.code === 'EPIPE')) resolve();
      else reject(error);
    };
    // Without a listener, the error that the callback gets would end the process too.
    process.stdout.on('error', end);
    process.stdout.write(text, end);
  });
}

// If the event loop empties before there is an answer, that is a failure.
process.exitCode = INCOMPLETE;
void run(process.argv.slice(2)).then((exitCode) => {
  // Exit now: a stuck volume must not delay the end.
  process.exit(exitCode);
});
