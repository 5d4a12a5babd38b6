import { getEventListeners } from 'node:events';
import { expect, test, vi } from 'vitest';
import { onAbort } from '../../src/waiting/abort.js';

test('tells the reason once the signal is aborted, and only once', () => {
  const controller = new AbortController();
  const listener = vi.fn();
  onAbort(controller.signal, listener);
  expect(listener).not.toHaveBeenCalled();
  controller.abort('enough');
  controller.abort('again');
  expect(listener.mock.calls).toEqual([['enough']]);
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
});

test('tells at once of a signal that is aborted already', () => {
  const listener = vi.fn();
  const stop = onAbort(AbortSignal.abort('before'), listener);
  expect(listener.mock.calls).toEqual([['before']]);
  stop();
});

test('tells nothing after stop, and leaves no listener', () => {
  const controller = new AbortController();
  const listener = vi.fn();
  const stop = onAbort(controller.signal, listener);
  stop();
  expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  controller.abort();
  expect(listener).not.toHaveBeenCalled();
});

test('without a signal there is nothing to stop', () => {
  const listener = vi.fn();
  onAbort(undefined, listener)();
  expect(listener).not.toHaveBeenCalled();
});
