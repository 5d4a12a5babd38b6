import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CachedMetrics, type Metrics, type MetricsProvider } from '../../src/index.js';
import { FakeMetrics } from '../../src/testing/index.js';

afterEach(() => {
  vi.useRealTimers();
});

/** A provider that tells the test of the signals it is given. */
function spying(fake: FakeMetrics): { provider: MetricsProvider; signals: (AbortSignal | undefined)[] } {
  const signals: (AbortSignal | undefined)[] = [];
  const provider: MetricsProvider = {
    name: 'spying',
    getMetrics: (options) => {
      signals.push(options?.signal);
      return fake.getMetrics(options);
    },
  };
  return { provider, signals };
}

test('has the name of what it wraps', () => {
  expect(new CachedMetrics(new FakeMetrics({ name: 'inner' })).name).toBe('inner');
});

describe('keeps', () => {
  test('a success, and never an error', async () => {
    const [first, second] = [new Error('first'), new Error('second')];
    const fake = new FakeMetrics({ script: [first, second, { used: 1n }, { used: 2n }] });
    const cached = new CachedMetrics(fake);
    await expect(cached.getMetrics()).rejects.toBe(first);
    await expect(cached.getMetrics()).rejects.toBe(second);
    expect(await cached.getMetrics()).toMatchObject({ used: 1n });
    expect(await cached.getMetrics()).toMatchObject({ used: 1n });
    expect(fake.calls).toBe(3);
  });

  test('a reading with the time that it had', async () => {
    const time = new Date(5);
    const cached = new CachedMetrics(new FakeMetrics({ script: [{ time }, new Error('again')] }));
    await cached.getMetrics();
    expect((await cached.getMetrics()).time).toEqual(time);
  });

  test('a reading for its age from when it came, whatever happens to the clock', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout'] });
    const fake = new FakeMetrics({ script: [{ used: 1n, delayMs: 50 }, { used: 2n }] });
    const cached = new CachedMetrics(fake, { maxAgeMs: 1000 });
    const first = cached.getMetrics();
    await vi.advanceTimersByTimeAsync(50);
    expect(await first).toMatchObject({ used: 1n });
    vi.setSystemTime(Date.now() + 86_400_000);
    await vi.advanceTimersByTimeAsync(999);
    expect(await cached.getMetrics()).toMatchObject({ used: 1n });
    vi.setSystemTime(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(await cached.getMetrics()).toMatchObject({ used: 2n });
    expect(fake.calls).toBe(2);
  });

  test.each([
    [undefined, 'it is undefined'],
    [null, 'it is null'],
    [7, 'it is the number 7'],
    [{}, 'its time is undefined, not a date'],
    [{ time: new Date() }, 'its source is undefined, not a name'],
    [{ time: new Date(), source: '' }, 'its source is an empty string, not a name'],
    [{ time: new Date(NaN), source: 'x' }, 'its time is an invalid date'],
    [{ time: '2026-01-02T03:04:05Z', source: 'x' }, 'its time is a string, not a date'],
    [{ time: new Date(), source: 'x', used: -1n }, 'its used is negative (-1)'],
    [{ time: new Date(), source: 'x', used: 5 }, 'its used is the number 5, not a bigint'],
  ])('an invalid reading never: %o', async (nonsense, problem) => {
    const readings: unknown[] = [nonsense, { time: new Date(), source: 'x', used: 1n }];
    const cached = new CachedMetrics({
      name: 'x',
      getMetrics: () => Promise.resolve(readings.shift() as Metrics),
    });
    await expect(cached.getMetrics()).rejects.toMatchObject({
      code: 'METRICS_PROVIDER_FAILED',
      message: `provider "x" gave no reading: ${problem}`,
      cause: nonsense,
    });
    expect(await cached.getMetrics()).toMatchObject({ used: 1n });
  });

  test('nothing with an age of 0', async () => {
    const fake = new FakeMetrics({ script: [{ used: 1n }, { used: 2n }] });
    const cached = new CachedMetrics(fake, { maxAgeMs: 0 });
    expect(await cached.getMetrics()).toMatchObject({ used: 1n });
    expect(await cached.getMetrics()).toMatchObject({ used: 2n });
  });

  test('not the error of a refresh in place of the reading that is too old', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const cached = new CachedMetrics(new FakeMetrics({ script: [{}, new Error('gone'), { used: 3n }] }), {
      maxAgeMs: 10,
    });
    await cached.getMetrics();
    vi.advanceTimersByTime(10);
    await expect(cached.getMetrics()).rejects.toThrow('gone');
    expect(await cached.getMetrics()).toMatchObject({ used: 3n });
  });
});

