import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { mountAt } from '../../src/index.js';
import { osBinding } from '../../src/os/choose-binding.js';
import { mountedFsInfoOf, ownTmpfsOf, whileMounted } from '../../src/os/mount-at.js';
import type { MountStatFs, OsBinding } from '../../src/os/os-binding.js';
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

// As above, the answers are made up.
describe.skipIf(needs({ native: true }))('numbers of a mount that were asked for in one call', () => {
  const newCall = (): VolumeCall =>
    volumeCall('/v', { timeoutMs: 5000, signal: undefined, binding: 'native' });

  const TMPFS = 0x1021994;
  const seen = (
    mount: MountStatFs['mount'],
    about: Partial<MountStatFs['statFs'] & object> = {},
  ): MountStatFs => {
    const counts = { blocks: 10n, bfree: 4n, bavail: 3n, files: 9n, ffree: 5n, readOnly: false };
    const statFs = mount === 'none' ? undefined : { magic: TMPFS, frsize: 4096n, ...counts, ...about };
    return { mount, statFs, device: 5n, inode: 1n };
  };

  const answering = (...answers: readonly (MountStatFs | undefined)[]): { times: () => number } => {
    const binding = osBinding('native') as Required<Pick<OsBinding, 'mountStatFs'>>;
    const spy = vi.spyOn(binding, 'mountStatFs');
    const left = [...answers];
    spy.mockImplementation(() => ({
      answer: Promise.resolve(left.length > 1 ? left.shift() : left[0]),
      leave: () => undefined,
    }));
    return { times: () => spy.mock.calls.length };
  };

  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('count only if both looks found the same mount', async () => {
    const asked = answering(seen('changed', { blocks: 1_000n }), seen('same'));
    expect(await mountedFsInfoOf(newCall())).toMatchObject({ capacity: 40_960n, used: 24_576n });
    expect(asked.times()).toBe(2);
  });

  test('are given up if another mount is there each time', async () => {
    const asked = answering(seen('changed'));
    await expect(mountedFsInfoOf(newCall())).rejects.toMatchObject({
      code: 'METRICS_NOT_MOUNTED',
      message: 'what is mounted on /v changed 10 times while it was measured',
      transient: true,
    });
    expect(asked.times()).toBe(10);
  });

  test('are not given if nothing is mounted, or the mount is gone', async () => {
    for (const answers of [[seen('none')], [seen('changed'), seen('none')]]) {
      answering(...answers);
      await expect(mountedFsInfoOf(newCall())).rejects.toMatchObject({
        code: 'METRICS_NOT_MOUNTED',
        message: 'nothing is mounted on /v',
        path: '/v',
      });
    }
  });

  test('are those of a whole tmpfs with limits, or it is walked', async () => {
    answering(seen('same'));
    expect(await ownTmpfsOf(newCall())).toMatchObject({ type: 'tmpfs', used: 24_576n, inodesUsed: 4n });
    for (const other of [
      seen('none'),
      seen('changed'),
      { ...seen('same'), inode: 2n },
      seen('same', { magic: 0xef53 }),
      seen('same', { blocks: 0n }),
      seen('same', { files: 0n }),
    ]) {
      answering(other);
      expect(await ownTmpfsOf(newCall())).toBeUndefined();
    }
  });

  test.skipIf(needs({ root: true }))(
    'are asked for one by one if the kernel does not tell the mount',
    async () => {
      const { pathInfoOf: real } =
        await vi.importActual<typeof import('../../src/os/path-info.js')>('../../src/os/path-info.js');
      pathInfoOf.mockImplementation(real);
      using place = new TestMounts();
      const path = place.tmpfs('size=1m');
      const call = (): VolumeCall => ({ ...newCall(), path });
      const asked = answering(undefined);
      expect(await mountedFsInfoOf(call())).toMatchObject({ type: 'tmpfs', capacity: 1_048_576n });
      expect(await ownTmpfsOf(call())).toMatchObject({ type: 'tmpfs', capacity: 1_048_576n, inodesUsed: 1n });
      expect(asked.times()).toBe(2);
    },
  );
});

describe.skipIf(needs({ native: true, root: true }))('numbers of a mount in one call and one by one', () => {
  test('are the same', async () => {
    using place = new TestMounts();
    const binding = osBinding('native');
    for (const path of [place.tmpfs('size=1m,nr_inodes=30'), `${place.tmpfs()}/`, place.newDirectory()]) {
      const { device, inode, mountRoot } = await binding.pathInfo(path).answer;
      const statFsOfMount = mountRoot === true ? await binding.statFs(path).answer : undefined;
      const mount = mountRoot === true ? 'same' : 'none';
      expect(await binding.mountStatFs!(path).answer).toEqual({
        mount,
        statFs: statFsOfMount,
        device,
        inode,
      });
    }
  });

  test('fail alike, and say which call did', async () => {
    const binding = osBinding('native');
    const missing = {
      code: 'ENOENT',
      syscall: 'stat',
      path: '/missing',
      message: expect.any(String) as string,
    };
    await expect(binding.pathInfo('/missing').answer).rejects.toMatchObject(missing);
    await expect(binding.mountStatFs!('/missing').answer).rejects.toMatchObject(missing);
    const call = volumeCall('/missing', { timeoutMs: 5000, signal: undefined, binding: 'native' });
    await expect(mountedFsInfoOf(call)).rejects.toMatchObject({
      code: 'METRICS_NOT_FOUND',
      message: "failed to stat: ENOENT: no such file or directory, stat '/missing'",
      path: '/missing',
    });
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
