import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StallWatch } from '../../../src/os/commands/stall-watch.js';

let watch: StallWatch;
let sign: string | undefined;
const onStall = vi.fn();

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-02T03:04:05Z') });
  onStall.mockReset();
  sign = '1';
});
afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

test('tells when nothing has moved for so long', () => {
  watch = new StallWatch(() => sign, 1_000, onStall);
  vi.advanceTimersByTime(1_050);
  expect(onStall).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(onStall).toHaveBeenCalled();
  expect(watch.movedAt).toEqual(new Date('2026-01-02T03:04:05.100Z'));
});

test('a sign that changes keeps it quiet', () => {
  watch = new StallWatch(() => sign, 1_000, onStall);
  for (let ticks = 0; ticks < 20; ticks += 1) {
    vi.advanceTimersByTime(900);
    sign = String(ticks);
  }
  expect(onStall).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_200);
  expect(onStall).toHaveBeenCalled();
});

test('so does being told of a move', () => {
  watch = new StallWatch(() => undefined, 1_000, onStall);
  for (let ticks = 0; ticks < 20; ticks += 1) {
    vi.advanceTimersByTime(900);
    watch.moved();
  }
  expect(onStall).not.toHaveBeenCalled();
});

test('a process that was held up itself takes no stall for it', () => {
  watch = new StallWatch(() => sign, 1_000, onStall);
  vi.advanceTimersByTime(200);
  vi.setSystemTime(new Date('2026-01-02T05:00:00Z'));
  sign = '2';
  vi.advanceTimersByTime(100);
  expect(onStall).not.toHaveBeenCalled();
});

test('stops', () => {
  watch = new StallWatch(() => sign, 1_000, onStall);
  watch.stop();
  vi.advanceTimersByTime(10_000);
  expect(onStall).not.toHaveBeenCalled();
});