describe('shares', () => {
  test.each([Infinity, 0])('one call among ten callers, with an age of %s', async (maxAgeMs) => {
    const fake = new FakeMetrics({ script: ['hang'] });
    const cached = new CachedMetrics(fake, { maxAgeMs });
    const calls = Array.from({ length: 10 }, () => cached.getMetrics());
    fake.release({ used: 1n });
    const readings = await Promise.all(calls);
    expect(new Set(readings).size).toBe(1);
    expect(fake.calls).toBe(1);
  });

  test('its failure too', async () => {
    const fake = new FakeMetrics({ script: ['hang', { used: 2n }] });
    const cached = new CachedMetrics(fake);
    const calls = [cached.getMetrics(), cached.getMetrics()];
    const failure = new Error('gone');
    fake.release(failure);
    for (const call of calls) await expect(call).rejects.toBe(failure);
    expect(await cached.getMetrics()).toMatchObject({ used: 2n });
  });

  test('a synchronous throw as a rejection', async () => {
    const failure = new TypeError('thrown');
    const cached = new CachedMetrics({
      name: 'throws',
      getMetrics: () => {
        throw failure;
      },
    });
    await expect(cached.getMetrics()).rejects.toBe(failure);
  });
});

describe('a signal', () => {
  test('that is aborted already rejects without a call', async () => {
    const fake = new FakeMetrics();
    await expect(new CachedMetrics(fake).getMetrics({ signal: AbortSignal.abort('no') })).rejects.toBe('no');
    expect(fake.calls).toBe(0);
  });

  test('that is aborted already rejects also when there is a reading', async () => {
    const cached = new CachedMetrics(new FakeMetrics());
    await cached.getMetrics();
    await expect(cached.getMetrics({ signal: AbortSignal.abort('no') })).rejects.toBe('no');
  });

  test('releases its own caller, and the others get the reading', async () => {
    const fake = new FakeMetrics({ script: ['hang'] });
    const { provider, signals } = spying(fake);
    const cached = new CachedMetrics(provider);
    const controller = new AbortController();
    const [leaves, stays] = [cached.getMetrics({ signal: controller.signal }), cached.getMetrics()];
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(leaves).rejects.toBe(reason);
    expect(signals).toHaveLength(1);
    expect(signals[0]?.aborted).toBe(false);
    fake.release({ used: 1n });
    expect(await stays).toMatchObject({ used: 1n });
  });

  test('of the last to leave aborts the shared call, with its reason', async () => {
    const { provider, signals } = spying(new FakeMetrics({ script: ['hang'] }));
    const cached = new CachedMetrics(provider);
    const controllers = [new AbortController(), new AbortController()] as const;
    const calls = controllers.map(({ signal }) => cached.getMetrics({ signal }));
    controllers[0].abort('first');
    await expect(calls[0]).rejects.toBe('first');
    expect(signals[0]?.aborted).toBe(false);
    controllers[1].abort('second');
    await expect(calls[1]).rejects.toBe('second');
    expect(signals[0]?.aborted).toBe(true);
    expect(signals[0]?.reason).toBe('second');
  });

  test('of the last to leave makes the next caller start a new call', async () => {
    const fake = new FakeMetrics({ script: ['hang', { used: 2n }] });
    const { provider, signals } = spying(fake);
    const cached = new CachedMetrics(provider);
    const controller = new AbortController();
    const leaves = cached.getMetrics({ signal: controller.signal });
    // Joins in the middle of the abort, when the shared call hears of it.
    let joins: Promise<Metrics> | undefined;
    signals[0]?.addEventListener('abort', () => {
      joins = cached.getMetrics();
    });
    controller.abort('enough');
    await expect(leaves).rejects.toBe('enough');
    expect(await joins).toMatchObject({ used: 2n });
    expect(fake.calls).toBe(2);
  });

  test('of the last to leave discards what the call still brings', async () => {
    const late: ((reading: Metrics) => void)[] = [];
    const cached = new CachedMetrics({
      name: 'deaf',
      getMetrics: () => new Promise((resolve) => late.push(resolve)),
    });
    const controller = new AbortController();
    const leaves = cached.getMetrics({ signal: controller.signal });
    controller.abort('enough');
    await expect(leaves).rejects.toBe('enough');
    const next = cached.getMetrics();
    late[0]?.({ time: new Date(), source: 'late' });
    late[1]?.({ time: new Date(), source: 'new' });
    expect((await next).source).toBe('new');
    expect((await cached.getMetrics()).source).toBe('new');
  });

  test('that is aborted within the first part of the wrapped call releases its caller', async () => {
    const controller = new AbortController();
    const cached = new CachedMetrics({
      name: 'aborts',
      getMetrics: () => {
        controller.abort('inside');
        return new Promise(() => undefined);
      },
    });
    await expect(cached.getMetrics({ signal: controller.signal })).rejects.toBe('inside');
  });

  test('that lives long keeps no listener, however the call ends', async () => {
    const { signal } = new AbortController();
    const fake = new FakeMetrics({ script: [new Error('gone'), 'hang', {}] });
    const cached = new CachedMetrics(fake);
    await expect(cached.getMetrics({ signal })).rejects.toThrow('gone');
    const calls = [cached.getMetrics({ signal }), cached.getMetrics({ signal })];
    fake.release();
    await Promise.all(calls);
    await cached.getMetrics({ signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});
