import { describe, expect, test } from 'vitest';
import { metricsToUsage, usageToMetrics } from '../../../src/csi/messages/usage.js';
import { NodeGetVolumeStatsResponse, VolumeUsage_Unit, type VolumeUsage } from '../../../src/csi/v1/index.js';
import type { Metrics } from '../../../src/metrics.js';

const { BYTES, INODES, UNKNOWN } = VolumeUsage_Unit;
const LARGEST = 2n ** 63n - 1n;

const entry = (unit: number, total: bigint, available: bigint, used: bigint): VolumeUsage => ({
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a driver may send any
  unit,
  total,
  available,
  used,
});
const metrics = (fields: Partial<Metrics>): Metrics => ({ time: new Date(0), source: 'test', ...fields });

describe('usage entries as a reading', () => {
  test('have six quantities', () => {
    expect(usageToMetrics([entry(BYTES, 10n, 5n, 5n), entry(INODES, 100n, 80n, 20n)])).toEqual({
      capacity: 10n,
      available: 5n,
      used: 5n,
      inodes: 100n,
      inodesFree: 80n,
      inodesUsed: 20n,
    });
  });

  test('have no inodes where none are sent', () => {
    expect(usageToMetrics([entry(BYTES, 10n, 5n, 5n)])).toEqual({ capacity: 10n, available: 5n, used: 5n });
    expect(usageToMetrics([])).toEqual({});
  });

  test('know a full and an empty volume from one of which only the size is known', () => {
    expect(usageToMetrics([entry(BYTES, 10n, 0n, 10n)])).toEqual({ capacity: 10n, available: 0n, used: 10n });
    expect(usageToMetrics([entry(BYTES, 10n, 10n, 0n)])).toEqual({ capacity: 10n, available: 10n, used: 0n });
    const inodes = { inodes: 10n, inodesFree: 0n, inodesUsed: 10n };
    expect(usageToMetrics([entry(INODES, 10n, 0n, 10n)])).toEqual(inodes);
    expect(usageToMetrics([entry(BYTES, 10n, 0n, 0n)])).toEqual({ capacity: 10n });
    expect(usageToMetrics([entry(INODES, 10n, 0n, 0n)])).toEqual({ inodes: 10n });
  });

  test('of units that have no name here are left out, and said', () => {
    const others = [entry(7, 5n, 1n, 2n), entry(UNKNOWN, 0n, 0n, 0n)];
    expect(usageToMetrics([...others, entry(BYTES, 10n, 5n, 5n)])).toEqual({
      capacity: 10n,
      available: 5n,
      used: 5n,
      warnings: [
        'usage of unknown unit 7 left out: total 5, available 1, used 2',
        'usage of unknown unit 0 left out: total 0, available 0, used 0',
      ],
    });
  });

  test('count as a whole where a unit comes twice, the last one', () => {
    expect(usageToMetrics([entry(BYTES, 10n, 5n, 5n), entry(BYTES, 20n, 0n, 0n)])).toEqual({
      capacity: 20n,
      warnings: ['2 entries of BYTES: the last one counts'],
    });
  });

  test('never have a negative number, nor one that wrapped', () => {
    expect(usageToMetrics([entry(BYTES, -1n, 0n, 0n)])).toEqual({
      warnings: ['capacity left out: the driver says -1 bytes'],
    });
    expect(usageToMetrics([entry(BYTES, 10n, 10n, -5000000n)])).toEqual({
      capacity: 10n,
      available: 10n,
      warnings: ['used left out: the driver says -5000000 bytes'],
    });
    expect(usageToMetrics([entry(BYTES, 10n, -(2n ** 63n), 0n)])).toEqual({
      capacity: 10n,
      warnings: [`available left out: the driver says ${String(-(2n ** 63n))} bytes`],
    });
  });

  // ceph-csi#2579, democratic-csi#213, seaweedfs-csi-driver#314.
  test('have inodes only where they make sense', () => {
    expect(usageToMetrics([entry(INODES, 5n, -1n, 6n)])).toEqual({
      warnings: ['inodes left out, because they cannot all be true: total 5, available -1, used 6'],
    });
    expect(usageToMetrics([entry(INODES, 0n, 3n, 0n)]).warnings).toHaveLength(1);
    expect(usageToMetrics([entry(INODES, 5n, 6n, 0n)]).warnings).toHaveLength(1);
    expect(usageToMetrics([entry(INODES, 5n, 1n, 6n)]).warnings).toHaveLength(1);
    expect(usageToMetrics([entry(INODES, 0n, 0n, 0n)])).toEqual({});
    expect(usageToMetrics([entry(INODES, LARGEST, LARGEST - 1n, 1n)])).toEqual({});
  });

  test('with more available than the total keep all numbers, with a warning', () => {
    for (const excess of [1n, 7n, 2n ** 40n]) {
      expect(usageToMetrics([entry(BYTES, 100n, 100n + excess, 5n)])).toEqual({
        capacity: 100n,
        available: 100n + excess,
        used: 5n,
        warnings: [`available is more than the capacity: ${String(100n + excess)} available bytes of 100`],
      });
    }
    expect(usageToMetrics([entry(BYTES, 100n, 100n, 0n)])).not.toHaveProperty('warnings');
  });

  test('without a total keep the rest', () => {
    expect(usageToMetrics([entry(BYTES, 0n, 5n, 6n)])).toEqual({
      available: 5n,
      used: 6n,
      warnings: ['capacity left out: the driver sends none'],
    });
  });
});

