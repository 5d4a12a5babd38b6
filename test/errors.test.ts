import { describe, expect, test } from 'vitest';
import {
  errorText,
  isMetricsError,
  isNotSupported,
  isTransient,
  MetricsError,
  type MetricsErrorJson,
} from '../src/errors.js';
import { unreadable } from './support/unreadable.js';

const notSupported = new MetricsError('METRICS_NOT_SUPPORTED', 'no');
const noPath = new MetricsError('METRICS_NO_PATH_DEFINED', 'no path');

describe('MetricsError', () => {
  test('carries code, message, cause, path and since when it is stuck', () => {
    const cause = new Error('why');
    const stuckSince = new Date();
    const error = new MetricsError('METRICS_TIMED_OUT', 'late', { cause, path: '/p', stuckSince });
    expect(error).toMatchObject({ name: 'MetricsError', message: 'late', path: '/p', cause, stuckSince });
    expect(error).toBeInstanceOf(Error);
    expect(error.stack).toContain('late');
  });

  test('has no property for what it does not carry', () => {
    for (const name of ['cause', 'path', 'stuckSince']) expect(notSupported).not.toHaveProperty(name);
    expect(new MetricsError('METRICS_TIMED_OUT', 'm', { cause: undefined })).toHaveProperty(
      'cause',
      undefined,
    );
  });
});

describe('isNotSupported', () => {
  test.each([
    [null, false],
    [undefined, false],
    ['METRICS_NOT_SUPPORTED', false],
    [notSupported, true],
    [noPath, false],
    [new Error('outer', { cause: notSupported }), true],
    [new Error('a', { cause: new Error('b', { cause: notSupported }) }), true],
    [{ code: 'METRICS_NOT_SUPPORTED', message: 'of another copy' }, true],
  ])('%s: %s', (error, expected) => {
    expect(isNotSupported(error)).toBe(expected);
  });

  test('ends at a cycle of causes', () => {
    const a = new Error('a');
    a.cause = new Error('b', { cause: a });
    expect(isNotSupported(a)).toBe(false);
  });
});

describe('isMetricsError', () => {
  test('looks at the code, of this error alone', () => {
    expect(isMetricsError(noPath)).toBe(true);
    expect(isMetricsError(Object.assign(new Error('x'), { code: 'METRICS_CSI_FAILED' }))).toBe(true);
    expect(isMetricsError(Object.assign(new Error('x'), { code: 'METRICS_UNHEARD_OF' }))).toBe(false);
    expect(isMetricsError(new Error('x', { cause: noPath }))).toBe(false);
    for (const other of [null, undefined, 'METRICS_TIMED_OUT', 14, {}])
      expect(isMetricsError(other)).toBe(false);
  });
});

describe('isTransient', () => {
  test.each<[unknown, boolean]>([
    [new MetricsError('METRICS_TIMED_OUT', 'm'), true],
    [notSupported, false],
    ...['EAGAIN', 'EINTR', 'EBUSY', 'EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE'].map(
      (code): [unknown, boolean] => [
        new MetricsError('METRICS_FS_INFO_FAILED', 'm', { cause: { code } }),
        true,
      ],
    ),
    [new MetricsError('METRICS_FS_INFO_FAILED', 'm', { cause: { code: 'EACCES' } }), false],
    [new Error('m', { cause: new MetricsError('METRICS_TIMED_OUT', 'm') }), true],
    [undefined, false],
  ])('%s: %s', (error, expected) => {
    expect(isTransient(error)).toBe(expected);
  });
});

describe('what cannot be read', () => {
  test.each(unreadable)('%s is no error of ours, and has a text', (_what, value) => {
    for (const each of [value, new Error('outer', { cause: value })]) {
      expect([isMetricsError(each), isNotSupported(each), isTransient(each)]).toEqual([false, false, false]);
    }
    expect(errorText(value)).toMatch(/^it threw an? (Error|object|function)/);
  });

  test('a cause that has a new cause each time has an end', () => {
    const endless = (): object => ({
      get cause(): object {
        return endless();
      },
    });
    expect(isNotSupported(endless())).toBe(false);
  });
});

describe('an error as JSON', () => {
  const json = (details: object): unknown =>
    JSON.parse(JSON.stringify(new MetricsError('METRICS_CSI_FAILED', 'm', details))) as unknown;
  const plain: MetricsErrorJson = { name: 'MetricsError', code: 'METRICS_CSI_FAILED', message: 'm' };

  test('has the time in UTC, the path, and code and message of the cause', () => {
    const cause = Object.assign(new Error('why'), { code: 5 });
    expect(json({ cause, path: '/p', stuckSince: new Date(0) })).toEqual({
      ...plain,
      path: '/p',
      stuckSince: '1970-01-01T00:00:00.000Z',
      cause: { code: 5, message: 'why' },
    });
  });

  test.each([
    Symbol('s'),
    5n,
    null,
    new Date(NaN),
    {
      valueOf(): never {
        throw new Error('no');
      },
    },
  ])('has no stuckSince that is no date: %#', (stuckSince) => {
    expect(json({ stuckSince })).toEqual(plain);
  });

  test('has no path that is no text', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const path of [5n, cycle, null]) expect(json({ path })).toEqual(plain);
  });

  test.each(unreadable)('has a message for a cause that is %s', (_what, cause) => {
    expect(json({ cause })).toEqual({ ...plain, cause: { message: expect.any(String) as string } });
  });

  test('without details has none', () => {
    const error = new MetricsError('METRICS_CSI_FAILED', 'm', null as never);
    expect(error).not.toHaveProperty('cause');
    expect(error.toJSON()).toEqual(plain);
  });
});
