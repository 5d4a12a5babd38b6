import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { CachedMetrics, MetricsError } from '../../src/index.js';
import { FakeMetrics, metricsProviderTests } from '../../src/testing/index.js';

const SCRIPTS = {
  FakeMetrics: [{ capacity: 10n }],
  'FakeMetrics that takes its time': [{ capacity: 10n, delayMs: 2 }],
} as const;

for (const [name, script] of Object.entries(SCRIPTS)) {
  const create = (): FakeMetrics => new FakeMetrics({ script });
  const createFailing = (): FakeMetrics =>
    new FakeMetrics({ script: [new MetricsError('METRICS_NOT_FOUND', 'gone')] });
  const reports = { always: ['capacity'], never: ['used', 'inodes'] } as const;
  metricsProviderTests({ test, name, create, createFailing, reports });
  metricsProviderTests({
    test,
    name: `CachedMetrics around ${name}`,
    create: () => new CachedMetrics(create()),
    createFailing: () => new CachedMetrics(createFailing()),
    reports,
  });
}

describe('FakeMetrics', () => {
  test('gives a reading of now in its own name, without quantities', async () => {
    const fake = new FakeMetrics({ name: 'mine' });
    expect(await fake.getMetrics()).toEqual({ time: expect.any(Date) as Date, source: 'mine' });
    expect(fake.name).toBe('mine');
  });

  test.each(['hang', null, { error: 'x' }])('refuses %j for a script', (script) => {
    expect(() => new FakeMetrics({ script: script as never })).toThrow(/^Expected script to be a list, got /);
  });

  test('refuses an unknown option, by name', () => {
    const options = { scrpit: [] } as object;
    expect(() => new FakeMetrics(options)).toThrow(
      new TypeError('Unknown option "scrpit": the options are name, script'),
    );
  });

  test.each<[unknown, RegExp]>([
    ['hangg', /^Expected a step to be 'hang', an Error, \{ error \} or a reading, got "hangg"$/],
    [undefined, /^Expected a step to be .*, got undefined$/],
    [[{}], /^Expected a step to be .*, got an array$/],
    [{ usde: 5 }, /^Unknown option "usde": /],
    [{ error: 'x', used: 5 }, /^Unknown option "used": /],
    [{ delayMs: -1 }, /^Expected delayMs to be a number of milliseconds/],
    [{ delayMs: Infinity }, /^Expected delayMs to be a number of milliseconds/],
  ])('refuses the step %j, in the script and for a release', (step, message) => {
    expect(() => new FakeMetrics({ script: [{}, step as never] })).toThrow(TypeError);
    expect(() => new FakeMetrics({ script: [{}, step as never] })).toThrow(message);
    if (step === undefined) return;
    expect(() => {
      new FakeMetrics().release(step as never);
    }).toThrow(message);
  });

  test("hangs in a script only: a release cannot 'hang'", () => {
    expect(() => {
      new FakeMetrics().release('hang' as never);
    }).toThrow(TypeError);
  });

  test('refuses a name that is no text', () => {
    expect(() => new FakeMetrics({ name: 5 as never })).toThrow(/^Expected name to be a string, got number$/);
  });

  test('gives wrong values as they are, to test what takes them', async () => {
    const wrong = { used: 5, time: 'now', warnings: undefined } as never;
    expect(await new FakeMetrics({ script: [wrong] }).getMetrics()).toEqual({
      ...{ used: 5, time: 'now', source: 'fake' },
    });
  });

  test('follows its script and repeats the last step', async () => {
    const time = new Date(5);
    const failure = new MetricsError('METRICS_FS_INFO_FAILED', 'x');
    const fake = new FakeMetrics({
      script: [failure, { error: 'no error' }, { used: 1n }, { used: 2n, time, source: 's' }],
    });
    await expect(fake.getMetrics()).rejects.toBe(failure);
    await expect(fake.getMetrics()).rejects.toBe('no error');
    expect(await fake.getMetrics()).toMatchObject({ used: 1n, source: 'fake' });
    const last = { used: 2n, time, source: 's' };
    expect(await fake.getMetrics()).toEqual(last);
    expect(await fake.getMetrics()).toEqual(last);
    expect(fake.calls).toBe(5);
  });

  test('takes its time, and says nothing of it in the reading', async () => {
    vi.useFakeTimers();
    try {
      const fake = new FakeMetrics({
        script: [
          { delayMs: 1000, used: 1n },
          { delayMs: 1000, error: 'late' },
        ],
      });
      const settled = vi.fn();
      const first = fake.getMetrics().then((reading) => {
        settled();
        return reading;
      });
      await vi.advanceTimersByTimeAsync(999);
      expect(settled).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      expect(Object.keys(await first).sort()).toEqual(['source', 'time', 'used']);
      const second = expect(fake.getMetrics()).rejects.toBe('late');
      await vi.advanceTimersByTimeAsync(1000);
      await second;
    } finally {
      vi.useRealTimers();
    }
  });

  test('hangs until it is released, with a reading or an error', async () => {
    const fake = new FakeMetrics({ script: ['hang'] });
    const calls = Promise.allSettled([fake.getMetrics(), fake.getMetrics()]);
    expect(fake.hanging).toBe(2);
    fake.release({ used: 3n });
    expect(fake.hanging).toBe(0);
    expect(await calls).toMatchObject([{ value: { used: 3n } }, { value: { used: 3n } }]);
    const third = expect(fake.getMetrics()).rejects.toThrow('gone');
    fake.release(new Error('gone'));
    await third;
    const fourth = fake.getMetrics();
    fake.release();
    expect(await fourth).toMatchObject({ source: 'fake' });
  });

  test.each([['hang' as const], [{ delayMs: 2_147_483_647 }]])('an abort ends %j', async (step) => {
    const fake = new FakeMetrics({ script: [step] });
    const controller = new AbortController();
    const reason = new Error('enough');
    const call = expect(fake.getMetrics({ signal: controller.signal })).rejects.toBe(reason);
    await delay(0);
    controller.abort(reason);
    await call;
    expect(fake.hanging).toBe(0);
  });

  test('a signal that is aborted already costs no step', async () => {
    const fake = new FakeMetrics({ script: [{ used: 1n }, { used: 2n }] });
    await expect(fake.getMetrics({ signal: AbortSignal.abort('no') })).rejects.toBe('no');
    expect(fake.calls).toBe(1);
    expect(await fake.getMetrics()).toMatchObject({ used: 1n });
  });

  test('an empty script is refused', () => {
    expect(() => new FakeMetrics({ script: [] })).toThrow(TypeError);
  });
});
