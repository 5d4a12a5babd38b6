import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StallLimit } from '../../../src/os/commands/walking-command.js';

let limit: StallLimit;
let timer: { stop(): void };
let sign: string | undefined;
const onStall = vi.fn();

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-02T03:04:05Z') });
  onStall.mockReset();
  sign = '1';
});
afterEach(() => {
  timer.stop();
  vi.useRealTimers();
});

/** Starts to watch with a limit of one second. */
function start(sign: () => string | undefined): void {
  limit = new StallLimit(sign, 1_000);
  timer = limit.onEnd(onStall);
}

test('tells when nothing has moved for so long', () => {
  start(() => sign);
  vi.advanceTimersByTime(1_050);
  expect(onStall).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(onStall).toHaveBeenCalled();
  expect(limit.movedAt).toEqual(new Date('2026-01-02T03:04:05.100Z'));
});

test('a sign that changes keeps it quiet', () => {
  start(() => sign);
  for (let ticks = 0; ticks < 20; ticks += 1) {
    vi.advanceTimersByTime(900);
    sign = String(ticks);
  }
  expect(onStall).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_200);
  expect(onStall).toHaveBeenCalled();
});

test('so does being told of a move', () => {
  start(() => undefined);
  for (let ticks = 0; ticks < 20; ticks += 1) {
    vi.advanceTimersByTime(900);
    limit.moved();
  }
  expect(onStall).not.toHaveBeenCalled();
});

test('a process that was held up itself takes no stall for it', () => {
  start(() => sign);
  vi.advanceTimersByTime(200);
  vi.setSystemTime(new Date('2026-01-02T05:00:00Z'));
  sign = '2';
  vi.advanceTimersByTime(100);
  expect(onStall).not.toHaveBeenCalled();
});

test('stops', () => {
  start(() => sign);
  timer.stop();
  vi.advanceTimersByTime(10_000);
  expect(onStall).not.toHaveBeenCalled();
});
