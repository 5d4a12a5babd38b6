import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LateCommands } from '../../../src/os/commands/late-commands.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Kills a command; returns what lets it go. */
function killed(late: LateCommands, name: string): () => void {
  let go: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  late.killed([name], gone);
  return go;
}

test('a killed command that is not gone in a second blocks its name until it is', async () => {
  const late = new LateCommands();
  const go = killed(late, 'df');
  await vi.advanceTimersByTimeAsync(999);
  expect(late.blocks('df')).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(late.blocks('df')).toBe(true);
  expect(late.blocks('stat')).toBe(false);
  go();
  await vi.advanceTimersByTimeAsync(0);
  expect(late.blocks('df')).toBe(false);
});

test('512 of them block every name', async () => {
  const late = new LateCommands();
  const [go] = Array.from({ length: 512 }, (_, number) => killed(late, String(number)));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(late.blocks('df')).toBe(true);
  go!();
  await vi.advanceTimersByTimeAsync(0);
  expect(late.blocks('df')).toBe(false);
});
