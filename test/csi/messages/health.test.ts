import { describe, expect, test } from 'vitest';
import { conditionToHealth, healthToCondition } from '../../../src/csi/messages/health.js';
import { NodeGetVolumeHealthResponse } from '../../../src/csi/v1/index.js';

const decoded = (hex: string): NodeGetVolumeHealthResponse =>
  NodeGetVolumeHealthResponse.decode(Buffer.from(hex, 'hex'));

describe('health as a verdict', () => {
  test('is abnormal with the problems that are listed', () => {
    const { volumeHealth } = decoded('0a0d0a0176120808011201521a016d');
    expect(volumeHealth && healthToCondition(volumeHealth)).toEqual({
      abnormal: true,
      message: 'm',
      problems: [{ status: 'INACCESSIBLE', reason: 'R', message: 'm' }],
    });
  });

  test('is normal without any', () => {
    const { volumeHealth } = decoded('0a030a0176');
    expect(volumeHealth && healthToCondition(volumeHealth)).toEqual({ abnormal: false, message: '' });
  });

  test('has words where the driver sends no message, and a number for a status that has no name', () => {
    const verdict = (status: number, reason: string): unknown =>
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a newer CSI may send any
      healthToCondition({ volumeId: 'v', healthStatuses: [{ status, reason, message: '' }] }).message;
    expect(verdict(3, 'Slow')).toBe('Slow');
    expect(verdict(2, '')).toBe('DATA_LOSS');
    expect(verdict(9, '')).toBe('9');
  });
});

describe('a verdict as health', () => {
  test('goes there and back', () => {
    for (const status of ['UNKNOWN_VOLUME_HEALTH_TYPE', 'INACCESSIBLE', 'DATA_LOSS', 'DEGRADED']) {
      const condition = { abnormal: true, message: 'm', problems: [{ status, reason: 'R', message: 'm' }] };
      expect(healthToCondition(conditionToHealth('v', condition))).toEqual(condition);
    }
  });

  test('lists a problem of unknown kind where there is no more than a verdict, and none where it is normal', () => {
    for (const condition of [{}, { problems: [] }]) {
      expect(conditionToHealth('v', { abnormal: true, message: 'gone', ...condition })).toEqual({
        volumeId: 'v',
        healthStatuses: [{ status: 0, reason: 'Abnormal', message: 'gone' }],
      });
    }
    expect(conditionToHealth('v', { abnormal: false, message: 'ok' })).toEqual({
      volumeId: 'v',
      healthStatuses: [],
    });
  });
});

test.each([null, undefined, 5, {}, { abnormal: 'no', message: '' }])(
  'no verdict: %j is refused',
  (condition) => {
    expect(() => conditionToHealth('v', condition as never)).toThrow(
      /^Expected condition to have a boolean abnormal and a string message, got /,
    );
  },
);
