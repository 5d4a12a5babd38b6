import { beforeEach, expect, test, vi } from 'vitest';
import { MetricsStatFs } from '../../src/providers/metrics-stat-fs.js';

const { fsInfo, mountAt } = vi.hoisted(() => ({ fsInfo: vi.fn(), mountAt: vi.fn() }));
vi.mock(import('../../src/os/fs-info.js'), () => ({ fsInfo }));
vi.mock(import('../../src/os/mount-at.js'), () => ({ mountAt }));

beforeEach(() => {
  fsInfo.mockReset();
  mountAt.mockReset();
});

const reading = (): Promise<unknown> => new MetricsStatFs('/v', { requireMount: true }).getMetrics();

test('numbers count only between two looks that find the same mount', async () => {
  for (const id of [1, 2, 2]) mountAt.mockResolvedValueOnce(id);
  for (const used of [1n, 2n]) fsInfo.mockResolvedValueOnce({ capacity: 9n, available: 0n, used });
  expect(await reading()).toMatchObject({ used: 2n });
  expect(mountAt).toHaveBeenCalledTimes(3);
});

test('no number is given of a mount that is gone at the second look', async () => {
  for (const id of [1, undefined]) mountAt.mockResolvedValueOnce(id);
  fsInfo.mockResolvedValueOnce({ capacity: 9n, available: 0n, used: 1n });
  await expect(reading()).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED', path: '/v' });
});
