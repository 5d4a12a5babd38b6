import { Metadata, status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { errorToStatus, statusToMetricsError } from '../../../src/csi/messages/grpc-status.js';
import { isTransient, MetricsError, type MetricsErrorCode } from '../../../src/errors.js';
import { unreadable } from '../../support/unreadable.js';

const CALL = { rpc: 'NodeGetVolumeStats', driver: '/csi.sock', path: '/volume' };

const grpcError = (code: status, details = 'why'): Error =>
  Object.assign(new Error(details), { code, details, metadata: new Metadata() });

const failures = Object.values(status).filter(
  (code) => typeof code === 'number' && code !== status.OK,
) as status[];

describe('a gRPC error', () => {
  test.each(failures)('with status %d has its code, its text and the volume', (code) => {
    const cause = grpcError(code);
    const expected: Partial<Record<status, MetricsErrorCode>> = {
      [status.DEADLINE_EXCEEDED]: 'METRICS_TIMED_OUT',
      [status.NOT_FOUND]: 'METRICS_NOT_FOUND',
    };
    const error = statusToMetricsError(cause, CALL);
    expect(error).toMatchObject({
      code: expected[code] ?? 'METRICS_CSI_FAILED',
      message: `NodeGetVolumeStats of /csi.sock failed with ${String(code)} ${status[code]}: why`,
      path: '/volume',
      cause,
    });
  });

  // Those that the kubelet does not take for final.
  test('is transient where the driver may answer the next time', () => {
    const transient = failures.filter((code) => isTransient(statusToMetricsError(grpcError(code), CALL)));
    expect(transient).toEqual([1, 4, 8, 10, 14]);
  });

  test('is all that is touched', () => {
    for (const other of [
      new Error('x'),
      { code: 5, details: 'no Error' },
      undefined,
      new MetricsError('METRICS_TIMED_OUT', 'x'),
    ]) {
      expect(statusToMetricsError(other, CALL)).toBe(other);
    }
  });
});

describe('the status for an error', () => {
  test.each<[MetricsErrorCode, status]>([
    ['METRICS_NOT_SUPPORTED', status.UNIMPLEMENTED],
    ['METRICS_NO_PATH_DEFINED', status.INVALID_ARGUMENT],
    ['METRICS_NOT_FOUND', status.NOT_FOUND],
    ['METRICS_NOT_MOUNTED', status.NOT_FOUND],
    ['METRICS_FS_INFO_FAILED', status.INTERNAL],
    ['METRICS_USAGE_FAILED', status.INTERNAL],
    ['METRICS_CSI_FAILED', status.INTERNAL],
    ['METRICS_TIMED_OUT', status.DEADLINE_EXCEEDED],
    ['METRICS_PROVIDER_FAILED', status.INTERNAL],
  ])('with code %s is %d', (code, expected) => {
    expect(errorToStatus(new MetricsError(code, 'text'))).toEqual({ code: expected, details: 'text' });
  });

  test('of a driver behind this one is that driver’s', () => {
    for (const code of failures) {
      expect(errorToStatus(statusToMetricsError(grpcError(code), CALL))).toMatchObject({ code });
    }
  });

  test('is the error’s own where it has one', () => {
    expect(errorToStatus({ code: 9, details: 'not now' })).toEqual({ code: 9, details: 'not now' });
    expect(errorToStatus(grpcError(status.ABORTED))).toEqual({ code: 10, details: 'why' });
  });

  test('has a text that a header can carry', () => {
    const detailsOf = (details: string): string => errorToStatus({ code: 9, details }).details;
    expect(detailsOf('half of \ud83d')).toBe('half of \ufffd');
    expect(errorToStatus(new MetricsError('METRICS_CSI_FAILED', '\ude00')).details).toBe('\ufffd');
    expect(detailsOf('x'.repeat(4096))).toBe('x'.repeat(4096));
    expect(detailsOf('x'.repeat(4097))).toBe(`${'x'.repeat(4096)}…`);
    // The last one that fits has but one of its three bytes within.
    expect(detailsOf('€'.repeat(1366))).toBe(`${'€'.repeat(1365)}…`);
  });

  test.each([
    new Error('password=hunter2'),
    'hunter2',
    undefined,
    null,
    { code: 0, details: 'hunter2' },
    { code: 17, details: 'hunter2' },
    { code: 'ENOENT', details: 'hunter2' },
  ])('of anything else tells nothing of it: %s', (error) => {
    expect(errorToStatus(error)).toEqual({ code: 13, details: 'the driver failed to measure the volume' });
  });
});

test.each(unreadable)('%s has a status', (_what, value) => {
  expect(errorToStatus(value)).toEqual({ code: 13, details: 'the driver failed to measure the volume' });
  expect(statusToMetricsError(value, CALL)).toBe(value);
  expect(errorToStatus(new MetricsError('METRICS_CSI_FAILED', 'm', { cause: value }))).toEqual({
    code: 13,
    details: 'm',
  });
});

test('an error with a code of ours and no text has a status', () => {
  for (const message of [undefined, 5, Symbol('s')]) {
    expect(errorToStatus({ code: 'METRICS_NOT_FOUND', message })).toMatchObject({ code: status.NOT_FOUND });
  }
});
