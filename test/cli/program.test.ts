import { describe, expect, test } from 'vitest';
import { problemOf, readCommandLine } from '../../src/cli/program.js';

/** What is wrong with a command line, and the command whose help tells more. */
async function refusalOf(args: readonly string[]): Promise<{ problem: string; command: string }> {
  const request = readCommandLine(args);
  try {
    await request.answer();
  } catch (error) {
    return { problem: problemOf(error, request), command: request.path.map((each) => each.name()).join(' ') };
  }
  throw new Error(`${args.join(' ')} is not refused`);
}

describe('a wrong command line', () => {
  test.each([
    [[], /^expected a command: volumes, explain, statfs, du, block, mounts, csi$/, ''],
    [['df'], /^unknown command 'df' \(Did you mean du\?\)$/, ''],
    [['df', ''], /^unknown command 'df' /, ''],
    [['help', 'statsf'], /^unknown command 'statsf' \(Did you mean statfs\?\)$/, ''],
    [['stats'], /^unknown command 'stats' \(Did you mean statfs\?\)$/, ''],
    [['nonsense'], /^unknown command 'nonsense'$/, ''],
    [['--json', 'mounts'], /^unknown option '--json'; the command comes before its options$/, ''],
    [['statfs'], /^missing required argument 'PATH'$/, 'statfs'],
    [['block', '--json'], /^missing required argument 'DEVICE'$/, 'block'],
    [['help', 'statfs', 'extra'], /^help takes the name of one command, got 'extra'$/, 'statfs'],
    [['help', 'csi', 'stats', '--json'], /^help takes the name of one command, got '--json'$/, 'csi stats'],
    [['csi', 'help', 'stast'], /^unknown command 'stast' \(Did you mean stats\?\)$/, 'csi'],
    [['mounts', '--nope'], /^unknown option '--nope'$/, 'mounts'],
    [['mounts', '--json=false'], /^option '--json' takes no value$/, 'mounts'],
    [['mounts', '--nope=1'], /^unknown option '--nope=1'$/, 'mounts'],
    [['mounts', '--type='], /^option '--type <TYPES>' .* Expected names separated by commas/, 'mounts'],
    [['mounts', '--type', ',,'], /^option '--type <TYPES>' .* Expected names separated by commas/, 'mounts'],
    [['mounts', '--path='], /^option '--path <PREFIX>' .* Expected a value that is not empty\.$/, 'mounts'],
    [
      ['mounts', '--kubelet='],
      /^option '--kubelet \[ROOT\]' .* Expected a value that is not empty\.$/,
      'mounts',
    ],
    [
      ['csi', 'stats', '--endpoint', '/x', '--volume-id=', '--path', '/p'],
      /^option '--volume-id <ID>' argument '' is invalid\. Expected a value that is not empty\.$/,
      'csi stats',
    ],
    [
      ['csi', 'stats', '--endpoint', '/x', '--volume-id', 'v', '--path', ''],
      /^option '--path <PATH>' argument '' is invalid\. Expected a value that is not empty\.$/,
      'csi stats',
    ],
    [['csi', 'probe', '--endpoint='], /^Expected --endpoint to be /, 'csi probe'],
    [['mounts', '/'], /^mounts takes no operands, got '\/'$/, 'mounts'],
    [['statfs', '--fast', '/'], /^unknown option '--fast'$/, 'statfs'],
    [['du', '--thread', '2', '/'], /^unknown option '--thread' \(Did you mean --threads\?\)$/, 'du'],
    [['du', '--require-mount', '/'], /^unknown option '--require-mount'$/, 'du'],
    [['statfs', '/', '--timeout'], /^option '--timeout <TIME>' argument missing$/, 'statfs'],
    [
      ['statfs', '--timeout', '--json', '/'],
      /^option '--timeout <TIME>' expects a value, got '--json'; if that is the value, write --timeout=--json$/,
      'statfs',
    ],
    [
      ['statfs', '--timeout', '5x', '/'],
      /^option '--timeout <TIME>' argument '5x' is invalid\. Expected a duration such as 200ms, 5s, 2m or 1h\. Without a unit it is ms\.$/,
      'statfs',
    ],
    [
      ['statfs', '--timeout', '0s', '/'],
      /^option '--timeout <TIME>' argument '0s' is invalid\. Expected a time above 0\.$/,
      'statfs',
    ],
    [
      ['mounts', '--timeout', '999999m'],
      /^option '--timeout <TIME>' .* Expected at most 596h \(24 days\)\.$/,
      'mounts',
    ],
    [
      ['statfs', '--binding', 'addon', '/'],
      /^option '--binding <KIND>' argument 'addon' is invalid\. Allowed choices are auto, native, command\.$/,
      'statfs',
    ],
    [
      ['du', '--threads', '65', '/'],
      /^option '--threads <N>' argument '65' is invalid\. Expected a whole number from 1 to 64\.$/,
      'du',
    ],
    [['csi'], /^expected a command after csi: stats, probe$/, 'csi'],
    [['csi', 'df'], /^unknown command 'df'$/, 'csi'],
    [['help', 'csi', 'prob'], /^unknown command 'prob' \(Did you mean probe\?\)$/, 'csi'],
    [['csi', 'probe'], /^expected the driver's socket, such as \/var\/lib\/kubelet\//, 'csi probe'],
    [
      ['csi', 'probe', 'csi.sock'],
      /^Expected SOCKET to be the absolute path of a unix socket.* the path is relative$/,
      'csi probe',
    ],
    [
      ['csi', 'probe', '--endpoint', 'tcp://x:1'],
      /^Expected --endpoint to be .*CSI uses unix sockets only$/,
      'csi probe',
    ],
    [['csi', 'probe', '--endpoint', '/x', '--path', '/p'], /^unknown option '--path'$/, 'csi probe'],
    [
      ['csi', 'probe', '/x', '--endpoint', '/y'],
      /^expected one socket, got '\/x' and --endpoint \/y$/,
      'csi probe',
    ],
    [['csi', 'probe', '/x', '/y'], /^probe takes only one operand, got '\/y'$/, 'csi probe'],
    [
      ['csi', 'stats', '--endpoint', '/x', '--path', '/p'],
      /^required option '--volume-id <ID>' not specified$/,
      'csi stats',
    ],
    [
      ['csi', 'stats', '--endpoint', '/x', '--volume-id', 'v'],
      /^required option '--path <PATH>' not specified$/,
      'csi stats',
    ],
    [
      ['csi', 'stats', '--path', '--json'],
      /^option '--path <PATH>' expects a value, got '--json'/,
      'csi stats',
    ],
  ])('%j is refused, and says what is wrong', async (args, message, command) => {
    const refusal = await refusalOf(args);
    expect(refusal.problem).toMatch(message);
    expect(refusal.command).toBe(command);
  });

  test('is not even looked at after a -- ', async () => {
    expect(await refusalOf(['mounts', '--', '--json'])).toMatchObject({
      problem: "mounts takes no operands, got '--json'",
    });
  });
});

test('help fits a narrow terminal, except for examples', async () => {
  for (const name of ['', 'statfs', 'du', 'block', 'mounts', 'csi', 'csi stats', 'csi probe']) {
    const { text, isComplete } = await readCommandLine(['help', ...name.split(' ').filter(Boolean)]).answer();
    expect(isComplete).toBe(true);
    expect(text).toMatch(/^Usage: kube-volume-metrics /);
    const lines = text.split('\n').filter((line) => !line.startsWith('  kube-volume-metrics '));
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  }
});

test.each([
  [['help', 'help'], ['--help']],
  [
    ['csi', 'help'],
    ['csi', '--help'],
  ],
  [
    ['csi', 'help', 'stats'],
    ['csi', 'stats', '--help'],
  ],
  [
    ['help', 'csi', 'help', 'stats', '--help'],
    ['csi', 'stats', '--help'],
  ],
])('%j is %j', async (args, same) => {
  expect(await readCommandLine(args).answer()).toEqual(await readCommandLine(same).answer());
});

test('a command that has ended no longer takes Ctrl-C', async () => {
  const listeners = process.listenerCount('SIGINT');
  await readCommandLine(['statfs', '/']).answer();
  await expect(readCommandLine(['csi', 'probe']).answer()).rejects.toThrow("expected the driver's socket");
  expect(process.listenerCount('SIGINT')).toBe(listeners);
});
