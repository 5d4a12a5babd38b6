import { expect, test } from 'vitest';
import { isNotSupported, MetricsNil } from '../../src/index.js';

test('rejects with the kubelet’s text', async () => {
  const nil = new MetricsNil();
  expect(nil.name).toBe('nil');
  await expect(nil.getMetrics()).rejects.toThrow(/^metrics are not supported for MetricsNil Volumes$/);
  expect(isNotSupported(await nil.getMetrics().catch((error: unknown) => error))).toBe(true);
});

test('says why there are no metrics', async () => {
  const nil = new MetricsNil('hostPath is not measured');
  await expect(nil.getMetrics()).rejects.toThrow(
    /^metrics support is not implemented: hostPath is not measured$/,
  );
});

test('refuses a reason that is no text', () => {
  expect(() => new MetricsNil(7 as never)).toThrow(/^Expected reason to be a string, got number$/);
});
