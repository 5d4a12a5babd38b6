import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sharedLimits, withinLimits, type Share } from '../../src/os/share.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A call that answers when it is told to, and how often its share was given up. */
function share(stuckSince?: Date): Share<string> & { resolve(value: string): void; left: number } {
  let resolve: (value: string) => void = () => undefined;
  const answer = new Promise<string>((settle) => {
    resolve = settle;
  });
  return {
    answer,
    resolve,
    left: 0,
    leave() {
      this.left += 1;
      return stuckSince;
    },
  };
}

test('an abort gives the share up, rejects with the reason, and takes the listener off', async () => {
  const one = share();
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = withinLimits(() => one, '/v', 1000, signal);
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  expect(one.left).toBe(1);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a signal that is aborted already begins nothing', async () => {
  const start = vi.fn(() => share());
  await expect(withinLimits(start, '/v', 1000, AbortSignal.abort('before'))).rejects.toBe('before');
  expect(start).not.toHaveBeenCalled();
});

test('the time limit gives the share up, and says which path and limit it was', async () => {
  const one = share();
  const waiting = withinLimits(() => one, '/v', 1000, undefined);
  const rejected = expect(waiting).rejects.toMatchObject({
    code: 'METRICS_TIMED_OUT',
    path: '/v',
    message: 'no answer from /v within 1000 ms',
  });
  await vi.advanceTimersByTimeAsync(999);
  expect(one.left).toBe(0);
  // The last look at the event loop comes after the limit.
  await vi.advanceTimersByTimeAsync(2);
  await rejected;
  expect(one.left).toBe(1);
});

test('the time limit on a path that is stuck by then says since when', async () => {
  const since = new Date('2026-01-01');
  const waiting = withinLimits(() => share(since), '/v', 1000, undefined);
  const rejected = expect(waiting).rejects.toMatchObject({ code: 'METRICS_TIMED_OUT', stuckSince: since });
  await vi.advanceTimersByTimeAsync(1001);
  await rejected;
});

test('an answer that came while the event loop was busy counts, though the limit has passed', async () => {
  const one = share();
  const waiting = withinLimits(() => one, '/v', 1000, undefined);
  vi.advanceTimersByTime(1000);
  one.resolve('yes');
  await expect(waiting).resolves.toBe('yes');
  expect(one.left).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test('calls that share a limit get what is left of it, and none begins when nothing is', () => {
  const { signal } = new AbortController();
  const rest = sharedLimits('/v', { timeoutMs: 1000, signal, binding: 'command' });
  expect(rest()).toEqual({ timeoutMs: 1000, signal, binding: 'command' });
  vi.advanceTimersByTime(999);
  expect(rest().timeoutMs).toBe(1);
  vi.advanceTimersByTime(1);
  expect(rest).toThrow('no answer from /v within 1000 ms');
});
