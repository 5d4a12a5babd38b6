import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PauseDebt } from '../../../src/stats/schedule/pause-debt.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('PauseDebt', () => {
  test('lets walks owe until it is a second, and then pays all of it at once', async () => {
    const paid = vi.fn();
    const debt = new PauseDebt(0.05, paid);
    // Each owes 19 times 10 ms.
    for (let walk = 0; walk < 5; walk += 1) debt.owe(10);
    expect(debt.isPaying).toBe(false);
    debt.owe(10);
    expect(debt.isPaying).toBe(true);
    await vi.advanceTimersByTimeAsync(6 * 190 - 1);
    expect([debt.isPaying, paid.mock.calls.length]).toEqual([true, 0]);
    await vi.advanceTimersByTimeAsync(1);
    expect([debt.isPaying, paid.mock.calls.length]).toEqual([false, 1]);
    debt.owe(10);
    expect(debt.isPaying).toBe(false);
  });

  test('is paid by time in which nothing is walked', async () => {
    const debt = new PauseDebt(0.05, () => undefined);
    for (let walk = 0; walk < 20; walk += 1) {
      debt.owe(50);
      expect(debt.isPaying).toBe(false);
      await vi.advanceTimersByTimeAsync(950);
    }
  });

  test('makes no pause longer than ten seconds, nor longer than it was when it began', async () => {
    const debt = new PauseDebt(0.05, () => undefined);
    debt.owe(60_000);
    debt.owe(60_000);
    await vi.advanceTimersByTimeAsync(9_999);
    debt.owe(60_000);
    expect(debt.isPaying).toBe(true);
    await vi.advanceTimersByTimeAsync(1);
    expect(debt.isPaying).toBe(false);
  });

  test('owes nothing at a share of 1', () => {
    const debt = new PauseDebt(1, () => undefined);
    debt.owe(60_000);
    expect(debt.isPaying).toBe(false);
  });
});
