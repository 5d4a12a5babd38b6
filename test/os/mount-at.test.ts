import { beforeEach, describe, expect, test, vi } from 'vitest';
import { mountAt } from '../../src/index.js';
import { whileMounted } from '../../src/os/mount-at.js';
import { volumeCall, type VolumeCall } from '../../src/os/volume-call.js';
import { mounts } from '../../src/os/mounts.js';
import { TestMounts } from '../support/mounts.js';
import { needs } from '../support/needs.js';

const { pathInfoOf } = vi.hoisted(() => ({ pathInfoOf: vi.fn() }));
vi.mock(import('../../src/os/path-info.js'), async (load) => ({ ...(await load()), pathInfoOf }));

// What comes and goes between two system calls cannot be timed with real mounts, so here the answers are made
// up.
describe.skipIf(needs({ native: true }))('numbers of what is mounted at a path', () => {
  beforeEach(() => {
    pathInfoOf.mockReset();
  });

  const mounted = (mountId: number, uniqueMountId?: bigint): object => ({
    kind: 'directory',
    mountRoot: true,
    mountId,
    uniqueMountId,
  });
  const NOT_MOUNTED = { kind: 'directory', mountRoot: false, mountId: 1 };

  const newCall = (): VolumeCall =>
    volumeCall('/v', { timeoutMs: 5000, signal: undefined, binding: 'native' });

  test('count only between two looks that find the same mount', async () => {
    for (const id of [1, 2, 2]) pathInfoOf.mockResolvedValueOnce(mounted(id));
    const numbers = [{ type: 'ext4' }, { type: 'xfs' }];
    expect(await whileMounted(newCall, () => Promise.resolve(numbers.shift()!))).toEqual({ type: 'xfs' });
    expect(pathInfoOf).toHaveBeenCalledTimes(3);
  });

  test('are not those of the host between two mounts that had the same id', async () => {
    for (const unique of [5n, 6n, 6n]) pathInfoOf.mockResolvedValueOnce(mounted(1, unique));
    const numbers = [{ type: 'ext4' }, { type: 'tmpfs' }];
    expect(await whileMounted(newCall, () => Promise.resolve(numbers.shift()!))).toEqual({ type: 'tmpfs' });
  });

  test('are given up if another mount is there at each look', async () => {
    let id = 0;
    pathInfoOf.mockImplementation(() => Promise.resolve(mounted((id += 1))));
    const measure = vi.fn(() => Promise.resolve({ type: 'ext4' }));
    await expect(whileMounted(newCall, measure)).rejects.toMatchObject({
      code: 'METRICS_NOT_MOUNTED',
      message: 'what is mounted on /v changed 10 times while it was measured',
      transient: true,
    });
    expect(measure).toHaveBeenCalledTimes(10);
  });

  test('are not given if the mount is gone at the second look', async () => {
    for (const info of [mounted(1), NOT_MOUNTED]) pathInfoOf.mockResolvedValueOnce(info);
    await expect(whileMounted(newCall, () => Promise.resolve({ type: 'ext4' }))).rejects.toMatchObject({
      code: 'METRICS_NOT_MOUNTED',
      message: 'nothing is mounted on /v',
      path: '/v',
    });
  });

  test('are not asked for if nothing is mounted at the first look', async () => {
    pathInfoOf.mockResolvedValueOnce(NOT_MOUNTED);
    const measure = vi.fn(() => Promise.resolve({ type: 'ext4' }));
    await expect(whileMounted(newCall, measure)).rejects.toMatchObject({ code: 'METRICS_NOT_MOUNTED' });
    expect(measure).not.toHaveBeenCalled();
  });
});

describe.each(['native', 'command'] as const)('mountAt through the %s binding', (binding) => {
  const native = binding === 'native';

  test.skipIf(needs({ native, root: true }))(
    'gives the id of the mount, and undefined beside it',
    async () => {
      const { pathInfoOf: real } =
        await vi.importActual<typeof import('../../src/os/path-info.js')>('../../src/os/path-info.js');
      pathInfoOf.mockImplementation(real);
      using place = new TestMounts();
      const path = place.tmpfs();
      const { id } = (await mounts()).find(({ mountPoint }) => mountPoint === path)!;
      expect(await mountAt(path, { binding })).toBe(id);
      expect(await mountAt(`${path}/`, { binding })).toBe(id);
      expect(await mountAt(place.newDirectory(), { binding })).toBeUndefined();
      await expect(mountAt(`${path}/missing`, { binding })).rejects.toMatchObject({
        code: 'METRICS_NOT_FOUND',
      });
    },
  );

  test.skipIf(needs({ native }))('refuses unknown options and paths that are not strings', async () => {
    await expect(mountAt('/', { timeout: 5 } as object)).rejects.toThrow('Unknown option "timeout"');
    await expect(mountAt(7 as never, { binding })).rejects.toThrow(
      'Expected path to be a string, got number',
    );
  });
});
