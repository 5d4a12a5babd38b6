import { AssertionError } from 'node:assert';
import { describe, expect, test } from 'vitest';
import { MetricsError, type GetMetricsOptions, type Metrics, type MetricsProvider } from '../../src/index.js';
import {
  FakeMetrics,
  metricsProviderTests,
  type MetricsProviderTestsOptions,
  type ProviderReports,
} from '../../src/testing/index.js';

/** The tests that fail, by their names without what is tested, each with the message of its assertion. */
async function failuresOf(options: Omit<MetricsProviderTestsOptions, 'test' | 'name'>): Promise<string[]> {
  const registered: [string, () => Promise<void>][] = [];
  metricsProviderTests({
    ...options,
    test: (name, body) => registered.push([name.replace('it: ', ''), body]),
    name: 'it',
  });
  expect(registered.length).toBeGreaterThan(5);
  const failed: string[] = [];
  for (const [name, body] of registered) {
    try {
      await body();
    } catch (error) {
      // Anything else would be a fault of the suite itself.
      expect(error).toBeInstanceOf(AssertionError);
      failed.push(name);
    }
  }
  return failed;
}

const REPORTS: ProviderReports = { always: ['capacity', 'available'], never: ['inodes', 'condition'] };

function reading(fields: Record<string, unknown> = {}): Metrics {
  return { time: new Date(), source: 'it', capacity: 10n, available: 4n, ...fields };
}

/** A provider of two functions; it does nothing about signals unless it is told to. */
function provider(
  getMetrics: (options?: GetMetricsOptions) => unknown,
  name: unknown = 'it',
): MetricsProvider {
  return { name, getMetrics } as MetricsProvider;
}

/** A provider that keeps the contract but for the reading that it gives. */
function giving(fields: Record<string, unknown>): MetricsProvider {
  return provider(async ({ signal } = {}) => {
    signal?.throwIfAborted();
    return Promise.resolve(reading(fields));
  });
}

function named(name: unknown): MetricsProvider {
  return provider((options) => giving({}).getMetrics(options), name);
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => {
      reject(signal.reason);
    });
  });
}

const TIME = 'says when it measured, a time within the call';
const SOURCE = 'says who measured';
const QUANTITIES = 'gives quantities as exact bigints of at least 0';
const ABSENT = 'leaves out what it does not know';
const SHAPE = 'gives flags, condition, incomplete and warnings in their shape';
const AGREE = 'gives quantities that agree';
const ALWAYS = 'always reports what it is said to report';
const NEVER = 'never reports what it is said not to';
const AGAIN = 'reads again after reading, and leaves a reading as it was';
const NAME = 'has a short name that stays the same';
const OPTIONS = 'answers any options with a promise';
const CROWD = 'answers calls made at the same time';
const ABORTED = 'rejects with the reason of a signal that is aborted already';
const ABORT = 'answers an abort during the call with its reason, or as usual';
const OTHERS = 'an abort releases its own caller and no other';
const LISTENERS = 'takes its listeners off a signal that outlives the call';
const FAILS = 'fails with a MetricsError';

test('an unknown option is refused, by name', () => {
  const options = { name: 'it', create: () => giving({}), reports: REPORTS, test: () => undefined };
  expect(() => {
    metricsProviderTests({ ...options, timeoutMs: 5 } as MetricsProviderTestsOptions);
  }).toThrow(
    new TypeError(
      'Unknown option "timeoutMs": the options are test, name, create, reports, createFailing, settlesWithinMs',
    ),
  );
});

test('a provider that keeps the contract passes', async () => {
  const whole = {
    readOnly: false,
    used: 6n,
    condition: { abnormal: true, message: 'x', problems: [{ status: 'a', reason: 'b', message: 'c' }] },
    incomplete: { errors: 2, first: { path: '/x', code: 'EACCES' } },
    warnings: ['odd'],
  };
  const reports = { always: ['capacity', 'readOnly', 'condition', 'incomplete', 'warnings'] } as const;
  expect(await failuresOf({ create: () => giving(whole), reports })).toEqual([]);
});

