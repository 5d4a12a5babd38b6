import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PathCall } from '../../../src/os/os-binding.js';
import { PathCalls, type StartedCall } from '../../../src/os/commands/path-calls.js';

/** A call that the test ends by hand. */
class Work {
  readonly call: StartedCall<string>;
  resolve!: (value: string) => void;
  reject!: (error: Error) => void;
  /** What worked on the call is gone. */
  goes!: () => void;
  killed = false;

  constructor() {
    const answer = new Promise<string>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    const gone = new Promise<void>((resolve) => {
      this.goes = resolve;
    });
    this.call = {
      answer,
      sign: () => 'working',
      end: () => {
        this.killed = true;
        return gone;
      },
    };
  }
}

const STUCK_AFTER_MS = 50;
let started: Map<string, Work[]>;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-01-02T03:04:05Z') });
  started = new Map();
});
afterEach(() => {
  vi.useRealTimers();
});

function share(calls: PathCalls, path: string, kind = 'stat'): PathCall<string> {
  return calls.join(kind, path, () => {
    const work = new Work();
    const key = `${kind} ${path}`;
    started.set(key, [...(started.get(key) ?? []), work]);
    return work.call;
  });
}

/** The work of the newest call that was started. */
function work(path: string, kind = 'stat'): Work {
  return started.get(`${kind} ${path}`)!.at(-1)!;
}

/** How many calls were started. */
function count(path?: string): number {
  const all = [...started].filter(([key]) => path === undefined || key.endsWith(` ${path}`));
  return all.reduce((sum, [, works]) => sum + works.length, 0);
}

/** Lets settled promises be told. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

/** Lets time pass, with what is left for the end of a turn of the event loop. */
function elapse(ms: number): void {
  vi.advanceTimersByTime(ms);
  vi.advanceTimersByTime(1);
}

async function becomeStuck(calls: PathCalls, path: string): Promise<void> {
  const answer = expect(share(calls, path).answer).rejects.toMatchObject({ code: 'METRICS_TIMED_OUT' });
  elapse(STUCK_AFTER_MS);
  await answer;
}

describe('sharing', () => {
  test('later callers join the call in flight and get its answer', async () => {
    const calls = new PathCalls();
    const shares = [share(calls, '/a'), share(calls, '/a'), share(calls, '/a')];
    expect(count()).toBe(1);
    work('/a').resolve('yes');
    expect(await Promise.all(shares.map(({ answer }) => answer))).toEqual(['yes', 'yes', 'yes']);
  });

  test('all who joined get the failure, and the next caller a new call', async () => {
    const calls = new PathCalls();
    const shares = [share(calls, '/a'), share(calls, '/a')];
    work('/a').reject(new Error('no'));
    for (const { answer } of shares) await expect(answer).rejects.toThrow('no');
    void share(calls, '/a');
    expect(count()).toBe(2);
  });

  test('a call of another kind on the path waits for the first, whose joiners do not', async () => {
    const calls = new PathCalls();
    const stat = share(calls, '/a');
    const statfs = share(calls, '/a', 'statfs');
    void share(calls, '/a');
    void share(calls, '/b', 'statfs');
    expect([...started.keys()]).toEqual(['stat /a', 'statfs /b']);
    work('/a').resolve('stat');
    expect(await stat.answer).toBe('stat');
    work('/a', 'statfs').resolve('statfs');
    expect(await statfs.answer).toBe('statfs');
  });
});

