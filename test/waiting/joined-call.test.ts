import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadline } from '../../src/waiting/deadline.js';
import { JoinedCall, waitFor } from '../../src/waiting/joined-call.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** An answer that comes when the test says so. */
function answer(): {
  promise: Promise<string>;
  resolve: (value: string) => void;
  reject: (error: Error) => void;
} {
  let resolve: (value: string) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<string>((...both) => {
    [resolve, reject] = both;
  });
  return { promise, resolve, reject };
}

const late = (): Error => new Error('late');

describe('waitFor', () => {
  test('gives the answer or its error, and leaves neither timer nor listener', async () => {
    const { signal } = new AbortController();
    const leave = vi.fn();
    const waiting = () => ({ deadline: new Deadline(1000), signal, late, leave });
    await expect(waitFor(Promise.resolve('yes'), waiting())).resolves.toBe('yes');
    await expect(waitFor(Promise.reject(new Error('no')), waiting())).rejects.toThrow('no');
    expect(leave).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('rejects with what late makes once the time is up, after leaving', async () => {
    const told: string[] = [];
    const waiting = waitFor(answer().promise, {
      deadline: new Deadline(1000),
      late: () => {
        told.push('late');
        return 'too late';
      },
      leave: () => told.push('leave'),
    });
    const rejected = expect(waiting).rejects.toBe('too late');
    await vi.advanceTimersByTimeAsync(1001);
    await rejected;
    expect(told).toEqual(['leave', 'late']);
  });

  test('rejects with the reason of an abort, unwrapped, and stops the timer', async () => {
    const controller = new AbortController();
    const leave = vi.fn();
    const { signal } = controller;
    const waiting = waitFor(answer().promise, { deadline: new Deadline(1000), signal, late, leave });
    controller.abort('enough');
    await expect(waiting).rejects.toBe('enough');
    expect(leave).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('with an aborted signal leaves at once, and the answer may fail unseen', async () => {
    const leave = vi.fn();
    const { promise, reject } = answer();
    const waiting = waitFor(promise, { signal: AbortSignal.abort('before'), late, leave });
    reject(new Error('nobody looks'));
    await expect(waiting).rejects.toBe('before');
    expect(leave).toHaveBeenCalledTimes(1);
  });
});

describe('waitFor with a signal of foreign code', () => {
  const refuse = (): never => {
    throw new Error('not to be used');
  };
  const signalOf = (more: object): AbortSignal =>
    ({
      aborted: false,
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
      ...more,
    }) as never;

  test('that cannot be listened to rejects with its error, and leaves no timer', async () => {
    const leave = vi.fn();
    const signal = signalOf({ addEventListener: refuse });
    const { promise, reject } = answer();
    const waiting = waitFor(promise, { deadline: new Deadline(1000), signal, late, leave });
    reject(new Error('nobody looks'));
    await expect(waiting).rejects.toThrow('not to be used');
    expect(leave).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that tells of its abort at once leaves no timer', async () => {
    const signal = signalOf({
      reason: 'at once',
      addEventListener: (_type: string, listener: () => void) => {
        listener();
      },
    });
    const waiting = waitFor(answer().promise, { deadline: new Deadline(1000), signal, late });
    await expect(waiting).rejects.toBe('at once');
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that cannot be left alone gives the answer all the same', async () => {
    const signal = signalOf({ removeEventListener: refuse });
    await expect(waitFor(Promise.resolve('yes'), { signal, late })).resolves.toBe('yes');
  });
});

describe('JoinedCall', () => {
  test('gives every caller the one answer', async () => {
    const { promise, resolve } = answer();
    const start = vi.fn(() => promise);
    const call = new JoinedCall(start);
    const callers = [call.join({ late }), call.join({ deadline: new Deadline(1000), late })];
    resolve('yes');
    expect(await Promise.all(callers)).toEqual(['yes', 'yes']);
    expect(start).toHaveBeenCalledTimes(1);
    expect(call.isAbandoned).toBe(false);
  });

  test('is aborted when the last caller has given up, with the reason of that caller', async () => {
    const signals: AbortSignal[] = [];
    const call = new JoinedCall((signal) => {
      signals.push(signal);
      return answer().promise;
    });
    const [first, second] = [new AbortController(), new AbortController()];
    const callers = [call.join({ signal: first.signal, late }), call.join({ signal: second.signal, late })];
    first.abort('one');
    expect(call.isAbandoned).toBe(false);
    second.abort('two');
    expect(call.isAbandoned).toBe(true);
    expect(signals[0]!.reason).toBe('two');
    await expect(callers[0]).rejects.toBe('one');
    await expect(callers[1]).rejects.toBe('two');
  });

  test('a caller whose time is up leaves the call to the others', async () => {
    const { promise, resolve } = answer();
    const call = new JoinedCall(() => promise);
    const impatient = expect(call.join({ deadline: new Deadline(10), late })).rejects.toThrow('late');
    const patient = call.join({ late });
    await vi.advanceTimersByTimeAsync(11);
    await impatient;
    expect(call.isAbandoned).toBe(false);
    resolve('yes');
    expect(await patient).toBe('yes');
  });

  test('a caller whose signal is aborted already gives up at once', async () => {
    const call = new JoinedCall(() => answer().promise);
    await expect(call.join({ signal: AbortSignal.abort('before'), late })).rejects.toBe('before');
    expect(call.isAbandoned).toBe(true);
  });

  test('may fail after all callers have left', async () => {
    const { promise, reject } = answer();
    const call = new JoinedCall(() => promise);
    const controller = new AbortController();
    const caller = call.join({ signal: controller.signal, late });
    controller.abort('enough');
    await expect(caller).rejects.toBe('enough');
    reject(new Error('nobody looks'));
    await expect(call.answer).rejects.toThrow('nobody looks');
  });
});
