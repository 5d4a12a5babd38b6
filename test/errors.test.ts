import { describe, expect, test } from 'vitest';
import { isMetricsError, isNotSupported, isTransient, MetricsError } from '../src/errors.js';

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
