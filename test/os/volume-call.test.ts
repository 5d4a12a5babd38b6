import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkedWalk } from '../../src/os/disk-usage.js';
import type { PathCall } from '../../src/os/os-binding.js';
import {
  absolutePath,
  answerTo,
  checkedLimits,
  LIMITS,
  volumeCall,
  type Limits,
} from '../../src/os/volume-call.js';

describe('absolutePath', () => {
  test.each([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['//a///b', '/a/b'],
    ['/a/./b', '/a/b'],
    ['/.', '/'],
    // These say that it must be a directory.
    ['/a/', '/a/'],
    ['/a//', '/a/'],
    ['/a/.', '/a/'],
    ['/a/./', '/a/'],
    // What `..` means depends on symlinks: it is the kernel's to say.
    ['/a/../b', '/a/../b'],
    ['/a/..', '/a/..'],
    ['/.hidden/...', '/.hidden/...'],
  ])('%j is %j', (given, expected) => {
    expect(absolutePath(given)).toBe(expected);
  });

  test.each(['a', './a', 'a/', '.', '..'])('%j is resolved against the current directory', (given) => {
    const rest = given.replace(/^\.\//, '');
    expect(absolutePath(given)).toBe(given === '.' ? process.cwd() : `${process.cwd()}/${rest}`);
  });

  test('an empty path is none', () => {
    expect(() => absolutePath('')).toThrow(
      expect.objectContaining({
        code: 'METRICS_NO_PATH_DEFINED',
        message: 'no path defined for disk usage metrics.',
      }),
    );
  });

  test.each([undefined, null, 7, {}, Buffer.from('/')])('%j is no string', (given) => {
    expect(() => absolutePath(given as string)).toThrow(TypeError);
  });
});

describe('checkedLimits', () => {
  test('without options: 5 s, no signal, whichever binding loads', () => {
    expect(checkedLimits<Limits>({}, LIMITS)).toEqual({
      timeoutMs: 5_000,
      signal: undefined,
      binding: 'auto',
    });
    expect(checkedWalk({})).toEqual({ allowPartial: false, stallTimeoutMs: 30_000 });
  });

  test('names an unknown option', () => {
    expect(() => checkedLimits<Limits>({ timeout: 5 } as object, LIMITS)).toThrow(
      new TypeError('Unknown option "timeout": the options are timeoutMs, signal, binding'),
    );
  });
});

describe('answerTo', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  /** A call that answers when it is told to, and how often it was left. */
  function pathCall(stuckSince?: Date): PathCall<string> & { resolve(value: string): void; left: number } {
    let resolve: (value: string) => void = () => undefined;
    const answer = new Promise<string>((settle) => {
      resolve = settle;
    });
    return {
      answer,
      resolve,
      left: 0,
      leave() {
        this.left += 1;
        return stuckSince;
      },
    };
  }

  const volume = (signal?: AbortSignal): ReturnType<typeof volumeCall> =>
    volumeCall('/v', { timeoutMs: 1000, signal, binding: 'auto' });

  test('an abort leaves the call, rejects with the reason, and takes the listener off', async () => {
    const one = pathCall();
    const controller = new AbortController();
    const { signal } = controller;
    const answer = answerTo(volume(signal), () => one);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(answer).rejects.toBe(reason);
    expect(one.left).toBe(1);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a signal that is aborted already starts nothing', () => {
    const start = vi.fn(() => pathCall());
    expect(() => answerTo(volume(AbortSignal.abort('before')), start)).toThrow('before');
    expect(start).not.toHaveBeenCalled();
  });

  test.each([
    ['a NUL', '/a\0b', '/a\\0b'],
    // Node would turn it into U+FFFD, the name of another file.
    ['half of a surrogate pair', '/a\ud83db', '/a\ud83db'],
  ])('a path with %s starts nothing', (what, path, shown) => {
    const start = vi.fn(() => pathCall());
    const call = volumeCall(path, { timeoutMs: 1000, signal: undefined, binding: 'auto' });
    expect(() => answerTo(call, start)).toThrow(
      expect.objectContaining({
        code: 'EINVAL',
        path: shown,
        message: `EINVAL: invalid argument: the path contains ${what}: '${shown}'`,
      }),
    );
    expect(start).not.toHaveBeenCalled();
  });

  test('a whole surrogate pair is a character like any other', () => {
    const start = vi.fn(() => pathCall());
    answerTo(volumeCall('/😀', { timeoutMs: 1000, signal: undefined, binding: 'auto' }), start).catch(
      () => undefined,
    );
    expect(start).toHaveBeenCalledWith('/😀');
  });

  test('the time limit leaves the call; the error names path and limit', async () => {
    const one = pathCall();
    const rejected = expect(answerTo(volume(), () => one)).rejects.toMatchObject({
      code: 'METRICS_TIMED_OUT',
      path: '/v',
      message: 'no answer from /v within 1000 ms',
    });
    await vi.advanceTimersByTimeAsync(999);
    expect(one.left).toBe(0);
    // The last look at the event loop comes after the limit.
    await vi.advanceTimersByTimeAsync(2);
    await rejected;
    expect(one.left).toBe(1);
  });

  test('the time limit on a stuck path says since when it is stuck', async () => {
    const since = new Date('2026-01-01');
    const answer = answerTo(volume(), () => pathCall(since));
    const rejected = expect(answer).rejects.toMatchObject({ code: 'METRICS_TIMED_OUT', stuckSince: since });
    await vi.advanceTimersByTimeAsync(1001);
    await rejected;
  });

  test('an answer that came while the event loop was busy counts, although the limit has passed', async () => {
    const one = pathCall();
    const answer = answerTo(volume(), () => one);
    vi.advanceTimersByTime(1000);
    one.resolve('yes');
    await expect(answer).resolves.toBe('yes');
    expect(one.left).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('several questions of one call share its limit, and none starts once it is over', async () => {
    const call = volume();
    vi.advanceTimersByTime(999);
    const late = expect(answerTo(call, () => pathCall())).rejects.toThrow('no answer from /v within 1000 ms');
    await vi.advanceTimersByTimeAsync(2);
    await late;
    const start = vi.fn(() => pathCall());
    expect(() => answerTo(call, start)).toThrow('no answer from /v within 1000 ms');
    expect(start).not.toHaveBeenCalled();
  });
});
