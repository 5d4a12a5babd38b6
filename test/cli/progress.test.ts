import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress } from '../../src/cli/output/progress.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
  vi.stubEnv('CI', undefined);
  vi.stubEnv('TERM', 'xterm');
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

const CLEARED = '<cleared>';

/** A stream that keeps what was written to it. */
function stream(isTTY?: boolean): NodeJS.WriteStream & { text: string } {
  const fake = {
    ...(isTTY !== undefined && { isTTY }),
    text: '',
    columns: 80,
    write(text: string) {
      fake.text += text;
      return true;
    },
    cursorTo: () => true,
    moveCursor: () => true,
    clearLine: () => fake.write(CLEARED),
  };
  return fake as unknown as NodeJS.WriteStream & { text: string };
}

test('sums the walks up in one line, and removes it', () => {
  const terminal = stream(true);
  const progress = new Progress(terminal);
  vi.advanceTimersByTime(1000);
  progress.update(0, { used: 1024n, inodesUsed: 1n });
  progress.update(1, { used: 1024n, inodesUsed: 2n });
  progress.update(0, { used: 2048n, inodesUsed: 5n });
  progress.end();
  expect(terminal.text.match(/[\d.]+ KiB in \d+ inodes so far/g)).toEqual([
    '1.0 KiB in 1 inodes so far',
    '2.0 KiB in 3 inodes so far',
    '3.0 KiB in 7 inodes so far',
  ]);
  expect(terminal.text.slice(terminal.text.lastIndexOf('so far') + 6)).toContain(CLEARED);
  expect(terminal.text).not.toContain('\n');
  // The cursor was hidden, and is shown again.
  expect(terminal.text.lastIndexOf('\u001b[?25h')).toBeGreaterThan(terminal.text.lastIndexOf('\u001b[?25l'));
});

test('leaves signals alone once it has ended', () => {
  const before = process.listenerCount('SIGTERM');
  const progress = new Progress(stream(true));
  vi.advanceTimersByTime(1000);
  progress.update(0, { used: 1n, inodesUsed: 1n });
  expect(process.listenerCount('SIGTERM')).toBe(before + 1);
  expect(process.listenerCount('SIGINT')).toBe(0);
  progress.end();
  expect(process.listenerCount('SIGTERM')).toBe(before);
});

test('writes nothing for a walk that ends soon', () => {
  const terminal = stream(true);
  const progress = new Progress(terminal);
  vi.advanceTimersByTime(999);
  progress.update(0, { used: 1n, inodesUsed: 1n });
  progress.end();
  expect(terminal.text).toBe('');
});

test.each([
  ['isTTY is false', false, {}],
  ['isTTY is undefined', undefined, {}],
  ['the terminal is dumb', true, { TERM: 'dumb' }],
  ['it runs in continuous integration', true, { CI: 'true' }],
])('writes nothing if %s', (_, isTTY, env) => {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const file = stream(isTTY);
  const progress = new Progress(file);
  vi.advanceTimersByTime(5000);
  progress.update(0, { used: 1n, inodesUsed: 1n });
  progress.end();
  expect(file.text).toBe('');
});