describe('a reading as usage entries', () => {
  test('has one of bytes and one of inodes', () => {
    const reading = { capacity: 10n, available: 4n, used: 5n, inodes: 9n, inodesFree: 8n, inodesUsed: 1n };
    expect(metricsToUsage(metrics(reading))).toEqual([entry(BYTES, 10n, 4n, 5n), entry(INODES, 9n, 8n, 1n)]);
  });

  test('has the total alone where not both other numbers are known', () => {
    for (const known of [{}, { used: 5n }, { available: 5n }]) {
      expect(metricsToUsage(metrics({ capacity: 10n, ...known }))).toEqual([entry(BYTES, 10n, 0n, 0n)]);
    }
    expect(metricsToUsage(metrics({ inodes: 10n, inodesUsed: 3n }))).toEqual([entry(INODES, 10n, 0n, 0n)]);
  });

  test('has no entry without a total, nor one for inodes without a limit or a meaning', () => {
    expect(metricsToUsage(metrics({ used: 5n, inodesUsed: 3n }))).toEqual([]);
    expect(metricsToUsage(metrics({ capacity: 0n, inodes: 0n }))).toEqual([]);
    expect(metricsToUsage(metrics({ inodes: LARGEST, inodesFree: 1n, inodesUsed: 1n }))).toEqual([]);
    expect(metricsToUsage(metrics({ inodes: 5n, inodesFree: 6n, inodesUsed: 0n }))).toEqual([]);
    expect(metricsToUsage(metrics({ inodes: 5n, inodesFree: 0n, inodesUsed: 6n }))).toEqual([]);
  });

  test.each(['capacity', 'available', 'used'])('is refused where %s is more than CSI can carry', (field) => {
    const reading = metrics({ capacity: 10n, available: 1n, used: 1n, [field]: LARGEST + 1n });
    expect(() => metricsToUsage(reading)).toThrow(
      expect.objectContaining({
        code: 'METRICS_CSI_FAILED',
        message: `${field} of 9223372036854775808 bytes is more than CSI can carry`,
      }),
    );
  });

  test.each([
    ['capacity', -1n, 'negative (-1)'],
    ['used', 5, 'the number 5, not a bigint'],
    ['inodes', '5', 'a string, not a bigint'],
    ['inodesFree', null, 'null, not a bigint'],
  ])('is refused if %s is %s', (field, value, problem) => {
    expect(() => metricsToUsage(metrics({ [field]: value }))).toThrow(
      expect.objectContaining({
        code: 'METRICS_PROVIDER_FAILED',
        message: `provider "test" gave no reading: its ${field} is ${problem}`,
      }),
    );
  });
});

// EFS's 8 EiB less some, and the largest number there is.
test.each([9223372036853727232n, LARGEST, 9007199254740993n, 1n])(
  '%s goes both ways over the wire',
  (bytes) => {
    const reading = { capacity: bytes, available: bytes, used: bytes };
    const usage = metricsToUsage(metrics(reading));
    const sent = NodeGetVolumeStatsResponse.encode({ usage }).finish();
    expect(usageToMetrics(NodeGetVolumeStatsResponse.decode(sent).usage)).toEqual(reading);
  },
);

test.each([null, undefined, 5])('no reading has no usage: %s', (given) => {
  expect(() => metricsToUsage(given as never)).toThrow(
    expect.objectContaining({
      code: 'METRICS_PROVIDER_FAILED',
      message: expect.stringMatching(/^the provider gave no reading: it is /) as string,
    }),
  );
});
