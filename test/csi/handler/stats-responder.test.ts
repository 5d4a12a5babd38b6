import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StatsResponder } from '../../../src/csi/handler/stats-responder.js';
import { FakeMetrics } from '../../../src/testing/fake-metrics.js';

const VOLUME = { volumeId: 'v', volumePath: '/p' };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test.each([
  ['10 s, when the caller waits for longer', Infinity, 10_000],
  ['half a second before the caller leaves', 2_000, 1_500],
  ['half of the time before it, when that is near', 400, 200],
])('a volume that hangs is answered after %s', async (_, callerMs, answeredMs) => {
  const stats = new StatsResponder({ providerFor: () => new FakeMetrics({ script: ['hang'] }) });
  const settled = vi.fn();
  stats.answer(VOLUME, callerMs).catch(settled);
  await vi.advanceTimersByTimeAsync(answeredMs - 1);
  expect(settled).not.toHaveBeenCalled();
  // A timer waits for whole milliseconds, and after it comes one turn of the event loop for an answer that
  // came in time.
  await vi.advanceTimersByTimeAsync(2);
  expect(settled).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: 'METRICS_TIMED_OUT' }));
});

test('an answer leaves no timer behind', async () => {
  const stats = new StatsResponder({ providerFor: () => new FakeMetrics(), health: () => undefined });
  await stats.answer(VOLUME, Infinity);
  expect(vi.getTimerCount()).toBe(0);
});
