import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isTransient } from '../../src/errors.js';
import { systemError, toMetricsError } from '../../src/os/system-error.js';

describe('systemError', () => {
  test('has the shape of the errors of node:fs', () => {
    let fromNode: unknown;
    try {
      readFileSync('/missing');
    } catch (error) {
      fromNode = error;
    }
    const ours = systemError('ENOENT', 'open', '/missing');
    expect(ours).toEqual(fromNode);
    expect({ ...ours }).toEqual({ ...(fromNode as object) });
  });

  test.each([
    [13, 'EACCES'],
    [116, 'ESTALE'],
    [117, 'EUCLEAN'],
    [122, 'EDQUOT'],
  ])('knows %i as %s, both ways', (errno, code) => {
    expect(systemError(errno, 'statfs', '/v')).toMatchObject({ code, errno: -errno, path: '/v' });
    expect(systemError(code, 'statfs', '/v')).toMatchObject({ code, errno: -errno });
  });

  test('keeps a number that nobody knows', () => {
    expect(systemError(4000, 'statfs', '/v')).toMatchObject({ code: 'E4000', errno: -4000 });
  });
});

describe('toMetricsError', () => {
  const say = (text: string): string => `failed: ${text}`;

  test.each(['ENOENT', 'ENOTDIR'])('%s is METRICS_NOT_FOUND', (code) => {
    const cause = systemError(code, 'stat', '/v');
    expect(toMetricsError(cause, 'METRICS_FS_INFO_FAILED', say)).toMatchObject({
      code: 'METRICS_NOT_FOUND',
      path: '/v',
      cause,
    });
  });

  test.each(['ENOENT', 'ENOTDIR'])('%s of another path than the one asked about is not', (code) => {
    const cause = systemError(code, 'walk', '/v/below');
    expect(toMetricsError(cause, 'METRICS_USAGE_FAILED', say, '/v')).toMatchObject({
      code: 'METRICS_USAGE_FAILED',
      path: '/v/below',
    });
    expect(toMetricsError(cause, 'METRICS_USAGE_FAILED', say, '/v/below')).toMatchObject({
      code: 'METRICS_NOT_FOUND',
    });
  });

  test('anything else is the code it is for, with the errno in the cause', () => {
    const error = toMetricsError(systemError('ESTALE', 'stat', '/v'), 'METRICS_USAGE_FAILED', say);
    expect(error).toMatchObject({ code: 'METRICS_USAGE_FAILED', cause: { code: 'ESTALE' } });
    expect(isTransient(error)).toBe(true);
  });

  test('what is no system error passes through', () => {
    const other = new Error('other');
    expect(toMetricsError(other, 'METRICS_FS_INFO_FAILED', say)).toBe(other);
  });
});
