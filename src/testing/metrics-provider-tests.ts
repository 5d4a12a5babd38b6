import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { isMetricsError, type MetricsErrorCode } from '../errors.js';
import type { GetMetricsOptions, Metrics, MetricsProvider } from '../metrics.js';
import { checkedMs, checkedOptions, checkedText } from '../options.js';
import { show } from '../reading.js';
import { stringify } from '../stringify.js';
import {
  assertRejectedFor,
  assertRejectedWith,
  checkAbsence,
  checkAgreement,
  checkDetails,
  checkQuantities,
  checkReports,
  checkSource,
  checkTime,
  has,
  outcomeOf,
  readingOf,
  turn,
  type MetricsField,
} from './contract-checks.js';

/** A provider for one test; the other form says what to do after the test. */
export type ProviderUnderTest =
  MetricsProvider | { readonly provider: MetricsProvider; readonly dispose?: () => unknown };

/** What a provider reports: fields of a reading, or never a reading at all. */
export type ProviderReports =
  | {
      /** Fields that each of its readings has. */
      readonly always: readonly MetricsField[];
      /** Fields that none of its readings has. */
      readonly never?: readonly MetricsField[];
    }
  | {
      /** The code that each of its calls rejects with. */
      readonly rejects: MetricsErrorCode;
    };

/** Options of {@link metricsProviderTests}. */
export interface MetricsProviderTestsOptions {
  /** Registers a test: `test` of vitest, Jest or node:test, `it` of Mocha. */
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  /** What is tested. The name of each test begins with it. */
  readonly name: string;
  /** Makes a provider over a healthy volume, a new one for each test. */
  readonly create: () => ProviderUnderTest | Promise<ProviderUnderTest>;
  /** What each reading has and has not, or the code that each call rejects with. */
  readonly reports: ProviderReports;
  /** Makes a provider over a volume that cannot be measured, such as one that does not exist. */
  readonly createFailing?: () => ProviderUnderTest | Promise<ProviderUnderTest>;
  /**
   * Milliseconds within which a call on the healthy volume settles.
   *
   * @defaultValue 10000
   */
  readonly settlesWithinMs?: number;
}

/** Calls made at once; more than libuv's pool has threads. */
const CROWD = 8;

const OPTIONS = ['test', 'name', 'create', 'reports', 'createFailing', 'settlesWithinMs'] as const;

/**
 * The contract of {@link MetricsProvider} as tests for any runner. Each test uses its own provider.
 *
 * - has a short name that stays the same
 * - answers any options with a promise: none, `undefined`, `{}`, `{ signal: undefined }`
 * - reads again after reading, and leaves a reading that it gave as it was
 * - answers calls made at the same time
 * - rejects with the reason of a signal that is already aborted, unwrapped
 * - answers an abort during the call with the reason, unwrapped, or with what it would have answered
 * - an abort releases its own caller and no other
 * - takes its listeners off a signal that outlives the call
 *
 * A provider that reads:
 *
 * - says when it measured, a time within the call, and who measured
 * - gives quantities as exact bigints of at least 0
 * - leaves out what it does not know, instead of undefined, null or 0
 * - always reports what it is said to report, and never what it is said not to
 * - gives flags, condition, incomplete and warnings in their shape
 * - gives quantities that agree: available within capacity or with a warning, inodesFree within inodes
 *
 * A provider that rejects does so with its code. With `createFailing`: fails with a MetricsError.
 *
 * @throws TypeError for an invalid or unknown option; then no test is registered
 */
