import { describe, expect, test } from 'vitest';
import { WalkPace } from '../../../src/stats/schedule/walk-pace.js';

describe('WalkPace', () => {
  const [small, medium, huge] = [{}, {}, {}];

  test('lets volumes that need less than their part keep their period, and gives the rest to the others', () => {
    const pace = new WalkPace(0.1, 100_000);
    pace.walked(small, 1_000);
    expect(pace.restMs(small)).toBe(0);
    pace.walked(huge, 100_000);
    const part = 0.1 - 1_000 / 101_000;
    expect(pace.restMs(huge)).toBeCloseTo(100_000 * (1 / part - 1));
    expect(pace.restMs(small)).toBe(0);
    pace.walked(medium, 50_000);
    expect(pace.restMs(huge)).toBeCloseTo(100_000 * (2 / part - 1));
    expect(pace.restMs(medium)).toBeCloseTo(50_000 * (2 / part - 1));
    pace.forget(huge);
    expect(pace.restMs(medium)).toBeCloseTo(50_000 * (1 / part - 1));
  });

  test('needs no rest for a volume that was never walked, or without a period', () => {
    expect(new WalkPace(0.1, 100_000).restMs(small)).toBe(0);
    const pace = new WalkPace(0.1, 0);
    pace.walked(huge, 1e9);
    expect(pace.restMs(huge)).toBe(0);
  });
});