describe('the queue', () => {
  test('only so many run at once, the others in the order of asking', async () => {
    const calls = new PathCalls({ atOnce: 2 });
    for (const path of ['/a', '/b', '/c', '/d']) void share(calls, path);
    expect([...started.keys()]).toEqual(['stat /a', 'stat /b']);
    work('/b').resolve('');
    await settle();
    expect([...started.keys()]).toEqual(['stat /a', 'stat /b', 'stat /c']);
    work('/a').reject(new Error('no'));
    await settle();
    expect([...started.keys()].at(-1)).toBe('stat /d');
  });

  test('eight run at once when nothing else is said', () => {
    const calls = new PathCalls();
    for (let path = 0; path < 20; path += 1) void share(calls, `/${String(path)}`);
    expect(count()).toBe(8);
  });

  test('a call that is slow gives its place to the next, and still answers', async () => {
    const calls = new PathCalls({ atOnce: 1, slowAfterMs: 10 });
    const slow = share(calls, '/slow');
    const waiting = share(calls, '/b');
    void share(calls, '/c');
    vi.advanceTimersByTime(9);
    expect(count()).toBe(1);
    vi.advanceTimersByTime(1);
    expect(count('/b')).toBe(1);
    work('/slow').resolve('slow');
    expect(await slow.answer).toBe('slow');
    expect(count('/c')).toBe(0);
    work('/b').resolve('quick');
    expect(await waiting.answer).toBe('quick');
    await settle();
    expect(count('/c')).toBe(1);
  });

  test('so many that never answer hold up nobody for longer than they are slow', async () => {
    const calls = new PathCalls({ slowAfterMs: 10 });
    for (let path = 0; path < 64; path += 1) void share(calls, `/dead/${String(path)}`);
    const healthy = share(calls, '/healthy');
    vi.advanceTimersByTime(8 * 10);
    work('/healthy').resolve('healthy');
    expect(await healthy.answer).toBe('healthy');
  });

  test('no more calls are out than may be stuck, beside those that have a place', () => {
    const calls = new PathCalls({ atOnce: 2, slowAfterMs: 10, mostStuck: 3 });
    for (let path = 0; path < 20; path += 1) void share(calls, `/${String(path)}`);
    vi.advanceTimersByTime(1_000);
    expect(count()).toBe(5);
  });

  test('one that is gone after it was stuck makes room for another that is slow', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS, atOnce: 1, slowAfterMs: 10, mostStuck: 1 });
    await becomeStuck(calls, '/stuck');
    work('/stuck').goes();
    await settle();
    void share(calls, '/slow');
    void share(calls, '/next');
    vi.advanceTimersByTime(10);
    expect(count('/next')).toBe(1);
  });

  test('one that waits for its path lets the next path pass', () => {
    const calls = new PathCalls({ atOnce: 2 });
    void share(calls, '/a');
    void share(calls, '/a', 'statfs');
    void share(calls, '/b');
    expect([...started.keys()]).toEqual(['stat /a', 'stat /b']);
  });

  test('a call that all have left is not started, one that somebody still waits for is', async () => {
    const calls = new PathCalls({ atOnce: 1 });
    void share(calls, '/a');
    const [left, kept, alone] = [share(calls, '/b'), share(calls, '/b'), share(calls, '/c')];
    expect(left.leave()).toBeUndefined();
    left.leave();
    alone.leave();
    work('/a').resolve('');
    await settle();
    work('/b').resolve('kept');
    expect(await kept.answer).toBe('kept');
    await settle();
    expect(count('/c')).toBe(0);
  });

  test('a call that all have left while it runs goes on, and others join it', async () => {
    const calls = new PathCalls();
    share(calls, '/a').leave();
    const joined = share(calls, '/a');
    expect(count()).toBe(1);
    work('/a').resolve('late');
    expect(await joined.answer).toBe('late');
    expect(work('/a').killed).toBe(false);
  });
});

describe('a stuck path', () => {
  test('rejects all who wait, of every kind, with the time since when the call has been out', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS });
    const since = new Date();
    const shares = [share(calls, '/a'), share(calls, '/a'), share(calls, '/a', 'statfs')];
    elapse(STUCK_AFTER_MS);
    for (const each of shares) {
      await expect(each.answer).rejects.toMatchObject({
        code: 'METRICS_TIMED_OUT',
        path: '/a',
        stuckSince: since,
      });
      expect(each.leave()).toEqual(since);
    }
    expect(work('/a').killed).toBe(true);
    expect(count()).toBe(1);
  });

  test('is one for whoever leaves a moment before, and not earlier', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS });
    const since = new Date();
    const shares = [share(calls, '/a'), share(calls, '/a'), share(calls, '/a')];
    vi.advanceTimersByTime(STUCK_AFTER_MS * 0.9 - 1);
    expect(shares[0]!.leave()).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(shares[1]!.leave()).toEqual(since);
    await expect(shares[2]!.answer).rejects.toMatchObject({ code: 'METRICS_TIMED_OUT', stuckSince: since });
    expect(count()).toBe(1);
  });

  test('rejects later callers at once and starts nothing', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS });
    await becomeStuck(calls, '/a');
    for (const kind of ['stat', 'statfs']) {
      const refused = share(calls, '/a', kind);
      await expect(refused.answer).rejects.toMatchObject({ stuckSince: new Date('2026-01-02T03:04:05Z') });
      expect(refused.leave()).toEqual(new Date('2026-01-02T03:04:05Z'));
    }
    expect(count()).toBe(1);
  });

  test('is tried again once what worked on the call is gone', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS });
    await becomeStuck(calls, '/a');
    work('/a').resolve('an answer after all is not enough');
    await settle();
    await expect(share(calls, '/a').answer).rejects.toMatchObject({ code: 'METRICS_TIMED_OUT' });
    work('/a').goes();
    await settle();
    const again = share(calls, '/a');
    work('/a').resolve('back');
    expect(await again.answer).toBe('back');
    expect(count()).toBe(2);
  });

  test('is not counted among those that run at once', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS, atOnce: 1 });
    const stuck = share(calls, '/a');
    const waiting = share(calls, '/b');
    elapse(STUCK_AFTER_MS);
    await expect(stuck.answer).rejects.toThrow('/a is stuck');
    work('/b').resolve('healthy');
    expect(await waiting.answer).toBe('healthy');
  });

  test('counts its time from the start of the call, not from the asking', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS, atOnce: 1 });
    void share(calls, '/a');
    const queued = share(calls, '/b');
    elapse(STUCK_AFTER_MS - 1);
    work('/a').resolve('');
    await settle();
    elapse(STUCK_AFTER_MS - 1);
    work('/b').resolve('in time');
    expect(await queued.answer).toBe('in time');
  });

  test('nobody needs to be there to hear it', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS });
    share(calls, '/a').leave();
    elapse(STUCK_AFTER_MS);
    await settle();
    expect(work('/a').killed).toBe(true);
  });
});

