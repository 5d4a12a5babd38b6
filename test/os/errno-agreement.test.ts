import { describe, expect, test } from 'vitest';
import { ERRNOS } from '../../src/os/commands/errno-text.js';
import { fsInfo } from '../../src/os/fs-info.js';
import { systemError } from '../../src/os/system-error.js';
import { FuseServer } from '../support/fuse.mjs';
import { needs } from '../support/needs.js';

const NAMES = [...new Set(Object.values(ERRNOS))];

test('every errno that a command can tell has a number', () => {
  const numbers = NAMES.map((name) => systemError(name, 'statfs', '/v').errno);
  expect(NAMES.filter((_, index) => !(numbers[index]! < 0))).toEqual([]);
});

describe.skipIf(needs({ fuse: true, native: true }))('a volume that fails', () => {
  test('fails the same through both bindings, whatever the errno', async () => {
    await using server = new FuseServer();
    const mount = await server.mount();
    for (const code of NAMES) {
      const { errno } = systemError(code, 'statfs', mount.path);
      await mount.change({ errors: { statfs: -errno } });
      const [native, command] = await Promise.allSettled(
        (['native', 'command'] as const).map((binding) => fsInfo(mount.path, { binding })),
      );
      expect(native).toMatchObject({ reason: { path: mount.path, cause: { code, errno } } });
      expect(command).toEqual(native);
    }
  });

  test('needs units that may be bigints, and an errno that there is', async () => {
    await using server = new FuseServer();
    const { path } = await server.mount({ statfs: { bsize: 1_048_576n, frsize: 4096n } });
    expect((await fsInfo(path)).blockSize).toBe(4096n);
    await expect(server.mount({ errors: { statfs: 'EBOGUS' } })).rejects.toThrow(/EBOGUS is no errno/);
    expect((await fsInfo(path)).blockSize).toBe(4096n);
  });
});
