import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Child } from '../../../src/os/commands/children.js';
import { WalkTurns } from '../../../src/os/commands/walk-turns.js';

/** A killed walker whose end the test decides. */
class Killed implements Child {
  readonly pid = 1;
  readonly ended = new Promise<never>(() => undefined);
  goes!: () => void;
  readonly gone = new Promise<void>((resolve) => {
    this.goes = resolve;
  });
  kill(): void {
    throw new Error('it was killed before');
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

describe('taking turns', () => {
  test('two walk at once, the others in the order in which they came', async () => {
    const turns = new WalkTurns();
    const log: string[] = [];
    const ends: (() => void)[] = [];
    const all = ['a', 'b', 'c', 'd'].map((name) =>
      turns.inTurn(undefined, () => {
        log.push(name);
        return new Promise<string>((resolve) => {
          ends.push(() => {
            resolve(name);
          });
        });
      }),
    );
    await settle();
    expect(log).toEqual(['a', 'b']);
    ends[1]!();
    expect(await all[1]).toBe('b');
    await settle();
    expect(log).toEqual(['a', 'b', 'c']);
    ends[0]!();
    ends[2]!();
    await settle();
    expect(log).toEqual(['a', 'b', 'c', 'd']);
    ends[3]!();
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a walk that fails gives its turn to the next', async () => {
    const turns = new WalkTurns(1);
    const failing = turns.inTurn(undefined, () => Promise.reject(new Error('no')));
    const next = turns.inTurn(undefined, () => Promise.resolve('next'));
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('next');
    expect(await turns.inTurn(undefined, () => Promise.resolve('later'))).toBe('later');
  });

  test('a walk that is aborted while it waits does not walk, and the one behind it does', async () => {
    const turns = new WalkTurns(1);
    const controller = new AbortController();
    let end!: () => void;
    const first = turns.inTurn(undefined, () => new Promise<void>((resolve) => (end = resolve)));
    const walked = vi.fn(() => Promise.resolve());
    const aborted = turns.inTurn(controller.signal, walked);
    const last = turns.inTurn(undefined, () => Promise.resolve('last'));
    controller.abort('enough');
    await expect(aborted).rejects.toBe('enough');
    await expect(turns.inTurn(controller.signal, walked)).rejects.toBe('enough');
    end();
    await first;
    expect(await last).toBe('last');
    expect(walked).not.toHaveBeenCalled();
  });
});

describe('a path on which a killed walker hangs', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is refused with the time since when, after a moment of patience', async () => {
    const turns = new WalkTurns();
    const since = new Date('2026-01-02T03:04:05Z');
    turns.abandoned('/a', new Killed(), since);
    const refused = expect(turns.checkFree('/a')).rejects.toMatchObject({
      code: 'METRICS_TIMED_OUT',
      path: '/a',
      stuckSince: since,
    });
    await vi.advanceTimersByTimeAsync(1_001);
    await refused;
    await turns.checkFree('/b');
  });

  test('is free once the walker is gone, also within that moment', async () => {
    const turns = new WalkTurns();
    const killed = new Killed();
    turns.abandoned('/a', killed, new Date());
    const free = turns.checkFree('/a');
    killed.goes();
    await free;
    await turns.checkFree('/a');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('512 of them are the most', async () => {
    const turns = new WalkTurns();
    const killed = Array.from({ length: 512 }, () => new Killed());
    killed.forEach((child, index) => {
      turns.abandoned(`/${String(index)}`, child, new Date());
    });
    await expect(turns.checkFree('/free')).rejects.toMatchObject({
      code: 'EAGAIN',
      path: '/free',
      message: "too many calls on other paths are stuck, so none was started on '/free' (EAGAIN)",
    });
    killed[7]!.goes();
    await settle();
    await turns.checkFree('/free');
  });
});
