import { describe, expect, test } from 'vitest';
import { PrometheusClient } from '../../../src/explain/prometheus-api/prometheus-client.js';
import type { PrometheusClientOptions } from '../../../src/explain/prometheus-api/prometheus-options.js';

describe('the options of PrometheusClient', () => {
  test.each<[Partial<PrometheusClientOptions>, string]>([
    [{ url: 'ftp://prometheus' }, 'Expected url to be a URL such as'],
    [{ url: 'https://me:secret@prometheus' }, 'Expected url without a name and password'],
    [{ auth: { type: 'bearer', tokenFile: '/t' } }, 'Expected url to begin with https://'],
    [{ auth: { type: 'digest' } as never }, 'Expected auth.type to be none, bearer or basic'],
    [{ tenant: 'a b' }, 'Expected tenant to be visible ASCII'],
    [{ timeoutMs: -1 }, 'Expected timeoutMs'],
    [{ token: 'x' } as never, 'Unknown option "token"'],
  ])('%j is refused', (options, message) => {
    expect(() => new PrometheusClient({ url: 'http://prometheus:9090', ...options })).toThrow(message);
  });
});
