import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Progress } from '../../../src/os/commands/tree-usage.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('is told at most ten times a second', () => {
  const listener = vi.fn();
  const progress = new Progress(listener);
  for (let ms = 0; ms <= 1_000; ms += 1) {
    progress.report(() => ({ used: BigInt(ms), inodesUsed: 1n }));
    vi.advanceTimersByTime(1);
  }
  expect(listener).toHaveBeenCalledTimes(10);
  expect(listener).toHaveBeenLastCalledWith({ used: 1_000n, inodesUsed: 1n });
});

test('nothing is put together for nobody, nor too early', () => {
  const sofar = vi.fn(() => ({ used: 0n, inodesUsed: 1n }));
  const [deaf, early] = [new Progress(undefined), new Progress(() => undefined)];
  vi.advanceTimersByTime(99);
  early.report(sofar);
  vi.advanceTimersByTime(1_000);
  deaf.report(sofar);
  expect(sofar).not.toHaveBeenCalled();
});

test('what a listener fails with is its own, at once or later', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  const fail = (): never => {
    throw new Error('oh');
  };
  const later: () => unknown = () => Promise.reject(new Error('oh'));
  for (const listener of [fail, later as () => undefined]) {
    const progress = new Progress(listener);
    vi.advanceTimersByTime(100);
    progress.report(() => ({ used: 0n, inodesUsed: 1n }));
  }
  vi.useRealTimers();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});