export function metricsProviderTests(options: MetricsProviderTestsOptions): void {
  const { test, name, create, reports, createFailing, settlesWithinMs } = checkedOptions(options, OPTIONS);
  checkedText('name', name);
  for (const [option, value] of Object.entries({ test, create, createFailing })) {
    if (option === 'createFailing' && value === undefined) continue;
    if (typeof value !== 'function')
      throw new TypeError(`Expected ${option} to be a function, got ${show(value)}`);
  }
  checkReports(reports);
  const limitMs = checkedMs('settlesWithinMs', settlesWithinMs, 10_000);

  /** Registers a test over a provider of its own. */
  function check(
    title: string,
    body: (provider: MetricsProvider) => Promise<void>,
    make: NonNullable<typeof createFailing> = create,
  ): void {
    test(`${name}: ${title}`, async () => {
      const made = await make();
      const { provider, dispose } = 'getMetrics' in made ? { provider: made, dispose: undefined } : made;
      try {
        await body(provider);
      } finally {
        await dispose?.();
      }
    });
  }

  const ask = (provider: MetricsProvider, signal?: AbortSignal): Promise<PromiseSettledResult<Metrics>> =>
    outcomeOf(() => provider.getMetrics(signal === undefined ? {} : { signal }), limitMs);

  /** Asserts that a call ended as undisturbed calls of this provider do. */
  function assertUsual(outcome: PromiseSettledResult<Metrics>): void {
    if ('rejects' in reports) assertRejectedWith(outcome, reports.rejects);
    else readingOf(outcome);
  }

  check('has a short name that stays the same', async (provider) => {
    const before: unknown = provider.name;
    assert.ok(typeof before === 'string', 'name is a text');
    // The longest names are those of CSI drivers, with at most 63 characters.
    assert.match(before, /^[^\p{Cc}]{1,63}$/u, 'name is one line of 1 to 63 characters');
    await ask(provider);
    assert.equal(provider.name, before, 'name is the same after a call');
  });

  check('answers any options with a promise', async (provider) => {
    const forms: (readonly [] | readonly [GetMetricsOptions | undefined])[] = [
      [],
      [undefined],
      [{}],
      [{ signal: undefined }],
    ];
    for (const form of forms) {
      let promise: unknown;
      assert.doesNotThrow(() => {
        promise = provider.getMetrics(...form);
      }, 'getMetrics never throws');
      assert.equal(typeof (promise as Partial<Promise<unknown>> | undefined)?.then, 'function', 'a promise');
      assertUsual(await outcomeOf(() => promise, limitMs));
    }
  });

  if ('rejects' in reports) {
    check(`rejects with ${reports.rejects}`, async (provider) => {
      assertUsual(await ask(provider));
    });
  } else {
    const checkReading = (title: string, body: (reading: Metrics) => void): void => {
      check(title, async (provider) => {
        body(readingOf(await ask(provider)));
      });
    };
    check('says when it measured, a time within the call', async (provider) => {
      const startMs = Date.now();
      const reading = readingOf(await ask(provider));
      checkTime(reading, startMs, Date.now());
    });
    checkReading('says who measured', checkSource);
    checkReading('gives quantities as exact bigints of at least 0', checkQuantities);
    checkReading('leaves out what it does not know', checkAbsence);
    checkReading('gives flags, condition, incomplete and warnings in their shape', checkDetails);
    checkReading('gives quantities that agree', checkAgreement);
    checkReading('always reports what it is said to report', (reading) => {
      const missing = reports.always.filter((field) => !has(reading, field));
      assert.deepEqual(missing, [], 'fields that are missing');
    });
    checkReading('never reports what it is said not to', (reading) => {
      const excess = (reports.never ?? []).filter((field) => has(reading, field));
      assert.deepEqual(excess, [], 'fields that are there');
    });
    check('reads again after reading, and leaves a reading as it was', async (provider) => {
      const first = readingOf(await ask(provider));
      const before = stringify(first);
      readingOf(await ask(provider));
      assert.equal(stringify(first), before, 'the first reading after the second');
    });
  }

  check('answers calls made at the same time', async (provider) => {
    const outcomes = await Promise.all(Array.from({ length: CROWD }, () => ask(provider)));
    outcomes.forEach(assertUsual);
  });

  check('rejects with the reason of a signal that is aborted already', async (provider) => {
    const reason = new Error('aborted before the call');
    assertRejectedFor(await ask(provider, AbortSignal.abort(reason)), reason);
  });

  check('answers an abort during the call with its reason, or as usual', async (provider) => {
    for (const wait of [() => undefined, () => Promise.resolve(), turn]) {
      const controller = new AbortController();
      const reason = new Error('aborted during the call');
      const outcome = ask(provider, controller.signal);
      await wait();
      controller.abort(reason);
      const settled = await outcome;
      if (settled.status === 'fulfilled' || settled.reason !== reason) assertUsual(settled);
    }
  });

  check('an abort releases its own caller and no other', async (provider) => {
    const controller = new AbortController();
    const released = ask(provider, controller.signal);
    const stays = ask(provider, new AbortController().signal);
    controller.abort(new Error('aborted by one of two callers'));
    const [other] = await Promise.all([stays, released]);
    assertUsual(other);
  });

  check('takes its listeners off a signal that outlives the call', async (provider) => {
    const { signal } = new AbortController();
    await ask(provider, signal);
    await turn();
    assert.equal(getEventListeners(signal, 'abort').length, 0, 'listeners for abort');
    assert.equal(signal.onabort ?? null, null, 'onabort');
  });

  if (createFailing !== undefined) {
    check(
      'fails with a MetricsError',
      async (provider) => {
        const outcome = await ask(provider);
        assert.equal(outcome.status, 'rejected', 'the call rejects');
        assert.ok(
          isMetricsError(outcome.reason),
          `one of the codes of MetricsError: ${String(outcome.reason)}`,
        );
        assert.notEqual(outcome.reason.message, '', 'a message');
      },
      createFailing,
    );
  }
}
