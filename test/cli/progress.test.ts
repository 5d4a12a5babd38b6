import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress } from '../../src/cli/progress.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function stream(isTTY?: boolean): { isTTY?: boolean; text: string; write(text: string): void } {
  return {
    ...(isTTY !== undefined && { isTTY }),
    text: '',
    write(text) {
      this.text += text;
    },
  };
}

test('sums the walks up in one line, and takes it away', () => {
  const terminal = stream(true);
  const progress = new Progress(terminal);
  vi.advanceTimersByTime(1000);
  progress.update(0, { used: 1024n, inodesUsed: 1n });
  progress.update(1, { used: 1024n, inodesUsed: 2n });
  progress.update(0, { used: 2048n, inodesUsed: 5n });
  progress.end();
  expect(terminal.text.split('\r\u001b[K')).toEqual([
    '',
    '1.0 KiB in 1 inodes so far',
    '2.0 KiB in 3 inodes so far',
    '3.0 KiB in 7 inodes so far',
    '',
  ]);
});

test('says nothing of a walk that is over soon', () => {
  const terminal = stream(true);
  const progress = new Progress(terminal);
  vi.advanceTimersByTime(999);
  progress.update(0, { used: 1n, inodesUsed: 1n });
  progress.end();
  expect(terminal.text).toBe('');
});

test.each([false, undefined])('says nothing where isTTY is %s', (isTTY) => {
  const file = stream(isTTY);
  const progress = new Progress(file);
  vi.advanceTimersByTime(5000);
  progress.update(0, { used: 1n, inodesUsed: 1n });
  progress.end();
  expect(file.text).toBe('');
});
