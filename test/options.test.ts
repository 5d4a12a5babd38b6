import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  checkedAge,
  checkedFlag,
  checkedFunction,
  checkedMs,
  checkedNotEmpty,
  checkedOptions,
  checkedSignal,
  checkedText,
  openSignal,
} from '../src/options.js';

describe('checkedOptions', () => {
  const known = ['signal', 'timeoutMs'] as const;
  const check = (options: unknown): unknown =>
    checkedOptions(options as { signal?: 1; timeoutMs?: 2 }, known);

  test('returns options whose names are known, undefined ones too', () => {
    const options = { timeoutMs: undefined };
    expect(check(options)).toBe(options);
    expect(check({})).toEqual({});
  });

  test.each([
    [null, 'null'],
    [5, 'number'],
    ['native', 'string'],
    [[], 'an array'],
    [() => undefined, 'function'],
  ])('refuses %s', (options, type) => {
    expect(() => check(options)).toThrow(new TypeError(`Expected options to be an object, got ${type}`));
  });

  test('names the first unknown option and lists the known ones', () => {
    expect(() => check({ timeoutMs: 1, timeout: 5, other: 6 })).toThrow(
      new TypeError('Unknown option "timeout": the options are signal, timeoutMs'),
    );
    expect(() => checkedOptions({ a: 1 }, [])).toThrow(new TypeError('Unknown option "a": there are none'));
  });

  test('says how to pass a signal that was given in place of options', () => {
    expect(() => check(new AbortController().signal)).toThrow(
      new TypeError('Expected options to be an object such as { signal }, got an AbortSignal'),
    );
    expect(() => checkedOptions(new AbortController().signal as { timeoutMs?: 1 }, ['timeoutMs'])).toThrow(
      new TypeError('Expected options to be an object, got an AbortSignal'),
    );
  });
});

describe('openSignal', () => {
  test('gives the signal, or undefined', () => {
    const { signal } = new AbortController();
    expect(openSignal({ signal })).toBe(signal);
    expect(openSignal({})).toBeUndefined();
  });

  test('throws the reason of an aborted signal, whatever it is', () => {
    const reason = Symbol('reason');
    let thrown: unknown;
    try {
      openSignal({ signal: AbortSignal.abort(reason) });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBe(reason);
  });

  test('refuses an unknown option', () => {
    expect(() => openSignal({ timeoutMs: 5 } as object)).toThrow(
      new TypeError('Unknown option "timeoutMs": the options are signal'),
    );
  });
});

describe('checkedSignal', () => {
  test('lets any number of callers listen without a warning from Node', async () => {
    const checked = new AbortController().signal;
    expect(checkedSignal(checked)).toBe(checked);
    const unchecked = new AbortController().signal;
    const warning = once(process, 'warning');
    for (const signal of [checked, unchecked]) {
      for (let each = 0; each < 20; each += 1) signal.addEventListener('abort', () => each);
    }
    // A warning about the checked signal would come first.
    expect(((await warning) as { target?: unknown }[])[0]!.target).toBe(unchecked);
  });

  test('may be absent', () => {
    expect(checkedSignal(undefined)).toBeUndefined();
  });

  test('takes a signal of another realm', () => {
    const nothing = (): void => undefined;
    const other = { aborted: false, addEventListener: nothing, removeEventListener: nothing };
    expect(checkedSignal(other as unknown as AbortSignal)).toBe(other);
  });

  test.each([null, {}, 'now', { aborted: false }, { aborted: false, addEventListener: () => undefined }])(
    'refuses %j',
    (value) => {
      expect(() => checkedSignal(value as never)).toThrow(/^Expected signal to be an AbortSignal, got /);
    },
  );
});

describe('checkedMs', () => {
  test.each([Number.MIN_VALUE, 1, 2_147_483_647])('%s ms are a limit', (ms) => {
    expect(checkedMs('timeoutMs', ms, 5)).toBe(ms);
  });

  test('the fallback counts if there is no value', () => {
    expect(checkedMs('timeoutMs', undefined, 5)).toBe(5);
  });

  test.each([0, -1, NaN, Infinity, 2_147_483_648, '5s'])('refuses %s', (ms) => {
    expect(() => checkedMs('stallTimeoutMs', ms as number, 5)).toThrow(
      new TypeError(
        `Expected stallTimeoutMs to be a number of milliseconds above 0 and at most 2147483647, got ${typeof ms === 'string' ? '"5s"' : String(ms)}`,
      ),
    );
  });

  test.each([
    [{}, 'object'],
    [null, 'null'],
    [[1], 'an array'],
    [5n, 'bigint'],
  ])('says the type of %s', (value, type) => {
    expect(() => checkedMs('timeoutMs', value as never, 5)).toThrow(new RegExp(`, got ${type}$`));
  });
});

test('an age is a number of milliseconds, 0 and Infinity included', () => {
  for (const age of [0, 0.5, Infinity]) expect(checkedAge('maxAgeMs', age, 7)).toBe(age);
  expect(checkedAge('maxAgeMs', undefined, 7)).toBe(7);
  for (const age of [-1, NaN, '5']) {
    expect(() => checkedAge('maxAgeMs', age as number, 7)).toThrow(
      new TypeError(
        `Expected maxAgeMs to be a number of milliseconds of at least 0, got ${JSON.stringify(age) === 'null' ? 'NaN' : JSON.stringify(age)}`,
      ),
    );
  }
});

test('a flag is a boolean, false by default', () => {
  expect([true, false, undefined].map((value) => checkedFlag('allowPartial', value))).toEqual([
    true,
    false,
    false,
  ]);
  for (const value of ['false', 0, null]) {
    expect(() => checkedFlag('allowPartial', value as never)).toThrow(
      /^Expected allowPartial to be a boolean, got /,
    );
  }
});

test('a text is a string, the empty one included', () => {
  expect(checkedText('path', '')).toBe('');
  expect(() => checkedText('path', ['/'] as never)).toThrow(
    new TypeError('Expected path to be a string, got an array'),
  );
});

test('a text that must say something is not empty', () => {
  expect(checkedNotEmpty('caFile', '/ca.crt')).toBe('/ca.crt');
  expect(() => checkedNotEmpty('caFile', '')).toThrow(new TypeError('Expected caFile not to be empty'));
  expect(() => checkedNotEmpty('caFile', 5 as never)).toThrow(
    new TypeError('Expected caFile to be a string, got number'),
  );
});

test('a function may be absent', () => {
  const listener = (): void => undefined;
  expect(checkedFunction('onProgress', listener)).toBe(listener);
  expect(checkedFunction<unknown>('onProgress', undefined)).toBeUndefined();
  const given: unknown = null;
  expect(() => checkedFunction('onProgress', given)).toThrow(
    new TypeError('Expected onProgress to be a function, got null'),
  );
});
