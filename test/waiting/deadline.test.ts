import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadline, LONGEST_TIMER_MS } from '../../src/waiting/deadline.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('counts down to 0 and no further', () => {
  const deadline = new Deadline(1000);
  expect(deadline).toMatchObject({ limitMs: 1000, leftMs: 1000, isOver: false });
  vi.advanceTimersByTime(999);
  expect(deadline).toMatchObject({ leftMs: 1, isOver: false });
  vi.advanceTimersByTime(5000);
  expect(deadline).toMatchObject({ limitMs: 1000, leftMs: 0, isOver: true });
});

test('without a limit there is no end and no timer', () => {
  const deadline = new Deadline(Infinity);
  const end = vi.fn();
  const timer = deadline.onEnd(end);
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(LONGEST_TIMER_MS);
  expect(deadline.isOver).toBe(false);
  expect(end).not.toHaveBeenCalled();
  timer.stop();
});

describe('onEnd', () => {
  test('calls once, a turn of the event loop after the time is up', () => {
    const end = vi.fn();
    new Deadline(1000).onEnd(end);
    vi.advanceTimersByTime(999);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2);
    expect(end).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(10_000);
    expect(end).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('waits for what is left of the time, also if that is nothing', () => {
    const deadline = new Deadline(1000);
    vi.advanceTimersByTime(900);
    const end = vi.fn();
    deadline.onEnd(end);
    vi.advanceTimersByTime(101);
    expect(end).toHaveBeenCalledTimes(1);
    deadline.onEnd(end);
    vi.advanceTimersByTime(2);
    expect(end).toHaveBeenCalledTimes(2);
  });

  test('does not call after stop, even between the end of the time and the last turn', () => {
    const end = vi.fn();
    const early = new Deadline(1000).onEnd(end);
    early.stop();
    const late = new Deadline(1000).onEnd(end);
    vi.advanceTimersToNextTimer();
    late.stop();
    vi.advanceTimersByTime(5000);
    expect(end).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('in parts: knows when no more than one of them is left', () => {
    const end = vi.fn();
    const timer = new Deadline(1000).onEnd(end, { parts: 10 });
    vi.advanceTimersByTime(899);
    expect(timer.isNearlyOver).toBe(false);
    vi.advanceTimersByTime(1);
    expect(timer.isNearlyOver).toBe(true);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(101);
    expect(end).toHaveBeenCalledTimes(1);
  });
});

test('in parts, a busy event loop misses all but one of them', async () => {
  vi.useRealTimers();
  const end = vi.fn();
  const timer = new Deadline(200).onEnd(end, { parts: 10 });
  const from = performance.now();
  while (performance.now() - from < 400);
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(end).not.toHaveBeenCalled();
  timer.stop();
});

test('an answer that came during a busy event loop is seen before the end', async () => {
  vi.useRealTimers();
  const seen: string[] = [];
  const deadline = new Deadline(20);
  const { port1, port2 } = new MessageChannel();
  port1.on('message', () => seen.push('answer'));
  const ended = new Promise<void>((resolve) => {
    deadline.onEnd(() => {
      seen.push('end');
      resolve();
    });
  });
  port2.postMessage(1);
  while (!deadline.isOver);
  await ended;
  port1.close();
  expect(seen).toEqual(['answer', 'end']);
});

describe('wait', () => {
  test('gives what the promise gives, and leaves no timer', async () => {
    const deadline = new Deadline(1000);
    expect(await deadline.wait(Promise.resolve(1), () => 2)).toBe(1);
    await expect(deadline.wait(Promise.reject(new Error('no')), () => 2)).rejects.toThrow('no');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('gives or throws what late does once the time is up', async () => {
    const never = new Promise<number>(() => undefined);
    const given = new Deadline(1000).wait(never, () => 2);
    const thrown = new Deadline(1000).wait(never, () => {
      throw new Error('late');
    });
    const rejected = expect(thrown).rejects.toThrow('late');
    await vi.advanceTimersByTimeAsync(1001);
    expect(await given).toBe(2);
    await rejected;
  });
});

test('keeps the process alive unless told otherwise', () => {
  vi.useRealTimers();
  const timers = vi.spyOn(globalThis, 'setInterval');
  const kept = new Deadline(60_000).onEnd(() => undefined);
  const free = new Deadline(60_000).onEnd(() => undefined, { keepsAlive: false });
  const refs = timers.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef());
  timers.mockRestore();
  kept.stop();
  free.stop();
  expect(refs).toEqual([true, false]);
});

test('a promise that never settles keeps nothing of the callers that gave up', async () => {
  vi.useRealTimers();
  const never = new Promise<string>(() => undefined);
  const listened = vi.spyOn(never, 'then');
  const keepsAlive = setInterval(() => undefined, 1_000);
  const answers = Array.from({ length: 50 }, () => new Deadline(1).wait(never, () => 'late'));
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['late']));
  clearInterval(keepsAlive);
  expect(listened).toHaveBeenCalledTimes(1);
});