describe('a reading with a fault fails the test of that fault and no other', () => {
  const cases: [what: string, fields: Record<string, unknown>, failed: string[]][] = [
    ['an older time', { time: new Date(0) }, [TIME]],
    ['a time to come', { time: new Date(Date.now() + 3_600_000) }, [TIME]],
    ['an invalid time', { time: new Date(Number.NaN) }, [TIME]],
    ['a time in milliseconds', { time: Date.now() }, [TIME]],
    ['no source', { source: undefined }, [SOURCE, ABSENT]],
    ['an empty source', { source: '' }, [SOURCE]],
    ['a number for a bigint', { used: 6 }, [QUANTITIES]],
    ['a text for a bigint', { used: '6' }, [QUANTITIES]],
    ['a negative', { used: -1n }, [QUANTITIES]],
    ['an undefined field', { used: undefined }, [ABSENT]],
    ['a null field', { readOnly: null }, [ABSENT]],
    ['an undefined field that it must not report', { inodes: undefined }, [ABSENT]],
    ['an invalid flag', { readOnly: 'no' }, [SHAPE]],
    ['warnings without any', { warnings: [] }, [SHAPE]],
    ['a warning that is no text', { warnings: [new Error('odd')] }, [SHAPE]],
    [
      'incomplete without an error',
      { incomplete: { errors: 0, first: { path: '/', code: 'EIO' } } },
      [SHAPE],
    ],
    ['incomplete without the first error', { incomplete: { errors: 1 } }, [SHAPE]],
    ['more available than there is', { available: 11n }, [AGREE]],
    ['more available than there is, with a warning', { available: 11n, warnings: ['a pool'] }, []],
    ['more free inodes than there are', { inodes: 1n, inodesFree: 2n }, [AGREE, NEVER]],
    ['nothing of what it reports', { capacity: undefined }, [ABSENT, ALWAYS]],
    ['zero for what it does not know', { inodes: 0n }, [NEVER]],
    ['a condition without a verdict', { condition: { message: 'x' } }, [SHAPE, NEVER]],
  ];
  test.each(cases)('%s', async (_, fields, failed) => {
    expect(await failuresOf({ create: () => giving(fields), reports: REPORTS })).toEqual(failed);
  });

  test('one object for all readings', async () => {
    const create = (): MetricsProvider => {
      const shared = { ...reading() };
      return provider(async ({ signal } = {}) => {
        signal?.throwIfAborted();
        await Promise.resolve();
        return Object.assign(shared, { time: new Date(), used: (shared.used ?? 0n) + 1n });
      });
    };
    expect(await failuresOf({ create, reports: REPORTS })).toEqual([AGAIN]);
  });
});