describe('too many stuck paths', () => {
  const MANY = 3;
  async function manyStuck(): Promise<PathCalls> {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS, mostStuck: MANY, atOnce: 2 });
    for (let path = 1; path <= MANY; path += 1) await becomeStuck(calls, `/${String(path)}`);
    return calls;
  }

  test('reject any other path at once, and say so', async () => {
    const calls = await manyStuck();
    const refused = share(calls, '/healthy');
    await expect(refused.answer).rejects.toMatchObject({
      message: "too many calls on other paths are stuck, so none was started on '/healthy' (EAGAIN)",
      code: 'EAGAIN',
      path: '/healthy',
    });
    expect(refused.leave()).toBeUndefined();
    expect(count('/healthy')).toBe(0);
  });

  test('are 512 after 5 s when nothing else is said', async () => {
    const calls = new PathCalls();
    const shares = Array.from({ length: 512 }, (_, path) => share(calls, `/${String(path)}`));
    const results = Promise.allSettled(shares.map(({ answer }) => answer));
    // Whoever leaves in the last tenth of the 5 s learns that it is stuck.
    vi.advanceTimersByTime(4_499);
    expect(share(calls, '/0').leave()).toBeUndefined();
    vi.advanceTimersByTime(1);
    expect(share(calls, '/0').leave()).toBeInstanceOf(Date);
    elapse(60_000);
    expect((await results).every(({ status }) => status === 'rejected')).toBe(true);
    await expect(share(calls, '/healthy').answer).rejects.toMatchObject({ code: 'EAGAIN' });
    work('/0').goes();
    await settle();
    void share(calls, '/healthy');
    expect(count('/healthy')).toBe(1);
  });

  test('still say of a stuck path that it is stuck', async () => {
    const calls = await manyStuck();
    await expect(share(calls, '/1').answer).rejects.toThrow('/1 is stuck');
  });

  test('reject those that were in the queue', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS, mostStuck: 1, atOnce: 1 });
    const [first, queued] = [share(calls, '/a'), share(calls, '/b')];
    elapse(STUCK_AFTER_MS);
    await expect(first.answer).rejects.toThrow('/a is stuck');
    await expect(queued.answer).rejects.toMatchObject({ code: 'EAGAIN' });
    expect(count('/b')).toBe(0);
  });

  test('are no more once one of them is gone', async () => {
    const calls = await manyStuck();
    work('/2').goes();
    await settle();
    const healthy = share(calls, '/healthy');
    work('/healthy').resolve('yes');
    expect(await healthy.answer).toBe('yes');
  });
});

describe('a busy event loop', () => {
  test('does not make a path stuck whose answer came meanwhile, in some turns', async () => {
    vi.useRealTimers();
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const turns = async (): Promise<string> => {
      for (let left = 5; left > 0; left -= 1) await turn();
      return 'yes';
    };
    const calls = new PathCalls({ stuckAfterMs: 200 });
    const { answer } = calls.join('stat', '/a', () => ({
      answer: turns(),
      sign: () => 'working',
      end: () => Promise.resolve(),
    }));
    const from = performance.now();
    while (performance.now() - from < 400);
    expect(await answer).toBe('yes');
  });

  test('is looked at once more before the path is stuck', async () => {
    const calls = new PathCalls({ stuckAfterMs: STUCK_AFTER_MS });
    const { answer } = share(calls, '/a');
    vi.advanceTimersByTime(STUCK_AFTER_MS);
    work('/a').resolve('yes');
    await settle();
    elapse(1);
    expect(await answer).toBe('yes');
  });
});
