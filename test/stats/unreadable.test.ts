import { afterEach, describe, expect, test, vi } from 'vitest';
import type { MetricsProvider } from '../../src/metrics.js';
import type { CollectionOptions } from '../../src/stats/collection-options.js';
import { FsResourceAnalyzer } from '../../src/stats/fs-resource-analyzer.js';
import type { StatsProvider } from '../../src/stats/pod.js';
import { stringify } from '../../src/stringify.js';
import { unreadable } from '../support/unreadable.js';

const POD = {
  metadata: { uid: '1', name: 'web', namespace: 'shop' },
  spec: {
    volumes: [
      { name: 'data', emptyDir: {} },
      { name: 'other', emptyDir: {} },
    ],
  },
};
const condition = { abnormal: true, message: 'M' };
const good: MetricsProvider = {
  name: 'good',
  getMetrics: () => Promise.resolve({ time: new Date(), source: 'good', condition }),
};

/** Whatever foreign code throws ends neither the process nor the others; vitest finds what nobody caught. */
function analyzerOf(more: Partial<StatsProvider>, options: CollectionOptions = {}): FsResourceAnalyzer {
  const statsProvider: StatsProvider = {
    getPods: () => [POD],
    listVolumesForPod: () =>
      new Map([
        ['data', good],
        ['other', good],
      ]),
    ...more,
  };
  return new FsResourceAnalyzer(statsProvider, { onError: () => undefined, ...options });
}

const rejecting = (name: string, reason: unknown): MetricsProvider => ({
  name,

  getMetrics: () => Promise.reject(reason),
});

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(unreadable)('%s', (_what, thrown) => {
  const fail = (): never => {
    throw thrown;
  };

  const reject = (): Promise<never> => Promise.reject(thrown);

  test.each(['statfs', 'du'])('of a provider named %s fails its volume alone', async (name) => {
    const analyzer = analyzerOf({
      listVolumesForPod: () =>
        new Map([
          ['data', rejecting(name, thrown)],
          ['other', good],
        ]),
    });
    const pods = await analyzer.calculate();
    expect(pods).toMatchObject([
      {
        ephemeralVolumes: [
          { name: 'data', state: 'failed', error: { code: 'METRICS_PROVIDER_FAILED' } },
          { name: 'other', state: 'ok' },
        ],
      },
    ]);
    expect(JSON.parse(stringify(pods))).toHaveLength(1);
  });

  test('as a reading fails its volume alone', async () => {
    const odd = { name: 'odd', getMetrics: () => Promise.resolve(thrown as never) };
    const analyzer = analyzerOf({
      listVolumesForPod: () =>
        new Map([
          ['data', odd],
          ['other', good],
        ]),
    });
    expect(await analyzer.calculate()).toMatchObject([
      { ephemeralVolumes: [{ state: 'failed' }, { state: 'ok' }] },
    ]);
  });

  test('of getPods makes the listing fail', async () => {
    for (const getPods of [fail, reject, () => thrown as never]) {
      await expect(analyzerOf({ getPods }).calculate()).rejects.toMatchObject({
        code: 'METRICS_PROVIDER_FAILED',
      });
    }
  });

  test('in the list of getPods costs no other pod', async () => {
    const errors: string[] = [];
    const analyzer = analyzerOf(
      { getPods: () => [thrown as never, POD] },
      { onError: ({ message }) => errors.push(message) },
    );
    expect(await analyzer.calculate()).toHaveLength(1);
    expect(errors).toEqual([expect.stringMatching(/^getPods gave a pod .*; left out$/)]);
  });

  test('of listVolumesForPod fails the volumes of the pod', async () => {
    for (const listVolumesForPod of [fail, reject, () => thrown as never]) {
      expect(await analyzerOf({ listVolumesForPod }).calculate()).toMatchObject([
        { ephemeralVolumes: [{ state: 'failed', error: { code: 'METRICS_PROVIDER_FAILED' } }, {}] },
      ]);
    }
  });

  test('of a callback costs nothing but a warning', async () => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockReturnValue();
    for (const callback of [fail, reject as () => never]) {
      emitWarning.mockClear();
      const analyzer = analyzerOf(
        {},
        { onCollected: callback, onConditionChange: callback, isWalk: callback, onError: callback },
      );
      expect(await analyzer.calculate()).toMatchObject([
        { ephemeralVolumes: [{ state: 'ok' }, { state: 'ok' }] },
      ]);
      await new Promise(setImmediate);
      expect(emitWarning.mock.calls.map(([text]) => String(text).split(' failed')[0]).sort()).toEqual([
        'onCollected',
        'onConditionChange',
        'onError',
      ]);
    }
  });
});

test('an array of pods that cannot be read makes the listing fail', async () => {
  for (const trap of ['length', Symbol.iterator]) {
    const pods = new Proxy([POD], {
      get: (target, name, receiver): unknown => {
        if (name === trap) throw new Error('not to be read');
        return Reflect.get(target, name, receiver);
      },
    });
    await expect(analyzerOf({ getPods: () => pods }).calculate()).rejects.toMatchObject({
      code: 'METRICS_PROVIDER_FAILED',
      message: 'the array of getPods failed: not to be read',
    });
  }
});

test.each([
  [
    'whose message throws',
    {
      code: 'METRICS_TIMED_OUT',
      get message(): string {
        throw new Error('no');
      },
    },
    'stuck',
  ],
  ['whose details form a circle', circle(), 'failed'],
])(
  'an error with a code of ours %s is copied, and the stats can be written',
  async (_what, reason, state) => {
    const analyzer = analyzerOf({ listVolumesForPod: () => new Map([['data', rejecting('odd', reason)]]) });
    const pods = await analyzer.calculate();
    expect(pods[0]?.ephemeralVolumes[0]).toMatchObject({
      state,
      error: { code: reason.code, name: 'MetricsError' },
    });
    expect(stringify(pods)).toContain(`"code":"${reason.code}"`);
  },
);

function circle(): { code: string; message: string; path?: unknown } {
  const error: ReturnType<typeof circle> = { code: 'METRICS_CSI_FAILED', message: 'm' };
  error.path = error;
  return error;
}

test('isWalk that gives no boolean is complained about, and the volume is no walk', async () => {
  const errors: string[] = [];
  for (const isWalk of [() => Promise.resolve(true), () => 'yes']) {
    const analyzer = analyzerOf(
      {},
      { isWalk: isWalk as never, onError: ({ message }) => errors.push(message) },
    );
    expect(await analyzer.calculate()).toMatchObject([
      { ephemeralVolumes: [{ state: 'ok' }, { state: 'ok' }] },
    ]);
  }
  expect(errors).toEqual([
    'isWalk failed: it gave an object, not a boolean',
    'isWalk failed: it gave a string, not a boolean',
  ]);
});