describe('a call with a fault fails the tests of that fault and no other', () => {
  const cases: [what: string, create: () => MetricsProvider, failed: string[]][] = [
    ['no name', () => named(''), [NAME]],
    ['a name that is no text', () => named(7), [NAME]],
    ['a name with a control character', () => named('a\nb'), [NAME]],
    ['a long name', () => named('n'.repeat(64)), [NAME]],
    [
      'a name that changes',
      () => {
        let calls = 0;
        return {
          get name() {
            return `it${calls}`;
          },
          getMetrics(options) {
            calls += 1;
            return giving({}).getMetrics(options);
          },
        };
      },
      [NAME],
    ],
    [
      'a synchronous throw without options',
      () =>
        provider((options) => {
          if (options === undefined) throw new TypeError('options');
          return giving({}).getMetrics(options);
        }),
      [OPTIONS],
    ],
    [
      'no promise',
      () =>
        provider(({ signal } = {}) => {
          signal?.throwIfAborted();
          return reading();
        }),
      [OPTIONS],
    ],
    [
      'a failure where the signal is undefined',
      () =>
        provider((options = {}) =>
          'signal' in options && options.signal === undefined
            ? Promise.reject(new TypeError('signal'))
            : giving({}).getMetrics(options),
        ),
      [OPTIONS],
    ],
    [
      'a failure after the first reading',
      () => {
        let calls = 0;
        return provider((options) => {
          calls += 1;
          return calls === 2 && options?.signal === undefined
            ? Promise.reject(new Error('again'))
            : giving({}).getMetrics(options);
        });
      },
      [OPTIONS, AGAIN, CROWD],
    ],
    [
      'a failure when it is busy',
      () => {
        let busy = 0;
        return provider(async (options) => {
          options?.signal?.throwIfAborted();
          busy += 1;
          try {
            if (busy > 2) throw new Error('busy');
            await Promise.resolve();
            return reading();
          } finally {
            busy -= 1;
          }
        });
      },
      [CROWD],
    ],
    [
      'deafness to a signal that is aborted already',
      () => provider(() => Promise.resolve(reading())),
      [ABORTED],
    ],
    [
      'a reason that is wrapped',
      () =>
        provider(({ signal } = {}) =>
          signal?.aborted
            ? Promise.reject(new Error('aborted', { cause: signal.reason }))
            : Promise.resolve(reading()),
        ),
      [ABORTED],
    ],
    [
      'a reason that is wrapped, during the call',
      () =>
        provider(async ({ signal } = {}) => {
          signal?.throwIfAborted();
          await new Promise(setImmediate);
          if (signal?.aborted) throw new Error('aborted', { cause: signal.reason });
          return reading();
        }),
      [ABORT],
    ],
    [
      'an abort that takes the other callers along',
      () => {
        let flight: Promise<Metrics> | undefined;
        return provider(({ signal } = {}) => {
          if (signal?.aborted) return Promise.reject(signal.reason);
          flight ??= Promise.race([untilAborted(signal), new Promise(setImmediate).then(() => reading())]);
          return flight.finally(() => (flight = undefined));
        });
      },
      [OTHERS, LISTENERS],
    ],
    [
      'a listener left on the signal',
      () =>
        provider(({ signal } = {}) => {
          signal?.throwIfAborted();
          signal?.addEventListener('abort', () => undefined);
          return giving({}).getMetrics({ signal });
        }),
      [LISTENERS],
    ],
    [
      'a handler left on the signal',
      () =>
        provider(async ({ signal } = {}) => {
          signal?.throwIfAborted();
          if (signal) signal.onabort = () => undefined;
          return giving({}).getMetrics({ signal });
        }),
      [LISTENERS],
    ],
  ];
  test.each(cases)('%s', async (_, create, failed) => {
    expect(await failuresOf({ create, reports: REPORTS })).toEqual(failed);
  });

  test('no end after an abort', async () => {
    const create = (): MetricsProvider =>
      provider(async ({ signal } = {}) => {
        signal?.throwIfAborted();
        await new Promise(setImmediate);
        return signal?.aborted ? new Promise(() => undefined) : reading();
      });
    expect(await failuresOf({ create, reports: REPORTS, settlesWithinMs: 500 })).toEqual([ABORT, OTHERS]);
  });

  test('no end at all', async () => {
    const failed = await failuresOf({
      create: () => provider(() => new Promise(() => undefined)),
      reports: { rejects: 'METRICS_NOT_SUPPORTED' },
      settlesWithinMs: 20,
    });
    expect(failed).toContain('rejects with METRICS_NOT_SUPPORTED');
    expect(failed).toContain(CROWD);
  });

  test('no reading at all', async () => {
    const failed = await failuresOf({ create: () => provider(() => Promise.resolve()), reports: REPORTS });
    expect(failed).toEqual(expect.arrayContaining([TIME, SOURCE, QUANTITIES, ABSENT, AGAIN, CROWD]));
  });
});

