import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { unreadable } from '../../support/unreadable.js';
import { serve } from './stats-server.js';

describe.each(unreadable)('%s', (_what, thrown) => {
  const fail = (): never => {
    throw thrown;
  };

  const reject = (): Promise<never> => Promise.reject(thrown);
  const failing = { name: 'odd', getMetrics: reject };

  test.each([
    ['knownVolume', { knownVolume: fail }],
    ['knownVolume, async', { knownVolume: reject }],
    ['providerFor', { providerFor: fail }],
    ['a provider', { providerFor: () => failing }],
    ['a provider, with a verdict asked for', { providerFor: () => failing, health: true }],
    ['knownVolume and onError', { knownVolume: reject, onError: fail }],
    ['knownVolume and onError, async', { knownVolume: reject, onError: reject }],
  ])('from %s is answered with INTERNAL', async (_where, options) => {
    const server = await serve(options);
    // Twice: the first failure must not leave anything behind that the second one waits for.
    for (let round = 0; round < 2; round += 1) {
      expect(await server.ask('v', '/tmp', 20_000)).toMatchObject({
        code: status.INTERNAL,
        details: 'the driver failed to measure the volume',
      });
    }
  });
});
