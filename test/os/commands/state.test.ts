import { expect, test } from 'vitest';
import { newState, sharedState } from '../../../src/os/commands/state.js';

const KEY = Symbol.for('kube-volume-metrics/os@1');

test('is one for all copies of this package', () => {
  const shared = sharedState();
  expect((globalThis as Record<symbol, unknown>)[KEY]).toBe(shared);
  expect(sharedState()).toBe(shared);
});

test('what another copy has put there is used', () => {
  const holder = globalThis as Record<symbol, unknown>;
  const before = holder[KEY];
  const others = newState();
  holder[KEY] = others;
  try {
    expect(sharedState()).toBe(others);
  } finally {
    holder[KEY] = before;
  }
});