describe('a provider that rejects', () => {
  const reports: ProviderReports = { rejects: 'METRICS_NOT_SUPPORTED' };
  const failing = (error: unknown): (() => MetricsProvider) => {
    return () => new FakeMetrics({ script: [{ error }] });
  };

  test('passes with its code', async () => {
    const create = failing(new MetricsError('METRICS_NOT_SUPPORTED', 'none'));
    expect(await failuresOf({ create, reports, createFailing: create })).toEqual([]);
  });

  test.each([
    ['another code', new MetricsError('METRICS_TIMED_OUT', 'slow')],
    ['an error of its own', new Error('none')],
    ['no error', 'none'],
  ])('fails with %s', async (_, error) => {
    expect(await failuresOf({ create: failing(error), reports })).toContain(
      'rejects with METRICS_NOT_SUPPORTED',
    );
  });
});

describe('createFailing', () => {
  test.each([
    ['a reading', {}],
    ['an error without a code', new Error('gone')],
    ['an error without a message', new MetricsError('METRICS_NOT_FOUND', '')],
  ])('fails with %s', async (_, step) => {
    const createFailing = (): MetricsProvider => new FakeMetrics({ script: [step] });
    expect(await failuresOf({ create: () => giving({}), createFailing, reports: REPORTS })).toEqual([FAILS]);
  });
});

test('what a provider rejects with is the cause of the failure, with its stack', async () => {
  const gone = new Error('gone');
  const bodies: (() => Promise<void>)[] = [];
  metricsProviderTests({
    test: (name, body) => name.endsWith(SOURCE) && bodies.push(body),
    name: 'it',
    create: () => provider(() => Promise.reject(gone)),
    reports: REPORTS,
  });
  await expect(bodies[0]?.()).rejects.toMatchObject({
    message: 'the call should resolve, but it rejects with Error: gone',
    cause: gone,
  });
});

test('each test has a provider of its own, and disposes of it also when it fails', async () => {
  let made = 0;
  let disposed = 0;
  const failed = await failuresOf({
    create: async () => {
      made += 1;
      await Promise.resolve();
      return { provider: giving({ used: -1n }), dispose: () => (disposed += 1) };
    },
    reports: REPORTS,
  });
  expect(failed).toEqual([QUANTITIES]);
  expect(made).toBeGreaterThan(10);
  expect(disposed).toBe(made);
});

describe('wrong options', () => {
  const create = (): FakeMetrics => new FakeMetrics();
  const good = { name: 'it', create, reports: { always: [] } };

  test.each<[object, RegExp]>([
    [{}, /^Expected name to be a string/],
    [{ ...good, test: undefined }, /^Expected test to be a function, got undefined$/],
    [{ ...good, create: create() }, /^Expected create to be a function, got an object$/],
    [{ ...good, createFailing: 5 }, /^Expected createFailing to be a function/],
    [{ ...good, settlesWithinMs: 0 }, /^Expected settlesWithinMs to be a number of milliseconds above 0/],
    [{ ...good, reports: undefined }, /^Expected reports to be an object, got undefined$/],
    [{ ...good, reports: {} }, /^Expected reports\.always to be a list, got undefined$/],
    [{ ...good, reports: { alwys: [] } }, /^Unknown option "alwys"/],
    [{ ...good, reports: { always: ['usde'] } }, /^Unknown field in reports\.always: usde$/],
    [{ ...good, reports: { always: [], never: 'used' } }, /^Expected reports\.never to be a list/],
    [
      { ...good, reports: { rejects: 'METRICS_OOPS' } },
      /^Expected reports\.rejects to be a code of MetricsError/,
    ],
    [{ ...good, reports: { always: [], rejects: 'METRICS_TIMED_OUT' } }, /^Expected reports\.rejects /],
  ])('are refused before a test is registered: %j', (options, message) => {
    const registered: string[] = [];
    const register = (name: string): unknown => registered.push(name);
    const call = (): void => {
      metricsProviderTests({ test: register, ...options } as unknown as MetricsProviderTestsOptions);
    };
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
    expect(registered).toEqual([]);
  });
});
